//! `make bench`
use anyhow::Result;

/// What to measure.
#[derive(Debug, Default)]
pub struct Options {}
impl Options {
    /// From arguments.
    pub fn parse(_words: &[&str]) -> Result<Self> {
        Ok(Self {})
    }
}
/// Measures.
pub fn run(_options: &Options) -> Result<()> {
    anyhow::bail!("not yet")
}
