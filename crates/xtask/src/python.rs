//! Programs from `PyPI`, in virtual environments below the cache of base images.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{command, paths};

/// The `bin` directory of an environment that has these packages, which is made if need be.
pub fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let base = paths::cache()?;
    fs::create_dir_all(&base)?;
    // Several tests may want it at once.
    let lock = File::create(base.join(format!("{name}.lock")))?;
    lock.lock()?;
    let directory = base.join(name);
    let (bin, done) = (directory.join("bin"), directory.join("done"));
    let wanted = packages.join("\n");
    if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Ok(bin);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&directory);
    command::quietly(&mut make).context("cannot make a virtual environment (Debian package python3-venv)")?;
    let mut install = Command::new(bin.join("python"));
    install.args(["-m", "pip", "install", "--quiet"]).args(packages);
    command::quietly(&mut install).with_context(|| format!("cannot install {name} from PyPI"))?;
    fs::write(&done, wanted)?;
    Ok(bin)
}
