//! Which files the source words of COPY and ADD name.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use kiln_dockerfile::{glob, suggest};
use kiln_layer::Filter;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};

use crate::cancel::Cancel;
use crate::context::Context;
use crate::error::{Missing, MissingCause, StepError, StepResult};
use crate::known_files::KnownLayers;

/// A file tree that is read.
pub(crate) struct Tree<'a> {
    pub(crate) root: BorrowedFd<'a>,
    /// Set for a directory of this machine.
    pub(crate) context: Option<&'a Context>,
    /// What is known of the files of layers.
    pub(crate) known: Option<KnownLayers<'a>>,
    /// For messages: `the build context`, `stage "build"`.
    pub(crate) place: String,
    pub(crate) cancel: &'a Cancel,
}

/// What a source word names: a path without leading `/`, links not resolved; empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) path: String,
    /// What is read: in local contexts the path with all links resolved, since ignore files speak of files and not of
    /// the ways to them; elsewhere the path.
    pub(crate) real: PathBuf,
    /// Of what the path leads to, a final link followed.
    pub(crate) kind: FileType,
}

/// Where the kernel says that an open file is: below the root of this process or of a mount that is nowhere.
pub(super) fn path_of(file: BorrowedFd<'_>) -> rustix::io::Result<PathBuf> {
    let path = rustix::fs::readlink(format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new())?;
    Ok(PathBuf::from(OsStr::from_bytes(path.as_bytes())))
}

