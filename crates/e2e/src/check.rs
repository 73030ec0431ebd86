//! Comparing what came out with what was expected. Every difference is told, not only the first.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::expect::{Build, Entry, matches};
use crate::layout::Image;
use crate::progress::Steps;
use crate::tree::{Node, Tree};

/// An empty list says as much as none.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// What was found to differ.
#[derive(Debug, Default)]
pub struct Differences(Vec<String>);

impl Differences {
    fn add(&mut self, text: String) {
        self.0.push(text);
    }

    /// An error that lists all of them, followed by `log`.
    pub fn end(self, log: &str) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        bail!("{}\n--- the log:\n{log}", self.0.join("\n"))
    }

    /// Compares an exit code.
    pub fn exit(&mut self, wanted: i32, found: Option<i32>) {
        if found != Some(wanted) {
            self.add(format!("exit code: wanted {wanted}, found {found:?}"));
        }
    }

    /// Looks for parts of a text.
    pub fn contains(&mut self, what: &str, text: &str, parts: &[String]) {
        for part in parts.iter().filter(|part| !text.contains(part.as_str())) {
            self.add(format!("{what} does not contain {part:?}:\n{text}"));
        }
    }

    /// Looks for parts that must not be there.
    pub fn lacks(&mut self, text: &str, parts: &[String]) {
        for part in parts.iter().filter(|part| text.contains(part.as_str())) {
            self.add(format!("the output must not contain {part:?}"));
        }
    }

    /// Compares how steps went.
    pub fn steps(&mut self, wanted: &Build, steps: &Steps) {
        for (parts, cached) in [(&wanted.cached, true), (&wanted.ran, false)] {
            for part in parts {
                match steps.was_cached(part) {
                    None => self.add(format!("there is no step {part:?}")),
                    Some(found) if found != cached => self.add(format!(
                        "step {part:?} should {} from the cache",
                        if cached { "come" } else { "not come" }
                    )),
                    Some(_) => {}
                }
            }
        }
        for (part, why) in &wanted.why {
            match steps.why(part) {
                None => self.add(format!("nothing says why step {part:?} ran")),
                Some(found) if !found.contains(why) => {
                    self.add(format!(
                        "step {part:?} should have run because of {why:?}, says: {found}"
                    ));
                }
                Some(_) => {}
            }
        }
        for part in wanted.no_step.iter().filter(|part| steps.was_cached(part).is_some()) {
            self.add(format!("there is a step {part:?}"));
        }
    }

    /// Compares an image.
    pub fn image(&mut self, wanted: &Build, image: &Image) {
        for (path, entry) in &wanted.tree {
            self.entry(path, entry, &image.tree);
        }
        for path in &wanted.absent {
            self.absent(path, &image.tree);
        }
        if let Some(paths) = &wanted.paths {
            self.paths(paths, &image.tree);
        }
        self.fields("config", wanted.config.as_ref(), &image.config["config"]);
        self.fields("image", wanted.image.as_ref(), &image.config);
        if let Some(history) = &wanted.history {
            self.history(history, &image.config["history"]);
        }
        if let Some(count) = wanted.layers.filter(|&count| count != image.layers.len()) {
            self.add(format!("wanted {count} layers, found {}", image.layers.len()));
        }
        for layer in &wanted.layer {
            self.layer(layer.at, &layer.entries, &image.layers);
        }
    }

    fn entry(&mut self, path: &str, wanted: &Entry, tree: &Tree) {
        let key = path.trim_matches('/');
        let Some(node) = tree.nodes.get(key) else {
            let parent = key.rsplit_once('/').map_or("", |(parent, _)| parent);
            let near: Vec<&String> = tree
                .nodes
                .keys()
                .filter(|name| name.starts_with(parent))
                .take(30)
                .collect();
            return self.add(format!("{path} is not there; there is {near:?}"));
        };
        self.attributes(path, wanted, node);
        let text = String::from_utf8_lossy(&node.content);
        if wanted.content.as_ref().is_some_and(|content| *content != text) {
            self.add(format!("{path}: wanted content {:?}, found {text:?}", wanted.content));
        }
        if wanted.contains.as_ref().is_some_and(|part| !text.contains(part)) {
            self.add(format!(
                "{path}: wanted a content with {:?}, found {text:?}",
                wanted.contains
            ));
        }
        if let Some(other) = &wanted.same_as {
            let other = tree.nodes.get(other.trim_matches('/'));
            if other.map(|other| other.inode) != Some(node.inode) {
                self.add(format!("{path} is no hard link to {:?}", wanted.same_as));
            }
        }
        for (name, value) in &wanted.xattr {
            if node
                .xattrs
                .get(name)
                .map(|found| String::from_utf8_lossy(found).into_owned())
                .as_ref()
                != Some(value)
            {
                self.add(format!(
                    "{path}: wanted attribute {name}={value:?}, found {:?}",
                    node.xattrs
                ));
            }
        }
    }

    fn attributes(&mut self, path: &str, wanted: &Entry, node: &Node) {
        let found = [
            ("type", wanted.r#type.clone(), node.kind.to_owned()),
            ("mode", wanted.mode.clone(), format!("{:04o}", node.mode)),
            ("owner", wanted.owner.clone(), format!("{}:{}", node.uid, node.gid)),
            ("size", wanted.size.map(|size| size.to_string()), node.size.to_string()),
            ("link", wanted.link.clone(), node.link.clone()),
            (
                "mtime",
                wanted.mtime.map(|time| time.to_string()),
                node.mtime.to_string(),
            ),
        ];
        for (what, wanted, found) in found {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
                self.add(format!("{path}: wanted {what} {wanted}, found {found}"));
            }
        }
    }

    fn absent(&mut self, path: &str, tree: &Tree) {
        let key = path.trim_matches('/');
        let found = match key.strip_suffix('*') {
            Some(prefix) => tree.nodes.keys().find(|name| name.starts_with(prefix)),
            None => tree.nodes.keys().find(|name| *name == key),
        };
        if let Some(found) = found {
            self.add(format!("{found} should not be there"));
        }
    }

    fn paths(&mut self, wanted: &[String], tree: &Tree) {
        let shown = |(path, node): (&String, &Node)| match node.kind {
            "dir" => format!("{path}/"),
            _ => path.clone(),
        };
        let found: BTreeSet<String> = tree.nodes.iter().map(shown).collect();
        let wanted: BTreeSet<String> = wanted.iter().cloned().collect();
        for path in found.difference(&wanted) {
            self.add(format!("{path} should not be there"));
        }
        for path in wanted.difference(&found) {
            self.add(format!("{path} is not there"));
        }
    }

    fn fields(&mut self, what: &str, wanted: Option<&toml::Table>, found: &Value) {
        for (key, value) in wanted.into_iter().flatten() {
            let value = serde_json::to_value(value).unwrap_or_default();
            let found = found.get(key);
            let same = match (&value, found) {
                (Value::String(absent), found) if absent == "<absent>" => found.is_none_or(is_nothing),
                (value, Some(found)) => value == found,
                (_, None) => false,
            };
            if !same {
                self.add(format!(
                    "{what}: wanted {key} = {value}, found {}",
                    found.unwrap_or(&Value::Null)
                ));
            }
        }
    }

    fn history(&mut self, wanted: &[String], found: &Value) {
        let all: Vec<&str> = found
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| entry["created_by"].as_str().unwrap_or(""))
            .collect();
        let last = &all[all.len().saturating_sub(wanted.len())..];
        let same = last.len() == wanted.len() && wanted.iter().zip(last).all(|(wanted, found)| matches(wanted, found));
        if !same {
            self.add(format!("history: wanted {wanted:#?}, found {all:#?}"));
        }
    }

    fn layer(&mut self, at: i64, wanted: &[String], layers: &[Vec<String>]) {
        let count = i64::try_from(layers.len()).unwrap_or(i64::MAX);
        let index = if at < 0 { count + at } else { at };
        let Some(found) = usize::try_from(index).ok().and_then(|index| layers.get(index)) else {
            return self.add(format!("there is no layer {at}"));
        };
        let clean = |name: &String| name.trim_start_matches("./").trim_start_matches('/').to_owned();
        let mut found: Vec<String> = found.iter().map(clean).filter(|name| !name.is_empty()).collect();
        let mut wanted: Vec<String> = wanted.iter().map(clean).collect();
        found.sort();
        wanted.sort();
        if found != wanted {
            self.add(format!("layer {at}: wanted {wanted:?}, found {found:?}"));
        }
    }
}
