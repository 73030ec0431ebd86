//! Indexes of packages that a base image may still have: what apt-get and apk would install.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::Read as _;

use kiln_inspect::packages::{Ecosystem, compare};
use kiln_layer::tar::Reader;

/// More of an index, in bytes, is not read: that of Alpine's largest repository has 10 MB.
const LARGEST: u64 = 64 << 20;

/// The highest version of each package, which is what is installed where nobody says otherwise.
pub(super) struct Newest {
    ecosystem: Ecosystem,
    versions: HashMap<String, String>,
}

impl Newest {
    pub(super) fn of(ecosystem: Ecosystem) -> Self {
        Self {
            ecosystem,
            versions: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, name: &str, version: &str) {
        let Some(highest) = self.versions.get_mut(name) else {
            self.versions.insert(name.to_owned(), version.to_owned());
            return;
        };
        if compare(self.ecosystem, version, highest) == Some(Ordering::Greater) {
            version.clone_into(highest);
        }
    }

    /// Names and versions.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&str, &str)> {
        let both = self.versions.iter();
        both.map(|(name, version)| (name.as_str(), version.as_str()))
    }

    /// Adds the packages of an index, whose paragraphs have names and versions in lines that begin with these words.
    pub(super) fn read(&mut self, text: &str, [name, version]: [&str; 2]) {
        for paragraph in text.split("\n\n") {
            let field = |word: &str| {
                let line = paragraph.lines().find_map(|line| line.strip_prefix(word));
                line.map(str::trim).filter(|value| !value.is_empty())
            };
            if let (Some(name), Some(version)) = (field(name), field(version)) {
                self.add(name, version);
            }
        }
    }
}

/// The index in an `APKINDEX.tar.gz`: a signature and a tar, each compressed by itself. Empty if there is none.
pub(super) fn of_archive(bytes: &[u8]) -> String {
    read_archive(bytes).unwrap_or_default()
}

fn read_archive(bytes: &[u8]) -> Option<String> {
    let mut reader = Reader::new(kiln_layer::uncompressed(bytes).ok()?.take(LARGEST));
    while let Some(entry) = reader.next_entry().ok()? {
        if entry.path != b"APKINDEX" {
            continue;
        }
        let mut text = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match reader.read_content(&mut buffer).ok()? {
                0 => return Some(String::from_utf8_lossy(&text).into_owned()),
                count => text.extend_from_slice(&buffer[..count]),
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_counts() {
        let mut found = Newest::of(Ecosystem::Deb);
        found.read(
            "Package: a\nVersion: 1.9\n\nPackage: b\n\nPackage: a\nVersion: 1.10\n\nPackage: a\nVersion: 1.2\n",
            ["Package:", "Version:"],
        );
        assert_eq!(found.versions().collect::<Vec<_>>(), [("a", "1.10")]);
        let mut found = Newest::of(Ecosystem::Apk);
        found.read(
            "C:Q1\nP:a\nV:1.2-r9\n\nP:a\nV:1.2-r10\nA:x86_64\n\nP:a\nV:1.2_rc1-r11\n",
            ["P:", "V:"],
        );
        assert_eq!(found.versions().collect::<Vec<_>>(), [("a", "1.2-r10")]);
    }

    #[test]
    fn what_is_no_index_is_empty() {
        for bytes in [&b""[..], b"x", b"\x1f\x8b\x08", &[0; 2000]] {
            assert_eq!(of_archive(bytes), "");
        }
    }
}
