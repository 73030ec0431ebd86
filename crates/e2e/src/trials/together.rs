//! Many builds on one store at the same time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::{Trial, rounds, trial};
use crate::running::Running;
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[trial("together::overlapping", overlapping)];

/// Builds at the same time.
const BUILDS: usize = 16;
/// Rounds of them, unless more are asked for.
const ROUNDS: u32 = 4;

/// Every step adds a line to this file of a cache mount when it really runs.
const COUNT: &str = "RUN --mount=type=cache,id=count,target=/count,sharing=locked";

/// Builds that share their first stage with all others, the second with some, and the rest with none: each step runs
/// once, and each image is right.
fn overlapping(stage: &Stage) -> Result<()> {
    for round in 0..rounds(ROUNDS) {
        let builds: Result<Vec<Running>> = (0..BUILDS).map(|number| start(stage, round, number)).collect();
        for (number, build) in builds?.into_iter().enumerate() {
            let ended = build.end()?;
            ended.expect(&[0])?;
            right(stage, round, number).with_context(|| format!("build {number} of round {round}:\n{}", ended.log))?;
        }
        stage.wait_until_nothing_runs()?;
        once(stage, round).with_context(|| format!("round {round}"))?;
        fs::remove_dir_all(stage.path("out/r"))?;
    }
    Ok(())
}

/// The names of a build's steps: of everybody's, of its group's and its own.
fn steps(round: u32, number: usize) -> [String; 3] {
    [
        format!("{round}-all"),
        format!("{round}-group{}", number % 4),
        format!("{round}-own{number}"),
    ]
}

fn start(stage: &Stage, round: u32, number: usize) -> Result<Running> {
    let [all, group, own] = steps(round, number);
    let step = |name: &str| format!("{COUNT} echo {name} >>/count/log; sleep 0.02; echo {name} >/{name}\n");
    let mut text = format!("FROM busybox:1.35 AS all\n{}", step(&all));
    let _ = write!(text, "FROM all AS group\n{}", step(&group));
    let _ = write!(text, "FROM busybox:1.35 AS own\n{}", step(&own));
    let _ = write!(
        text,
        "FROM group\nCOPY --from=own /{own} /\nCOPY --from=all /{all} /again\n"
    );
    let name = format!("Dockerfile.{number}");
    stage.write(&name, text)?;
    let output = format!("type=local,dest=../out/r/{number}");
    let arguments = ["build", "--progress=plain", "-f", &name, "-t", &own, "-o", &output, "."];
    Running::start(stage, stage.kiln(&arguments))
}

fn right(stage: &Stage, round: u32, number: usize) -> Result<()> {
    let [all, group, own] = steps(round, number);
    for (path, content) in [(&*all, &all), (&group, &group), (&own, &own), ("again", &all)] {
        let file = stage.path(&format!("out/r/{number}/{path}"));
        let found = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        ensure!(found.trim() == content, "/{path} is {found:?}");
    }
    Ok(())
}

/// No step of the round ran twice.
fn once(stage: &Stage, round: u32) -> Result<()> {
    stage.write("Dockerfile", format!("FROM busybox:1.35\n{COUNT} cp /count/log /log\n"))?;
    stage.shell_ok("kiln build -q --no-cache -o type=local,dest=../out/r/count .")?;
    let log = fs::read_to_string(stage.path("out/r/count/log"))?;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for line in log.lines().filter(|line| line.starts_with(&format!("{round}-"))) {
        *counts.entry(line).or_default() += 1;
    }
    ensure!(counts.len() == 1 + 4 + BUILDS, "these steps ran: {counts:?}");
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    ensure!(twice.is_empty(), "these ran more than once: {twice:?}");
    Ok(())
}
