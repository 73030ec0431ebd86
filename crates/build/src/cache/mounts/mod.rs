//! Cache mounts that travel: what they hold as chunks, which are kept in packs. See
//! `docs/decisions/cache-mounts-travel.md`.

mod cut;
mod document;
mod export;
mod import;
mod packs;
mod write;

pub(super) use document::Mounts;
pub(super) use document::WrittenMounts;
pub(crate) use export::lock_name;
pub(super) use export::{Exported, Wanted, export};
