//! How much an archive may hold.

/// How much one archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together, holes included.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for Limits {
    /// Far above any real layer: 1 TiB, ten million entries.
    fn default() -> Self {
        Self {
            bytes: 1 << 40,
            entries: 10_000_000,
        }
    }
}
