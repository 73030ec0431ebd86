//! A Dockerfile and options to a graph of steps with stable digests.
//!
//! Pure: no file, no network, no clock. What a plan needs to know of base images (their configs) it is told:
//! [`plan`] answers [`Outcome::Needs`] with the images it has met and does not know, the caller resolves all of
//! them at once and calls again.

mod options;
mod step;

pub use options::{ImageRequest, Images, NamedContext, Options, ResolvedImage};
pub use step::{
    CopyAction, CopyFrom, Exec, FileAction, FileOp, MkdirAction, Mount, MountKind, Network, Op, Plan, Sharing, Source,
    StageInfo, Step, StepId, Target,
};

use kiln_dockerfile::diagnostic::Diagnostic;

/// What planning came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// These images must be resolved first; call again with them.
    Needs(Vec<ImageRequest>),
    /// The plan, with warnings.
    Plan(Box<Plan>, Vec<Diagnostic>),
    /// The Dockerfile cannot be planned; at least one diagnostic is an error.
    Invalid(Vec<Diagnostic>),
}
