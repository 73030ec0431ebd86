//! Shells at a terminal.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{Trial, trial};
use crate::stage::Stage;
use crate::typist::Typist;

pub(super) const TRIALS: &[Trial] = &[
    trial("debug::shell_at_a_terminal", at_a_terminal),
    trial("run::at_a_terminal", run_at_a_terminal),
    trial("debug::shell_of_a_scratch_image", of_a_scratch_image),
    trial("debug::shell_that_is_stopped", that_is_stopped),
    trial("debug::shell_with_a_pipe", with_a_pipe),
    trial("debug::on_fail_shell", on_fail),
    trial("debug::on_fail_shell_of_a_build_that_is_stopped", on_fail_stopped),
];

fn image(stage: &Stage, dockerfile: &str) -> Result<()> {
    stage.write("Dockerfile", dockerfile)?;
    stage.shell_ok("kiln build -q -t x .").map(drop)
}

/// Sizes, keys, the name of the terminal, the exit code, and how the terminal is left.
fn at_a_terminal(stage: &Stage) -> Result<()> {
    image(stage, "FROM busybox:1.35\nENV PS1='$ '\n")?;
    let mut shell = Typist::start(stage, &["shell", "x"], 91, 27)?;
    let before = shell.settings()?;
    shell.sees("$ ")?;
    ensure!(shell.settings()? != before, "the terminal is not raw");
    shell.asks("stty size", "\n27 91\n")?;
    shell.asks("tty; echo $TERM", "\n/dev/pts/0\nxterm\n")?;
    shell.resize(132, 43)?;
    // The shell hears of it when it is no longer asleep in a read.
    shell.asks("stty size", "\n43 132\n")?;
    // Ctrl-C is the program's, and neither the shell's nor Kiln's end.
    // What writes this has the terminal already.
    shell.asks("sh -c 'echo begun; exec sleep 1000'", "\nbegun\n")?;
    shell.types("\x03")?;
    shell.asks("echo code $?", "\ncode 130\n")?;
    // Ctrl-Z stops it.
    shell.asks("sh -c 'echo again; exec sleep 1000'", "\nagain\n")?;
    shell.types("\x1a")?;
    shell.sees("Stopped")?;
    shell.asks("kill -9 %1; wait; echo gone", "\ngone\n")?;
    shell.asks("echo made > /made; cat /made", "\nmade\n")?;
    shell.types("exit 9\n")?;
    ensure!(shell.end()? == 9, "{}", shell.seen());
    ensure!(
        shell.settings()? == before,
        "the terminal is left otherwise than it was"
    );
    let listed = stage.shell_ok("kiln shell x -- ls /")?;
    ensure!(!listed.contains("made"), "what was written stayed: {listed}");
    // Ctrl-D ends a shell.
    let mut shell = Typist::start(stage, &["shell", "x"], 80, 24)?;
    shell.sees("$ ")?;
    shell.types("\x04")?;
    ensure!(shell.end()? == 0, "{}", shell.seen());
    Ok(())
}

/// As with docker: a terminal of its own, with all keys, and the program's exit code.
fn run_at_a_terminal(stage: &Stage) -> Result<()> {
    image(stage, "FROM busybox:1.35\nENV PS1='$ '\nCMD [\"sh\"]\n")?;
    let mut run = Typist::start(stage, &["run", "--rm", "-it", "x"], 91, 27)?;
    let before = run.settings()?;
    run.sees("$ ")?;
    ensure!(run.settings()? != before, "the terminal is not raw");
    run.asks("tty; stty size; echo $TERM", "\n/dev/pts/0\n27 91\nxterm\n")?;
    run.asks("sh -c 'echo begun; exec sleep 1000'", "\nbegun\n")?;
    run.types("\x03")?;
    run.asks("echo code $?", "\ncode 130\n")?;
    run.types("exit 9\n")?;
    ensure!(run.end()? == 9, "{}", run.seen());
    ensure!(run.settings()? == before, "the terminal is left otherwise than it was");
    // From outside: its terminal hangs up, and nothing is left.
    let mut run = Typist::start(stage, &["run", "-t", "x"], 80, 24)?;
    run.sees("$ ")?;
    run.signal(Signal::HUP)?;
    run.end()?;
    stage.wait_until_nothing_runs()
}

fn of_a_scratch_image(stage: &Stage) -> Result<()> {
    image(
        stage,
        "FROM busybox:1.35 AS tools\nFROM scratch\nCOPY --from=tools /bin/busybox /app\nENV PS1='$ '\nUSER 1234\n",
    )?;
    let mut shell = Typist::start(stage, &["shell", "x"], 80, 24)?;
    shell.sees("note: there is no shell")?;
    shell.sees("$ ")?;
    shell.asks("tty; id -u; ls /", "/dev/pts/0\n1234\napp")?;
    shell.types("exit\n")?;
    ensure!(shell.end()? == 0, "{}", shell.seen());
    Ok(())
}

