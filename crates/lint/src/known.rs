//! What the caller knows of the world, for fixes that need it: the linter itself asks nobody.

use std::collections::BTreeMap;

/// Who installs a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Manager {
    /// apt-get
    Apt,
    /// apk
    Apk,
    /// yum, dnf and microdnf
    Dnf,
    /// zypper
    Zypper,
    /// pip
    Pip,
    /// npm
    Npm,
    /// gem
    Gem,
    /// go
    Go,
}

impl Manager {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Apt,
        Self::Apk,
        Self::Dnf,
        Self::Zypper,
        Self::Pip,
        Self::Npm,
        Self::Gem,
        Self::Go,
    ];

    /// Its name, as files of versions have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Apk => "apk",
            Self::Dnf => "dnf",
            Self::Zypper => "zypper",
            Self::Pip => "pip",
            Self::Npm => "npm",
            Self::Gem => "gem",
            Self::Go => "go",
        }
    }
}

/// Versions of packages, by who installs them and by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions(BTreeMap<Manager, BTreeMap<String, String>>);

impl Versions {
    /// Adds one. What cannot be a version in a command line is left out, and the first that is given of a package stays.
    pub fn add(&mut self, manager: Manager, name: &str, version: &str) {
        let starts = version.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts
            && version
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".+~:_-^".contains(c))
        {
            let versions = self.0.entry(manager).or_default();
            versions
                .entry(same_name(manager, name))
                .or_insert_with(|| version.to_owned());
        }
    }

    /// The version of a package.
    pub fn get(&self, manager: Manager, name: &str) -> Option<&str> {
        let versions = self.0.get(&manager)?;
        versions.get(&same_name(manager, name)).map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A name in the one form of those that mean the same package.
fn same_name(manager: Manager, name: &str) -> String {
    match manager {
        Manager::Pip => name.to_ascii_lowercase().replace(['_', '.'], "-"),
        _ => name.to_owned(),
    }
}

/// What is known of a base image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// What FROM may say in its place that always means the same image: with a tag or a digest.
    pub pinned: Option<String>,
    /// What its package managers would install.
    pub versions: Versions,
    /// Its working directory.
    pub directory: Option<String>,
    /// Its user; empty for root.
    pub user: Option<String>,
    /// The numbers of its users, by name.
    pub users: BTreeMap<String, u32>,
}

/// All that the caller knows; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Base images, as FROM names them.
    pub bases: BTreeMap<String, Base>,
    /// Versions of packages on any image; they come before what an image itself says.
    pub versions: Versions,
}

impl Known {
    /// The version of a package on a base image.
    pub(crate) fn version(&self, base: Option<&str>, manager: Manager, name: &str) -> Option<&str> {
        let own = || self.bases.get(base?)?.versions.get(manager, name);
        self.versions.get(manager, name).or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let mut versions = Versions::default();
        versions.add(Manager::Pip, "Flask_SQL", "3.1");
        versions.add(Manager::Pip, "flask-sql", "4");
        versions.add(Manager::Apt, "a", "1; rm -rf /");
        versions.add(Manager::Apt, "b", "");
        assert_eq!(versions.get(Manager::Pip, "flask.sql"), Some("3.1"));
        assert_eq!(versions.get(Manager::Npm, "flask-sql"), None);
        assert_eq!(versions.get(Manager::Apt, "a"), None);
        assert_eq!(versions.get(Manager::Apt, "b"), None);
    }
}
