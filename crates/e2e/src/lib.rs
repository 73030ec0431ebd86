//! End-to-end tests: Kiln as its users know it, by the command line alone.
//!
//! A case is data: a directory `tests/cases/AREA/NAME` with a Dockerfile, a context and a `case.toml` that says what
//! to expect, or a `[[case]]` in a book `tests/cases/AREA/TOPIC.toml`. `tests/cases/README.md` documents both.

pub mod book;
pub mod browser;
pub mod case;
pub mod check;
pub mod expect;
pub mod forged;
pub mod layout;
pub mod oracle;
pub mod peer;
pub mod progress;
pub mod running;
pub mod server;
pub mod stage;
pub mod text_or;
pub mod tree;
pub mod trials;
pub mod typist;
pub mod walkthrough;
