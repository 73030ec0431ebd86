//! What fixes may know of packages and images: `--versions`.

mod base;
mod indexes;
mod locks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln_dockerfile::Dockerfile;
use kiln_lint::{Base, Known, Manager};
use serde::Deserialize;

use crate::engine::Engine;
use crate::failure::{Context as _, Failure};
use crate::settings::Settings;
use crate::signals::Interrupt;

/// Where versions come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// Lock files beside the Dockerfile.
    Context,
    /// The base images that are in the store.
    Store,
    /// A file that says them.
    File(PathBuf),
}

impl std::str::FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "context" => Self::Context,
            "store" => Self::Store,
            path => Self::File(PathBuf::from(path)),
        })
    }
}

/// Asks the sources that were named.
pub(super) struct Sources<'a> {
    /// What the files say.
    said: Known,
    context: bool,
    store: Option<Store<'a>>,
}

/// The store, and what is known of the images that were looked for.
struct Store<'a> {
    engine: Engine,
    interrupt: Interrupt,
    settings: &'a Settings,
    bases: BTreeMap<String, Option<Base>>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(sources: &[Source], settings: &'a Settings) -> Result<Self, Failure> {
        let mut said = Known::default();
        for source in sources {
            if let Source::File(path) = source {
                of_file(path, &mut said)?;
            }
        }
        let store = if sources.contains(&Source::Store) {
            Some(Store {
                engine: Engine::open(settings)?,
                interrupt: Interrupt::watch()?,
                settings,
                bases: BTreeMap::new(),
            })
        } else {
            None
        };
        Ok(Self {
            said,
            context: sources.contains(&Source::Context),
            store,
        })
    }

    /// What is known for a Dockerfile, with lock files of a directory: what a file says comes before what is found out.
    pub(super) fn of(&mut self, file: &Dockerfile, directory: Option<&Path>) -> Result<Known, Failure> {
        let mut known = self.said.clone();
        if let (true, Some(directory)) = (self.context, directory) {
            locks::read(directory, &mut known.versions)?;
        }
        let Some(store) = &mut self.store else {
            return Ok(known);
        };
        for stage in &file.stages {
            let image = &stage.from.image.raw;
            let is_stage = file.stage_by_name(image, stage.index).is_some();
            if is_stage || image.contains('$') || image == "scratch" {
                continue;
            }
            let Some(found) = store.base(image)? else { continue };
            let base = known.bases.entry(image.clone()).or_default();
            *base = Base {
                pinned: base.pinned.take().or_else(|| found.pinned.clone()),
                ..found.clone()
            };
        }
        Ok(known)
    }
}

impl Store<'_> {
    fn base(&mut self, image: &str) -> Result<Option<&Base>, Failure> {
        if !self.bases.contains_key(image) {
            let base = base::of(&self.engine, image, self.settings, &self.interrupt)?;
            self.bases.insert(image.to_owned(), base);
        }
        Ok(self.bases.get(image).and_then(Option::as_ref))
    }
}

/// A file of versions: a table for each package manager, and one of images.
#[derive(Debug, Default, Deserialize)]
struct File {
    /// By the name that FROM gives, what it is to say.
    #[serde(default)]
    images: BTreeMap<String, String>,
    #[serde(flatten)]
    packages: BTreeMap<String, BTreeMap<String, String>>,
}

/// Adds what a file says.
fn of_file(path: &Path, known: &mut Known) -> Result<(), Failure> {
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
