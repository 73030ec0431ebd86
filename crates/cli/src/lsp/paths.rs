//! Paths of the build context that fit what is written.

use std::path::Path;

use kiln_dockerfile::ignore::Ignore;
use kiln_dockerfile::path::clean;
use kiln_lint::editor::PathQuery;
use rustix::fd::AsFd as _;
use rustix::fs::{Dir, FileType, Mode, OFlags};

use crate::context;

/// A path that fits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Its last part.
    pub(super) name: String,
    pub(super) directory: bool,
}

/// Of a directory with more entries, the others are not looked at.
const MOST_READ: usize = 10_000;

/// More are not offered at once.
const MOST_OFFERED: usize = 200;

/// The entries of a directory of the context that fit, and whether those are all. Links do not lead out of the context.
pub(super) fn find(context: &Path, dockerfile: Option<&Path>, query: &PathQuery) -> (Vec<Entry>, bool) {
    let (directory, start) = query.written.rsplit_once('/').unwrap_or(("", &query.written));
    // Whatever is in front of it, a source is one of the context.
    let directory = clean(&format!("/{directory}"));
    let directory = directory.trim_start_matches('/');
    let Some(names) = list(context, directory) else {
        return (Vec::new(), true);
    };
    let ignore = if query.ignores {
        context::ignore_of(context, dockerfile)
    } else {
        Ignore::default()
    };
    let read_all = names.len() < MOST_READ;
    let fits = |entry: &Entry| {
        // As in shells, what begins with a dot is shown to those who ask for it.
        let hidden = entry.name.starts_with('.') && !start.starts_with('.');
        let path = format!("{directory}/{}", entry.name);
        let in_context = !ignore.decide(&path).excluded || entry.directory && ignore.may_reinclude_below(&path);
        entry.name.starts_with(start) && !hidden && in_context
    };
    let mut found: Vec<Entry> = names.into_iter().filter(fits).collect();
    found.sort();
    let all = read_all && found.len() <= MOST_OFFERED;
    found.truncate(MOST_OFFERED);
    (found, all)
}

/// What is in a directory; `None` if it cannot be read.
fn list(context: &Path, directory: &str) -> Option<Vec<Entry>> {
    let open = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let root = rustix::fs::open(context, open, Mode::empty()).ok()?;
    let directory = if directory.is_empty() { "." } else { directory };
    let opened = kiln_sandbox::open_in_root(root.as_fd(), directory, open, Mode::empty()).ok()?;
    let mut found = Vec::new();
    for entry in Dir::read_from(&opened).ok()?.take(MOST_READ) {
        let Ok(entry) = entry else { continue };
        let Ok(name) = entry.file_name().to_str() else { continue };
        if matches!(name, "." | "..") || name.chars().any(char::is_control) {
            continue;
        }
        found.push(Entry {
            name: name.to_owned(),
            directory: entry.file_type() == FileType::Directory,
        });
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_are_those_of_the_context() {
        let directory = tempfile::tempdir().unwrap();
        let context = directory.path().join("context");
        for path in ["src/a/deep", "src/b", "secret", "node_modules/x", ".git"] {
            fs::create_dir_all(context.join(path)).unwrap();
        }
        for path in ["src/main.c", "src/make", ".env", "one.lock", "two.lock"] {
            fs::write(context.join(path), "").unwrap();
        }
        fs::create_dir_all(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/file"), "").unwrap();
        symlink("../outside", context.join("out")).unwrap();
        symlink("/", context.join("top")).unwrap();
        symlink("src", context.join("link")).unwrap();
        fs::write(
            context.join(".dockerignore"),
            "secret\nnode_modules\n!node_modules/x\n*.lock\n!one.lock\n",
        )
        .unwrap();
        let found = |written: &str, ignores| {
            let query = PathQuery {
                written: written.to_owned(),
                ignores,
            };
            let (entries, all) = find(&context, None, &query);
            assert!(all);
            let shown = |entry: Entry| entry.name + if entry.directory { "/" } else { "" };
            entries.into_iter().map(shown).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("", true), "link node_modules/ one.lock out src/ top");
        assert_eq!(
            found("", false),
            "link node_modules/ one.lock out secret/ src/ top two.lock"
        );
        assert_eq!(found(".e", true), ".env");
        assert_eq!(found("src/ma", true), "main.c make");
        assert_eq!(found("/src/ma", true), "main.c make");
        assert_eq!(found("link/ma", true), "main.c make");
        // The root of what a link or `..` leads to is the context.
        assert_eq!(found("out/", true), "");
        assert_eq!(found("../", true), found("", true));
        assert_eq!(found("../../outside/", true), "");
        assert_eq!(found("top/o", false), "one.lock out");
        assert_eq!(found("nowhere/", true), "");
    }
}
