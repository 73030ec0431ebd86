//! Copies that share files: what an earlier copy of the same has, or the stage that is copied from, is linked and not copied.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use kiln_dockerfile::glob;
use kiln_layer::{Names, Unchanged, share_files};
use kiln_plan::{CopyAction, CopyFrom, FileAction, FileOp, Op, Step};
use kiln_store::{LayerDir, LayerId, PastRun};
use rustix::fs::{Dir, Mode, OFlags, ResolveFlags, Timespec, Timestamps, fstat, futimens, openat2};
use rustix::io::Errno;

use super::Solver;
use super::content::Content;
use super::copy::Target;
use super::sources::{clean, path_of};
use crate::error::{StepError, StepResult};
use crate::inputs::{FILES, Input, Inputs, Listing, Seen, parse_hex};
use crate::measure::Common;

/// As few files with as few bytes are copied as quickly as they are looked for.
const FEW: (usize, u64) = (64, 1 << 20);

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A layer that has files of a copy already.
#[derive(Debug)]
pub(super) struct Donor<'a> {
    copy: &'a CopyAction,
    layer: LayerId,
    /// Where in it, if not where they are copied to.
    place: Option<PathBuf>,
    files: Vec<Unchanged<'a>>,
}

impl Donor<'_> {
    /// The directories that files are in, each once.
    fn directories(&self) -> BTreeSet<&Path> {
        let all = self
            .files
            .iter()
            .filter_map(|file| Path::new(OsStr::from_bytes(file.path)).parent());
        all.collect()
    }
}

impl Solver<'_> {
    /// A layer that has files of what a step copies.
    pub(super) fn donor<'a>(
        &self,
        step: &'a Step,
        inputs: &Inputs,
        content: &'a Content,
    ) -> StepResult<Option<Donor<'a>>> {
        let Op::File(file) = &step.op else { return Ok(None) };
        let ([(_, seen)], Some(copy)) = (content.files.as_slice(), one_source(file)) else {
            return Ok(None);
        };
        let _work = self.work("look for files to share");
        if let Some(donor) = self.source_layer(step, copy, seen)? {
            return Ok(Some(donor));
        }
        self.earlier_copy(step, copy, inputs, seen)
    }

    /// The layer of a stage or an image that the files to be copied are in, if copies differ from them in nothing.
    ///
    /// Where several layers have the directory it is the topmost: all that it has is to be seen.
    fn source_layer<'a>(&self, step: &Step, copy: &'a CopyAction, seen: &'a Seen) -> StepResult<Option<Donor<'a>>> {
        let (CopyFrom::Step(Some(from)), [word]) = (&copy.from, copy.sources.as_slice()) else {
            return Ok(None);
        };
        // A layer of --link may come to lie on top of any other, that of the stage too.
        if copy.link || copy.chown.is_some() || copy.chmod.is_some() {
            return Ok(None);
        }
        let (tree, files) = (self.result(*from), seen.files());
        if tree.layers().is_empty() || are_few(&files) || !self.images.are_in_store(tree.layers())? {
            return Ok(None);
        }
        let open = |root: BorrowedFd<'_>| kiln_sandbox::open_in_root(root, clean(word), DIRECTORY, Mode::empty());
        let place = self.with_tree(Some(*from), |tree| {
            Ok(open(tree.root).and_then(|at| path_of(at.as_fd())))
        })?;
        let Ok(place) = place else { return Ok(None) };
        let store = self.session.store;
        let has_place = |layer: &&LayerId| open_below(&store.layer_path(layer), &place).is_ok();
        let Some(layer) = tree.layers().iter().rev().find(has_place) else {
            return Ok(None);
        };
        // In one file tree no two files may be the same one but where the image says so.
        if store.is_related(layer, &self.base(step))? || store.is_used_by_others(layer)? {
            return Ok(None);
        }
        Ok(Some(Donor {
            copy,
            layer: layer.clone(),
            place: Some(place),
            files,
        }))
    }

    /// The newest copy of the same that is still there, if enough of its files did not change.
    fn earlier_copy<'a>(
        &self,
        step: &Step,
        copy: &'a CopyAction,
        inputs: &Inputs,
        seen: &'a Seen,
    ) -> StepResult<Option<Donor<'a>>> {
        // Who wants nothing of the cache wants no files of it either.
        if step.no_cache {
            return Ok(None);
        }
        for past in self.session.store.runs_of(&step.definition)? {
            if let Some((layer, listing)) = self.like(past, inputs)? {
                let files = seen.unchanged(&listing);
                return Ok((!are_few(&files)).then_some(Donor {
                    copy,
                    layer,
                    place: None,
                    files,
                }));
            }
        }
        Ok(None)
    }

    /// What a run made and the list of what it read, if both are there and nothing but the files is different.
    fn like(&self, past: PastRun, inputs: &Inputs) -> StepResult<Option<(LayerId, Listing)>> {
        let store = self.session.store;
        let listing = Inputs::from_bytes(&past.run.inputs).and_then(|old| listing_of(&old, inputs));
        let Some((layer, listing)) = past.layer.zip(listing) else {
            return Ok(None);
        };
        // Links change a file's `ctime`, at which programs may stumble that read it just now.
        if store.is_used_by_others(&layer)? || store.layer(&layer)?.is_none() {
            return Ok(None);
        }
        let listing = store.listing(&listing)?.as_deref().and_then(Listing::decompress);
        Ok(listing.map(|listing| (layer, listing)))
    }

    /// Puts the files of a donor into a layer that is still empty.
    pub(super) fn share(
        &self,
        base: &[LayerId],
        directory: &LayerDir,
        donor: &Donor<'_>,
    ) -> StepResult<Option<Common>> {
        let Some(_linking) = self.quiet.link(&donor.layer) else {
            return Ok(None);
        };
        let _work = self.work("link files");
        let (place, present) = self.place_of_copy(base, directory, donor)?;
        let source = self.session.store.layer_path(&donor.layer);
        let from = open_below(&source, donor.place.as_ref().unwrap_or(&place));
        let (Ok(from), Ok(to)) = (from, open_below(&directory.fs(), &place)) else {
            return Ok(None);
        };
        let failed = || StepError::errno("share files in", &place);
        let times = times(&to).map_err(failed())?;
        let (copied, files): (Vec<_>, Vec<_>) = donor.files.iter().partition(|file| present.contains(file.path));
        let names = match donor.place {
            Some(_) => Names::Together { copied: &copied },
            None => Names::Apart,
        };
        let files = share_files(from.as_fd(), to.as_fd(), &files, names).map_err(failed())?;
        // As if nothing had been put there.
        futimens(&to, &times).map_err(failed())?;
        Ok((!files.paths.is_empty()).then(|| Common {
            with: donor.layer.clone(),
            place: place.strip_prefix("/").unwrap_or(&place).to_owned(),
            files,
        }))
    }

    /// Makes the directory that is copied to, and gives its path in the layer, which goes through no link, and the files
    /// that cannot be linked there, because something is at their paths or on the way. The directories in it that the base has become directories of the layer, with all
    /// attributes.
    fn place_of_copy<'a>(
        &self,
        base: &[LayerId],
        directory: &LayerDir,
        donor: &'a Donor<'_>,
    ) -> StepResult<(PathBuf, HashSet<&'a [u8]>)> {
        // The kernel takes a work directory for such a mount but once.
        let work = self.session.store.new_layer()?;
        let root = self.writable(base, directory, &work)?;
        let place = Target::new(root.as_fd(), donor.copy, donor.place.is_none())?.make_destination()?;
        let failed = || StepError::errno("prepare the destination", &donor.copy.destination);
        // That happens when they are changed.
        let copy_up = |directory: &OwnedFd| futimens(directory, &times(directory)?);
        copy_up(&place).map_err(failed())?;
        for path in donor.directories() {
            if let Ok(found) = kiln_sandbox::open_in_root(&place, path, DIRECTORY, Mode::empty()) {
                copy_up(&found).map_err(failed())?;
            }
        }
        // An earlier copy was a success on the same base. Elsewhere there may be anything.
        let present = match donor.place {
            Some(_) => not_absent(&place, &donor.files).map_err(failed())?,
            None => HashSet::new(),
        };
        Ok((path_of(place.as_fd()).map_err(failed())?, present))
    }
}

