//! Ctrl-C, SIGTERM and SIGKILL: nothing is left, nothing is half done, and the next build works.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use super::{Trial, trial};
use crate::forged::{Forged, noise};
use crate::running::{Running, poll};
use crate::server::{Answer, Break, Server};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("interrupt::resolve", resolve),
    trial("interrupt::pull", pull),
    trial("interrupt::context", context),
    trial("interrupt::step", step),
    trial("interrupt::waiting_for_another_build", waiting),
    trial("interrupt::push", push),
    trial("interrupt::load", load),
    trial("interrupt::second_signal", second),
    trial("interrupt::any_moment", any_moment),
];

const INT: i32 = 130;
const TERM: i32 = 143;

/// Builds until `reached` says that the moment has come, and interrupts it there: once with each signal.
fn interrupted_at(
    stage: &Stage,
    arguments: &[&str],
    mut reached: impl FnMut(&mut Running) -> Result<()>,
) -> Result<()> {
    for (signal, code) in [(Signal::INT, INT), (Signal::TERM, TERM)] {
        let mut build = Running::start(stage, stage.kiln(arguments))?;
        reached(&mut build)?;
        ensure!(build.signal(signal)?, "it ended by itself:\n{}", build.log()?);
        let ended = build.end()?;
        ended.expect(&[code])?;
        ensure!(!ended.log.contains("panicked"), "{}", ended.log);
        nothing_left(stage)?;
    }
    Ok(())
}

/// No process, mount, tag, output or unfinished file; and the store still works.
fn nothing_left(stage: &Stage) -> Result<()> {
    stage.wait_until_nothing_runs()?;
    let images = stage.shell_ok("kiln images --format '{{.Repository}}'")?;
    ensure!(images.trim().is_empty(), "a tag is left:\n{images}");
    let outputs: Vec<_> = fs::read_dir(stage.path("out"))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    ensure!(outputs.is_empty(), "outputs are left: {outputs:?}");
    Ok(())
}

/// Files of builds that are over. (An empty directory with a lock file may stay until the next build sweeps.)
fn no_unfinished(stage: &Stage) -> Result<()> {
    let left = stage.shell_as_root("find ../store/tmp -mindepth 2 ! -name lock 2>/dev/null | head")?;
    ensure!(left.is_empty(), "unfinished files are left:\n{left}");
    Ok(())
}

fn asked(server: &Server, part: &str) -> Result<()> {
    poll(&format!("somebody asks for {part}"), || {
        Ok(server.requests().iter().any(|line| line.contains(part)).then_some(()))
    })
}

fn resolve(stage: &Stage) -> Result<()> {
    let server = Server::start(|_, path| {
        let answer = Answer::ok("application/json", "{}");
        if path.contains("/manifests/") {
            answer.broken(0, Break::NoWord)
        } else {
            answer
        }
    })?;
    stage.write("Dockerfile", format!("FROM {}/a\nRUN true\n", server.host()))?;
    interrupted_at(stage, &["build", "-t", "x", "."], |_| asked(&server, "/manifests/"))
}

fn pull(stage: &Stage) -> Result<()> {
    let image = Forged::honest()?;
    let stalled = image.clone();
    let server = Server::start(move |_, path| match stalled.answer(path) {
        Some(answer) if path.ends_with(&stalled.layer) => answer.broken(300_000, Break::Silence),
        Some(answer) => answer,
        None => Answer::ok("application/json", "{}"),
    })?;
    stage.write("Dockerfile", format!("FROM {}/a\nRUN true\n", server.host()))?;
    let layer = format!("/blobs/{}", image.layer);
    interrupted_at(stage, &["build", "-t", "x", "."], |_| asked(&server, &layer))?;
    no_unfinished(stage)?;
    // The same reference, from a registry that goes on.
    drop(server);
    let server = image.serve()?;
    stage.write("Dockerfile", format!("FROM {}/a\nCOPY Dockerfile /\n", server.host()))?;
    stage
        .shell_ok("kiln build -q -t x . && kiln images -q | grep .")
        .map(drop)
}

/// Contexts from servers that say nothing, or no more: what git started ends too.
fn context(stage: &Stage) -> Result<()> {
    let archive = noise(1_000_000);
    let server = Server::start(move |_, path| {
        let answer = Answer::ok("application/x-tar", archive.clone());
        if path.ends_with("context") {
            answer.broken(300_000, Break::Silence)
        } else {
            answer.broken(0, Break::NoWord)
        }
    })?;
    for path in ["x.git", "context"] {
        let url = format!("http://{}/{path}", server.host());
        let before = server.requests().len();
        interrupted_at(stage, &["build", "-t", "x", &url], |_| {
            poll(&format!("somebody asks for {path}"), || {
                Ok((server.requests().len() > before).then_some(()))
            })
        })?;
    }
    no_unfinished(stage)
}

