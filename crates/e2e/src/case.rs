//! Finding cases and playing them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use xtask::{command, paths};

use crate::book::{self, File};
use crate::check::Differences;
use crate::expect::{Build, Case, Then};
use crate::layout;
use crate::progress;
use crate::stage::Stage;

/// A case, and where its files are.
#[derive(Debug, Clone)]
pub struct Found {
    /// `AREA::NAME`
    pub name: String,
    /// The file that states it.
    pub file: PathBuf,
    /// What it does and expects.
    pub case: Case,
    /// What it is played in.
    pub context: Context,
}

/// What a case is played in.
#[derive(Debug, Clone)]
pub enum Context {
    /// A copy of a directory.
    Directory(PathBuf),
    /// These files.
    Files(BTreeMap<String, File>),
}

/// All cases, in the order of their names.
pub fn all() -> Result<Vec<Found>> {
    let root = paths::workspace().join("tests/cases");
    let mut cases = Vec::new();
    for area in entries(&root)?.into_iter().filter(|path| path.is_dir()) {
        let name = area.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for path in entries(&area)? {
            if path.is_dir() {
                cases.push(directory(&name, &path)?);
            } else {
                cases.extend(book::read(&name, &path)?);
            }
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(twice) = cases.windows(2).find(|pair| pair[0].name == pair[1].name) {
        bail!("there are two cases {}", twice[0].name);
    }
    Ok(cases)
}

fn entries(of: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(of).with_context(|| format!("cannot read {}", of.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

fn directory(area: &str, path: &Path) -> Result<Found> {
    let file = path.join("case.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let case = toml::from_str(&text).with_context(|| format!("in {}", file.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Found {
        name: format!("{area}::{name}"),
        file,
        case,
        context: Context::Directory(path.to_owned()),
    })
}

/// Puts a case's files on a stage.
pub fn prepare(found: &Found, stage: &Stage) -> Result<()> {
    match &found.context {
        Context::Directory(directory) => stage.copy_context(directory)?,
        Context::Files(files) => book::write(files, stage)?,
    }
    if let Some(setup) = &found.case.setup {
        stage.shell_ok(setup).context("the case's own setup")?;
    }
    Ok(())
}

/// Plays a case.
pub fn play(found: &Found, stage: &Stage) -> Result<()> {
    let play = || -> Result<()> {
        prepare(found, stage)?;
        if let Some(reason) = lacks_processor(found, stage)? {
            // CI has all that cases need.
            ensure!(std::env::var_os("CI").is_none(), "no steps run for {reason}");
            eprintln!("*** SKIPPED {}: no steps run for {reason}", found.name);
            return Ok(());
        }
        for (number, build) in found.case.build.iter().enumerate() {
            play_build(build, number + 1, stage).with_context(|| format!("build {}", number + 1))?;
        }
        for then in &found.case.then {
            play_then(then, stage).with_context(|| format!("then `{}`", then.run))?;
        }
        Ok(())
    };
    play().with_context(|| format!("in {}", found.file.display()))
}

/// Which processor the case has steps for, and why they cannot run here; `None` where they can.
fn lacks_processor(found: &Found, stage: &Stage) -> Result<Option<String>> {
    let Some(wanted) = &found.case.steps_for else {
        return Ok(None);
    };
    let output = command::output(&mut stage.kiln(&["doctor", "--format=json"]))?;
    let doctor: serde_json::Value = serde_json::from_slice(&output.stdout).context("`kiln doctor --format=json`")?;
    let processors = doctor["Processors"].as_array();
    let processor = processors.and_then(|all| all.iter().find(|each| each["Architecture"] == wanted.as_str()));
    let processor = processor.with_context(|| format!("kiln doctor does not know of {wanted}: {doctor}"))?;
    Ok((processor["Runs"] != true).then(|| format!("{wanted}: {}", processor["How"])))
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
    if !build.why.is_empty() {
        arguments.push("--explain".into());
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
