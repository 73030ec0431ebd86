//! Which files the source words of COPY and ADD name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kiln_dockerfile::{glob, suggest};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};

use crate::context::Context;
use crate::error::{Missing, MissingCause, StepError, StepResult};

/// A file tree that is read.
pub(super) struct Tree<'a> {
    pub(super) root: BorrowedFd<'a>,
    /// Set for a directory of this machine.
    pub(super) context: Option<&'a Context>,
    /// For messages: `the build context`, `stage "build"`.
    pub(super) place: String,
}

/// What a source word names: a path without leading `/`, links not resolved; empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: String,
    /// Of what the path leads to, a final link followed.
    pub(super) kind: FileType,
}

impl Tree<'_> {
    /// The files that `word` names, sorted. A pattern may match nothing; a plain path that is not there is an error.
    pub(super) fn find(&self, word: &str) -> StepResult<Vec<Source>> {
        let path = clean(word);
        if glob::is_pattern(&path) {
            return self.matches(&path);
        }
        match self.kind(&path)? {
            Some(kind) if !self.excluded(&path, kind) => Ok(vec![Source { path, kind }]),
            _ => Err(StepError::Missing(self.missing(word, &path))),
        }
    }

    /// The type of what is at the path, links followed within the tree.
    fn kind(&self, path: &str) -> StepResult<Option<FileType>> {
        use rustix::io::Errno;
        match kiln_sandbox::open_in_root(self.root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => type_of(&file, path).map(Some),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
            Err(error) => Err(StepError::errno("open", path)(error)),
        }
    }

    /// The type of a directory's entry itself, which may be a link.
    pub(super) fn kind_of_entry(&self, path: &str) -> StepResult<Option<FileType>> {
        use rustix::io::Errno;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match kiln_sandbox::open_in_root(self.root, path, flags, Mode::empty()) {
            Ok(file) => type_of(&file, path).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(StepError::errno("open", path)(error)),
        }
    }

    pub(super) fn excluded(&self, path: &str, kind: FileType) -> bool {
        let Some(context) = self.context else { return false };
        context.excluded(path) && !(kind == FileType::Directory && context.may_reinclude_below(path))
    }

    fn matches(&self, pattern: &str) -> StepResult<Vec<Source>> {
        let mut found = vec![String::new()];
        for segment in pattern.split('/') {
            let mut next = Vec::new();
            for directory in &found {
                self.step_into(directory, segment, &mut next)?;
            }
            found = next;
        }
        let mut sources = Vec::new();
        for path in found {
            if let Some(kind) = self.kind(&path)?
                && !self.excluded(&path, kind)
            {
                sources.push(Source { path, kind });
            }
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(sources)
    }

    fn step_into(&self, directory: &str, segment: &str, next: &mut Vec<String>) -> StepResult<()> {
        let join = |name: &str| {
            if directory.is_empty() {
                name.to_owned()
            } else {
                format!("{directory}/{name}")
            }
        };
        if !glob::is_pattern(segment) {
            next.push(join(segment));
            return Ok(());
        }
        for name in self.names(directory)? {
            let fits = glob::matches(segment, &name)
                .map_err(|error| StepError::Invalid(format!("pattern `{segment}`: {error}")))?;
            if fits {
                next.push(join(&name));
            }
        }
        Ok(())
    }

    /// The names in a directory; none where it is no directory. Names that are not UTF-8 match no pattern.
    pub(super) fn names(&self, directory: &str) -> StepResult<Vec<String>> {
        use rustix::io::Errno;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match kiln_sandbox::open_in_root(self.root, directory, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
            Err(error) => return Err(StepError::errno("read", directory)(error)),
        };
        let entries = rustix::fs::Dir::read_from(opened.as_fd()).map_err(StepError::errno("read", directory))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(StepError::errno("read", directory))?;
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn missing(&self, written: &str, path: &str) -> Missing {
        let cause = self.cause(written, path).unwrap_or_else(|| MissingCause::Absent {
            nearest: self.nearest(path),
        });
        Missing {
            path: written.to_owned(),
            place: self.place.clone(),
            cause,
        }
    }

    fn cause(&self, written: &str, path: &str) -> Option<MissingCause> {
        if let Some(context) = self.context {
            if self.kind(path).ok().flatten().is_some() {
                return context.exclusion(path);
            }
            if context.exists_outside(written) {
                return Some(MissingCause::Outside);
            }
        }
        let actual = self.same_but_case(path)?;
        Some(MissingCause::Case { actual })
    }

    fn same_but_case(&self, path: &str) -> Option<String> {
        let mut found = String::new();
        for segment in path.split('/') {
            let names = self.names(&found).ok()?;
            let name = names
                .iter()
                .find(|name| *name == segment)
                .or_else(|| names.iter().find(|name| name.eq_ignore_ascii_case(segment)))?;
            found = if found.is_empty() {
                name.clone()
            } else {
                format!("{found}/{name}")
            };
        }
        Some(found)
    }

    /// Something with a similar name: beside the first part of the path that is not there, else with the same name
    /// one directory further down.
    fn nearest(&self, path: &str) -> Option<String> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let names = self.names(parent).ok()?;
        let join = |directory: &str, name: &str| {
            if directory.is_empty() {
                name.to_owned()
            } else {
                format!("{directory}/{name}")
            }
        };
        if let Some(similar) = suggest::closest(name, names.iter().map(String::as_str)) {
            return Some(join(parent, similar));
        }
        let top = self.names("").ok()?;
        top.into_iter()
            .find(|directory| {
                self.names(directory)
                    .is_ok_and(|names| names.iter().any(|other| other == name))
            })
            .map(|directory| join(&directory, name))
    }
}

fn type_of(file: &OwnedFd, path: &str) -> StepResult<FileType> {
    let stat = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::TYPE);
    let stat = stat.map_err(StepError::errno("examine", path))?;
    Ok(FileType::from_raw_mode(u32::from(stat.stx_mode)))
}

/// Relative to the tree's root: `.`, `..` and empty parts resolved without leaving it.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn cleaning_never_leaves_the_root() {
        for (path, cleaned) in [
            ("/a/b", "a/b"),
            ("../../a", "a"),
            ("a/../../b", "b"),
            (".", ""),
            ("./a//b/", "a/b"),
            ("", ""),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }
}
