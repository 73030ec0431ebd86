//! Servers of others on a free loopback port, started and stopped by us.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::command::shown;

/// A server that runs as long as this value lives.
#[derive(Debug)]
pub struct Service {
    child: Child,
    port: u16,
}

impl Service {
    /// Starts the server that `command` gives for a port. What it says goes to `log`.
    pub fn start(log: &Path, command: impl Fn(u16) -> Result<Command>) -> Result<Self> {
        // Somebody may take the port between our look and the server's: then another one.
        for _ in 0..5 {
            if let Some(service) = Self::try_start(log, &command)? {
                return Ok(service);
            }
        }
        bail!("the server does not start; see {}", log.display())
    }

    fn try_start(log: &Path, command: impl Fn(u16) -> Result<Command>) -> Result<Option<Self>> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let command = command(port)?;
        let log = fs::File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        // setpriv: the kernel ends the server with us, even if we are killed.
        let child = Command::new("setpriv")
            .arg("--pdeathsig=KILL")
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start `{}` through setpriv (util-linux)", shown(&command)))?;
        let mut service = Self { child, port };
        Ok(service.answers()?.then_some(service))
    }

    fn answers(&mut self) -> Result<bool> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(true);
            }
            sleep(Duration::from_millis(10));
        }
        Ok(false)
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
