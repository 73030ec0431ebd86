//! What an editor asks about a Dockerfile: what a name stands for, what a variable is at a place, what may be written next.
//!
//! Everything is computed from a tree and a place in it.

mod complete;
mod help;
mod names;
mod related;
mod scan;
mod scope;
mod steps;

pub use complete::{Candidate, CandidateKind, Completion, PathQuery, complete};
pub use help::{Help, help_at};
pub use names::{Names, Occurrence, Role, Symbol, check_stage_name};
pub use related::related;
pub use scan::heredocs;
pub use scope::{AUTOMATIC, Known, Value, environment, value};
pub use steps::step_names;
