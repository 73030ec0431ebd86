//! The face of the crate.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod dive;
mod invariant;
mod kinds;
mod moments;
mod support;
