//! `RUN --device`: what the machine's files say of devices (the container device interface, version 0.8, as JSON or YAML).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kiln_plan::Exec;
use serde::Deserialize;

use crate::error::{StepError, StepResult};

/// A description that is larger is none.
const LARGEST: u64 = 4 << 20;
/// The annotation by which a device has a class.
const CLASS: &str = "org.mobyproject.buildkit.device.class";

/// A file of descriptions.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Specification {
    kind: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    devices: Vec<Description>,
    #[serde(default)]
    container_edits: Edits,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    name: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    container_edits: Edits,
}

/// What a device changes in a step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Edits {
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    device_nodes: Vec<Node>,
    #[serde(default)]
    mounts: Vec<Bind>,
    #[serde(default)]
    hooks: Vec<serde_json::Value>,
    #[serde(default)]
    additional_gids: Vec<u32>,
    intel_rdt: Option<serde_json::Value>,
    #[serde(default)]
    net_devices: Vec<serde_json::Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    path: String,
    host_path: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bind {
    host_path: PathBuf,
    container_path: String,
    #[serde(default)]
    options: Vec<String>,
    #[serde(rename = "type", default)]
    kind: String,
}

/// A device that some file describes.
#[derive(Debug)]
struct Known {
    class: Option<String>,
    edits: Edits,
}

/// What all devices of a step come to.
#[derive(Debug, Default)]
pub(super) struct Devices {
    /// Variables, as `NAME`, value.
    pub(super) env: Vec<(String, String)>,
    /// Nodes: where in the step, and the machine's.
    pub(super) nodes: Vec<(String, PathBuf)>,
    /// Directories and files: where in the step, the machine's, and whether they can only be read.
    pub(super) binds: Vec<(String, PathBuf, bool)>,
    /// Further groups of the process.
    pub(super) groups: Vec<u32>,
}

/// All that the machine describes, by `vendor/class=name`, and what could not be read.
#[derive(Debug, Default)]
struct Catalogue {
    known: BTreeMap<String, Known>,
    unread: Vec<String>,
}

/// Looks up the devices of a step.
pub(super) fn find(exec: &Exec, directories: &[PathBuf]) -> StepResult<Devices> {
    let mut found = Devices::default();
    if exec.devices.is_empty() {
        return Ok(found);
    }
    let catalogue = Catalogue::read(directories);
    let mut taken: Vec<&str> = Vec::new();
    for device in &exec.devices {
        let names = catalogue.names(&device.name);
        if names.is_empty() && device.required {
            return Err(StepError::Invalid(catalogue.missing(&device.name, directories)));
        }
        for name in names {
            if !taken.contains(&name) {
                taken.push(name);
                found.add(name, &catalogue.known[name].edits)?;
            }
        }
    }
    Ok(found)
}

impl Catalogue {
    fn read(directories: &[PathBuf]) -> Self {
        let mut catalogue = Self::default();
        for directory in directories {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                let specification = match path.extension().and_then(|extension| extension.to_str()) {
                    Some("json") => read(&path).and_then(|text| from_json(&text)),
                    Some("yaml" | "yml") => read(&path).and_then(|text| from_yaml(&text)),
                    _ => continue,
                };
                match specification {
                    Ok(specification) => catalogue.add(specification),
                    Err(cause) => catalogue.unread.push(format!("{}: {cause}", path.display())),
                }
            }
        }
        catalogue
    }

    fn add(&mut self, specification: Specification) {
        for device in specification.devices {
            let annotation = device.annotations.get(CLASS).or(specification.annotations.get(CLASS));
            let known = Known {
                class: annotation.cloned(),
                edits: specification.container_edits.clone().and(device.container_edits),
            };
            self.known
                .insert(format!("{}={}", specification.kind, device.name), known);
        }
    }

    /// The devices that a name means: one, the first of a class, all of it, or those with a class as annotation.
    fn names(&self, name: &str) -> Vec<&str> {
        let (kind, device) = name.split_once('=').unwrap_or((name, ""));
        let of_kind = || {
            let all = self.known.keys().map(String::as_str);
            all.filter(move |known| known.split_once('=').is_some_and(|(own, _)| own == kind))
        };
        let found: Vec<&str> = match device {
            _ if !kind.contains('/') => Vec::new(),
            "" => of_kind().take(1).collect(),
            "*" => of_kind().collect(),
            _ => of_kind().filter(|known| *known == name).collect(),
        };
        if !found.is_empty() {
            return found;
        }
        let of_class = |known: &Known| known.class.as_deref() == Some(name);
        let classed = self.known.iter().filter(|(_, known)| of_class(known));
        classed.map(|(name, _)| name.as_str()).collect()
    }

    fn missing(&self, name: &str, directories: &[PathBuf]) -> String {
        let places: Vec<String> = directories.iter().map(|path| path.display().to_string()).collect();
        let mut text = format!("required device {name:?} is not registered in {}", places.join(" or "));
        if !self.known.is_empty() {
            let known: Vec<&str> = self.known.keys().map(String::as_str).collect();
            text.push_str(&format_args!("; there are {}", known.join(", ")).to_string());
        }
        for unread in &self.unread {
            text.push_str(&format_args!("; {unread}").to_string());
        }
        text
    }
}

fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(LARGEST + 1).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    Ok(text)
}

fn from_json(text: &str) -> Result<Specification, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn from_yaml(text: &str) -> Result<Specification, String> {
    let whole = serde_saphyr::from_str(text).map_err(|error| error.to_string());
    // The error shows the place in lines of its own.
    whole.map_err(|text| text.lines().next().unwrap_or_default().to_owned())
}

