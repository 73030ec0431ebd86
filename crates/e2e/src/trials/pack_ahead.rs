//! Layers of an image that is to leave the store are compressed while later steps run.

use std::fs;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{Trial, trial};
use crate::running::{Running, poll};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("pack_ahead::while_a_step_runs", while_a_step_runs),
    trial("pack_ahead::of_images_alone", of_images_alone),
    trial("pack_ahead::each_layer_once", each_layer_once),
    trial("pack_ahead::given_up", given_up),
];

/// Larger than all else that the store has: what is random is as large when it is compressed.
const SIZE: u64 = 8_000_000;

const DOCKERFILE: &str = "\
FROM busybox:1.35 AS other
RUN head -c 8000000 /dev/urandom >/other
RUN echo oth''er; sleep 1000
FROM busybox:1.35
RUN head -c 8000000 /dev/urandom >/random
RUN echo sta''rted; sleep 1000
";

/// How many blobs of that size the store has.
fn large_blobs(stage: &Stage) -> Result<usize> {
    let mut count = 0;
    for blob in fs::read_dir(stage.path("store/blobs/sha256"))? {
        count += usize::from(blob?.metadata()?.len() >= SIZE);
    }
    Ok(count)
}

fn while_a_step_runs(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", DOCKERFILE)?;
    let arguments = ["build", "--progress=plain", "-o", "type=oci,dest=../out/image", "."];
    let mut build = Running::start(stage, stage.kiln(&arguments))?;
    build.wrote("started")?;
    // Nothing but this build's end, which does not come by itself, would make it otherwise.
    poll("the layer is compressed", || {
        Ok((large_blobs(stage)? == 1).then_some(()))
    })?;
    build.signal(Signal::INT)?;
    build.end()?.expect(&[130])
}

/// A stage of which the image has nothing is not compressed, and for the store alone nothing is.
fn of_images_alone(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", DOCKERFILE.replace("sleep 1000", "sleep 1"))?;
    stage.shell_ok("kiln build --target other -t one .")?;
    ensure!(large_blobs(stage)? == 0);
    stage.write(
        "Dockerfile",
        format!(
            "{}COPY --from=other /bin/true /\n",
            DOCKERFILE.replace("sleep 1000", "sleep 1")
        ),
    )?;
    stage.shell_ok("kiln build -o type=oci,dest=../out/image .")?;
    ensure!(large_blobs(stage)? == 1);
    Ok(())
}

/// A cache wants the layers too, and whoever makes the image wants those that are being compressed.
fn each_layer_once(stage: &Stage) -> Result<()> {
    for end in ["RUN cat /a /b >/c", "COPY --link Dockerfile /"] {
        let text = "FROM busybox:1.35\nRUN head -c 8000000 /dev/urandom >/a\nRUN head -c 8000000 /dev/urandom >/b\n";
        stage.write("Dockerfile", format!("{text}{end}\n"))?;
        let cache = "--cache-to type=local,dest=../out/cache,mode=max,compression=gzip";
        stage.shell_ok(&format!(
            "kiln build --no-cache --trace ../out/trace -o type=oci,dest=../out/image {cache} ."
        ))?;
        let compressed = stage.shell_ok(r#"jq '[.[] | select(.name == "compress")] | length' ../out/trace"#)?;
        ensure!(compressed.trim() == "3", "{compressed}");
    }
    Ok(())
}

/// When a step fails, or the build is interrupted, what is being compressed leaves nothing.
fn given_up(stage: &Stage) -> Result<()> {
    for end in ["false", "echo sta''rted; sleep 1000"] {
        stage.write(
            "Dockerfile",
            format!("FROM busybox:1.35\nRUN yes | head -c 400000000 >/yes\nRUN {end}\n"),
        )?;
        let arguments = ["build", "--progress=plain", "-o", "type=oci,dest=../out/image", "."];
        let mut build = Running::start(stage, stage.kiln(&arguments))?;
        if end == "false" {
            build.end()?.expect(&[1])?;
        } else {
            build.wrote("started")?;
            build.signal(Signal::INT)?;
            build.end()?.expect(&[130])?;
        }
        let left = fs::read_dir(stage.path("store/tmp"))?.count();
        ensure!(left == 0 && !stage.path("out/image").exists(), "{left} files are left");
        stage.shell_ok("kiln prune --all --force")?;
    }
    Ok(())
}