const BUSY: &str = "FROM busybox:1.35\nRUN echo sta''rted; sleep 1000 & sleep 1001\n";

fn step(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", BUSY)?;
    let arguments = [
        "build",
        "--progress=plain",
        "-t",
        "x",
        "-o",
        "type=oci,dest=../out/x",
        ".",
    ];
    interrupted_at(stage, &arguments, |build| build.wrote("started"))?;
    no_unfinished(stage)?;
    stage.write("Dockerfile", BUSY.replace("sleep 1000 & sleep 1001", "true"))?;
    stage
        .shell_ok("kiln build -q -t x . && kiln images -q | grep .")
        .map(drop)
}

/// A build that waits for another one's step is interrupted; the other one goes on.
fn waiting(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", BUSY)?;
    let arguments = ["build", "--progress=plain", "."];
    let mut first = Running::start(stage, stage.kiln(&arguments))?;
    first.wrote("started")?;
    for (signal, code) in [(Signal::INT, INT), (Signal::TERM, TERM)] {
        let mut second = Running::start(stage, stage.kiln(&arguments))?;
        second.wrote("RUN echo")?;
        ensure!(second.signal(signal)?, "it did not wait:\n{}", second.log()?);
        second.end()?.expect(&[code])?;
        ensure!(!first.has_ended()?, "the first build ended too:\n{}", first.log()?);
    }
    first.signal(Signal::INT)?;
    first.end()?.expect(&[INT])
}

