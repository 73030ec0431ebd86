//! Every case of `tests/cases`, and every trial that data cannot say, as a test of its own, for each user that Kiln is to run as.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use e2e::case;
use e2e::expect::Rung;
use e2e::stage::{Stage, World};
use e2e::trials;
use libtest_mimic::{Arguments, Failed, Trial};
use xtask::harness::Given;
use xtask::user;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match list() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("cannot read the cases: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<Vec<Trial>> {
    let other = Given::from_environment()?.and_then(|given| given.user).is_some();
    let ourselves = if user::is_root() { Rung::Root } else { Rung::Rootless };
    let mut rungs = vec![ourselves];
    if other {
        rungs.push(Rung::Rootless);
    }
    let mut list = Vec::new();
    let mut add = |name: &str, only: Option<Rung>, play: &Play| {
        for &rung in rungs.iter().filter(|&&rung| only.is_none_or(|only| only == rung)) {
            let title = match rung {
                Rung::Root => format!("root::{name}"),
                Rung::Rootless => format!("rootless::{name}"),
            };
            let play = Arc::clone(play);
            list.push(Trial::test(title, move || on_stage(rung, &*play)));
        }
    };
    for found in case::all()? {
        let only = if found.case.once {
            Some(ourselves)
        } else {
            found.case.only
        };
        let name = found.name.clone();
        let play: Play = Arc::new(move |stage| case::play(&found, stage));
        add(&name, only, &play);
    }
    let readme: Play = Arc::new(|stage| e2e::walkthrough::play("README.md", stage));
    add("documentation::readme", None, &readme);
    for trial in trials::all() {
        let play: Play = Arc::new(move |stage| stage.without_context().and_then(|()| (trial.play)(stage)));
        let only = if trial.once { Some(ourselves) } else { trial.only };
        add(trial.name, only, &play);
    }
    Ok(list)
}

/// What is played on a stage.
type Play = Arc<dyn Fn(&Stage) -> Result<()> + Send + Sync>;

/// Plays on a new stage, as the rung's user; it fails too if something is left behind.
fn on_stage(rung: Rung, play: &dyn Fn(&Stage) -> Result<()>) -> Result<(), Failed> {
    let play = || {
        let world = World::find()?;
        let user = world.given.user.clone().filter(|_| rung == Rung::Rootless);
        let stage = Stage::new(&world, user.as_ref())?;
        let outcome = play(&stage);
        let left = stage.end();
        outcome.and(left)
    };
    play().map_err(|error: anyhow::Error| format!("{error:#}").into())
}
