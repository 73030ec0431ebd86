//! Copies that share files with an earlier copy of the same: what did not change is linked and not copied again.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use kiln_dockerfile::glob;
use kiln_layer::{Unchanged, share_files};
use kiln_plan::{CopyAction, CopyFrom, FileAction, FileOp, Op, Step};
use kiln_store::{LayerDir, LayerId, PastRun};
use rustix::fs::{Mode, OFlags, Timespec, Timestamps, fstat, futimens};

use super::Solver;
use super::content::Content;
use super::copy::Target;
use super::sources::{clean, path_of};
use crate::error::{StepError, StepResult};
use crate::inputs::{FILES, Input, Inputs, Listing, parse_hex};
use crate::measure::Common;

/// As few files with as few bytes are copied as quickly as they are looked for.
const FEW: (usize, u64) = (64, 1 << 20);

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An earlier copy of the same directory to the same place of the same tree.
#[derive(Debug)]
pub(super) struct Earlier<'a> {
    copy: &'a CopyAction,
    /// What it made.
    layer: LayerId,
    files: Vec<Unchanged<'a>>,
}

impl Earlier<'_> {
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
    /// The newest copy of the same that is still there, if enough of its files did not change.
    pub(super) fn earlier<'a>(
        &self,
        step: &'a Step,
        inputs: &Inputs,
        content: &'a Content,
    ) -> StepResult<Option<Earlier<'a>>> {
        let Op::File(file) = &step.op else { return Ok(None) };
        let ([(_, seen)], Some(copy)) = (content.files.as_slice(), one_source(file)) else {
            return Ok(None);
        };
        // Who wants nothing of the cache wants no files of it either.
        if step.no_cache {
            return Ok(None);
        }
        let _work = self.work("compare with earlier copies");
        for past in self.session.store.runs_of(&step.definition)? {
            if let Some((layer, listing)) = self.like(past, inputs)? {
                let files = seen.unchanged(&listing);
                let bytes: u64 = files.iter().map(|file| file.size).sum();
                return Ok((files.len() >= FEW.0 || bytes >= FEW.1).then_some(Earlier { copy, layer, files }));
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

    /// Puts the files of an earlier copy into a layer that is still empty.
    pub(super) fn share(
        &self,
        base: &[LayerId],
        directory: &LayerDir,
        earlier: &Earlier<'_>,
    ) -> StepResult<Option<Common>> {
        let _work = self.work("link files of an earlier copy");
        let place = self.place_of_copy(base, directory, earlier)?;
        let store = self.session.store;
        let open = |root: &Path| open_below(root, &place);
        let (Ok(from), Ok(to)) = (open(&store.layer_path(&earlier.layer)), open(&directory.fs())) else {
            return Ok(None);
        };
        let failed = || StepError::errno("share files of an earlier copy in", &place);
        let times = times(&to).map_err(failed())?;
        let files = share_files(from.as_fd(), to.as_fd(), &earlier.files).map_err(failed())?;
        // As if nothing had been put there.
        futimens(&to, &times).map_err(failed())?;
        Ok((!files.paths.is_empty()).then(|| Common {
            with: earlier.layer.clone(),
            place: place.strip_prefix("/").unwrap_or(&place).to_owned(),
            files,
        }))
    }

    /// Makes the directory that is copied to, and gives its path in the layer, which goes through no link. The directories
    /// in it that the base has become directories of the layer, with all attributes.
    fn place_of_copy(&self, base: &[LayerId], directory: &LayerDir, earlier: &Earlier<'_>) -> StepResult<PathBuf> {
        // The kernel takes a work directory for such a mount but once.
        let work = self.session.store.new_layer()?;
        let root = self.writable(base, directory, &work)?;
        let place = Target::new(root.as_fd(), earlier.copy, true)?.make_destination()?;
        let failed = || StepError::errno("prepare the destination", &earlier.copy.destination);
        // That happens when they are changed.
        let copy_up = |directory: &OwnedFd| futimens(directory, &times(directory)?);
        copy_up(&place).map_err(failed())?;
        for path in earlier.directories() {
            if let Ok(found) = kiln_sandbox::open_in_root(&place, path, DIRECTORY, Mode::empty()) {
                copy_up(&found).map_err(failed())?;
            }
        }
        path_of(place.as_fd()).map_err(failed())
    }
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
