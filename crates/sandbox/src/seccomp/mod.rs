//! The seccomp filter of a step.

mod bpf;
mod profile;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use bpf::Insn;
use std::sync::OnceLock;

/// Docker's default profile as a program for this machine's architecture, made once per process. `None` where Kiln has
/// no profile for the architecture.
pub(crate) fn default_program() -> Option<&'static [Insn]> {
    static PROGRAM: OnceLock<Option<Vec<Insn>>> = OnceLock::new();
    PROGRAM.get_or_init(make).as_deref()
}

#[cfg(target_arch = "x86_64")]
#[expect(clippy::unnecessary_wraps, reason = "other architectures have none")]
fn make() -> Option<Vec<Insn>> {
    Some(profile::x86_64())
}

#[cfg(target_arch = "aarch64")]
#[expect(clippy::unnecessary_wraps, reason = "other architectures have none")]
fn make() -> Option<Vec<Insn>> {
    Some(profile::aarch64())
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn make() -> Option<Vec<Insn>> {
    None
}
