//! Who runs us, and running commands as somebody else.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command;

/// Whether we are root.
pub fn is_root() -> bool {
    // The owner of our own directory in /proc is our effective user.
    std::os::unix::fs::MetadataExt::uid(&match std::fs::metadata("/proc/self") {
        Ok(metadata) => metadata,
        Err(_) => return false,
    }) == 0
}

/// An ordinary user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
    /// Its home.
    pub home: PathBuf,
}

impl User {
    /// Looks a user up.
    pub fn find(name: &str) -> Result<Option<Self>> {
        let text = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        Ok(text
            .lines()
            .find_map(|line| Self::parse(line).filter(|user| user.name == name)))
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        Some(Self {
            name: (*fields.first()?).to_owned(),
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
            home: PathBuf::from(fields.get(5)?),
        })
    }

    /// Finds a user, or adds it, with a range of subordinate ids. Only for machines that are thrown away, as CI's.
    pub fn find_or_add(name: &str) -> Result<Self> {
        if Self::find(name)?.is_none() {
            command::quietly(Command::new("useradd").args(["--create-home", "--shell", "/bin/sh", name]))?;
        }
        let user = Self::find(name)?.with_context(|| format!("user {name} was added and is not there"))?;
        for (file, option) in [("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")] {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if !text.lines().any(|line| line.starts_with(&format!("{name}:"))) {
                command::quietly(Command::new("usermod").args([option, "400000-465535", name]))?;
            }
        }
        Ok(user)
    }

    /// Makes a command one of this user's; everything that was set on it before stays.
    pub fn wrap(&self, inner: &Command) -> Command {
        let mut outer = Command::new("setpriv");
        outer.args([
            format!("--reuid={}", self.uid),
            format!("--regid={}", self.gid),
            "--clear-groups".into(),
        ]);
        outer.arg("--").arg(inner.get_program()).args(inner.get_args());
        if let Some(directory) = inner.get_current_dir() {
            outer.current_dir(directory);
        }
        outer
            .env("HOME", &self.home)
            .env("USER", &self.name)
            .env_remove("XDG_RUNTIME_DIR");
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        outer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_of_passwd() {
        let user = User::parse("kiln-test:x:1001:1002::/home/kiln-test:/bin/sh").unwrap();
        assert_eq!(
            (user.uid, user.gid, user.home.to_str()),
            (1001, 1002, Some("/home/kiln-test"))
        );
        assert_eq!(User::parse("broken"), None);
    }
}