impl Edits {
    fn and(mut self, more: Self) -> Self {
        self.env.extend(more.env);
        self.device_nodes.extend(more.device_nodes);
        self.mounts.extend(more.mounts);
        self.hooks.extend(more.hooks);
        self.additional_gids.extend(more.additional_gids);
        self.intel_rdt = self.intel_rdt.or(more.intel_rdt);
        self.net_devices.extend(more.net_devices);
        self
    }

    /// What a device needs that Kiln does not do.
    fn unsupported(&self) -> Option<&'static str> {
        let other = |bind: &Bind| !matches!(bind.kind.as_str(), "" | "none" | "bind");
        [
            (!self.hooks.is_empty(), "programs of the machine (hooks)"),
            (self.intel_rdt.is_some(), "Intel's resource director"),
            (!self.net_devices.is_empty(), "network devices"),
            (
                self.mounts.iter().any(other),
                "mounts other than of files and directories",
            ),
        ]
        .into_iter()
        .find_map(|(needed, what)| needed.then_some(what))
    }
}

impl Devices {
    fn add(&mut self, name: &str, edits: &Edits) -> StepResult<()> {
        if let Some(what) = edits.unsupported() {
            return Err(StepError::Unsupported(format!(
                "the device {name} needs {what}, which Kiln does not support"
            )));
        }
        for variable in &edits.env {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            self.env.push((name.to_owned(), value.to_owned()));
        }
        for node in &edits.device_nodes {
            let source = node.host_path.clone().unwrap_or_else(|| PathBuf::from(&node.path));
            self.nodes.push((node.path.clone(), source));
        }
        for bind in &edits.mounts {
            let read_only = bind.options.iter().any(|option| option == "ro");
            self.binds
                .push((bind.container_path.clone(), bind.host_path.clone(), read_only));
        }
        // A group that is 0 is none, says the specification.
        self.groups
            .extend(edits.additional_gids.iter().filter(|gid| **gid != 0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(files: &[(&str, &str)]) -> (tempfile::TempDir, Catalogue) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let catalogue = Catalogue::read(&[PathBuf::from("/no/such/directory"), directory.path().to_owned()]);
        (directory, catalogue)
    }

    const GPU: &str = r#"{"cdiVersion": "0.6.0", "kind": "vendor.com/gpu",
        "devices": [{"name": "1", "annotations": {"org.mobyproject.buildkit.device.class": "fast"}}, {"name": "0"}]}"#;

    #[test]
    fn names_mean_devices() {
        let (_directory, catalogue) = catalogue(&[("gpu.json", GPU)]);
        let check = |name: &str, expected: &[&str]| assert_eq!(catalogue.names(name), expected, "{name}");
        check("vendor.com/gpu=1", &["vendor.com/gpu=1"]);
        check("vendor.com/gpu", &["vendor.com/gpu=0"]);
        check("vendor.com/gpu=*", &["vendor.com/gpu=0", "vendor.com/gpu=1"]);
        check("vendor.com/gpu=2", &[]);
        check("vendor.com/g", &[]);
        check("fast", &["vendor.com/gpu=1"]);
    }

    #[test]
    fn yaml_says_the_same() {
        let yaml = "\
cdiVersion: 0.6.0
kind: vendor.com/nic
devices:
- name: \"0\"
  containerEdits:
    deviceNodes:
    - path: /dev/nic0
      hostPath: /dev/null
containerEdits:
  env:
  - NIC=1
";
        let (_directory, catalogue) = catalogue(&[("nic.yaml", yaml), ("gpu.yml", GPU)]);
        assert_eq!(catalogue.unread, Vec::<String>::new());
        assert_eq!(catalogue.names("fast"), ["vendor.com/gpu=1"]);
        let edits = &catalogue.known["vendor.com/nic=0"].edits;
        let mut devices = Devices::default();
        devices.add("vendor.com/nic=0", edits).unwrap();
        assert_eq!(devices.env, [("NIC".to_owned(), "1".to_owned())]);
        assert_eq!(devices.nodes, [("/dev/nic0".to_owned(), "/dev/null".into())]);
    }

    #[test]
    fn what_is_missing_is_told() {
        let (directory, catalogue) =
            catalogue(&[("a.json", "{"), ("b.yaml", "kind: [x"), ("gpu.json", GPU), ("c", "")]);
        let text = catalogue.missing("vendor.com/nic", &[directory.path().to_owned()]);
        for part in [
            "\"vendor.com/nic\" is not registered",
            "vendor.com/gpu=0",
            "a.json: EOF",
            "b.yaml: ",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_devices_need() {
        let edits = |text: &str| -> Edits { serde_json::from_str(text).unwrap() };
        let all = edits(
            r#"{"env": ["A=b=c"], "deviceNodes": [{"path": "/dev/x"}, {"path": "/dev/y", "hostPath": "/dev/z"}],
                "mounts": [{"hostPath": "/h", "containerPath": "/c", "options": ["ro", "bind"]}], "additionalGids": [0, 7]}"#,
        );
        let mut devices = Devices::default();
        devices.add("d", &all).unwrap();
        assert_eq!(devices.env, [("A".to_owned(), "b=c".to_owned())]);
        let nodes = [
            ("/dev/x".to_owned(), "/dev/x".into()),
            ("/dev/y".to_owned(), "/dev/z".into()),
        ];
        assert_eq!(devices.nodes, nodes);
        assert_eq!(devices.binds, [("/c".to_owned(), "/h".into(), true)]);
        assert_eq!(devices.groups, [7]);
        for text in [
            r#"{"hooks": [{"hookName": "createContainer", "path": "/x"}]}"#,
            r#"{"intelRdt": {}}"#,
            r#"{"mounts": [{"hostPath": "t", "containerPath": "/c", "type": "tmpfs"}]}"#,
        ] {
            assert!(devices.add("d", &edits(text)).is_err(), "{text}");
        }
    }
}
