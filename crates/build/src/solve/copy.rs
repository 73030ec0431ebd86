//! COPY and ADD: what they name, written into a file tree.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use kiln_dockerfile::ignore::Ignore;
use kiln_layer::{CopyOptions, Filter, ModeChange, Shared};
use kiln_plan::CopyAction;
use rustix::fs::{FileType, Mode, OFlags};

use super::sources::{Source, Tree};
use crate::context::Context;
use crate::error::{StepError, StepResult};

/// The mode of directories that COPY makes on the way.
const DIRECTORY_MODE: u32 = 0o755;

/// Where COPY writes, and how.
pub(super) struct Target<'a> {
    root: BorrowedFd<'a>,
    copy: &'a CopyAction,
    owner: Option<(u32, u32)>,
    mode: ModeChange,
    choice: Choice,
    shared: Option<&'a Shared>,
}

/// Which files of what an instruction names are copied.
pub(super) struct Choice {
    exclude: Option<Ignore>,
}

/// Whether a file is there already.
type Present<'a> = &'a dyn Fn(&Path) -> bool;

impl<'a> Target<'a> {
    /// For the files of an instruction; `local` if they come from a context or the instruction itself.
    pub(super) fn new(root: BorrowedFd<'a>, copy: &'a CopyAction, local: bool) -> StepResult<Self> {
        Ok(Self {
            root,
            copy,
            owner: owner(root, copy, local)?,
            mode: mode(copy.chmod.as_deref())?,
            choice: Choice::new(&copy.exclude)?,
            shared: None,
        })
    }

    /// The same where some of the files are there already.
    pub(super) fn beside(self, shared: Option<&'a Shared>) -> Self {
        Self { shared, ..self }
    }

    /// Makes the directory that is copied to, and opens it.
    pub(super) fn make_destination(&self) -> StepResult<OwnedFd> {
        let destination = &self.copy.destination;
        self.make_parents(destination, true)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        kiln_sandbox::open_in_root(self.root, destination, flags, Mode::empty())
            .map_err(StepError::errno("open", destination))
    }

    /// Copies what a source word names.
    pub(super) fn word(&self, tree: &Tree<'_>, word: &str) -> StepResult<()> {
        if !self.copy.parents {
            return tree.find(word)?.iter().try_for_each(|source| self.source(tree, source));
        }
        let kept = tree.find_with_parents(word)?;
        for base in &kept.bases {
            self.make_parents(&self.copy.destination, true)?;
            let filter = |path: &Path, directory: bool| {
                let chosen = self.choice.decide(tree.context, base, path, directory);
                kept.filter(chosen, base, path, directory)
            };
            self.copy(tree, &base.real, &self.copy.destination, &filter, None, false)?;
        }
        kept.check(tree)
    }

    pub(super) fn source(&self, tree: &Tree<'_>, source: &Source) -> StepResult<()> {
        let directory = source.kind == FileType::Directory;
        if self.copy.unpack && source.kind == FileType::RegularFile && self.extract(tree, source)? {
            return Ok(());
        }
        let (destination, inside) = if directory {
            (self.copy.destination.clone(), false)
        } else {
            self.file_destination(&source.path)?
        };
        self.make_parents(&destination, directory)?;
        self.copy_below(tree, source, &destination, inside)
    }

    /// Copies a file, or what of a directory neither the ignore file nor `--exclude` leaves out.
    fn copy_below(&self, tree: &Tree<'_>, source: &Source, destination: &str, replace_link: bool) -> StepResult<()> {
        let filter = |path: &Path, directory: bool| self.choice.decide(tree.context, source, path, directory);
        let present = |path: &Path| self.has_shared(source, path);
        let present: Option<Present<'_>> = self.shared.is_some().then_some(&present);
        self.copy(tree, &source.real, destination, &filter, present, replace_link)
    }

    /// Whether the file is there already.
    fn has_shared(&self, source: &Source, path: &Path) -> bool {
        let below = || path.strip_prefix(&source.real).unwrap_or(path);
        self.shared
            .is_some_and(|shared| shared.paths.contains(below().as_os_str().as_bytes()))
    }

    fn copy(
        &self,
        tree: &Tree<'_>,
        path: &Path,
        destination: &str,
        filter: &dyn Fn(&Path, bool) -> Filter,
        present: Option<Present<'_>>,
        replace_link: bool,
    ) -> StepResult<()> {
        let filter = tree.until_canceled(filter);
        let options = CopyOptions {
            owner: self.owner,
            mode: self.mode.clone(),
            filter: Some(&filter),
            present,
            replace_link,
            ..CopyOptions::default()
        };
        kiln_layer::copy_tree(tree.root, path, self.root, Path::new(destination), &options)?;
        tree.check()
    }
}

