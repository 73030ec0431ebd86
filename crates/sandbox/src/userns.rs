//! Entering a user namespace with the user's subordinate ids.

use crate::Rung;
use crate::subid::{Range, first_free, map_arguments, mapped, ranges, user_name};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, geteuid, getgid, getpid, getuid, waitpid};
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, unshare_unsafe};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

/// Why no rung could be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnterError {
    /// The user has no range of subordinate ids.
    #[error(
        "no subordinate ids for user {user} in {file}; as root, run `usermod --add-subuids {start}-{} --add-subgids {start}-{} {user}` or add the line `{user}:{start}:65536` to /etc/subuid and to /etc/subgid",
        .start + 65535, .start + 65535
    )]
    NoSubordinateIds {
        /// Name of the user, or the number if it has none.
        user: String,
        /// The file without an entry.
        file: &'static str,
        /// Where a range of 65536 ids that nobody has can begin.
        start: u32,
    },
    /// A tool is not installed.
    #[error(
        "{tool} is not installed; install the package `uidmap` (Debian, Ubuntu, Alpine: shadow-uidmap, Fedora: shadow-utils)"
    )]
    ToolMissing {
        /// `newuidmap` or `newgidmap`.
        tool: String,
    },
    /// A tool refused.
    #[error(
        "{tool} failed: {message}; it must be setuid root or have the file capability to set ids, and /etc/subuid and /etc/subgid must not have changed meanwhile"
    )]
    ToolFailed {
        /// `newuidmap` or `newgidmap`.
        tool: String,
        /// What it wrote.
        message: String,
    },
    /// The system does not let this user make user namespaces.
    #[error("user namespaces are not allowed here: {reason}")]
    Forbidden {
        /// Which setting forbids it, and what would allow it.
        reason: String,
    },
    /// The process has more than one thread.
    #[error("the user namespace must be entered before any thread is started")]
    Threads,
    /// Kiln was started as root of a namespace without further ids.
    #[error("this user namespace has one id only; start kiln outside of it, it makes its own")]
    OneId,
    /// Any other system call.
    #[error("cannot enter a user namespace: {step}: {source}")]
    System {
        /// The operation that failed.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Goes to the highest rung that works and says which one it is.
///
/// Call it first in `main`, while the process has one thread. As root with `CAP_SYS_ADMIN` nothing changes. Otherwise
/// the process enters a user and a mount namespace in which it is root: id 0 is the user, 1 and up are the ranges of
/// `/etc/subuid` and `/etc/subgid`. Supplementary groups are kept, so that files stay readable.
pub fn enter() -> Result<Rung, EnterError> {
    if is_root()? {
        return Ok(Rung::Root);
    }
    let maps = Maps::of_user()?;
    enter_namespaces(&maps)?;
    Ok(Rung::Rootless)
}

/// Whether this process is root enough already.
fn is_root() -> Result<bool, EnterError> {
    let effective = capabilities(None).map_err(system("read the capabilities"))?.effective;
    if !geteuid().is_root() || !effective.contains(CapabilitySet::SYS_ADMIN) {
        return Ok(false);
    }
    let uid_map = fs::read_to_string("/proc/self/uid_map").map_err(system("read /proc/self/uid_map"))?;
    if mapped(&uid_map) == 1 {
        Err(EnterError::OneId)
    } else {
        Ok(true)
    }
}

const SUBUID: &str = "/etc/subuid";
const SUBGID: &str = "/etc/subgid";

/// What the user may map.
struct Maps {
    uids: Vec<String>,
    gids: Vec<String>,
}

impl Maps {
    fn of_user() -> Result<Self, EnterError> {
        let uid = getuid().as_raw();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = user_name(&passwd, uid);
        let [subuid, subgid] = [SUBUID, SUBGID].map(|file| fs::read_to_string(file).unwrap_or_default());
        let start = first_free([&subuid, &subgid]).min(u32::MAX - 65_535);
        let look = |file, text: &str| -> Result<Vec<Range>, EnterError> {
            let found = ranges(text, name, uid);
            if found.is_empty() {
                let user = name.map_or_else(|| uid.to_string(), str::to_owned);
                return Err(EnterError::NoSubordinateIds { user, file, start });
            }
            Ok(found)
        };
        let (uids, gids) = (look(SUBUID, &subuid)?, look(SUBGID, &subgid)?);
        Ok(Self {
            uids: map_arguments(uid, &uids),
            gids: map_arguments(getgid().as_raw(), &gids),
        })
    }
}

/// Ids can be mapped only from outside, so a helper process is forked before.
fn enter_namespaces(maps: &Maps) -> Result<(), EnterError> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(system("open a pipe"));
    let (wait_for_go, go) = pipe()?;
    let (report, say) = pipe()?;
    let parent = getpid();
    // SAFETY: the child runs ordinary code, which is sound in a process that had one thread; if it had more, unshare
    // below fails and the child is never told to go. It ends without running this process's exit handlers.
    let helper = match unsafe { libc::fork() } {
        -1 => return Err(system("fork")(crate::mnt::last_errno())),
        0 => {
            drop((go, report));
            help(&wait_for_go, &say, parent, maps);
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        }
        helper => Pid::from_raw(helper),
    };
    drop((wait_for_go, say));
    // SAFETY: without UnshareFlags::FILES the descriptor table stays as it is.
    let entered = unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) };
    if entered.is_ok() {
        // If the helper is gone its report says so by being empty.
        rustix::io::write(&go, b"!").ok();
    }
    drop(go);
    let mut message = String::new();
    let read = File::from(report).read_to_string(&mut message);
    rustix::io::retry_on_intr(|| waitpid(helper, WaitOptions::empty())).map_err(system("wait for newuidmap"))?;
    entered.map_err(forbidden)?;
    read.map_err(system("read from newuidmap"))?;
    parse_report(&message)
}

