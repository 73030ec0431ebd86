//! A browser without a screen, told what to do over its pipe (`DevTools` protocol), and asked what a page then is.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::running::Running;
use crate::stage::Stage;

/// Names of the program, in the order of preference.
const PROGRAMS: &[&str] = &["chromium-headless-shell", "chromium", "google-chrome"];

/// A browser with a page.
#[derive(Debug)]
pub struct Browser {
    _program: Running,
    to: File,
    from: File,
    received: Vec<u8>,
    last: u64,
    session: String,
    /// What the page complained of.
    complaints: Vec<String>,
}

impl Browser {
    /// Whether there is one on this machine.
    pub fn find() -> Option<&'static str> {
        let path = std::env::var_os("PATH")?;
        let is_there =
            |program: &&&str| std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
        PROGRAMS.iter().find(is_there).copied()
    }

    /// Starts one with an empty page.
    pub fn start(stage: &Stage, program: &str) -> Result<Self> {
        stage.shell_ok("mkfifo ../tmp/to-browser ../tmp/from-browser")?;
        // It runs as the tests do: its own sandbox needs more than a container has.
        let script = format!(
            "exec {program} --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
             --user-data-dir=../tmp/browser --remote-debugging-pipe about:blank 3<../tmp/to-browser 4>../tmp/from-browser"
        );
        let command = stage.command("/bin/sh", &["-c".to_owned(), script]);
        let program = Running::start_with(stage, command, Some(Stdio::null()), None)?;
        let open = |name: &str, read: bool| {
            let path = stage.path(name);
            let opened = OpenOptions::new().read(read).write(!read).open(&path);
            opened.with_context(|| format!("cannot open {}", path.display()))
        };
        let mut browser = Self {
            _program: program,
            to: open("tmp/to-browser", false)?,
            from: open("tmp/from-browser", true)?,
            received: Vec::new(),
            last: 0,
            session: String::new(),
            complaints: Vec::new(),
        };
        let target = browser.tell("Target.createTarget", &json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.tell("Target.attachToTarget", &attach)?;
        session["sessionId"]
            .as_str()
            .context("no session")?
            .clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log"] {
            browser.tell(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(browser)
    }

    /// Tells it to do something, and waits until it is done.
    pub fn tell(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(message.to_string().as_bytes())?;
        self.to.write_all(b"\0")?;
        loop {
            let message = self.receive()?;
            if message["id"] == json!(self.last) {
                ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
                return Ok(message["result"].clone());
            }
        }
    }

    /// The next message; what the page complains of is remembered.
    fn receive(&mut self) -> Result<Value> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == 0) {
                let message: Value = serde_json::from_slice(&self.received[..end])?;
                self.received.drain(..=end);
                let parameters = &message["params"];
                let complains = match message["method"].as_str() {
                    Some("Runtime.exceptionThrown") => true,
                    Some("Runtime.consoleAPICalled") => parameters["type"] == "error" || parameters["type"] == "assert",
                    Some("Log.entryAdded") => parameters["entry"]["level"] == "error",
                    _ => false,
                };
                if complains {
                    self.complaints.push(parameters.to_string());
                }
                return Ok(message);
            }
            let mut bytes = [0; 4096];
            let count = self.from.read(&mut bytes)?;
            if count == 0 {
                bail!("the browser has ended");
            }
            self.received.extend_from_slice(&bytes[..count]);
        }
    }

    /// Opens a file on a screen of that size, light or dark.
    pub fn open(&mut self, file: &Path, columns: u32, rows: u32, is_dark: bool) -> Result<()> {
        let screen = json!({"width": columns, "height": rows, "deviceScaleFactor": 1, "mobile": columns < 600});
        self.tell("Emulation.setDeviceMetricsOverride", &screen)?;
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.tell("Emulation.setEmulatedMedia", &media)?;
        self.tell("Page.navigate", &json!({"url": format!("file://{}", file.display())}))?;
        while self.receive()?["method"] != "Page.loadEventFired" {}
        Ok(())
    }

    /// What an expression is in the page.
    pub fn ask(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.tell("Runtime.evaluate", &asked)?;
        ensure!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        Ok(answer["result"]["value"].clone())
    }

    /// An error unless an expression is true in the page.
    pub fn holds(&mut self, expression: &str) -> Result<()> {
        let found = self.ask(expression)?;
        ensure!(found == json!(true), "in the page this is {found}: {expression}");
        Ok(())
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) -> Result<()> {
        for kind in ["rawKeyDown", "char", "keyUp"] {
            let code = match key {
                "Enter" => 13,
                "Escape" => 27,
                "Tab" => 9,
                _ => 39,
            };
            let text = if kind == "char" && key == "Enter" { "\r" } else { "" };
            if kind == "char" && text.is_empty() {
                continue;
            }
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.tell("Input.dispatchKeyEvent", &event)?;
        }
        Ok(())
    }

    /// An error if the page complained of anything.
    pub fn is_content(&self) -> Result<()> {
        ensure!(
            self.complaints.is_empty(),
            "the page complains: {}",
            self.complaints.join("\n")
        );
        Ok(())
    }
}
