//! A real S3 server: moto's, from `PyPI`, in a virtual environment below the cache of base images.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::service::Service;
use crate::{command, paths};

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
        let python = python()?;
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

/// The interpreter that has the packages.
fn python() -> Result<PathBuf> {
    let base = paths::cache()?;
    fs::create_dir_all(&base)?;
    // Several tests may want it at once.
    let lock = File::create(base.join("object-storage.lock"))?;
    lock.lock()?;
    let directory = base.join("object-storage");
    let (python, done) = (directory.join("bin/python"), directory.join("done"));
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&directory);
    command::quietly(&mut make).context("cannot make a virtual environment (Debian package python3-venv)")?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet"]).args(PACKAGES);
    command::quietly(&mut install).context("cannot install an S3 server from PyPI")?;
    fs::write(&done, wanted)?;
    Ok(python)
}
