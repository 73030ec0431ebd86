//! The store from outside, by several processes at once.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod blobs;
mod builds;
mod caches;
mod check;
mod children;
mod crash;
mod downloads;
mod families;
mod file_digests;
mod full;
mod indexes;
mod layer_indexes;
mod layers;
mod locks;
mod members;
mod opening;
mod places;
mod prune;
mod room;
mod runs;
mod support;
mod together;
