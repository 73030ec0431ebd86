//! What surrounds Kiln: the harness that starts a registry with base images, the demo, the benchmark, and the checks
//! that hold the house up. The binary `xtask` is a list of commands over these modules; the end-to-end tests use
//! them too.
//!
//! It knows Kiln as any user does, by its command line: it depends on none of Kiln's crates.

pub mod bases;
pub mod bench;
pub mod command;
pub mod demo;
pub mod dependencies;
pub mod example;
pub mod harness;
pub mod house;
pub mod kiln;
pub mod lint_compat;
pub mod measure;
pub mod metadata;
pub mod object_storage;
pub mod packages;
pub mod paths;
pub mod python;
pub mod registry;
pub mod service;
pub mod shell;
pub mod source;
pub mod table;
pub mod user;