fn push(stage: &Stage) -> Result<()> {
    let server = Server::start(|method, path| match method {
        "POST" => Answer::status(202).header("Location", format!("{}1", path.split('?').next().unwrap_or(path))),
        "PATCH" | "PUT" => Answer::status(201).broken(0, Break::NoWord),
        _ if path.ends_with("/v2/") => Answer::ok("application/json", "{}"),
        _ => Answer::status(404),
    })?;
    stage.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")?;
    let name = format!("{}/a:1", server.host());
    stage.shell_ok("kiln build -q .")?;
    for arguments in [
        vec!["build", "-o", "type=registry,name=NAME", "."],
        vec!["push", "NAME"],
    ] {
        let arguments: Vec<String> = arguments.into_iter().map(|word| word.replace("NAME", &name)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if arguments[0] == "push" {
            stage.shell_ok(&format!("kiln build -q -t {name} ."))?;
        }
        let before = server.requests().len();
        let uploading = |_: &mut Running| {
            poll("an upload begins", || {
                let requests = server.requests();
                let upload = |line: &String| line.starts_with("PATCH") || line.starts_with("PUT");
                Ok(requests[before..].iter().any(upload).then_some(()))
            })
        };
        for (signal, code) in [(Signal::INT, INT), (Signal::TERM, TERM)] {
            let mut running = Running::start(stage, stage.kiln(&arguments))?;
            uploading(&mut running)?;
            ensure!(running.signal(signal)?, "it ended by itself:\n{}", running.log()?);
            running.end()?.expect(&[code])?;
        }
    }
    stage.wait_until_nothing_runs()
}

/// `load` from a pipe that nothing comes through.
fn load(stage: &Stage) -> Result<()> {
    for (signal, code) in [(Signal::INT, INT), (Signal::TERM, TERM)] {
        let (reader, writer) = std::io::pipe()?;
        let mut load = Running::start_with(stage, stage.kiln(&["load"]), Some(Stdio::from(reader)), None)?;
        // Its own directory shows that it is at work.
        poll("load begins", || Ok(stage.path("store/tmp").exists().then_some(())))?;
        sleep(Duration::from_millis(100));
        ensure!(load.signal(signal)?, "it ended by itself:\n{}", load.log()?);
        load.end()?.expect(&[code])?;
        drop(writer);
        nothing_left(stage)?;
    }
    Ok(())
}

/// An output that nobody takes off: whatever the first signal can do about it, the second does not ask.
fn second(stage: &Stage) -> Result<()> {
    stage.write("big", noise(1 << 20))?;
    stage.write("Dockerfile", "FROM scratch\nCOPY big /\n")?;
    let (mut reader, writer) = std::io::pipe()?;
    let mut build = Running::start_with(
        stage,
        stage.kiln(&["build", "-o", "type=tar,dest=-", "."]),
        None,
        Some(Stdio::from(writer)),
    )?;
    // It writes, and then cannot write on.
    reader.read_exact(&mut [0])?;
    poll("it ends when it is asked again and again", || {
        build.signal(Signal::INT)?;
        Ok(build.has_ended()?.then_some(()))
    })?;
    build.end()?.expect(&[INT])?;
    nothing_left(stage)
}

const EVERYTHING: &str = "FROM busybox:1.35 AS one
COPY tree /tree
RUN cp -r /tree /again && echo one
FROM busybox:1.35 AS two
RUN head -c 8000000 /dev/urandom >/noise
FROM busybox:1.35
COPY --from=one /again /again
COPY --from=two /noise /noise
";

/// How many.
const MOMENTS: u32 = 6;

/// A build of everything, ended at moments spread over its whole length.
fn any_moment(stage: &Stage) -> Result<()> {
    for directory in 0..20 {
        for file in 0..20 {
            stage.write(&format!("tree/{directory}/{file}"), format!("{directory} {file}"))?;
        }
    }
    stage.write("tree/big", noise(8 << 20))?;
    stage.write("Dockerfile", EVERYTHING)?;
    let name = format!("{}/interrupted-{}:1", stage.registry(), std::process::id());
    let output = format!("type=registry,name={name}");
    let arguments = [
        "build",
        "--no-cache",
        "--progress=plain",
        "-t",
        "x",
        "-o",
        "type=image",
        "-o",
        "type=oci,dest=../out/x",
        "-o",
        "type=local,dest=../out/files",
        "-o",
        &output,
        ".",
    ];
    let start = Instant::now();
    let whole = Running::start(stage, stage.kiln(&arguments))?.end()?;
    whole.expect(&[0])?;
    let length = start.elapsed();
    let mut interrupted = 0;
    let signals = [Signal::INT, Signal::KILL, Signal::TERM, Signal::KILL];
    for (moment, signal) in (1..=MOMENTS).zip(signals.into_iter().cycle()) {
        stage.forget()?;
        let mut build = Running::start(stage, stage.kiln(&arguments))?;
        sleep(length * moment / (MOMENTS + 1));
        build.signal(signal)?;
        let ended = build.end()?;
        let code = 128 + signal.as_raw();
        ended.expect(&[0, code])?;
        ensure!(!ended.log.contains("panicked"), "{}", ended.log);
        let context = || format!("{signal:?} after {moment}/{MOMENTS} of {length:?}:\n{}", ended.log);
        stage.wait_until_nothing_runs().with_context(context)?;
        interrupted += u32::from(ended.code() == code);
        consistent(stage, signal).with_context(context)?;
        // What is there now must not be in the way of the next.
        if moment % 2 == 0 {
            Running::start(stage, stage.kiln(&arguments))?.end()?.expect(&[0])?;
        }
    }
    ensure!(
        interrupted > 0,
        "none of {MOMENTS} builds was interrupted: all were too quick"
    );
    stage.shell_ok("kiln run --rm -i x sh -c 'cmp /again/big - && test -s /noise' <tree/big")?;
    stage.shell_ok("kiln images -aq | sort -u | xargs kiln rmi -f && kiln prune -a -f")?;
    no_unfinished(stage)?;
    let kept = stage.shell_as_root("ls ../store/layers")?;
    ensure!(kept.is_empty(), "prune left layers:\n{kept}");
    Ok(())
}

/// Either everything of an image is there or nothing; what has its final name is whole.
fn consistent(stage: &Stage, signal: Signal) -> Result<()> {
    let tagged = stage.shell_ok("kiln images --format '{{.Repository}}'")?;
    if tagged.contains('x') {
        stage.shell_ok("kiln save x >/dev/null")?;
    }
    if stage.path("out/x").exists() {
        stage.shell_ok("skopeo inspect oci-archive:../out/x >/dev/null")?;
    }
    let others = stage.shell_ok("ls -A ../out")?;
    let partial: Vec<&str> = others.lines().filter(|name| !["x", "files"].contains(name)).collect();
    // After SIGKILL nobody can tidy up.
    if signal != Signal::KILL && !partial.is_empty() {
        bail!("unfinished outputs are left: {partial:?}");
    }
    if signal != Signal::KILL {
        no_unfinished(stage)?;
    }
    Ok(())
}
