//! COPY, ADD and WORKDIR: file operations on a file tree.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use kiln_layer::{CopyOptions, Filter, ModeChange, NoFileDigests};
use kiln_plan::{CopyAction, CopyFrom, FileAction, FileOp, MkdirAction, MountKind, Op, Step};
use kiln_store::LayerDir;
use rustix::fs::{FileType, Mode, OFlags};

use super::cached::Made;
use super::parents::Kept;
use super::sources::{Source, Tree, clean};
use super::{Done, Solver};
use crate::context::Context;
use crate::error::{StepError, StepResult};

/// The mode of directories that COPY makes on the way.
const DIRECTORY_MODE: u32 = 0o755;

/// A local context's files as a tree of its own, for bind mounts.
pub(super) struct ContextCopy {
    pub(super) tree: OwnedFd,
    pub(super) directory: LayerDir,
}

impl Solver<'_> {
    pub(super) fn file(&self, file: &FileOp) -> StepResult<Made> {
        let base = self.tree(file.root);
        self.images.materialize(base.layers())?;
        let directory = self.session.store.new_layer()?;
        let root = self.writable(base.layers(), &directory)?;
        for action in &file.actions {
            if self.cancel.is_canceled() {
                return Err(StepError::Canceled);
            }
            match action {
                FileAction::Mkdir(mkdir) => make_directory(root.as_fd(), mkdir)?,
                FileAction::Copy(copy) => self.copy(root.as_fd(), copy)?,
            }
        }
        Ok(Made {
            directory,
            peak_memory: None,
        })
    }

    fn copy(&self, root: BorrowedFd<'_>, copy: &CopyAction) -> StepResult<()> {
        let local = match &copy.from {
            CopyFrom::Step(Some(step)) => matches!(self.result(*step), Done::Local(_)),
            CopyFrom::Step(None) => false,
            CopyFrom::Inline(_) => true,
        };
        let owner = owner(root, copy, local)?;
        let target = Target {
            root,
            copy,
            owner,
            mode: mode(copy.chmod.as_deref())?,
        };
        match &copy.from {
            CopyFrom::Inline(content) => target.inline(content),
            CopyFrom::Step(step) => {
                let done = self.tree(*step);
                self.with_tree(&done, |tree| {
                    copy.sources.iter().try_for_each(|word| target.word(tree, word))
                })
            }
        }
    }

    /// Calls `read` with the tree of a result.
    fn with_tree<T>(&self, done: &Done, read: impl FnOnce(&Tree<'_>) -> StepResult<T>) -> StepResult<T> {
        match done {
            Done::Local(context) => read(&Tree {
                root: context.root.as_fd(),
                context: Some(context),
                place: context.describe(),
            }),
            Done::Tree(_) => {
                let root = self.read_only(done)?;
                read(&Tree {
                    root: root.as_fd(),
                    context: None,
                    place: "the stage or image that it names".to_owned(),
                })
            }
        }
    }

    /// Content digests of everything that a step reads besides its root, in order.
    pub(super) fn content_read(&self, step: &Step) -> StepResult<Vec<[u8; 32]>> {
        let mut digests = Vec::new();
        match &step.op {
            Op::File(file) => {
                for action in &file.actions {
                    if let FileAction::Copy(copy) = action
                        && let CopyFrom::Step(from) = copy.from
                    {
                        let done = self.tree(from);
                        digests.extend(self.with_tree(&done, |tree| copied_digests(tree, copy))?);
                    }
                }
            }
            Op::Exec(exec) => {
                for mount in &exec.mounts {
                    if let MountKind::Bind {
                        from: Some(from),
                        source,
                        ..
                    } = &mount.kind
                    {
                        let done = self.result(*from);
                        digests
                            .extend(self.with_tree(&done, |tree| source_digests(tree, std::slice::from_ref(source)))?);
                    }
                }
            }
            Op::Source(_) | Op::Merge(_) => {}
        }
        Ok(digests)
    }

    /// A bind mount of a local context shows what the ignore file leaves, and takes no writes: a copy.
    pub(super) fn context_copy(&self, context: &Arc<Context>, source: &str) -> StepResult<ContextCopy> {
        let directory = self.session.store.new_layer()?;
        let tree = self.writable(&[], &directory)?;
        let copy = CopyAction {
            from: CopyFrom::Step(None),
            sources: vec![source.to_owned()],
            destination: format!("/{}", clean(source)),
            chown: None,
            chmod: None,
            parents: false,
            exclude: Vec::new(),
            unpack: false,
            link: false,
        };
        let done = Done::Local(Arc::clone(context));
        let target = Target {
            root: tree.as_fd(),
            copy: &copy,
            owner: Some((0, 0)),
            mode: ModeChange::Keep,
        };
        self.with_tree(&done, |files| {
            files
                .find(source)?
                .iter()
                .try_for_each(|found| target.source(files, found))
        })?;
        Ok(ContextCopy { tree, directory })
    }

    /// Fills a new cache mount with what it starts as.
    pub(super) fn seed(&self, path: &Path, done: &Done, source: &str) -> StepResult<()> {
        let root = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(StepError::errno("open", path))?;
        let options = CopyOptions::default();
        self.with_tree(done, |tree| {
            for found in tree.find(source)? {
                kiln_layer::copy_tree(
                    tree.root,
                    Path::new(&found.path),
                    root.as_fd(),
                    Path::new("/"),
                    &options,
                )?;
            }
            Ok(())
        })
    }
}

