//! Finding cases and playing them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, bail};
use xtask::{command, paths};

use crate::check::Differences;
use crate::expect::{Build, Case, Then};
use crate::layout;
use crate::progress;
use crate::stage::Stage;

/// All cases, as `AREA/NAME` and directory.
pub fn all() -> Result<Vec<(String, PathBuf)>> {
    let root = paths::workspace().join("tests/cases");
    let mut cases = Vec::new();
    for area in directories(&root)? {
        for case in directories(&area)? {
            let name = case.strip_prefix(&root).unwrap_or(&case).to_string_lossy().into_owned();
            cases.push((name, case));
        }
    }
    cases.sort();
    Ok(cases)
}

fn directories(of: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(of).with_context(|| format!("cannot read {}", of.display()))?;
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect())
}

/// Reads a case's `case.toml`.
pub fn read(directory: &Path) -> Result<Case> {
    let path = directory.join("case.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display()))
}

/// Plays a case.
pub fn play(directory: &Path, stage: &Stage) -> Result<()> {
    let case = read(directory)?;
    stage.copy_context(directory)?;
    if let Some(setup) = &case.setup {
        stage.shell_ok(setup).context("the case's own setup")?;
    }
    for (number, build) in case.build.iter().enumerate() {
        play_build(build, number + 1, stage).with_context(|| format!("build {}", number + 1))?;
    }
    for then in &case.then {
        play_then(then, stage).with_context(|| format!("then `{}`", then.run))?;
    }
    Ok(())
}

fn play_build(build: &Build, number: usize, stage: &Stage) -> Result<()> {
    if let Some(before) = &build.before {
        stage.shell_ok(before).context("the case's own edit")?;
    }
    let layout = stage.path(&format!("out/layout{number}"));
    let output = run_build(build, &layout, stage)?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let all = format!("{log}{}", String::from_utf8_lossy(&output.stdout));
    let mut differences = Differences::default();
    differences.exit(build.exit, output.status.code());
    differences.contains("standard error", &log, &build.stderr);
    differences.lacks(&all, &build.silent);
    differences.steps(build, &progress::parse(&log));
    if output.status.success() && !build.no_output {
        differences.image(build, &layout::read(&layout).with_context(|| log.clone())?);
    }
    if !output.status.success() && layout.exists() {
        bail!("the build failed and left {}", layout.display());
    }
    differences.end(&log)
}

fn run_build(build: &Build, layout: &Path, stage: &Stage) -> Result<Output> {
    let mut arguments: Vec<String> = vec!["build".into(), "--progress=plain".into()];
    if !build.no_output {
        arguments.push(format!("--output=type=oci,tar=false,dest={}", layout.display()));
    }
    // Options of cases may name what only the stage knows.
    let known = |word: &String| {
        let out = stage.path("out");
        word.replace("$OUT", &out.to_string_lossy())
            .replace("$REGISTRY", stage.registry())
    };
    arguments.extend(build.args.iter().map(known));
    arguments.push(build.context.clone().unwrap_or_else(|| ".".into()));
    let mut kiln = stage.command(stage.program(), &arguments);
    kiln.envs(&build.env);
    match &build.stdin {
        Some(file) => kiln.stdin(fs::File::open(stage.context().join(file))?),
        None => kiln.stdin(Stdio::null()),
    };
    kiln.output()
        .with_context(|| format!("cannot start `{}`", command::shown(&kiln)))
}

fn play_then(then: &Then, stage: &Stage) -> Result<()> {
    let output = stage.shell(&then.run)?;
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let mut differences = Differences::default();
    differences.exit(then.exit, output.status.code());
    differences.contains("standard output", &stdout, &then.stdout);
    differences.contains("standard error", &stderr, &then.stderr);
    differences.lacks(&format!("{stdout}{stderr}"), &then.silent);
    differences.end(&format!("{stdout}{stderr}"))
}
