//! Solves a plan: schedules, looks up, runs, commits, assembles and exports.

pub mod event;
pub mod request;
