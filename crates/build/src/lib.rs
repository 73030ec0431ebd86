//! Solves a plan: schedules, looks up, runs, commits, assembles and exports.
//!
//! [`Builder`] is the entry. It tells what happens through [`event::Sink`] and prints nothing itself.

mod agent;
mod assemble;
mod blobs;
mod builder;
mod cache;
mod cancel;
mod context;
mod copy_out;
mod damage;
mod error;
pub mod event;
mod export;
mod fetch;
mod images;
mod inputs;
mod key;
mod known_files;
mod layout;
mod load;
mod measure;
mod mounts;
mod on_fail;
mod output;
mod package;
mod parallel;
mod places;
mod planning;
pub mod processors;
mod recorder;
mod remote;
pub mod request;
mod results;
pub mod run;
mod session;
pub mod shell;
mod solve;
mod source;
mod stack;
pub mod surgery;
mod transfer;
mod waiting;
mod why;

pub use builder::Builder;
pub use cache::{CacheFile, CachePruning, prune_directory};
pub use cancel::Cancel;
pub use copy_out::{CopyOut, CopyTo};
pub use error::{Error, Missing, MissingCause, StepError, StoppedBy};
pub use event::Built;
pub use mounts::MovedMounts;
pub use on_fail::{OnFail, Watcher};
pub use planning::Checked;
pub use remote::{FetchedContext, UnpackedContext};
pub use source::{Files, Location, SourceImage, SourceLayer, SourceManifest};
pub use why::{Difference, Look, Value, Why};
