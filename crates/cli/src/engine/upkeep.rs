//! What the store uses, and less of it.

use super::Engine;
use crate::failure::Failure;

/// Use of one kind.
#[derive(Debug, Clone)]
pub(crate) struct UsageRow {
    /// Of what.
    pub(crate) kind: &'static str,
    /// How many.
    pub(crate) count: u64,
    /// Bytes on disk.
    pub(crate) bytes: u64,
}

impl Engine {
    /// What the store uses.
    pub(crate) fn usage(&self) -> Result<Vec<UsageRow>, Failure> {
        let usage = self.store.usage().map_err(Failure::internal)?;
        let row = |kind, (count, bytes)| UsageRow { kind, count, bytes };
        Ok(vec![
            row("layers", usage.layers),
            row("blobs", usage.blobs),
            row("cache mounts", usage.cache_mounts),
            row("logs", usage.logs),
        ])
    }

    /// Removes what no image needs; with `all` what only caching needs too. Gives the bytes that were freed.
    pub(crate) fn prune(&self, all: bool) -> Result<u64, Failure> {
        self.store.prune(all).map_err(Failure::internal)
    }
}
