//! What is in an image, what it costs, and whether it works.
//!
//! A layer is walked once: what is in it is written down in a [`LayerIndex`], which the store keeps as long as the layer.
//! Layers that are not in the store are read by whoever knows where they are ([`Tars`]); what was found in them, and what
//! counts of their files' contents, the store keeps as well.
//! Everything else is computed from the indexes of an image's layers, and from the few files whose content matters.
//!
//! The crate knows nothing of Dockerfiles: it says which layer, and who knows what made that layer says which line.

pub mod diff;
mod elf;
mod error;
mod extract;
pub mod formats;
mod image;
mod index;
pub mod licenses;
mod moments;
mod names;
pub mod packages;
pub mod policy;
mod reread;
mod resolve;
pub mod start;
mod tree;
pub mod vulnerabilities;
pub mod waste;

pub use elf::Machine;
pub use error::Error;
pub use extract::{Contents, Extracted, extract};
pub use image::{Image, Layer, NoTars, Piece, Tars};
pub use index::{Entry, Kind, LayerIndex, remembered_bytes};
pub use moments::{Change, Moments};
pub use resolve::{Lost, Resolved};
pub use tree::{Cause, Death, Place, Tree};
