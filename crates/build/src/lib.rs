//! Solves a plan: schedules, looks up, runs, commits, assembles and exports.
