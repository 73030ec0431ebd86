//! Resource limits of a process (`ulimit`).

use crate::{Error, Ulimit};

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
