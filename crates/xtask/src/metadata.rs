//! What cargo knows of our crates and of those that they stand on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{command, paths};

/// The answer of `cargo metadata`, as far as we ask.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
    /// `name vVERSION` of what is really compiled. The resolution above names more: optional crates that another's
    /// feature mentions weakly and nobody asks for.
    #[serde(skip)]
    compiled: BTreeSet<String>,
}

/// A crate, ours or another's.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Unique.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// An SPDX expression.
    pub license: Option<String>,
    /// Where it comes from; `None` for ours.
    pub source: Option<String>,
    /// Its `Cargo.toml`.
    pub manifest_path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Metadata {
    /// Asks cargo.
    pub fn read() -> Result<Self> {
        let cargo = |arguments: &[&str]| {
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            command::quietly(cargo.current_dir(paths::workspace()).args(arguments))
        };
        let text = cargo(&[
            "metadata",
            "--locked",
            "--format-version=1",
            "--filter-platform=x86_64-unknown-linux-gnu",
        ])?;
        let mut metadata: Self = serde_json::from_str(&text).context("cargo metadata is not as expected")?;
        let tree = [
            "tree",
            "--locked",
            "--workspace",
            "--edges=all",
            "--prefix=none",
            "--format={p}",
        ];
        metadata.compiled = cargo(&tree)?.lines().map(name_and_version).collect();
        Ok(metadata)
    }

    /// Our own crates.
    pub fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Everybody else's that are compiled for anything of ours, tests and build scripts included.
    pub fn others(&self) -> impl Iterator<Item = &Package> {
        let foreign = |package: &&Package| !self.workspace_members.contains(&package.id);
        self.packages
            .iter()
            .filter(foreign)
            .filter(|package| self.compiled(package))
    }

    fn compiled(&self, package: &Package) -> bool {
        self.compiled
            .contains(&format!("{} v{}", package.name, package.version))
    }

    /// The crates that a crate depends on directly; with `tests`, those of its tests too.
    pub fn direct(&self, id: &str, tests: bool) -> Vec<&Package> {
        let by_id: BTreeMap<&str, &Package> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package))
            .collect();
        let Some(node) = self.resolve.nodes.iter().find(|node| node.id == id) else {
            return Vec::new();
        };
        let wanted = |edge: &&Edge| {
            edge.dep_kinds
                .iter()
                .any(|kind| kind.kind.is_none() || (tests && kind.kind.as_deref() == Some("dev")))
        };
        node.deps
            .iter()
            .filter(wanted)
            .filter_map(|edge| by_id.get(edge.pkg.as_str()).copied())
            .collect()
    }

    /// Everything that is compiled into what a crate ships: without tests and build scripts.
    pub fn closure(&self, id: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![id.to_owned()];
        while let Some(id) = waiting.pop() {
            if seen.insert(id.clone()) {
                let compiled = self
                    .direct(&id, false)
                    .into_iter()
                    .filter(|package| self.compiled(package));
                waiting.extend(compiled.map(|package| package.id.clone()));
            }
        }
        seen
    }

    /// A crate by its id.
    pub fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }
}

/// The first two words of `name vVERSION (…)`.
fn name_and_version(line: &str) -> String {
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
