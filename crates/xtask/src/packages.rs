//! Debian packages that the machine needs.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{command, paths, user};

/// The packages that `scripts/packages.txt` names.
pub fn wanted() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(paths::workspace().join("scripts/packages.txt"))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The packages that are wanted and not there.
pub fn missing() -> Result<Vec<String>> {
    let wanted = wanted()?;
    let format = ["-W", "-f", "${Package} ${db:Status-Status}\n"];
    let output = command::output(Command::new("dpkg-query").args(format).args(&wanted))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let there = |name: &str| said.lines().any(|line| line == format!("{name} installed"));
    Ok(wanted.into_iter().filter(|name| !there(name)).collect())
}

/// Installs what is missing, and says what it is. Needs root for that; an ordinary user without `sudo` is told the
/// command.
pub fn install() -> Result<()> {
    let missing = missing()?;
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    eprintln!("installing Debian packages: {names}");
    let become_root: &[&str] = match user::is_root() {
        true => &[],
        false if command::exists("sudo") => &["sudo"],
        false => bail!("Debian packages are missing, and only root can install them:\n  apt-get install {names}"),
    };
    let words =
        |rest: &[&str]| -> Vec<String> { become_root.iter().chain(rest).map(|&word| word.to_owned()).collect() };
    let update = words(&["apt-get", "update", "-q"]);
    command::quietly(Command::new(&update[0]).args(&update[1..]))?;
    let mut install = words(&[
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "-y",
        "-q",
    ]);
    install.push("--no-install-recommends".into());
    install.extend(missing);
    command::quietly(Command::new(&install[0]).args(&install[1..]))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blanks_are_no_packages() {
        assert_eq!(parse("# why\n\ngcc\n  make # too\n"), ["gcc", "make"]);
    }

    #[test]
    fn there_is_a_list() {
        assert!(wanted().unwrap().contains(&"mmdebstrap".to_owned()));
    }
}
