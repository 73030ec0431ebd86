//! Several builds that write one cache at the same moment: what each of them found is in it afterwards.

use anyhow::{Result, ensure};
use xtask::object_storage::ObjectStorage;

use super::{Trial, rounds, trial};
use crate::running::Running;
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("caches::together_in_a_directory", in_a_directory),
    trial("caches::together_in_a_registry", in_a_registry),
    trial("caches::together_in_object_storage", in_object_storage),
];

/// Builds at the same time.
const BUILDS: usize = 4;
/// Rounds of them, unless more are asked for.
const ROUNDS: u32 = 3;

fn in_a_directory(stage: &Stage) -> Result<()> {
    play(
        stage,
        |round| format!("type=local,dest=../out/cache{round},mode=max"),
        |round| format!("type=local,src=../out/cache{round}"),
    )
}

fn in_a_registry(stage: &Stage) -> Result<()> {
    // Root and others play it at the same time.
    let name = stage.path("");
    let name = name.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let place = |round| format!("type=registry,ref={}/{name}/cache:{round}", stage.registry());
    play(stage, |round| format!("{},mode=max", place(round)), place)
}

fn in_object_storage(stage: &Stage) -> Result<()> {
    let server = ObjectStorage::start(&stage.path("tmp"))?;
    let url = server.url();
    stage.shell_ok(&format!("curl -sSf -X PUT {url}/kept"))?;
    let keys = "access_key_id=id,secret_access_key=secret,region=us-east-1";
    let place = |round| format!("type=s3,bucket=kept,name={round},endpoint_url={url},use_path_style=true,{keys}");
    play(stage, |round| format!("{},mode=max", place(round)), place)
}

/// Builds one thing in each of several stores, lets all of them write it to a cache, and looks what another store finds
/// there.
fn play(stage: &Stage, to: impl Fn(u32) -> String, from: impl Fn(u32) -> String) -> Result<()> {
    for number in 0..BUILDS {
        let step = format!("FROM busybox:1.35\nRUN echo {number} > /{number}\n");
        stage.write(&format!("Dockerfile.{number}"), step)?;
        stage.shell_ok(&format!(
            "kiln --root ../out/{number} build -q -f Dockerfile.{number} ."
        ))?;
    }
    for round in 0..rounds(ROUNDS) {
        let (to, from) = (to(round), from(round));
        let start = |number: usize| {
            let (root, file) = (format!("../out/{number}"), format!("Dockerfile.{number}"));
            let arguments = ["--root", &root, "build", "--progress=plain", "-f", &file];
            Running::start(stage, stage.kiln(&[&arguments[..], &["--cache-to", &to, "."]].concat()))
        };
        let builds: Result<Vec<Running>> = (0..BUILDS).map(start).collect();
        let mut said = Vec::new();
        for build in builds? {
            let ended = build.end()?;
            ended.expect(&[0])?;
            ensure!(!ended.log.contains("warning"), "{}", ended.log);
            said.push(ended.log);
        }
        for number in 0..BUILDS {
            let found = stage.shell_ok(&format!(
                "kiln --root ../out/other{round} build --progress=plain -f Dockerfile.{number} --cache-from '{from}' . 2>&1"
            ))?;
            ensure!(
                found.contains("CACHED") && !found.contains("warning"),
                "round {round}: what build {number} wrote is not there:\n{found}\n{}",
                said.join("\n")
            );
        }
    }
    Ok(())
}
