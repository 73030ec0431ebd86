//! What stands behind flags: small grammars that docker's command line has made up over the years.

pub(crate) mod annotation;
pub(crate) mod build_context;
pub(crate) mod cache;
pub(crate) mod cap;
pub(crate) mod csv;
pub(crate) mod duration;
pub(crate) mod host;
pub(crate) mod mount;
pub(crate) mod output;
pub(crate) mod pair;
pub(crate) mod secret;
pub(crate) mod setting;
pub(crate) mod size;
pub(crate) mod ssh;
pub(crate) mod ulimit;
pub(crate) mod volume;
