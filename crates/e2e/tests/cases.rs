//! Every case of `tests/cases` as a test of its own, for each user that Kiln is to run as.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use e2e::case;
use e2e::expect::Rung;
use e2e::stage::World;
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
    let mut trials = Vec::new();
    for (name, directory) in case::all()? {
        let only = case::read(&directory)?.only;
        for &rung in rungs.iter().filter(|&&rung| only.is_none_or(|only| only == rung)) {
            let title = match rung {
                Rung::Root => format!("root::{}", name.replace('/', "::")),
                Rung::Rootless => format!("rootless::{}", name.replace('/', "::")),
            };
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
