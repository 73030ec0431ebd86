//! A real S3 server: moto's, from `PyPI`, in a virtual environment below the cache of base images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::python;
use crate::service::Service;

/// What `pip` installs: the server, and what it serves with.
const PACKAGES: [&str; 3] = ["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"];

/// A server that runs as long as this value lives. It takes any key, and requests without one.
#[derive(Debug)]
pub struct ObjectStorage {
    service: Service,
    log: PathBuf,
}

impl ObjectStorage {
    /// Starts one, which is installed first if need be. Its log goes to `work`.
    pub fn start(work: &Path) -> Result<Self> {
        let python = python::environment("object-storage", &PACKAGES)?.join("python");
        let log = work.join("object-storage.log");
        let service = Service::start(&log, |port| {
            let mut command = Command::new(&python);
            command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
            Ok(command)
        })?;
        Ok(Self { service, log })
    }

    /// `http://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.service.host())
    }

    /// `GET /path` of every request so far.
    pub fn requests(&self) -> Result<Vec<String>> {
        let log = fs::read_to_string(&self.log)?;
        let request = |line: &str| {
            let (_, request) = line.split_once("] \"")?;
            // A status that is no success is coloured.
            let request = request.trim_start_matches(|letter: char| !letter.is_ascii_uppercase());
            let mut words = request.split([' ', '?']);
            Some(format!("{} {}", words.next()?, words.next()?))
        };
        Ok(log.lines().filter_map(request).collect())
    }
}
