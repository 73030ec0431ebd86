//! What builds say that a finding costs.

use std::time::Duration;

/// What of past builds says what a finding costs, and what they say, once somebody who knows has put it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// What is added up.
    pub measure: Measure,
    /// The first lines, from 1, of the instructions whose steps count.
    pub lines: Vec<u32>,
    /// What the sum is, with `{}` where it goes: `its layer has {}`.
    pub what: &'static str,
    /// What builds measured; `None` where none did, or nobody asked them.
    pub measured: Option<Measured>,
}

/// What is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How long the steps ran.
    Time,
    /// How long those of the steps ran whose programs an emulator ran.
    EmulatedTime,
    /// How many unpacked bytes their layers have.
    Bytes,
    /// How many of those are what the fixes of the rule [announce](crate::announced) that they take away.
    Announced,
}

/// What builds measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The newest build with all the steps, in which they ran or from whose forebears it has their layers.
    pub build: String,
    /// The sum; of several platforms that of the one that has most.
    pub amount: Amount,
    /// In how many builds one of the steps ran.
    pub ran: usize,
    /// Of how many builds with all the steps, of those that are remembered.
    pub of: usize,
}

/// A sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Amount {
    /// Of times.
    Time(Duration),
    /// Of bytes.
    Bytes(u64),
}

impl Cost {
    /// What is added up, of instructions by their lines.
    pub(crate) const fn new(measure: Measure, lines: Vec<u32>, what: &'static str) -> Self {
        Self {
            measure,
            lines,
            what,
            measured: None,
        }
    }
}
