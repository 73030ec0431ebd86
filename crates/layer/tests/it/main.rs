//! The crate as its users see it, on a real file system.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "these are tests; what they skip they say"
)]
#![expect(clippy::cast_possible_truncation, reason = "noise is made by cutting numbers off")]

mod archive;
mod copy;
mod difference;
mod digest;
mod hostile;
mod pack;
mod part;
mod property;
mod tree;
mod unpack;
