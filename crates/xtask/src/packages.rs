//! Debian packages that the machine needs: `scripts/packages.txt`.

use std::process::Command;

use anyhow::Result;

use crate::{command, paths};

/// Installs what is missing, and says what it is. Needs root for that; an ordinary user is told the command.
pub fn install() -> Result<()> {
    command::run(&mut Command::new(paths::workspace().join("scripts/install-packages")))
}
