//! Running the program `git`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_plan::password;
use rustix::process::{Pid, Signal};

use super::Git;
use crate::error::{StepError, StepResult};
use crate::event::Event;

/// How often it is looked whether git is done or the build cancelled.
const PAUSE: Duration = Duration::from_millis(20);

impl Git<'_> {
    /// Runs git to its end; its complaints go to the task's output.
    pub(super) fn run(&self, args: &[&str]) -> StepResult<()> {
        self.output(args).map(drop)
    }

    /// The same, and gives what it says.
    pub(super) fn output(&self, args: &[&str]) -> StepResult<String> {
        let mut child = self.command(args)?.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StepError::Unsupported(format!(
                "{}: repositories need the program `git`, which is not installed or not on the PATH",
                self.shown()
            )),
            _ => StepError::io("start", "git")(error),
        })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            let said = scope.spawn(|| {
                let mut text = String::new();
                let read = stdout.map(|mut pipe| pipe.read_to_string(&mut text));
                read.transpose().map(|_| text)
            });
            let complaints = scope.spawn(|| self.forward(stderr));
            let status = self.wait(&mut child)?;
            let complaint = complaints.join().unwrap_or_default();
            if !status.success() {
                let command = args.first().copied().unwrap_or_default();
                return Err(StepError::Invalid(format!(
                    "git {command} of {} failed: {complaint}",
                    self.shown()
                )));
            }
            let said = said.join().unwrap_or_else(|_| Ok(String::new()));
            said.map_err(StepError::io("read", "git's output"))
        })
    }

    fn command(&self, args: &[&str]) -> StepResult<Command> {
        let mut command = Command::new("git");
        command
            .current_dir(&self.directory)
            // Neither this machine's settings nor the repository's hooks have a say, and nobody is asked anything.
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "protocol.file.allow=never",
                "-c",
                "safe.directory=*",
            ])
            .args(args)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSH_COMMAND", ssh(self.fetcher.access.known_hosts.as_deref()))
            // What git starts itself ends with it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match self.fetcher.access.agents.get("default") {
            Some(agent) => command.env("SSH_AUTH_SOCK", agent.socket()?),
            None => command.env_remove("SSH_AUTH_SOCK"),
        };
        if let Some(bundle) = &self.fetcher.access.ca_bundle {
            command.env("GIT_SSL_CAINFO", bundle);
        }
        if let Some((scope, header)) = self.authorization() {
            // Not as an argument, which others could read.
            command
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", format!("http.{scope}.extraheader"))
                .env("GIT_CONFIG_VALUE_0", format!("Authorization: {header}"));
        }
        Ok(command)
    }

    /// Credentials among the build's secrets, under BuildKit's names, for the server of the URL.
    fn authorization(&self) -> Option<(String, String)> {
        let (scheme, rest) = self.wanted.url.split_once("://")?;
        let host = rest.split(['/', '?', '#']).next()?;
        let host = host.rsplit('@').next()?;
        let scope = format!("{scheme}://{host}/");
        let secret = |name: &str| {
            let text = self.fetcher.access.secret(name).ok()??;
            Some(String::from_utf8(text).ok()?.trim().to_owned())
        };
        let header = secret(&format!("GIT_AUTH_HEADER.{host}")).or_else(|| secret("GIT_AUTH_HEADER"));
        let token = || secret(&format!("GIT_AUTH_TOKEN.{host}")).or_else(|| secret("GIT_AUTH_TOKEN"));
        let header = header.or_else(|| {
            Some(format!(
                "basic {}",
                STANDARD.encode(format!("x-access-token:{}", token()?))
            ))
        })?;
        Some((scope, header))
    }

    /// Passes git's complaints on and gives their last line.
    fn forward(&self, stderr: Option<ChildStderr>) -> String {
        let mut last = String::new();
        for line in stderr.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
            let Ok(mut line) = line else { break };
            if let Some(password) = password(&self.wanted.url).filter(|password| !password.is_empty()) {
                line = line.replace(password, "xxxxx");
            }
            self.fetcher.sink.event(Event::Log {
                id: self.task,
                stderr: true,
                data: format!("{line}\n").into_bytes().into(),
            });
            if !line.trim().is_empty() {
                last = line;
            }
        }
        last
    }

    fn wait(&self, child: &mut Child) -> StepResult<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait().map_err(StepError::io("wait for", "git"))? {
                return Ok(status);
            }
            if self.fetcher.cancel.wait(PAUSE)? {
                end_group(child);
                return Err(StepError::Canceled);
            }
        }
    }
}

/// How git calls `ssh`, which would look for what it knows where the user of the namespace lives, root. Who is met for the
/// first time is believed, as with BuildKit, and remembered; who has another key than before is not.
fn ssh(known_hosts: Option<&Path>) -> String {
    const COMMAND: &str = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new";
    // What the shell or ssh would read as something else than a path is left out.
    let plain = |path: &&str| !path.contains(['\\', '"', '\'', '%', '$']);
    match known_hosts.and_then(Path::to_str).filter(plain) {
        Some(path) => format!("{COMMAND} -o 'UserKnownHostsFile=\"{path}\"'"),
        None => COMMAND.to_owned(),
    }
}

/// Ends git and whatever it started, which would go on waiting for a server that says nothing.
fn end_group(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let _ended_already = group.map(|group| rustix::process::kill_process_group(group, Signal::KILL));
    let _reaped = child.wait();
}
