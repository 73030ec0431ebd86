//! A real registry on a free loopback port: Debian's `docker-registry`, started and stopped by us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::service::Service;

/// A registry that runs as long as this value lives.
#[derive(Debug)]
pub struct Registry(Service);

impl Registry {
    /// Starts a registry that keeps its blobs in `storage`; its configuration and log go to `work`.
    pub fn start(storage: &Path, work: &Path) -> Result<Self> {
        fs::create_dir_all(storage).with_context(|| format!("cannot make {}", storage.display()))?;
        let config = work.join("registry.yml");
        let command = |port| {
            fs::write(&config, configuration(storage, port))
                .with_context(|| format!("cannot write {}", config.display()))?;
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(&config);
            Ok(command)
        };
        let service = Service::start(&work.join("registry.log"), command)
            .context("there is no registry (Debian package docker-registry)")?;
        Ok(Self(service))
    }

    /// `HOST:PORT`, as it stands in references.
    pub fn host(&self) -> String {
        self.0.host()
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
    use std::net::TcpStream;

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
