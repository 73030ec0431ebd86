//! What the store holds, and less of it.

use std::io;
use std::path::Path;

use kiln_layer::PackOptions;
use kiln_store::{Contents, Damage, Item, Pruned, Pruning};

use super::Engine;
use crate::failure::Failure;

impl Engine {
    /// What the store holds.
    pub(crate) fn contents(&self) -> Result<Contents, Failure> {
        self.store.contents().map_err(Failure::internal)
    }

    /// Removes what may go and nobody uses.
    pub(crate) fn prune(&self, pruning: Pruning, may_go: impl Fn(&Item) -> bool) -> Result<Pruned, Failure> {
        self.store.prune(pruning, may_go).map_err(Failure::internal)
    }

    /// Removes cache mounts that may go and nobody uses.
    pub(crate) fn remove_cache_mounts(&self, may_go: impl Fn(&Item) -> bool) -> Result<Pruned, Failure> {
        self.store.remove_cache_mounts(may_go).map_err(Failure::internal)
    }

    /// What of the store is damaged.
    pub(crate) fn check(&self) -> Result<Vec<Damage>, Failure> {
        let digest = |layer: &Path| {
            let digest = kiln_layer::diff_id(layer, &PackOptions::default());
            digest.map(|(digest, _)| digest).map_err(io::Error::other)
        };
        self.store.check(&digest).map_err(Failure::internal)
    }

    /// Drops what is damaged.
    pub(crate) fn repair(&self, damages: &[Damage]) -> Result<Pruned, Failure> {
        self.store.repair(damages).map_err(Failure::internal)
    }

    /// Bytes of the store's disk, and how many of them are free.
    pub(crate) fn disk(&self) -> Result<(u64, u64), Failure> {
        self.store.disk().map_err(Failure::internal)
    }
}
