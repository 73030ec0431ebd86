//! Every case of `tests/cases` as a test of its own, for each user that Kiln is to run as.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use e2e::case;
use e2e::expect::Rung;
use e2e::stage::{Stage, World};
use libtest_mimic::{Arguments, Failed, Trial};
use xtask::harness::Given;
use xtask::user;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("cannot read the cases: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>> {
    let other = Given::from_environment()?.and_then(|given| given.user).is_some();
    let mut rungs = vec![if user::is_root() { Rung::Root } else { Rung::Rootless }];
    if other {
        rungs.push(Rung::Rootless);
    }
    let mut trials: Vec<Trial> = rungs.iter().map(|&rung| walkthrough(rung)).collect();
    for (name, directory) in case::all()? {
        let only = case::read(&directory)?.only;
        for &rung in rungs.iter().filter(|&&rung| only.is_none_or(|only| only == rung)) {
            let title = title(rung, &name);
            let directory = directory.clone();
            trials.push(Trial::test(title, move || play(&directory, rung)));
        }
    }
    Ok(trials)
}

fn play(directory: &Path, rung: Rung) -> Result<(), Failed> {
    let play = || {
        let world = World::find()?;
        let user = world.given.user.clone().filter(|_| rung == Rung::Rootless);
        case::play(directory, &world, user.as_ref())
    };
    play().map_err(|error| format!("{error:#}").into())
}

fn title(rung: Rung, name: &str) -> String {
    let name = name.replace('/', "::");
    match rung {
        Rung::Root => format!("root::{name}"),
        Rung::Rootless => format!("rootless::{name}"),
    }
}

/// The README's commands, word for word.
fn walkthrough(rung: Rung) -> Trial {
    let play = move || {
        let world = World::find()?;
        let user = world.given.user.clone().filter(|_| rung == Rung::Rootless);
        let stage = Stage::new(&world, user.as_ref())?;
        let outcome = e2e::walkthrough::play("README.md", &stage);
        let left = stage.end();
        outcome.and(left)
    };
    let play = move || play().map_err(|error: anyhow::Error| format!("{error:#}").into());
    Trial::test(title(rung, "documentation/readme"), play)
}
