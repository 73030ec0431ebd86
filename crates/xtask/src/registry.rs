//! A real registry on a free loopback port: Debian's `docker-registry`, started and stopped by us.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// A registry that runs as long as this value lives.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    /// Starts a registry that keeps its blobs in `storage`; its configuration and log go to `work`.
    pub fn start(storage: &Path, work: &Path) -> Result<Self> {
        fs::create_dir_all(storage).with_context(|| format!("cannot make {}", storage.display()))?;
        // Somebody may take the port between our look and the registry's: then another one.
        for _ in 0..5 {
            if let Some(registry) = Self::try_start(storage, work)? {
                return Ok(registry);
            }
        }
        bail!(
            "docker-registry does not start; see {}",
            work.join("registry.log").display()
        )
    }

    fn try_start(storage: &Path, work: &Path) -> Result<Option<Self>> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let config = work.join("registry.yml");
        fs::write(&config, configuration(storage, port))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let log = fs::File::create(work.join("registry.log"))?;
        // setpriv: the kernel ends the registry with us, even if we are killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig=KILL", "docker-registry", "serve"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start docker-registry (Debian package docker-registry) through setpriv (util-linux)")?;
        let mut registry = Self { child, port };
        Ok(registry.answers()?.then_some(registry))
    }

    fn answers(&mut self) -> Result<bool> {
        let deadline = Instant::now() + Duration::from_secs(20);
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

    /// `HOST:PORT`, as it stands in references.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Whether `name:tag` is there.
    pub fn has(&self, reference: &str) -> Result<bool> {
        let reference = format!("docker://{}/{reference}", self.host());
        let output = crate::command::output(Command::new("skopeo").args([
            "inspect",
            "--raw",
            "--tls-verify=false",
            &reference,
        ]))?;
        Ok(output.status.success())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn configuration(storage: &Path, port: u16) -> String {
    let storage = storage.display();
    format!(
        "version: 0.1\n\
         log:\n  level: warn\n\
         storage:\n  filesystem:\n    rootdirectory: \"{storage}\"\n  delete:\n    enabled: true\n\
         http:\n  addr: 127.0.0.1:{port}\n  secret: loopback-only\n"
    )
}

/// Writes the `registries.conf` that maps docker.io to the registry at `host`.
pub fn write_registries_conf(path: &Path, host: &str) -> Result<PathBuf> {
    let text = format!(
        "# Written by the harness: docker.io is the registry that it started.\n\
         unqualified-search-registries = [\"docker.io\"]\n\n\
         [[registry]]\n\
         prefix = \"docker.io\"\n\
         location = \"{host}\"\n\
         insecure = true\n"
    );
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_answers_and_ends() {
        if !crate::command::exists("docker-registry") {
            eprintln!("SKIPPED: docker-registry is not installed");
            assert!(std::env::var_os("CI").is_none(), "CI must have docker-registry");
            return;
        }
        let work = tempfile::tempdir().unwrap();
        let registry = Registry::start(&work.path().join("storage"), work.path()).unwrap();
        let host = registry.host();
        assert!(!registry.has("library/nothing:latest").unwrap());
        drop(registry);
        assert!(TcpStream::connect(host).is_err());
    }
}
