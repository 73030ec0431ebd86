//! The extension for VS Code: its manifest, and what it starts.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::{command, paths};

use crate::stage::Stage;

const PLAYER: &str = include_str!("vscode.js");

/// Where Node.js is not, the manifest alone is looked at.
pub(super) fn extension(stage: &Stage) -> Result<()> {
    let directory = paths::workspace().join("editors/vscode");
    let manifest = fs::read_to_string(directory.join("package.json"))?;
    let manifest: Value = serde_json::from_str(&manifest).context("package.json")?;
    for field in [
        "/name",
        "/version",
        "/publisher",
        "/engines/vscode",
        "/dependencies/vscode-languageclient",
    ] {
        ensure!(
            manifest.pointer(field).is_some_and(Value::is_string),
            "package.json has no {field}"
        );
    }
    ensure!(
        manifest["activationEvents"] == json!(["onLanguage:dockerfile"]),
        "{manifest}"
    );
    let main = manifest["main"].as_str().context("package.json has no main")?;
    let code = fs::read_to_string(directory.join(main))?;
    for piece in code.split("settings.get(\"").skip(1) {
        let name = piece.split('"').next().unwrap_or_default();
        let settings = &manifest["contributes"]["configuration"]["properties"];
        ensure!(
            settings.get(format!("kiln.{name}")).is_some(),
            "package.json does not have the setting {name}"
        );
    }
    if !Path::new("/usr/bin/node").exists() {
        eprintln!("skipped: there is no Node.js to start the extension with");
        return Ok(());
    }
    let player = stage.write_beside("vscode.js", PLAYER)?.display().to_string();
    let arguments = [player, directory.display().to_string()];
    let ended = command::output(&mut stage.command("/usr/bin/node", &arguments))?;
    let error = String::from_utf8_lossy(&ended.stderr);
    let said: Value = serde_json::from_slice(&ended.stdout).with_context(|| error.into_owned())?;
    let server = &said["servers"][0];
    ensure!(
        server["server"] == json!({"command": "/opt/kiln", "args": ["lsp"]}),
        "{said}"
    );
    ensure!(
        server["options"]["documentSelector"] == json!([{"language": "dockerfile"}]),
        "{said}"
    );
    ensure!(
        server["options"]["initializationOptions"] == json!({"context": ".."}),
        "{said}"
    );
    // Started again for settings of its own that changed, and stopped at the end.
    ensure!(
        said["servers"].as_array().map(Vec::len) == Some(2) && said["stopped"] == 2,
        "{said}"
    );
    let commands = manifest["contributes"]["commands"].as_array().into_iter().flatten();
    let commands: Vec<&Value> = commands.map(|command| &command["command"]).collect();
    ensure!(
        said["commands"].as_array().is_some_and(|said| said.iter().eq(commands)),
        "{said}"
    );
    Ok(())
}
