//! Another config and other annotations for the same layers.

use std::collections::BTreeMap;

use kiln_image::{Config, Empty, Platform};
use kiln_plan::history;

use super::{Draft, Edit, Made, Subject};
use crate::builder::Builder;
use crate::cancel::Cancel;
use crate::error::Error;
use crate::event::Sink;

/// What is to become of something that has names and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// This has that value.
    Set(String, String),
    /// This is not there.
    Remove(String),
    /// Nothing is there.
    Clear,
}

/// What is to be changed of a config, and of the annotations. What is not given stays as it is; an empty list or text means
/// that there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mutation {
    /// Labels.
    pub labels: Vec<Setting>,
    /// Variables.
    pub env: Vec<Setting>,
    /// Ports, as `80/tcp`; they have no values.
    pub ports: Vec<Setting>,
    /// Paths that hold data; they have no values.
    pub volumes: Vec<Setting>,
    /// What runs. Unless `cmd` is given as well, its default arguments go, which were for another program.
    pub entrypoint: Option<Vec<String>>,
    /// Its default arguments.
    pub cmd: Option<Vec<String>>,
    /// Who runs it.
    pub user: Option<String>,
    /// Where.
    pub workdir: Option<String>,
    /// What stops it.
    pub stop_signal: Option<String>,
    /// For what the image says that it is.
    pub platform: Option<Platform>,
    /// Notes in the manifest.
    pub annotations: Vec<Setting>,
}

impl Builder {
    /// Changes the config of an image, and the annotations of its manifest. The layers stay what they are.
    pub fn mutate(
        &self,
        edit: &Edit<'_>,
        mutation: &Mutation,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Made, Error> {
        self.work(format!("change {}", edit.image), sink, cancel, |images| {
            let mut draft = Subject::open(images, edit.image, edit.platform)?.draft(edit.epoch);
            mutation.apply(&mut draft);
            draft.keep(images, edit.names)
        })
    }
}

impl Mutation {
    fn apply(&self, draft: &mut Draft) {
        let mut done = Vec::new();
        self.apply_sets(&mut draft.config.config, &mut done);
        self.apply_values(&mut draft.config.config, &mut done);
        apply_to_map(&self.annotations, &mut draft.annotations);
        if let Some(platform) = &self.platform {
            let config = &mut draft.config;
            config.architecture.clone_from(&platform.architecture);
            config.os.clone_from(&platform.os);
            config.os_version.clone_from(&platform.os_version);
            config.variant.clone_from(&platform.variant);
        }
        for line in done {
            draft.note(&line, "kiln mutate".to_owned(), true);
        }
    }

    fn apply_sets(&self, config: &mut Config, done: &mut Vec<String>) {
        apply_to_map(&self.labels, &mut config.labels);
        note_pairs("LABEL", &self.labels, done);
        for setting in &self.env {
            let is = |pair: &String, name: &str| pair.split_once('=').map_or(&pair[..], |(name, _)| name) == name;
            match setting {
                Setting::Set(name, value) => {
                    let pair = format!("{name}={value}");
                    match config.env.iter_mut().find(|known| is(known, name)) {
                        Some(known) => *known = pair,
                        None => config.env.push(pair),
                    }
                }
                Setting::Remove(name) => config.env.retain(|pair| !is(pair, name)),
                Setting::Clear => config.env.clear(),
            }
        }
        note_pairs("ENV", &self.env, done);
        for (keyword, settings, set) in [
            ("EXPOSE", &self.ports, &mut config.exposed_ports),
            ("VOLUME", &self.volumes, &mut config.volumes),
        ] {
            apply_to_set(settings, set);
            let names: Vec<String> = settings.iter().filter_map(set_name).collect();
            if !names.is_empty() {
                done.push(history::list(keyword, &names));
            }
            note_removals(keyword, settings, done);
        }
    }

    fn apply_values(&self, config: &mut Config, done: &mut Vec<String>) {
        let list = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
        if let Some(words) = &self.entrypoint {
            config.entrypoint = list(words);
            config.cmd = None;
            config.args_escaped = false;
            done.push(history::quoted("ENTRYPOINT", words));
        }
        if let Some(words) = &self.cmd {
            config.cmd = list(words);
            config.args_escaped = false;
            done.push(history::quoted("CMD", words));
        }
        for (keyword, value, field) in [
            ("USER", &self.user, &mut config.user),
            ("WORKDIR", &self.workdir, &mut config.working_dir),
            ("STOPSIGNAL", &self.stop_signal, &mut config.stop_signal),
        ] {
            if let Some(value) = value {
                field.clone_from(value);
                let line = format!("{keyword} {value}");
                done.push(if value.is_empty() { format!("{keyword}-") } else { line });
            }
        }
    }
}

fn apply_to_map(settings: &[Setting], map: &mut BTreeMap<String, String>) {
    for setting in settings {
        match setting {
            Setting::Set(name, value) => drop(map.insert(name.clone(), value.clone())),
            Setting::Remove(name) => drop(map.remove(name)),
            Setting::Clear => map.clear(),
        }
    }
}

fn apply_to_set(settings: &[Setting], set: &mut BTreeMap<String, Empty>) {
    for setting in settings {
        match setting {
            Setting::Set(name, _) => drop(set.insert(name.clone(), Empty {})),
            Setting::Remove(name) => drop(set.remove(name)),
            Setting::Clear => set.clear(),
        }
    }
}

fn set_name(setting: &Setting) -> Option<String> {
    match setting {
        Setting::Set(name, _) => Some(name.clone()),
        Setting::Remove(_) | Setting::Clear => None,
    }
}

/// As a Dockerfile would say it.
fn note_pairs(keyword: &str, settings: &[Setting], done: &mut Vec<String>) {
    let pairs: Vec<(String, String)> = settings
        .iter()
        .filter_map(|setting| match setting {
            Setting::Set(name, value) => Some((name.clone(), value.clone())),
            Setting::Remove(_) | Setting::Clear => None,
        })
        .collect();
    if !pairs.is_empty() {
        done.push(history::pairs(keyword, &pairs));
    }
    note_removals(keyword, settings, done);
}

/// What no Dockerfile can say: `LABEL name-`.
fn note_removals(keyword: &str, settings: &[Setting], done: &mut Vec<String>) {
    for setting in settings {
        match setting {
            Setting::Set(..) => {}
            Setting::Remove(name) => done.push(format!("{keyword} {name}-")),
            Setting::Clear => done.push(format!("{keyword} -")),
        }
    }
}