impl Tree<'_> {
    /// The filter, which lets nothing more pass once the build is cancelled: reading a large tree ends soon then. What
    /// was read is not whole; [`check`](Self::check) must follow.
    pub(super) fn until_canceled<'f>(
        &'f self,
        filter: &'f dyn Fn(&Path, bool) -> Filter,
    ) -> impl Fn(&Path, bool) -> Filter + 'f {
        move |path, directory| {
            if self.cancel.is_canceled() {
                Filter::Exclude
            } else {
                filter(path, directory)
            }
        }
    }

    /// An error if the build was cancelled.
    pub(super) fn check(&self) -> StepResult<()> {
        if self.cancel.is_canceled() {
            return Err(StepError::Canceled);
        }
        Ok(())
    }

    /// The files that `word` names, sorted. A pattern may match nothing; a plain path that is not there is an error.
    pub(crate) fn find(&self, word: &str) -> StepResult<Vec<Source>> {
        let path = clean(word);
        if glob::is_pattern(&path) {
            return self.matches(&path);
        }
        match self.visible(&path)? {
            Some(source) => Ok(vec![source]),
            None => Err(StepError::Missing(self.missing(word, &path))),
        }
    }

    /// What is at the path, links followed within the tree, unless the ignore file leaves it out.
    pub(super) fn visible(&self, path: &str) -> StepResult<Option<Source>> {
        let Some(found) = self.look(path)? else { return Ok(None) };
        // The link that leads there may be left out, too.
        let real = found.real.to_string_lossy();
        let left_out = self.is_left_out(path, found.kind)? || self.is_left_out(&real, found.kind)?;
        Ok(Some(found).filter(|_| !left_out))
    }

    /// What is at the path, links followed within the tree; whether or not it is excluded.
    pub(super) fn look(&self, path: &str) -> StepResult<Option<Source>> {
        use rustix::io::Errno;
        match kiln_sandbox::open_in_root(self.root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => Ok(Some(Source {
                path: path.to_owned(),
                real: self.real_path(&file, path)?,
                kind: type_of(&file, path)?,
            })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
            Err(error) => Err(StepError::errno("open", path)(error)),
        }
    }

    fn real_path(&self, file: &OwnedFd, path: &str) -> StepResult<PathBuf> {
        if self.context.is_none() {
            return Ok(path.into());
        }
        let place = |fd: BorrowedFd<'_>| path_of(fd).map_err(StepError::errno("examine", path));
        let (root, file) = (place(self.root)?, place(file.as_fd())?);
        let below = file.strip_prefix(&root);
        let below = below.map_err(|_| StepError::Invalid(format!("`{path}` was moved while it was looked at")))?;
        Ok(below.to_owned())
    }

    /// The type of a directory's entry itself, which may be a link.
    fn kind_of_entry(&self, path: &str) -> StepResult<Option<FileType>> {
        use rustix::io::Errno;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match kiln_sandbox::open_in_root(self.root, path, flags, Mode::empty()) {
            Ok(file) => type_of(&file, path).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(StepError::errno("open", path)(error)),
        }
    }

    /// Whether the ignore file leaves a path out. A directory that is left out is not there either if nothing below it is
    /// let in again.
    fn is_left_out(&self, path: &str, kind: FileType) -> StepResult<bool> {
        let Some(context) = self.context.filter(|context| context.excluded(path)) else {
            return Ok(false);
        };
        let mut open = Vec::from_iter((kind == FileType::Directory).then(|| path.to_owned()));
        while let Some(directory) = open.pop() {
            self.check()?;
            if !context.may_reinclude_below(&directory) {
                continue;
            }
            for name in self.entries(&directory)? {
                let path = format!("{directory}/{}", name.to_string_lossy());
                if !context.excluded(&path) {
                    return Ok(false);
                }
                if self.kind_of_entry(&path)? == Some(FileType::Directory) {
                    open.push(path);
                }
            }
        }
        Ok(true)
    }

    /// What a pattern fits. Links are followed before its first special character, and those that it fits at its end.
    fn matches(&self, pattern: &str) -> StepResult<Vec<Source>> {
        let mut found = vec![String::new()];
        let mut is_fixed = true;
        for segment in pattern.split('/') {
            let mut next = Vec::new();
            for directory in &found {
                if is_fixed || self.kind_of_entry(directory)? == Some(FileType::Directory) {
                    self.step_into(directory, segment, &mut next)?;
                }
            }
            found = next;
            is_fixed &= !glob::is_pattern(segment);
        }
        let mut sources = Vec::new();
        for path in found {
            match self.visible(&path)? {
                Some(source) => sources.push(source),
                None if self.is_dangling(&path)? => return Err(StepError::Missing(self.missing(&path, &path))),
                None => {}
            }
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(sources)
    }

    /// Whether there is a link that leads to nothing that could be copied.
    fn is_dangling(&self, path: &str) -> StepResult<bool> {
        let is_link = self.kind_of_entry(path)? == Some(FileType::Symlink);
        Ok(is_link && !self.is_left_out(path, FileType::Symlink)?)
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
        let pattern =
            glob::Pattern::new(segment).map_err(|error| StepError::Invalid(format!("pattern `{segment}`: {error}")))?;
        for name in self.entries(directory)? {
            if pattern.matches(&name.to_string_lossy()) {
                next.push(join(as_text(&name, directory)?));
            }
        }
        Ok(())
    }

    /// The names in a directory that are text.
    fn names(&self, directory: &str) -> StepResult<Vec<String>> {
        let names = self.entries(directory)?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    /// The names in a directory; none where it is no directory.
    pub(super) fn entries(&self, directory: &str) -> StepResult<Vec<OsString>> {
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
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    pub(super) fn missing(&self, written: &str, path: &str) -> Missing {
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
            if let Some(found) = self.look(path).ok().flatten() {
                let real = || context.exclusion(&found.real.to_string_lossy());
                return context.exclusion(path).or_else(real);
            }
            if context.exists_outside(written) {
                return Some(MissingCause::Outside);
            }
        }
        let actual = self.same_but_case(path)?;
        if actual != path {
            return Some(MissingCause::Case { actual });
        }
        let target = self.link_target(path)?;
        Some(MissingCause::DanglingLink { target })
    }

    /// Where the link at the path leads.
    fn link_target(&self, path: &str) -> Option<String> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = kiln_sandbox::open_in_root(self.root, path, flags, Mode::empty()).ok()?;
        let target = rustix::fs::readlinkat(&link, "", Vec::new()).ok()?;
        Some(target.to_string_lossy().into_owned())
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

/// A name that a pattern fits, as text. What names nothing else is not left out in silence.
fn as_text<'a>(name: &'a OsStr, directory: &str) -> StepResult<&'a str> {
    name.to_str().ok_or_else(|| {
        StepError::Invalid(format!(
            "the pattern fits `{}` in `/{directory}`, whose name is not UTF-8: copy the whole directory, or rename it",
            name.display()
        ))
    })
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
