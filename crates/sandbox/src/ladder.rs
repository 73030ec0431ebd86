//! The privilege ladder: how much isolation this process can have.

use std::fmt;

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
    /// The rung that [`enter`](crate::enter) would reach; `None`: no step can run.
    pub rung: Option<Rung>,
    /// For people: why not higher, and what would unlock it.
    pub findings: Vec<String>,
}

/// Tries out, in a forked child so that nothing of this process changes, which rung works.
pub fn probe() -> Probe {
    Probe {
        rung: None,
        findings: Vec::new(),
    }
}