/// The content of what COPY or ADD reads in a tree.
fn copied_digests(tree: &Tree<'_>, copy: &CopyAction) -> StepResult<Vec<[u8; 32]>> {
    if !copy.parents {
        return source_digests(tree, &copy.sources);
    }
    let mut digests = Vec::new();
    for word in &copy.sources {
        let kept = tree.find_with_parents(word)?;
        for source in &kept.sources {
            for ancestor in kept.ancestors(&source.path) {
                digests.extend(digest(tree, &ancestor, &itself_alone(&ancestor))?);
            }
            digests.extend(content_digest(tree, &source.path)?);
        }
    }
    Ok(digests)
}

/// The content of what `words` name in a tree.
fn source_digests(tree: &Tree<'_>, words: &[String]) -> StepResult<Vec<[u8; 32]>> {
    let mut digests = Vec::new();
    for word in words {
        for source in tree.find(word)? {
            digests.extend(content_digest(tree, &source.path)?);
        }
    }
    Ok(digests)
}

fn content_digest(tree: &Tree<'_>, path: &str) -> StepResult<[[u8; 32]; 2]> {
    digest(tree, path, &|path, directory| {
        context_filter(tree.context, path, directory)
    })
}

/// Of the name, which counts where it becomes the name of the copy, and of the content.
fn digest(tree: &Tree<'_>, path: &str, filter: &dyn Fn(&Path, bool) -> Filter) -> StepResult<[[u8; 32]; 2]> {
    let owner = tree.context.is_some().then_some((0, 0));
    let content = kiln_layer::digest_tree(tree.root, Path::new(path), filter, owner, &NoFileDigests)?;
    Ok([*blake3::hash(path.as_bytes()).as_bytes(), content.digest])
}

/// Passes a directory without what is in it.
fn itself_alone(directory: &str) -> impl Fn(&Path, bool) -> Filter {
    move |path, _| {
        if path == Path::new(directory) {
            Filter::Include
        } else {
            Filter::Exclude
        }
    }
}

/// Where COPY writes, and how.
struct Target<'a> {
    root: BorrowedFd<'a>,
    copy: &'a CopyAction,
    owner: Option<(u32, u32)>,
    mode: ModeChange,
}

impl Target<'_> {
    /// Copies what a source word names.
    fn word(&self, tree: &Tree<'_>, word: &str) -> StepResult<()> {
        if !self.copy.parents {
            return tree.find(word)?.iter().try_for_each(|source| self.source(tree, source));
        }
        let kept = tree.find_with_parents(word)?;
        kept.sources
            .iter()
            .try_for_each(|source| self.source_with_parents(tree, &kept, source))
    }

    fn source(&self, tree: &Tree<'_>, source: &Source) -> StepResult<()> {
        let directory = source.kind == FileType::Directory;
        if self.copy.unpack && source.kind == FileType::RegularFile && self.extract(tree, source)? {
            return Ok(());
        }
        let destination = if directory {
            self.copy.destination.clone()
        } else {
            self.file_destination(&source.path)?
        };
        self.make_parents(&destination, directory)?;
        self.copy_below(tree, source, &destination)
    }

    fn source_with_parents(&self, tree: &Tree<'_>, kept: &Kept, source: &Source) -> StepResult<()> {
        self.make_parents(&self.copy.destination, true)?;
        let top = self.copy.destination.trim_end_matches('/');
        for ancestor in kept.ancestors(&source.path) {
            let destination = format!("{top}/{}", kept.relative(&ancestor));
            self.copy(tree, &ancestor, &destination, &itself_alone(&ancestor))?;
        }
        self.copy_below(tree, source, &format!("{top}/{}", kept.relative(&source.path)))
    }

    /// Copies a file, or what of a directory neither the ignore file nor `--exclude` leaves out.
    fn copy_below(&self, tree: &Tree<'_>, source: &Source, destination: &str) -> StepResult<()> {
        let directory = source.kind == FileType::Directory;
        let filter = |path: &Path, is_directory: bool| {
            let context = context_filter(tree.context, path, is_directory);
            if context == Filter::Include {
                self.excluded(path, &source.path, directory)
            } else {
                context
            }
        };
        self.copy(tree, &source.path, destination, &filter)
    }

    fn copy(
        &self,
        tree: &Tree<'_>,
        path: &str,
        destination: &str,
        filter: &dyn Fn(&Path, bool) -> Filter,
    ) -> StepResult<()> {
        let options = CopyOptions {
            owner: self.owner,
            mode: self.mode.clone(),
            filter: Some(filter),
            ..CopyOptions::default()
        };
        kiln_layer::copy_tree(tree.root, Path::new(path), self.root, Path::new(destination), &options)?;
        Ok(())
    }
}