/// From outside: the shell goes, the terminal is as before, and nothing is left.
fn that_is_stopped(stage: &Stage) -> Result<()> {
    image(stage, "FROM busybox:1.35\nENV PS1='$ '\n")?;
    for (signal, expected) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut shell = Typist::start(stage, &["shell", "x"], 80, 24)?;
        let before = shell.settings()?;
        shell.sees("$ ")?;
        shell.asks("sleep 1000 & echo begun", "\nbegun\n")?;
        shell.signal(signal)?;
        let code = shell.end()?;
        ensure!(code == expected, "{signal:?} gave the exit code {code}");
        ensure!(
            shell.settings()? == before,
            "{signal:?} left the terminal otherwise than it was"
        );
        stage.wait_until_nothing_runs()?;
    }
    Ok(())
}

/// What goes into a pipe has no terminal's line ends.
fn with_a_pipe(stage: &Stage) -> Result<()> {
    image(stage, "FROM busybox:1.35\n")?;
    let script = "printf 'printf \"a\\\\nb\\\\n\"; test -t 1 || echo none\\n' | kiln shell x | od -c";
    let seen = stage.shell_ok(script)?;
    ensure!(!seen.contains("\\r") && seen.contains("n   o   n   e"), "{seen}");
    Ok(())
}

const FAILS: &str = "FROM busybox:1.35 AS other
RUN echo other > /other
FROM busybox:1.35
ENV PS1='$ ' NAME=value
WORKDIR /work
RUN --mount=type=cache,id=c,target=/cache,sharing=locked --mount=type=bind,from=other,source=/other,target=/bound \\
    --mount=type=secret,id=s,target=/secret,mode=0444 --mount=type=bind,target=/context --mount=type=tmpfs,target=/fast \\
    echo begun > /left && echo cached > /cache/f && sleep 0.2 && exit 3
";

/// The failure is shown, then a shell opens where it happened, with all mounts; the build ends as it would have.
fn on_fail(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", FAILS)?;
    stage.write("key", "hidden words\n")?;
    let build = ["build", "--on-fail=shell", "--secret", "id=s,src=key", "-t", "x", "."];
    let mut shell = Typist::start(stage, &build, 100, 30)?;
    let before = shell.settings()?;
    shell.sees("exit code: 3")?;
    shell.sees("note: a shell in what the step left")?;
    shell.sees("$ ")?;
    shell.asks(
        "cat /left /cache/f /bound; pwd; echo $NAME",
        "\nbegun\ncached\nother\n/work\nvalue\n",
    )?;
    shell.asks(
        "cat /secret; ls -1 /context; stty size",
        "\nhidden words\nDockerfile\nkey\n30 100\n",
    )?;
    shell.asks("df /fast | grep -c tmpfs; echo more > /cache/g; echo $?", "\n1\n0\n")?;
    shell.types("exit 7\n")?;
    shell.sees("error[StepFailed]")?;
    ensure!(shell.end()? == 1, "{}", shell.seen());
    ensure!(
        shell.settings()? == before,
        "the terminal is left otherwise than it was"
    );
    // What the shell wrote to the cache mount stays, and nothing else does.
    stage.write("Dockerfile", FAILS.replace("exit 3", "cat /cache/g && ! ls /nothing"))?;
    stage.shell_ok("kiln build --secret id=s,src=key -t x . && kiln images -q x | grep .")?;
    stage.shell_ok("rm key && ! grep -rq 'hidden words' ../store").map(drop)
}

/// A signal while the shell is open ends both; what is typed before never reached the build.
fn on_fail_stopped(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", "FROM busybox:1.35\nENV PS1='$ '\nRUN false\n")?;
    let mut shell = Typist::start(stage, &["build", "--on-fail=shell", "."], 80, 24)?;
    let before = shell.settings()?;
    shell.sees("$ ")?;
    shell.asks("sh -c 'echo begun; exec sleep 1000'", "\nbegun\n")?;
    shell.types("\x03")?;
    shell.asks("echo code $?", "\ncode 130\n")?;
    shell.signal(Signal::TERM)?;
    let code = shell.end()?;
    ensure!(code == 143, "the exit code is {code}: {}", shell.seen());
    ensure!(
        shell.settings()? == before,
        "the terminal is left otherwise than it was"
    );
    stage.wait_until_nothing_runs()?;
    // A build that is stopped itself opens no shell.
    stage.write("Dockerfile", "FROM busybox:1.35\nRUN echo begun && sleep 1000\n")?;
    let mut build = Typist::start(stage, &["build", "--progress=plain", "--on-fail=shell", "."], 80, 24)?;
    build.sees("begun\n")?;
    build.types("\x03")?;
    ensure!(build.end()? == 130, "{}", build.seen());
    ensure!(!build.seen().contains("note: a shell"), "{}", build.seen());
    Ok(())
}
