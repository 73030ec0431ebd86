//! The SSH agents of a build: of whoever builds, or one of the build's own that holds keys out of files.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{StepError, StepResult};

/// Starts the agent, and ends it.
const SCRIPT: &str = include_str!("agent.sh");

/// An SSH agent that steps and git are given (`--ssh`).
#[derive(Debug, Clone)]
pub struct Agent(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Socket(PathBuf),
    Keys(Arc<Keys>),
}

/// An agent that is started when it is first needed, by the `ssh-agent` of this machine. It ends with the build.
#[derive(Debug)]
struct Keys {
    files: Vec<PathBuf>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    /// Ends when its standard input is closed.
    child: Child,
    socket: PathBuf,
}

impl Agent {
    /// One that listens on a socket.
    pub fn at(socket: PathBuf) -> Self {
        Self(Kind::Socket(socket))
    }

    /// One for the keys in these files. Keys with passphrases cannot be used: nobody is asked for them.
    pub fn of_keys(files: Vec<PathBuf>) -> Self {
        let running = Mutex::new(None);
        Self(Kind::Keys(Arc::new(Keys { files, running })))
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// If the machine has no `ssh-agent`, or that takes the keys not.
    pub(crate) fn socket(&self) -> StepResult<PathBuf> {
        match &self.0 {
            Kind::Socket(path) => Ok(path.clone()),
            Kind::Keys(keys) => keys.socket(),
        }
    }
}

impl Keys {
    fn socket(&self) -> StepResult<PathBuf> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*running {
            return Ok(running.socket.clone());
        }
        let started = Running::start(&self.files)?;
        Ok(running.insert(started).socket.clone())
    }
}

impl Running {
    fn start(files: &[PathBuf]) -> StepResult<Self> {
        let mut child = Command::new("sh")
            .args([OsStr::new("-c"), OsStr::new(SCRIPT), OsStr::new("ssh-agent")])
            .args(files)
            // A passphrase is asked of this program, which has none.
            .env("SSH_ASKPASS", "false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            // Ctrl-C is for Kiln to handle.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(StepError::io("start", "ssh-agent"))?;
        let mut socket = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let read = BufReader::new(stdout).read_until(b'\n', &mut socket);
            read.map_err(StepError::io("read what it says of", "ssh-agent"))?;
        }
        if socket.pop() == Some(b'\n') {
            let socket = PathBuf::from(std::ffi::OsString::from_vec(socket));
            return Ok(Self { child, socket });
        }
        Err(refused(child, files))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

/// Why there is no agent: what was said last.
fn refused(mut child: Child, files: &[PathBuf]) -> StepError {
    let mut said = String::new();
    if let Some(stderr) = child.stderr.take() {
        let _whatever_came = stderr.take(16 << 10).read_to_string(&mut said);
    }
    let _ended = child.wait();
    let why = said.trim().lines().last().unwrap_or("it said nothing").to_owned();
    let names: Vec<_> = files
        .iter()
        .map(|file: &PathBuf| Path::display(file).to_string())
        .collect();
    StepError::Invalid(format!(
        "--ssh: ssh-agent could not take the key {} (it needs Debian's openssh-client, and keys without a passphrase): {why}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn key(directory: &Path, name: &str, passphrase: &str) -> PathBuf {
        let path = directory.join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", passphrase, "-f"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        path
    }

    #[test]
    fn an_agent_holds_keys_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let keys = vec![key(directory.path(), "a", ""), key(directory.path(), "b", "")];
        let agent = Agent::of_keys(keys);
        let socket = agent.socket().unwrap();
        assert_eq!(agent.clone().socket().unwrap(), socket);
        let listed = Command::new("ssh-add").arg("-l").env("SSH_AUTH_SOCK", &socket).output();
        assert_eq!(String::from_utf8(listed.unwrap().stdout).unwrap().lines().count(), 2);
        drop(agent);
        assert!(UnixStream::connect(&socket).is_err());
        assert!(!socket.parent().unwrap().exists());
    }

    #[test]
    fn what_is_no_usable_key_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("text");
        std::fs::write(&text, "no key\n").unwrap();
        for file in [text, key(directory.path(), "locked", "secret")] {
            let error = Agent::of_keys(vec![file.clone()]).socket().unwrap_err().to_string();
            assert!(error.contains(file.to_str().unwrap()), "{error}");
        }
    }
}
