//! Another builder, Debian's buildah, plays the same cases: how it and Kiln compare on what the cases demand.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use xtask::command;

use crate::case::{self, Found};
use crate::check::Differences;
use crate::expect::{Build, Rung};
use crate::layout;
use crate::stage::Stage;

/// Options of `kiln build` that buildah knows by the same name, each with a value of its own.
const SHARED: [&str; 11] = [
    "--target",
    "--build-arg",
    "--build-context",
    "--label",
    "--platform",
    "--secret",
    "--add-host",
    "--shm-size",
    "--ulimit",
    "--network",
    "-f",
];

/// Whether a case says something of a builder other than Kiln: of the image that it makes, or that it makes none.
pub fn can_play(found: &Found) -> bool {
    let case = &found.case;
    // Emulation is what the machine has registered, for the others.
    case.only != Some(Rung::Rootless)
        && case.steps_for.is_none()
        && case.then.is_empty()
        && !case.build.is_empty()
        && case.build.iter().all(|build| knows(build) && demands(build))
}

fn knows(build: &Build) -> bool {
    let takes = |pair: &[String]| match pair {
        [option, _] => SHARED.contains(&option.as_str()),
        _ => false,
    };
    build.args.chunks(2).all(takes) && !build.no_output && build.stdin.is_none()
}

/// What Kiln says while it builds is not asked of others, so something else has to be left.
fn demands(build: &Build) -> bool {
    build.exit != 0
        || build.paths.is_some()
        || build.config.is_some()
        || build.image.is_some()
        || build.history.is_some()
        || build.layers.is_some()
        || !(build.tree.is_empty() && build.absent.is_empty() && build.layer.is_empty())
}

/// Plays a case with buildah; an error says what it does otherwise than the case demands.
pub fn play(found: &Found, stage: &Stage) -> Result<()> {
    case::prepare(found, stage)?;
    for (number, build) in found.case.build.iter().enumerate() {
        play_build(build, number + 1, stage).with_context(|| format!("build {}", number + 1))?;
    }
    Ok(())
}

fn play_build(build: &Build, number: usize, stage: &Stage) -> Result<()> {
    if let Some(before) = &build.before {
        stage.shell_ok(before).context("the case's own edit")?;
    }
    // Its own label is no difference in the language.
    let mut arguments = words("build --format docker --layers --isolation chroot --identity-label=false --tag case");
    let mut differences = Differences::default();
    let Some(options) = without_extensions(build, stage)? else {
        differences.exit(build.exit.min(1), Some(1));
        return differences.end("kiln export refuses the Dockerfile");
    };
    arguments.extend(options);
    arguments.push(context(build).to_owned());
    let output = command::output(buildah(stage, arguments).envs(&build.env))?;
    let log = String::from_utf8_lossy(&output.stderr);
    // Builders fail with codes of their own.
    differences.exit(build.exit.min(1), output.status.code().map(|code| code.min(1)));
    if output.status.success() {
        let image = image(stage, number).with_context(|| log.clone().into_owned())?;
        differences.image(build, &image);
    }
    differences.end(&log)
}

fn context(build: &Build) -> &str {
    build.context.as_deref().unwrap_or(".")
}

/// The build's options, with the plain Dockerfile of one that asks for Kiln's extensions; none if it has none.
fn without_extensions(build: &Build, stage: &Stage) -> Result<Option<Vec<String>>> {
    let mut options = build.args.clone();
    let place = options.iter().position(|option| option == "-f").map(|at| at + 1);
    let default = || format!("{}/Dockerfile", context(build));
    let file = place.and_then(|at| options.get(at).cloned()).unwrap_or_else(default);
    let text = fs::read(stage.context().join(&file)).unwrap_or_default();
    if !String::from_utf8_lossy(&text)
        .lines()
        .any(|line| line.starts_with("# kiln="))
    {
        return Ok(Some(options));
    }
    let plain = stage.path("plain").to_string_lossy().into_owned();
    let mut export = stage.kiln(&["export", "-f", &file, "-o", &plain, context(build)]);
    if !command::output(&mut export)?.status.success() {
        return Ok(None);
    }
    match place {
        Some(at) => options[at] = plain,
        None => options.extend(["-f".to_owned(), plain]),
    }
    Ok(Some(options))
}

fn buildah(stage: &Stage, arguments: Vec<String>) -> Command {
    let mut all = words("--storage-driver vfs --root");
    for (at, option) in [("peer", Some("--runroot")), ("peer-run", None)] {
        all.push(stage.path(at).to_string_lossy().into_owned());
        all.extend(option.map(str::to_owned));
    }
    all.extend(arguments);
    stage.command("buildah", &all)
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// The image as it is: an OCI layout of buildah's own would lose fields of the configuration that only docker's has.
fn image(stage: &Stage, number: usize) -> Result<layout::Image> {
    let directory = stage.path(&format!("out/peer{number}"));
    let mut push = words("push --quiet case");
    push.push(format!("dir:{}", directory.display()));
    command::quietly(&mut buildah(stage, push))?;
    as_layout(&directory)?;
    layout::read(&directory)
}

/// Makes an OCI layout of what `dir:` has: a manifest, and blobs named by their digests.
fn as_layout(directory: &Path) -> Result<()> {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    for entry in fs::read_dir(directory)?.flatten() {
        let name = entry.file_name();
        if name.len() == 64 {
            fs::rename(entry.path(), blobs.join(name))?;
        }
    }
    let manifest = directory.join("manifest.json");
    let digest = layout::sha256(&manifest)?;
    let size = fs::metadata(&manifest)?.len();
    fs::rename(&manifest, blobs.join(&digest))?;
    let index: Value = json!({ "manifests": [{ "digest": format!("sha256:{digest}"), "size": size }] });
    fs::write(directory.join("index.json"), index.to_string())?;
    fs::write(
        directory.join("oci-layout"),
        json!({ "imageLayoutVersion": "1.0.0" }).to_string(),
    )?;
    Ok(())
}

/// The peer's name and version.
pub fn version() -> Result<String> {
    if !command::exists("buildah") {
        bail!("conformance compares with buildah, which is not installed: `apt-get install buildah`");
    }
    let said = command::quietly(Command::new("buildah").arg("--version"))?;
    Ok(said
        .split(' ')
        .take(3)
        .filter(|&word| word != "version")
        .collect::<Vec<_>>()
        .join(" "))
}
