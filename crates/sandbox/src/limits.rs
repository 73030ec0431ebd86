//! Limits of a step: control groups and resource limits.

use crate::{Error, Limits, Ulimit};
use std::os::fd::OwnedFd;

/// A control group made for one step. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Group {}

impl Group {
    /// `None` if nothing is to be limited.
    pub(crate) fn new(limits: &Limits) -> Result<Option<Self>, Error> {
        if *limits == Limits::default() {
            return Ok(None);
        }
        Err(Error::Limit {
            limit: "memory, pids or cpus",
            reason: "not written yet".to_owned(),
        })
    }

    /// The files to write to in order to join.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "not written yet")]
    pub(crate) fn join_files(&self) -> Result<Vec<OwnedFd>, Error> {
        Ok(Vec::new())
    }
}

/// Docker's names of the resource limits.
const NAMES: [(&str, u32); 15] = [
    ("core", libc::RLIMIT_CORE),
    ("cpu", libc::RLIMIT_CPU),
    ("data", libc::RLIMIT_DATA),
    ("fsize", libc::RLIMIT_FSIZE),
    ("locks", libc::RLIMIT_LOCKS),
    ("memlock", libc::RLIMIT_MEMLOCK),
    ("msgqueue", libc::RLIMIT_MSGQUEUE),
    ("nice", libc::RLIMIT_NICE),
    ("nofile", libc::RLIMIT_NOFILE),
    ("nproc", libc::RLIMIT_NPROC),
    ("rss", libc::RLIMIT_RSS),
    ("rtprio", libc::RLIMIT_RTPRIO),
    ("rttime", libc::RLIMIT_RTTIME),
    ("sigpending", libc::RLIMIT_SIGPENDING),
    ("stack", libc::RLIMIT_STACK),
];

/// The resource limits by number.
pub(crate) fn rlimits(ulimits: &[Ulimit]) -> Result<Vec<(u32, libc::rlimit64)>, Error> {
    let limit = |ulimit: &Ulimit| {
        let Some((_, resource)) = NAMES.iter().find(|(name, _)| *name == ulimit.name) else {
            return Err(Error::InvalidSpec(format!("unknown resource limit {:?}", ulimit.name)));
        };
        if ulimit.soft > ulimit.hard {
            let Ulimit { name, soft, hard } = ulimit;
            return Err(Error::InvalidSpec(format!(
                "resource limit {name}: soft limit {soft} above hard limit {hard}"
            )));
        }
        Ok((
            *resource,
            libc::rlimit64 {
                rlim_cur: ulimit.soft,
                rlim_max: ulimit.hard,
            },
        ))
    };
    ulimits.iter().map(limit).collect()
}
