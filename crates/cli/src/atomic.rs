//! Files that are whole or not there.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Writes a file under a temporary name beside its place, then puts it there. What is no ordinary file
/// (`/dev/stdout`, a pipe) is written in place.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    // A link stays one: its target is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = beside(&path);
    let result = fs::write(&temporary, content).and_then(|()| fs::rename(&temporary, &path));
    if result.is_err() {
        let _nothing_to_remove = fs::remove_file(&temporary);
    }
    result
}

/// Makes sure that [`write`] can be expected to work.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return fs::OpenOptions::new().write(true).open(path).map(drop);
    }
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = beside(&path);
    fs::write(&temporary, "").and_then(|()| fs::remove_file(&temporary))
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("id");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(write(&directory.path().join("no/id"), b"").is_err());
        write(Path::new("/dev/null"), b"x").unwrap();
    }

    #[test]
    fn knows_before_whether_a_file_can_be_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("id");
        check(&path).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        fs::write(&path, "old").unwrap();
        check(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        check(Path::new("/dev/null")).unwrap();
        assert!(check(directory.path()).is_err());
        assert!(check(&directory.path().join("no/id")).is_err());
    }
}
