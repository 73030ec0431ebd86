//! Steps that really run, over a root directory with nothing but busybox.
//!
//! They need root (or `CAP_SYS_ADMIN`) and Debian's `busybox-static`; without, they say loudly that they are skipped.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "in helpers of tests a failure is a failed test"
)]

mod command;
mod emulator;
mod isolation;
mod mounts;
mod privileges;
mod rootless;
mod support;
mod terminal;
mod traces;
