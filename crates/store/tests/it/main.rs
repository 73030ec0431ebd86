//! The store from outside, by several processes at once.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod children;
mod opening;
