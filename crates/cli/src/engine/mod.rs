//! The one place where the command line meets store and solver.

mod codes;
mod failures;
mod hints;
mod images;
mod inspect;
mod logs;
mod run;
mod upkeep;

use std::io::Read;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;

use kiln_build::Builder;
use kiln_image::{Descriptor, Digest, Document, media_type};
use kiln_store::Store;

use crate::context::Unpacked;
use crate::failure::{Context as _, Failure};
use crate::settings::Settings;
use crate::terminal;

pub(crate) use failures::{build_failure, failure, run_failure};
pub(crate) use images::{HistoryRow, ImageRow};
pub(crate) use logs::BuildRow;
pub(crate) use run::RunSpec;
pub(crate) use upkeep::UsageRow;

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

    /// The descriptor of a manifest that the store has.
    fn manifest_descriptor(&self, manifest: &Digest) -> Option<Descriptor> {
        let bytes = self.store.read_blob(manifest, LARGEST_DOCUMENT).ok()?;
        let media_type = match Document::parse(&bytes, None).ok()? {
            Document::Manifest(manifest) if !manifest.media_type.is_empty() => manifest.media_type,
            Document::Manifest(_) => media_type::OCI_MANIFEST.to_owned(),
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
    Store::open(&root)
        .or_internal(|| format!("cannot open the store {}", root.display()))
        .map_err(|failure| failure.hint("--root or KILN_ROOT name another directory, which must be yours to write"))
}

/// Unpacks a context that came as an archive into the store's temporary directory. Everything in it belongs to root,
/// as COPY would make it anyway.
pub(crate) fn unpack_archive(reader: &mut dyn Read, settings: &Settings) -> Result<Unpacked, Failure> {
    let store = open_store(settings)?;
    let layer = store.new_layer().map_err(Failure::internal)?;
    let directory = layer.fs();
    let root = std::fs::File::open(&directory).or_internal(|| format!("cannot open {}", directory.display()))?;
    let extracted = kiln_layer::extract(reader, root.as_fd(), Path::new("/"), Some((0, 0)))
        .or_failed(|| "cannot unpack the context on standard input".to_owned())?;
    for device in &extracted.skipped_devices {
        terminal::warn(format_args!(
            "the context on standard input has a device, which is left out: {}",
            device.display()
        ));
    }
    // Fields are dropped in order: the directory, then the store whose temporary directory it is in.
    Ok(Unpacked {
        directory,
        guard: Box::new((layer, store)),
    })
}
