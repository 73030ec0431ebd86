//! The privilege ladder: how much isolation this process can have.

use crate::mnt::new_fs;
use crate::{Overlay, enter};
use rustix::mount::MountAttrFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// A rung of the ladder, highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// Root with `CAP_SYS_ADMIN`: everything without a user namespace.
    Root,
    /// A user namespace with a range of subordinate ids.
    Rootless,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Rootless => "rootless",
        })
    }
}

/// What [`probe`] found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The rung that [`enter`] would reach; `None`: no step can run.
    pub rung: Option<Rung>,
    /// For people: why not higher, and what would unlock it.
    pub findings: Vec<String>,
}

/// Tries out, in a forked child so that nothing of this process changes, which rung works.
pub fn probe() -> Probe {
    match probe_in_child() {
        Ok(report) => parse(&report),
        Err(error) => Probe {
            rung: None,
            findings: vec![format!("the probe itself failed: {error}")],
        },
    }
}

fn probe_in_child() -> std::io::Result<String> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let child = fork(|| {
        // What does not fit or cannot be written is missing from the report, which then says "no rung".
        rustix::io::write(&write, examine().as_bytes()).ok();
        0
    })?;
    drop(write);
    let mut report = String::new();
    File::from(read).read_to_string(&mut report)?;
    wait(child)?;
    Ok(report)
}

const NOT_ROOT: &str =
    "not root with CAP_SYS_ADMIN: ids are mapped through a user namespace, and limits need a delegated control group";

/// In the child: goes as high as possible and tries what steps need. First line the rung, then the findings.
fn examine() -> String {
    let (rung, mut findings) = match enter() {
        Ok(rung) => (Some(rung), Vec::new()),
        Err(error) => (None, vec![error.to_string()]),
    };
    if rung != Some(Rung::Root) {
        findings.push(NOT_ROOT.to_owned());
    }
    let missing = if rung.is_some() { missing() } else { Vec::new() };
    let rung = rung
        .filter(|_| missing.is_empty())
        .map_or_else(|| "none".to_owned(), |rung| rung.to_string());
    findings.extend(missing);
    let lines: Vec<String> = findings.into_iter().map(|finding| finding.replace('\n', " ")).collect();
    format!("{rung}\n{}", lines.join("\n"))
}

/// What steps need and cannot have.
fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    // Two directories that every system has; read-only, nothing is touched.
    let lower = [PathBuf::from("/usr"), PathBuf::from("/etc")];
    if let Err(error) = (Overlay {
        lower: &lower,
        upper: None,
        volatile: false,
    })
    .mount()
    {
        missing.push(error.to_string());
    }
    let flags = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    // SAFETY: without UnshareFlags::FILES the descriptor table stays as it is.
    if let Err(errno) = unsafe { unshare_unsafe(flags) } {
        missing.push(format!("cannot make the namespaces of a step: {errno}"));
        return missing;
    }
    let proc = fork(|| i32::from(new_fs("proc", &[], MountAttrFlags::empty()).is_err())).and_then(wait);
    if !matches!(proc, Ok(0)) {
        missing.push(
            "cannot mount /proc in a namespace: parts of the surrounding /proc are masked; a container around kiln needs an unmasked one (`--security-opt systempaths=unconfined`, `procMount: Unmasked`)"
                .to_owned(),
        );
    }
    missing
}

fn parse(report: &str) -> Probe {
    let mut lines = report.lines();
    let rung = match lines.next() {
        Some("root") => Some(Rung::Root),
        Some("rootless") => Some(Rung::Rootless),
        _ => None,
    };
    Probe {
        rung,
        findings: lines.map(str::to_owned).collect(),
    }
}

/// Runs `work` in a forked child, which ends with its result.
pub(crate) fn fork(work: impl FnOnce() -> i32) -> std::io::Result<Pid> {
    // SAFETY: the child runs ordinary code. Only its own thread exists in it; the C library keeps its locks usable
    // across fork, and `work` takes no lock of Kiln. It ends without running this process's exit handlers.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        0 => {
            let code = work();
            // SAFETY: ends the process.
            unsafe { libc::_exit(code) }
        }
        child => Pid::from_raw(child).ok_or_else(|| std::io::Error::other("fork gave no process id")),
    }
}

/// Waits for its end and gives its exit code; -1 if a signal ended it.
pub(crate) fn wait(child: Pid) -> std::io::Result<i32> {
    let status = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()))?;
    Ok(status.and_then(|(_, status)| status.exit_status()).unwrap_or(-1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports() {
        let probe = parse("rootless\none\ntwo");
        assert_eq!(
            probe,
            Probe {
                rung: Some(Rung::Rootless),
                findings: vec!["one".to_owned(), "two".to_owned()]
            }
        );
        assert_eq!(parse("").rung, None);
        assert_eq!(parse("none\nwhy").rung, None);
    }
}
