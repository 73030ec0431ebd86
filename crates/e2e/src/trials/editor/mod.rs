//! `kiln lsp` with a client that is not ours: pygls, from `PyPI`.

mod vscode;

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use xtask::{command, python};

use super::{Trial, once, trial};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    once("editor::counts_in_utf_16", |stage| play(stage, "utf-16")),
    once("editor::counts_in_bytes", |stage| play(stage, "utf-8")),
    trial("editor::survives_what_is_no_message", survives),
    once("editor::vscode_starts_it", vscode::extension),
];

const PACKAGES: [&str; 2] = ["pygls==2.1.1", "lsprotocol==2025.0.0"];
const CLIENT: &str = include_str!("client.py");

/// The client does all that an editor does; what went over the wire is shown if anything was not as it should be.
fn play(stage: &Stage, encoding: &str) -> Result<()> {
    let python = python::environment("lsp-client", &PACKAGES)?.join("python");
    let client = stage.write_beside("client.py", CLIENT)?;
    stage.write("source/main.c", "")?;
    stage.write("file", "")?;
    stage.write("secret", "")?;
    stage.write(".dockerignore", "secret\n")?;
    stage.write("base/Dockerfile", "FROM busybox:1.35\nRUN true\n")?;
    stage.shell_ok("kiln build -q base && rm -r base")?;
    let arguments = [
        client.display().to_string(),
        stage.program().display().to_string(),
        stage.context().display().to_string(),
        encoding.to_owned(),
    ];
    let ended = command::output(&mut stage.command(&python, &arguments))?;
    ensure!(
        ended.status.success() && ended.stdout.starts_with(b"played"),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    // What editor and server made of it together is a Dockerfile in one form.
    stage.shell_ok("kiln fmt --check formatted")?;
    Ok(())
}

/// Garbage gets an error each and ends nothing; without `shutdown` the end is a failure.
fn survives(stage: &Stage) -> Result<()> {
    let message = |body: &str| format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let initialize = message(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}"#);
    let shutdown = message(r#"{"jsonrpc":"2.0","id":2,"method":"shutdown"}"#);
    let exit = message(r#"{"jsonrpc":"2.0","method":"exit"}"#);
    let garbage = format!(
        "{}{}garbage\r\n\r\n{}{}",
        message("{"),
        message("[]"),
        message("\u{fffd}"),
        message(&"[".repeat(1 << 20))
    );
    let said = talk(
        stage.kiln(&["lsp"]),
        &format!("{garbage}{initialize}{shutdown}{exit}"),
        0,
    )?;
    ensure!(said.matches("\"error\":").count() == 5, "{said}");
    ensure!(said.contains("\"id\":1,\"result\":{\"capabilities\":"), "{said}");
    ensure!(said.contains("\"id\":2,\"result\":null"), "{said}");
    talk(stage.kiln(&["lsp", "--stdio"]), &exit, 1)?;
    talk(stage.kiln(&["lsp"]), &initialize, 1)?;
    Ok(())
}

fn talk(mut command: Command, input: &str, code: i32) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = command.spawn().context("cannot start kiln lsp")?;
    let mut stdin = server.stdin.take().context("no standard input")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    let ended = server.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    ensure!(ended.status.code() == Some(code), "{}: {said}", ended.status);
    Ok(said)
}
