//! A directory to a layer and back: whiteouts, deterministic tar, compression, safe unpacking.
//!
//! A layer directory is in overlayfs's upper format, with the attributes that `userxattr` mounts use: a deleted name is
//! a character device 0:0, a directory that hides everything below it carries `user.overlay.opaque` = `y`. In a layer
//! tar the same is said with names (OCI image specification 1.1, layer.md, "Whiteouts"): `.wh.NAME` and `.wh..wh..opq`.
//!
//! Everything that comes from an archive is hostile here: paths are looked up so that no symbolic link leads out of
//! the directory, sizes are counted rather than believed, and memory is bounded.

mod ahead;
mod archive;
mod check;
mod complete;
mod compress;
mod content;
mod copy;
mod cursor;
mod decompress;
mod difference;
mod digest;
mod error;
mod extract;
mod jobs;
mod limits;
mod mode;
mod names;
mod overlap;
mod pack;
mod remove;
mod root;
mod settle;
mod share;
pub mod tar;
mod times;
mod unpack;
mod usage;
mod walk;
mod wanted;
mod whiteouts;
mod xattr;

pub use archive::{ArchiveKind, Extracted, extract, is_archive, newest_entry, sniff, uncompressed, unpack_whole};
pub use check::{Problem, check_layer};
pub use complete::complete;
pub use compress::{BlobInfo, BlobOptions, Member, MemberKey, Members, pack_compressed, recompress};
pub use copy::{CopyOptions, CopyStats, Filter, FilterFn, copy_tree, write_file};
pub use difference::{Change, Changes, Compare, changes, difference, overrides};
pub use digest::{Counted, DigestOptions, FileDigests, FileStat, NoFileDigests, TreeDigest, digest_tree};
pub use error::Error;
pub use limits::Limits;
pub use mode::{ModeChange, ModeError};
pub use overlap::overlap;
pub use pack::{PackOptions, PackStats, diff_id, pack, pack_path, pack_trees, pack_whole};
pub use settle::{Look, look, open_layer};
pub use share::{Names, Shared, Unchanged, share_files};
pub use times::Times;
pub use unpack::{UnpackOptions, Unpacked, skipped_devices, unpack};
pub use usage::{Usage, disk_usage, disk_usage_without};
pub use wanted::Wanted;
pub use whiteouts::remove_idle_whiteouts;
