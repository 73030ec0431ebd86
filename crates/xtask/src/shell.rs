//! `make shell`: everything that the README's walk-through needs, for as long as a shell runs.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::harness::Harness;
use crate::kiln::{Kiln, Profile};
use crate::{bases, command, packages};

/// Starts the user's shell and waits for its end.
pub fn run() -> Result<()> {
    packages::install()?;
    let harness = Harness::start(Profile::Release, bases::FOR_TESTS)?;
    eprintln!("docker.io is a registry at {} with", harness.registry.host());
    for base in bases::FOR_TESTS {
        eprintln!("  {base}");
    }
    eprintln!("The store goes when this shell does: `exit` ends it.");
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let mut shell = Command::new(shell);
    set(&mut shell, &harness.kiln, &harness.registry.host())?;
    // The last command's exit code is the shell's and means nothing to us.
    shell
        .status()
        .with_context(|| format!("cannot start `{}`", command::shown(&shell)))?;
    Ok(())
}

/// Gives a shell the program, the store and the registry of `kiln`.
pub fn set(shell: &mut Command, kiln: &Kiln, registry: &str) -> Result<()> {
    let command = kiln.command();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", path_with(kiln.program.parent().unwrap_or(Path::new("/")))?);
    shell.env("REGISTRY", registry);
    Ok(())
}

/// The search path with a directory in front.
fn path_with(directory: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).context("the search path has a directory with a colon in its name")
}
