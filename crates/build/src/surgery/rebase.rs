//! The same layers on another base.

use std::os::fd::AsFd as _;

use kiln_image::{Config, HistoryEntry, Reference};
use kiln_layer::Compare;
use kiln_store::LayerId;
use serde_json::{Map, Value};

use super::{Draft, Edit, Made, Subject};
use crate::assemble;
use crate::builder::Builder;
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::{Images, chain_ids};
use crate::load::{keep_unpacked, unpack_blob};
use crate::package;
use crate::request::LayerOptions;

/// The annotations that say what an image is based on (image specification, annotations.md).
const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// What an image is based on, and is to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bases<'a> {
    /// The image that its lowest layers are; what its annotations say where not given.
    pub old: Option<&'a str>,
    /// The image that they are to be; the same name, and what it stands for now, where not given.
    pub new: Option<&'a str>,
}

/// Something that a layer brings and that the new base has otherwise than the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The path, relative to the root.
    pub path: Vec<u8>,
    /// The layer's number in the old image, from 0.
    pub layer: usize,
    /// What made the layer, if the history says so.
    pub created_by: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebased {
    /// The image; none where overrides were not to be.
    pub made: Option<Made>,
    /// What its layers hide of the new base.
    pub overrides: Vec<Override>,
}

impl Builder {
    /// Replaces the lowest layers of an image, those of a base, by those of another. What the image's config has from the old
    /// base it gets from the new one. If it is to be `strict`, no image is made whose layers override what is different.
    pub fn rebase(
        &self,
        edit: &Edit<'_>,
        bases: Bases<'_>,
        strict: bool,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Rebased, Error> {
        self.work(format!("rebase {}", edit.image), sink, cancel, |images| {
            let image = Subject::open(images, edit.image, edit.platform)?;
            let (old, new) = open_bases(images, &image, bases)?;
            check_base(&image, &old)?;
            let overrides = overrides(images, &image, &old, &new)?;
            if strict && !overrides.is_empty() {
                return Ok(Rebased { made: None, overrides });
            }
            let made = rebased(images, image, &old, &new, edit.epoch)?.keep(images, edit.names)?;
            Ok(Rebased {
                made: Some(made),
                overrides,
            })
        })
    }
}

fn open_bases(images: &Images<'_>, image: &Subject, bases: Bases<'_>) -> StepResult<(Subject, Subject)> {
    let note = |key: &str| {
        image
            .manifest
            .as_ref()
            .and_then(|(_, manifest)| manifest.annotations.get(key))
    };
    let unknown = |flag: &str, key: &str| {
        StepError::Invalid(format!(
            "{} does not say what it is based on: it has no annotation {key}; give {flag}",
            image.text
        ))
    };
    let name = || note(BASE_NAME).cloned();
    let noted = || -> StepResult<String> {
        let name = name().ok_or_else(|| unknown("--old-base", BASE_NAME))?;
        let digest = note(BASE_DIGEST).ok_or_else(|| unknown("--old-base", BASE_DIGEST))?;
        let wrong = |error: &dyn std::fmt::Display| StepError::Invalid(format!("annotation {BASE_NAME}: {error}"));
        let name: Reference = name.parse().map_err(|error| wrong(&error))?;
        let digest = digest.parse().map_err(|error| wrong(&error))?;
        Ok(name.pinned(digest).to_string())
    };
    let old = bases.old.map_or_else(noted, |old| Ok(old.to_owned()))?;
    let now = || name().ok_or_else(|| unknown("--new-base", BASE_NAME));
    let new = bases.new.map_or_else(now, |new| Ok(new.to_owned()))?;
    let platform = image.config.platform();
    let open = |name: &str| Subject::open(images, name, Some(&platform));
    Ok((open(&old)?, open(&new)?))
}

/// Whether the image begins with the layers of the base.
fn check_base(image: &Subject, base: &Subject) -> StepResult<()> {
    let (own, bases) = (&image.config.rootfs.diff_ids, &base.config.rootfs.diff_ids);
    if own.starts_with(bases) {
        return Ok(());
    }
    let number = own.iter().zip(bases).take_while(|(own, base)| own == base).count();
    let has = |diff_id: Option<&kiln_image::Digest>| diff_id.map_or("none".to_owned(), ToString::to_string);
    Err(StepError::Invalid(format!(
        "{} is not based on {}: its layer {number} is {}, and the base's is {}",
        image.text,
        base.text,
        has(own.get(number)),
        has(bases.get(number))
    )))
}

fn overrides(images: &Images<'_>, image: &Subject, old: &Subject, new: &Subject) -> StepResult<Vec<Override>> {
    let (old_tree, new_tree) = (images.tree(&old.layers)?, images.tree(&new.layers)?);
    let changes = kiln_layer::changes(old_tree.root.as_fd(), new_tree.root.as_fd(), Compare::Content)?;
    let mut found = Vec::new();
    for (layer, id) in image.layers.iter().enumerate().skip(old.layers.len()) {
        let made = image
            .config
            .history
            .iter()
            .filter(|entry| !entry.empty_layer)
            .nth(layer);
        let created_by = made.map(|entry| entry.created_by.clone()).unwrap_or_default();
        let paths = kiln_layer::overrides(&images.store.layer_path(id), old_tree.root.as_fd(), &changes)?;
        found.extend(paths.into_iter().map(|path| Override {
            path,
            layer,
            created_by: created_by.clone(),
        }));
    }
    Ok(found)
}

fn rebased(images: &Images<'_>, image: Subject, old: &Subject, new: &Subject, epoch: Option<i64>) -> StepResult<Draft> {
    let mut draft = image.draft(epoch);
    let above = draft.layers.split_off(old.layers.len());
    let mut diff_ids = new.config.rootfs.diff_ids.clone();
    diff_ids.extend(&draft.config.rootfs.diff_ids[old.layers.len()..]);
    let chain = chain_ids(&diff_ids);
    draft.layers.clone_from(&new.layers);
    let blobs = new.manifest.iter().flat_map(|(_, manifest)| manifest.layers.clone());
    draft.descriptors.extend(new.layers.iter().cloned().zip(blobs));
    for layer in above {
        let number = draft.layers.len();
        let id = moved(images, &mut draft, layer, &chain[number], &diff_ids[number])?;
        draft.layers.push(id);
    }
    let config = &mut draft.config;
    config.config = merged(&config.config, &old.config.config, &new.config.config)?;
    config.history = history(
        &config.history,
        &old.config.history,
        old.layers.len(),
        &new.config.history,
    );
    config.architecture.clone_from(&new.config.architecture);
    config.os.clone_from(&new.config.os);
    config.os_version.clone_from(&new.config.os_version);
    config.variant.clone_from(&new.config.variant);
    draft.annotations.remove(BASE_NAME);
    draft.annotations.remove(BASE_DIGEST);
    if let (Some((digest, _)), Some(name)) = (&new.manifest, &new.name) {
        let name = Reference::new(name.registry(), name.repository(), name.tag(), None);
        draft.annotations.insert(BASE_NAME.to_owned(), name.to_string());
        draft.annotations.insert(BASE_DIGEST.to_owned(), digest.to_string());
    }
    Ok(draft)
}

/// A layer above others than before. What a step made is whole by itself; another is unpacked once more, since it takes
/// from those below it what its tar does not say.
fn moved(
    images: &Images<'_>,
    draft: &mut Draft,
    layer: LayerId,
    id: &LayerId,
    diff_id: &kiln_image::Digest,
) -> StepResult<LayerId> {
    if LayerId::from_random(layer.as_str()).is_some() {
        return Ok(layer);
    }
    let blob = match draft.descriptors.get(&layer) {
        Some(blob) => blob.clone(),
        None => assemble::blob(images, &layer, LayerOptions::DEFAULT)?,
    };
    package::fetch_blob(images, &blob)?;
    if images.store.layer(id)?.is_none() {
        let (directory, found) = unpack_blob(images, &blob.digest, &draft.layers)?;
        if found != *diff_id {
            return Err(StepError::Invalid(format!(
                "layer {} unpacks to {found}, but is said to be {diff_id}: the image is damaged or lies",
                blob.digest.short()
            )));
        }
        keep_unpacked(images.store, &directory, id, &blob.digest, diff_id)?;
    }
    draft.descriptors.insert(id.clone(), blob);
    Ok(id.clone())
}

/// What made the new base, and then what was done to the old one.
fn history(own: &[HistoryEntry], old: &[HistoryEntry], old_layers: usize, new: &[HistoryEntry]) -> Vec<HistoryEntry> {
    let above = own.strip_prefix(old).unwrap_or_else(|| {
        // Somebody wrote it anew: the base ends with its last layer.
        let mut layers = 0;
        let last = own.iter().position(|entry| {
            layers += usize::from(!entry.empty_layer);
            layers == old_layers
        });
        last.map_or(own, |last| &own[last + 1..])
    });
    new.iter().chain(above).cloned().collect()
}

/// What the image has of the old base becomes what the new one has; what it has of its own stays.
fn merged(own: &Config, old: &Config, new: &Config) -> StepResult<Config> {
    let invalid = |error| StepError::Invalid(format!("cannot merge the configs: {error}"));
    let value = |config| serde_json::to_value(config).map_err(invalid);
    let merged = merge(Some(value(own)?), Some(value(old)?), Some(value(new)?));
    let mut config: Config = serde_json::from_value(merged.unwrap_or_default()).map_err(invalid)?;
    config.env = merge_env(&own.env, &old.env, &new.env);
    Ok(config)
}

fn merge(own: Option<Value>, old: Option<Value>, new: Option<Value>) -> Option<Value> {
    match (own, old, new) {
        (own, old, new) if own == old => new,
        (Some(Value::Object(mut own)), old, Some(Value::Object(mut new))) => {
            let mut old = match old {
                Some(Value::Object(old)) => old,
                _ => Map::new(),
            };
            let names: Vec<String> = own.keys().chain(new.keys()).cloned().collect();
            let mut all = Map::new();
            for name in names {
                if !all.contains_key(&name)
                    && let Some(value) = merge(own.remove(&name), old.remove(&name), new.remove(&name))
                {
                    all.insert(name, value);
                }
            }
            Some(Value::Object(all))
        }
        (own, ..) => own,
    }
}

/// Variable by variable: in the new base's order, and then the image's.
fn merge_env(own: &[String], old: &[String], new: &[String]) -> Vec<String> {
    let name = |pair: &String| pair.split_once('=').map_or(pair.clone(), |(name, _)| name.to_owned());
    let find = |env: &[String], wanted: &str| env.iter().find(|pair| name(pair) == wanted).cloned();
    let mut names: Vec<String> = Vec::new();
    for name in new.iter().chain(own).map(name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let merged = names.iter().filter_map(|name| {
        let (own, old) = (find(own, name), find(old, name));
        if own == old { find(new, name) } else { own }
    });
    merged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn configs_merge_by_what_the_image_changed() {
        let old = config(
            r#"{"Env":["PATH=/bin","V=1","GONE=1","A=1"],"Labels":{"v":"1","own":"old"},"Cmd":["old"],"User":"u"}"#,
        );
        let own = config(
            r#"{"Env":["PATH=/app:/bin","V=1","GONE=1","A=1","OWN=1"],"Labels":{"v":"1","own":"new","more":"x"},"Cmd":["old"],"Entrypoint":["e"],"User":"u","Future":1}"#,
        );
        let new = config(
            r#"{"Env":["V=2","PATH=/bin:/new","A=1","NEW=1"],"Labels":{"v":"2","base":"y"},"Cmd":["new"],"WorkingDir":"/w"}"#,
        );
        let expected = config(
            r#"{"Env":["V=2","PATH=/app:/bin","A=1","NEW=1","OWN=1"],"Labels":{"v":"2","base":"y","own":"new","more":"x"},"Cmd":["new"],"Entrypoint":["e"],"WorkingDir":"/w","Future":1}"#,
        );
        assert_eq!(merged(&own, &old, &new).unwrap(), expected);
        assert_eq!(merged(&own, &old, &old).unwrap(), own);
        assert_eq!(merged(&old, &old, &new).unwrap(), new);
    }

    #[test]
    fn history_of_the_base_is_replaced() {
        let entry = |text: &str, empty_layer| HistoryEntry {
            created_by: text.to_owned(),
            empty_layer,
            ..HistoryEntry::default()
        };
        let (base, label) = (entry("base", false), entry("label", true));
        let own = [base.clone(), label.clone(), entry("env", true), entry("own", false)];
        let new = [entry("new", false)];
        let texts = |old: &[HistoryEntry]| -> Vec<String> {
            let entries = history(&own, old, 1, &new);
            entries.into_iter().map(|entry| entry.created_by).collect()
        };
        assert_eq!(texts(&[base, label]), ["new", "env", "own"]);
        assert_eq!(texts(&[entry("other", false)]), ["new", "label", "env", "own"]);
    }
}