/// In the helper: maps the ids of `parent` once told so, and reports.
fn help(wait_for_go: &OwnedFd, say: &OwnedFd, parent: Pid, maps: &Maps) {
    let mut byte = [0];
    if rustix::io::retry_on_intr(|| rustix::io::read(wait_for_go, &mut byte)) != Ok(1) {
        return;
    }
    let outcome = run_tool("newuidmap", parent, &maps.uids).and_then(|()| run_tool("newgidmap", parent, &maps.gids));
    let message = match outcome {
        Ok(()) => "mapped".to_owned(),
        Err(message) => message,
    };
    // If it cannot be said the parent sees an empty report.
    rustix::io::write(say, message.as_bytes()).ok();
}

/// Runs one of the tools. The error is a line of the report: how it failed, the tool, what it said.
fn run_tool(tool: &str, parent: Pid, map: &[String]) -> Result<(), String> {
    let program = find_tool(tool);
    let output = Command::new(&program)
        .arg(parent.as_raw_nonzero().to_string())
        .args(map)
        .output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "failed\n{tool}\n{}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) if is_missing(&program, &error) => Err(format!("missing\n{tool}\n")),
        Err(error) => Err(format!("failed\n{tool}\n{error}")),
    }
}

/// A search through `PATH` also fails with "permission denied" if one of its directories may not be entered.
fn is_missing(program: &str, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound => true,
        io::ErrorKind::PermissionDenied => !program.contains('/'),
        _ => false,
    }
}

/// The usual places first, so that it does not hang on the user's `PATH`.
fn find_tool(tool: &str) -> String {
    let usual = ["/usr/bin", "/usr/sbin", "/bin", "/run/wrappers/bin"].map(|directory| format!("{directory}/{tool}"));
    usual
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or_else(|| tool.to_owned())
}

fn parse_report(report: &str) -> Result<(), EnterError> {
    let mut parts = report.splitn(3, '\n');
    let (kind, tool, message) = (
        parts.next(),
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    match kind {
        Some("mapped") => Ok(()),
        Some("missing") => Err(EnterError::ToolMissing { tool: tool.to_owned() }),
        Some("failed") => Err(EnterError::ToolFailed {
            tool: tool.to_owned(),
            message: message.to_owned(),
        }),
        _ => Err(EnterError::System {
            step: "map ids",
            source: io::Error::other("the helper process ended early"),
        }),
    }
}

/// Why `unshare` refused.
pub(crate) fn forbidden(errno: Errno) -> EnterError {
    let setting = |path: &str| fs::read_to_string(path).ok().map(|value| value.trim().to_owned());
    let is = |path: &str, value: &str| setting(path).as_deref() == Some(value);
    let reason = if errno == Errno::INVAL {
        return EnterError::Threads;
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "the setting kernel.unprivileged_userns_clone is 0; as root, run `sysctl kernel.unprivileged_userns_clone=1`"
    } else if is("/proc/sys/user/max_user_namespaces", "0") {
        "the setting user.max_user_namespaces is 0; as root, run `sysctl user.max_user_namespaces=15000`"
    } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor restricts them; as root, run `sysctl kernel.apparmor_restrict_unprivileged_userns=0` or give kiln an AppArmor profile with `userns,`"
    } else if errno == Errno::NOSPC {
        "too many user namespaces, or nested too deep; see the setting user.max_user_namespaces"
    } else if errno == Errno::PERM {
        "the seccomp or security profile of the surrounding container denies `unshare`; give the container one that allows it"
    } else {
        return system("unshare")(errno);
    };
    EnterError::Forbidden {
        reason: reason.to_owned(),
    }
}

fn system<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> EnterError {
    move |source| EnterError::System {
        step,
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports() {
        assert!(parse_report("mapped").is_ok());
        let check = |report: &str, start: &str| {
            let error = parse_report(report).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        };
        check(
            "missing\nnewuidmap\n",
            "newuidmap is not installed; install the package `uidmap`",
        );
        check(
            "failed\nnewgidmap\ngid range not allowed",
            "newgidmap failed: gid range not allowed; it must be",
        );
        check(
            "",
            "cannot enter a user namespace: map ids: the helper process ended early",
        );
    }

    #[test]
    fn threads_are_told_apart() {
        assert!(matches!(forbidden(Errno::INVAL), EnterError::Threads));
    }
}
