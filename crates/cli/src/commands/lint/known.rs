//! What fixes may know of packages and images: `--versions`.

use std::collections::BTreeMap;
use std::path::Path;

use kiln_lint::{Known, Manager};
use serde::Deserialize;

use crate::failure::{Context as _, Failure};

/// `--versions`: a table for each package manager, and one of images.
#[derive(Debug, Default, Deserialize)]
struct File {
    /// By the name that FROM gives, what it is to say.
    #[serde(default)]
    images: BTreeMap<String, String>,
    #[serde(flatten)]
    packages: BTreeMap<String, BTreeMap<String, String>>,
}

/// Adds what a file says.
pub(super) fn of_file(path: &Path, known: &mut Known) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path).or_failed(|| format!("cannot read {}", path.display()))?;
    let wrong = |what: String| Failure::usage(format!("{}: {what}", path.display()));
    let file: File = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    for (name, pinned) in file.images {
        if pinned.contains(char::is_whitespace) || !pinned.contains([':', '@']) {
            return Err(wrong(format!("{pinned}: wanted an image with a tag or a digest")));
        }
        known.bases.entry(name).or_default().pinned = Some(pinned);
    }
    for (table, versions) in file.packages {
        let manager = Manager::ALL.into_iter().find(|manager| manager.name() == table);
        let names = || Manager::ALL.map(Manager::name).join(", ");
        let manager = manager.ok_or_else(|| wrong(format!("[{table}]: wanted images, {}", names())))?;
        for (name, version) in versions {
            known.versions.add(manager, &name, &version);
        }
    }
    Ok(())
}
