//! Taking a result out of the store: as an image in a file or registry, or as plain files.

mod archive;
mod files;
mod sink;

pub(crate) use archive::{LAYOUT, LayoutTar, place, write_docker, write_oci, write_oci_directory};
pub(crate) use files::{write_local, write_tar};
pub(crate) use sink::{UNFINISHED, with_destination, with_durable_file};
