//! Tests that data cannot say: signals at the right moment, registries that lie, disks that are full, other tools.

mod cached_build;
mod caches;
mod caches_together;
mod editor;
mod explore;
mod findings;
mod github_actions;
mod hostile;
mod interrupt;
mod killed;
mod lazy;
mod memory;
mod object_storage;
mod pack_ahead;
mod processors;
mod random;
mod report;
mod shell;
mod together;
mod trace;
mod users;

use anyhow::Result;

use crate::expect::Rung;
use crate::stage::Stage;

/// One of them. It plays on a stage of its own, like a case.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// Its name, `area::name`.
    pub name: &'static str,
    /// Where it can only be played by one.
    pub only: Option<Rung>,
    /// Whether the user makes no difference: it is played as whoever runs the tests, not twice. Programs from `PyPI` are
    /// that user's alone.
    pub once: bool,
    /// What it does. The stage's user owns the empty directory that commands run in.
    pub play: fn(&Stage) -> Result<()>,
}

/// All of them.
pub fn all() -> Vec<Trial> {
    [
        caches::TRIALS,
        caches_together::TRIALS,
        explore::TRIALS,
        editor::TRIALS,
        findings::TRIALS,
        github_actions::TRIALS,
        hostile::TRIALS,
        interrupt::TRIALS,
        killed::TRIALS,
        lazy::TRIALS,
        memory::TRIALS,
        object_storage::TRIALS,
        pack_ahead::TRIALS,
        processors::TRIALS,
        random::TRIALS,
        report::TRIALS,
        shell::TRIALS,
        together::TRIALS,
        trace::TRIALS,
        users::TRIALS,
    ]
    .concat()
}

/// How often a trial repeats: as usual, or as `KILN_TEST_ROUNDS` says.
fn rounds(usual: u32) -> u32 {
    let said = std::env::var("KILN_TEST_ROUNDS").ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(usual)
}

/// A trial for every rung.
const fn trial(name: &'static str, play: fn(&Stage) -> Result<()>) -> Trial {
    Trial {
        name,
        only: None,
        once: false,
        play,
    }
}

/// A trial for one rung.
const fn only(rung: Rung, name: &'static str, play: fn(&Stage) -> Result<()>) -> Trial {
    Trial {
        name,
        only: Some(rung),
        once: false,
        play,
    }
}

/// A trial for whoever runs the tests.
const fn once(name: &'static str, play: fn(&Stage) -> Result<()>) -> Trial {
    Trial {
        name,
        only: None,
        once: true,
        play,
    }
}
