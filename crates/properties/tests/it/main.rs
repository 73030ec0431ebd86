//! What holds for every input, tried on random input, on all Dockerfiles of `tests/`, and on those damaged; and the
//! parser compared with another one.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod inputs;
mod peer;
mod properties;