impl Target<'_> {
    /// Where a file goes: below the destination if that is a directory, else in its place.
    fn file_destination(&self, source: &str) -> StepResult<String> {
        let destination = &self.copy.destination;
        let name = source.rsplit('/').next().unwrap_or(source);
        if destination.ends_with('/') || self.is_directory(destination)? {
            return Ok(format!("{}/{name}", destination.trim_end_matches('/')));
        }
        Ok(destination.clone())
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
        kiln_sandbox::mkdir_all_in_root(self.root, directory, Mode::from_raw_mode(mode), owner)
            .map_err(StepError::errno("create", directory))?;
        Ok(())
    }

    /// A here-document.
    fn inline(&self, content: &str) -> StepResult<()> {
        let name = self.copy.sources.first().map_or("", String::as_str);
        let destination = self.file_destination(name)?;
        self.make_parents(&destination, false)?;
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        kiln_layer::write_file(
            self.root,
            Path::new(&destination),
            content.as_bytes(),
            0o644,
            &self.mode,
            (uid, gid),
        )?;
        Ok(())
    }

    /// Extracts an archive; false if it is none.
    fn extract(&self, tree: &Tree<'_>, source: &Source) -> StepResult<bool> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = kiln_sandbox::open_in_root(tree.root, &source.path, flags, Mode::empty())
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

    /// `--exclude` speaks of what is below a copied directory; files that the instruction names are copied.
    fn excluded(&self, path: &Path, source: &str, directory: bool) -> Filter {
        if !directory || self.copy.exclude.is_empty() {
            return Filter::Include;
        }
        let below = path.strip_prefix(source).unwrap_or(path).to_string_lossy();
        match kiln_dockerfile::ignore::Ignore::from_patterns(&self.copy.exclude) {
            Ok(patterns) if !below.is_empty() && patterns.decide(&below).excluded => Filter::Exclude,
            _ => Filter::Include,
        }
    }
}

/// What the ignore file says of a path of a local context.
fn context_filter(context: Option<&Context>, path: &Path, directory: bool) -> Filter {
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

/// Who owns what is copied: from contexts root unless said otherwise; from stages and images as there. Names that the
/// image does not know are root, as in BuildKit.
fn owner(root: BorrowedFd<'_>, copy: &CopyAction, local: bool) -> StepResult<Option<(u32, u32)>> {
    match &copy.chown {
        None if local => Ok(Some((0, 0))),
        None => Ok(None),
        Some(chown) => {
            let owner = kiln_sandbox::resolve_owner(root, chown)?;
            Ok(Some((owner.uid.unwrap_or(0), owner.gid.unwrap_or(0))))
        }
    }
}

fn mode(chmod: Option<&str>) -> StepResult<ModeChange> {
    chmod.map_or(Ok(ModeChange::Keep), |text| {
        ModeChange::parse(text).map_err(|error| StepError::Invalid(format!("--chmod={text}: {error}")))
    })
}

fn octal(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777)
}

fn make_directory(root: BorrowedFd<'_>, mkdir: &MkdirAction) -> StepResult<()> {
    let user = kiln_sandbox::resolve_user(root, &mkdir.owner)?;
    let mode = Mode::from_raw_mode(mkdir.mode);
    kiln_sandbox::mkdir_all_in_root(root, &mkdir.path, mode, Some((user.uid, user.gid)))
        .map_err(StepError::errno("create", &mkdir.path))?;
    Ok(())
}
