//! The language, area by area: cases are data where that is natural, derived from what BuildKit does.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod checks;
mod dump;
mod errors;
mod expand;
mod extensions;
mod glob;
mod ignore;
mod include;
mod limits;
mod mount;
mod parse;
mod properties;
