//! The one place where the command line meets store and solver.

mod bring;
mod codes;
mod costs;
mod failures;
mod hints;
mod images;
mod inspect;
mod known;
mod logs;
mod look;
mod origin;
mod run;
mod upkeep;

use std::sync::Arc;

use kiln_build::Builder;
use kiln_image::{Descriptor, Digest, Document, media_type};
use kiln_store::Store;

use crate::failure::{Context as _, Failure};
use crate::settings::Settings;

pub(crate) use bring::Bringer;
pub(crate) use costs::Costs;
pub(crate) use failures::{build_failure, canceled, failure, run_failure, step_failure, uncanceled};
pub(crate) use images::{HistoryRow, ImageRow};
pub(crate) use known::{KnownImage, Weight, known_image, known_weight};
pub(crate) use logs::{BuildRow, StepRow};
pub(crate) use look::{Looked, look_failure};
pub(crate) use run::RunSpec;

/// Configs and manifests are small; what is larger is none.
const LARGEST_DOCUMENT: u64 = 4 << 20;

/// Store, registry client and solver.
#[derive(Debug)]
pub(crate) struct Engine {
    store: Arc<Store>,
    builder: Builder,
}

impl Engine {
    /// Opens the store.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Failure> {
        let registry = kiln_registry::Client::new(settings.registry()?).map_err(Failure::internal)?;
        let store = open_store(settings)?;
        let store = Arc::new(store);
        Ok(Self {
            builder: Builder::new(Arc::clone(&store), Arc::new(registry)),
            store,
        })
    }

    /// What builds, pulls and pushes.
    pub(crate) const fn builder(&self) -> &Builder {
        &self.builder
    }

    /// A manifest or index that the store has.
    fn document(&self, manifest: &Digest) -> Option<Document> {
        let bytes = self.store.read_blob(manifest, LARGEST_DOCUMENT).ok()?;
        Document::parse(&bytes, None).ok()
    }

    /// The descriptor of a manifest or index that the store has.
    fn manifest_descriptor(&self, manifest: &Digest) -> Option<Descriptor> {
        let bytes = self.store.read_blob(manifest, LARGEST_DOCUMENT).ok()?;
        let media_type = match Document::parse(&bytes, None).ok()? {
            Document::Manifest(manifest) if !manifest.media_type.is_empty() => manifest.media_type,
            Document::Manifest(_) => media_type::OCI_MANIFEST.to_owned(),
            Document::Index(index) if !index.media_type.is_empty() => index.media_type,
            Document::Index(_) => media_type::OCI_INDEX.to_owned(),
        };
        Some(Descriptor::of(media_type, &bytes))
    }

    fn config(&self, id: &Digest) -> Result<Vec<u8>, Failure> {
        self.store
            .read_blob(id, LARGEST_DOCUMENT)
            .or_internal(|| format!("cannot read the config {id}"))
    }
}

fn open_store(settings: &Settings) -> Result<Store, Failure> {
    let root = settings.root()?;
    let cap = settings.store_max()?;
    Store::open(&root)
        .map(|store| store.with_cap(cap))
        .or_internal(|| format!("cannot open the store {}", root.display()))
        .map_err(|failure| failure.hint("--root or KILN_ROOT name another directory, which must be yours to write"))
}