impl Target<'_> {
    /// Where a file goes: below the destination if that is a directory, else in its place. And whether it is below: as in
    /// `BuildKit` a link that is there is replaced then, while one that the instruction names is followed.
    fn file_destination(&self, source: &str) -> StepResult<(String, bool)> {
        let destination = &self.copy.destination;
        let name = source.rsplit('/').next().unwrap_or(source);
        if destination.ends_with('/') || self.is_directory(destination)? {
            return Ok((format!("{}/{name}", destination.trim_end_matches('/')), true));
        }
        Ok((destination.clone(), false))
    }

    fn is_directory(&self, path: &str) -> StepResult<bool> {
        use rustix::io::Errno;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match kiln_sandbox::open_in_root(self.root, path, flags, Mode::empty()) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(error) => Err(StepError::errno("examine the destination", path)(error)),
        }
    }

    /// Makes the directories on the way, and the destination itself where a directory's contents go.
    fn make_parents(&self, destination: &str, itself: bool) -> StepResult<()> {
        let directory = if itself {
            destination
        } else {
            destination.rsplit_once('/').map_or("/", |(parent, _)| parent)
        };
        let mode = self.copy.chmod.as_deref().and_then(octal).unwrap_or(DIRECTORY_MODE);
        let owner = Some(self.owner.unwrap_or((0, 0)));
        kiln_sandbox::mkdir_all_in_root(self.root, directory, Mode::from_raw_mode(mode), owner, None)
            .map_err(StepError::errno("create", directory))?;
        Ok(())
    }

    /// A here-document.
    pub(super) fn inline(&self, content: &str) -> StepResult<()> {
        let name = self.copy.sources.first().map_or("", String::as_str);
        let (destination, inside) = self.file_destination(name)?;
        self.make_parents(&destination, false)?;
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        kiln_layer::write_file(
            self.root,
            Path::new(&destination),
            content.as_bytes(),
            0o644,
            &self.mode,
            (uid, gid),
            inside,
        )?;
        Ok(())
    }

    /// Extracts an archive; false if it is none.
    fn extract(&self, tree: &Tree<'_>, source: &Source) -> StepResult<bool> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = kiln_sandbox::open_in_root(tree.root, &source.real, flags, Mode::empty())
            .map_err(StepError::errno("open", &source.path))?;
        let file = std::fs::File::from(file);
        if !kiln_layer::is_archive(&file).map_err(StepError::io("read", &source.path))? {
            return Ok(false);
        }
        self.make_parents(&self.copy.destination, true)?;
        kiln_layer::extract(
            file,
            self.root,
            Path::new(&self.copy.destination),
            self.copy.chown.as_ref().and(self.owner),
        )?;
        Ok(true)
    }
}

impl Choice {
    /// With the patterns of `--exclude`.
    pub(super) fn new(exclude: &[String]) -> StepResult<Self> {
        if exclude.is_empty() {
            return Ok(Self { exclude: None });
        }
        match Ignore::from_patterns(exclude) {
            Ok(exclude) => Ok(Self { exclude: Some(exclude) }),
            Err(error) => Err(StepError::Invalid(format!("--exclude: {error}"))),
        }
    }

    /// What neither the ignore file nor `--exclude` leaves out.
    pub(super) fn decide(&self, context: Option<&Context>, source: &Source, path: &Path, directory: bool) -> Filter {
        match context_filter(context, path, directory) {
            Filter::Include => self.excluded(path, directory, source),
            filter => filter,
        }
    }

    /// `--exclude` speaks of what is below a copied directory; files that the instruction names are copied.
    fn excluded(&self, path: &Path, directory: bool, source: &Source) -> Filter {
        let Some(patterns) = &self.exclude else {
            return Filter::Include;
        };
        let below = path.strip_prefix(&source.real).unwrap_or(path).to_string_lossy();
        if source.kind != FileType::Directory || below.is_empty() {
            return Filter::Include;
        }
        lets_in(patterns, &below, directory)
    }
}

/// What patterns that leave out make of a path.
pub(super) fn lets_in(patterns: &Ignore, path: &str, directory: bool) -> Filter {
    if !patterns.decide(path).excluded {
        Filter::Include
    } else if directory && patterns.may_reinclude_below(path) {
        Filter::Descend
    } else {
        Filter::Exclude
    }
}

/// What the ignore file says of a path of a local context.
pub(super) fn context_filter(context: Option<&Context>, path: &Path, directory: bool) -> Filter {
    let Some(context) = context else { return Filter::Include };
    let path = path.to_string_lossy();
    if !context.excluded(&path) {
        Filter::Include
    } else if directory && context.may_reinclude_below(&path) {
        Filter::Descend
    } else {
        Filter::Exclude
    }
}

/// Who owns what is copied: from contexts root unless said otherwise; from stages and images as there.
fn owner(root: BorrowedFd<'_>, copy: &CopyAction, local: bool) -> StepResult<Option<(u32, u32)>> {
    match &copy.chown {
        None if local => Ok(Some((0, 0))),
        None => Ok(None),
        Some(chown) => Ok(Some(kiln_sandbox::resolve_owner(root, chown)?)),
    }
}

fn mode(chmod: Option<&str>) -> StepResult<ModeChange> {
    chmod.map_or(Ok(ModeChange::Keep), |text| {
        ModeChange::parse(text).map_err(|error| StepError::Invalid(format!("--chmod={text}: {error}")))
    })
}

/// The mode that all copied files get, if `--chmod` says one.
pub(super) fn octal(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777)
}