/// The paths at which something is, or on the way to which there is no directory: what is replaced there, or is in the
/// way, is for a copy to see.
fn not_absent<'a>(place: &OwnedFd, files: &[Unchanged<'a>]) -> rustix::io::Result<HashSet<&'a [u8]>> {
    let mut entries = Dir::read_from(place)?;
    let is_empty = entries.all(|entry| entry.is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b"..")));
    if is_empty {
        return Ok(HashSet::new());
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let look = |path: &[u8]| openat2(place, OsStr::from_bytes(path), flags, Mode::empty(), resolve);
    let paths = files.iter().map(|file| file.path);
    Ok(paths.filter(|path| !matches!(look(path), Err(Errno::NOENT))).collect())
}

/// Whether it costs more to look for files to link than to copy these.
fn are_few(files: &[Unchanged<'_>]) -> bool {
    files.len() < FEW.0 && files.iter().map(|file| file.size).sum::<u64>() < FEW.1
}

/// The one thing that a step does if that is to copy what one word names, which is no pattern.
fn one_source(file: &FileOp) -> Option<&CopyAction> {
    let [FileAction::Copy(copy)] = file.actions.as_slice() else {
        return None;
    };
    let [word] = copy.sources.as_slice() else { return None };
    let is_plain = matches!(copy.from, CopyFrom::Step(_)) && !copy.parents && !glob::is_pattern(&clean(word));
    is_plain.then_some(copy)
}

/// The digest of the list of files of an earlier run, if nothing else is different from `new`.
fn listing_of(old: &Inputs, new: &Inputs) -> Option<[u8; 32]> {
    fn others(inputs: &Inputs) -> impl Iterator<Item = &Input> {
        inputs.all.iter().filter(|input| input.kind != FILES)
    }
    let files = old.all.iter().find(|input| input.kind == FILES)?;
    others(old).eq(others(new)).then(|| parse_hex(&files.value))?
}

fn open_below(root: &Path, path: &Path) -> StepResult<OwnedFd> {
    let root = File::open(root).map_err(StepError::io("open", root))?;
    kiln_sandbox::open_in_root(&root, path, DIRECTORY, Mode::empty()).map_err(StepError::errno("open", path))
}

/// When an open file was read and changed last.
fn times(file: &OwnedFd) -> rustix::io::Result<Timestamps> {
    let stat = fstat(file)?;
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.try_into().unwrap_or_default(),
    };
    Ok(Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    })
}
