//! Those who copy files while one walks.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::num::NonZero;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Builder, Scope};

use rustix::fs::{AtFlags, linkat};

use super::CopyStats;
use super::file::{Copier, Rules};
use super::place::Place;
use super::source::Source;
use super::tree::Directory;
use crate::Error;
use crate::cursor::{Cursor, Missing};
use crate::jobs::{self, Jobs};
use crate::root::{join, path_of, split};
use crate::walk::{FileId, Name};

/// Fewer batches are copied before a thread has started.
const FEW: u64 = 4;

/// More threads than this wait for the file system's journal.
const THREADS: usize = 4;

/// As many as there are processors besides that of who walks.
pub(super) fn others() -> usize {
    std::thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(THREADS)
        - 1
}

/// Files in one directory.
pub(super) struct Batch {
    pub(super) from: Arc<OwnedFd>,
    pub(super) to: Arc<OwnedFd>,
    /// The directory's path, below what is copied.
    pub(super) above: Vec<u8>,
    pub(super) names: Vec<Name>,
    /// None for the top, whose attributes come when all is done.
    pub(super) closing: Option<Arc<Closing>>,
}

impl Batch {
    /// So many that handing them over costs little, so few that large ones are shared out.
    pub(super) const FULL: usize = 16;
}

/// A directory gets its attributes when the walk has left it and all of its files are there: from whoever lets go of
/// this last. The walk says here what they are when it leaves.
#[derive(Default)]
pub(super) struct Closing(OnceLock<Directory>);

impl Closing {
    /// The walk has left. Gives the directory back if nobody copies into it any more.
    pub(super) fn leave(self: Arc<Self>, directory: Directory) -> Option<Directory> {
        let _only_once = self.0.set(directory);
        self.let_go()
    }

    fn let_go(self: Arc<Self>) -> Option<Directory> {
        Arc::into_inner(self)?.0.into_inner()
    }
}

/// Held by who writes the file: others may link to it when it is whole.
type First = Arc<Mutex<Option<Vec<u8>>>>;

/// What all who copy from one tree to another have in common.
pub(super) struct Site<'a> {
    pub(super) rules: Rules,
    /// Path of what is copied in its own tree.
    pub(super) source: &'a [u8],
    pub(super) dest: &'a Path,
    /// The directory that is copied to.
    pub(super) top: BorrowedFd<'a>,
    /// Files with several names, and where the first name of each is, once it is there.
    links: Mutex<HashMap<FileId, First>>,
    outcome: Mutex<Outcome>,
}

#[derive(Default)]
struct Outcome {
    stats: CopyStats,
    /// In the batch that comes first of those in which something failed.
    failed: Option<(u64, Error)>,
}

impl<'a> Site<'a> {
    pub(super) fn new(rules: Rules, source: &'a [u8], dest: &'a Path, top: BorrowedFd<'a>) -> Self {
        Self {
            rules,
            source,
            dest,
            top,
            links: Mutex::default(),
            outcome: Mutex::default(),
        }
    }

    /// What was copied, or what failed first.
    pub(super) fn end(self) -> Result<CopyStats, Error> {
        let Outcome { mut stats, failed } = self.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        stats.skipped_devices.sort();
        failed.map_or(Ok(stats), |(_, error)| Err(error))
    }

    /// Where the first name of a file is, or will be.
    fn first_name(&self, id: FileId) -> First {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(links.entry(id).or_default())
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.outcome().failed.is_some()
    }

    fn has_failed_before(&self, batch: u64) -> bool {
        self.outcome()
            .failed
            .as_ref()
            .is_some_and(|(failed, _)| *failed < batch)
    }

    fn fail(&self, batch: u64, error: Error) {
        let mut outcome = self.outcome();
        if outcome.failed.as_ref().is_none_or(|(failed, _)| batch < *failed) {
            outcome.failed = Some((batch, error));
        }
    }

    fn count(&self, stats: CopyStats) {
        let sum = &mut self.outcome().stats;
        sum.files += stats.files;
        sum.bytes += stats.bytes;
        sum.skipped_devices.extend(stats.skipped_devices);
    }
}

/// The walk's own hand, and threads if there is much to do.
pub(super) struct Crew<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    /// How many others there may be.
    others: usize,
    own: Hand<'e>,
    jobs: Option<SyncSender<(u64, Batch)>>,
    batches: u64,
}

impl<'s, 'e> Crew<'s, 'e> {
    pub(super) fn new(scope: &'s Scope<'s, 'e>, site: &'e Site<'e>, others: usize) -> Self {
        Self {
            scope,
            others,
            own: Hand::new(site),
            jobs: None,
            batches: 0,
        }
    }

    /// Has the files copied. Where all are busy, the caller does it.
    pub(super) fn give(&mut self, batch: Batch) {
        self.batches += 1;
        if self.batches == FEW && self.others > 0 {
            self.start();
        }
        let job = match &self.jobs {
            Some(jobs) => jobs.try_send((self.batches, batch)),
            None => Err(TrySendError::Full((self.batches, batch))),
        };
        if let Err(TrySendError::Full((number, batch)) | TrySendError::Disconnected((number, batch))) = job {
            self.own.batch(number, batch);
        }
    }

    /// Starts the others, or as many as the system has left.
    fn start(&mut self) {
        let (jobs, queue) = jobs::queue(2 * self.others);
        for _ in 0..self.others {
            let (site, queue) = (self.own.site, queue.clone());
            let thread = Builder::new().name("copy".to_owned());
            if thread
                .spawn_scoped(self.scope, move || Hand::new(site).work(queue))
                .is_err()
            {
                break;
            }
        }
        self.jobs = Some(jobs);
    }

    /// No more files come.
    pub(super) fn finish(self) {
        self.own.finish();
    }
}

/// One who copies.
struct Hand<'a> {
    site: &'a Site<'a>,
    copier: Copier<'a>,
    /// Finds first names of files that have several.
    targets: Option<Cursor<'a>>,
}

impl<'a> Hand<'a> {
    fn new(site: &'a Site<'a>) -> Self {
        Self {
            site,
            copier: Copier::new(&site.rules),
            targets: None,
        }
    }

    fn work(mut self, queue: Jobs<(u64, Batch)>) {
        for (number, batch) in queue {
            self.batch(number, batch);
        }
        self.finish();
    }

    fn finish(self) {
        self.site.count(self.copier.stats);
    }

    fn batch(&mut self, number: u64, batch: Batch) {
        if self.site.has_failed_before(number) {
            return;
        }
        let copied = batch.names.iter().try_for_each(|name| self.file(&batch, name));
        let closed = copied.and_then(|()| match batch.closing.and_then(Closing::let_go) {
            Some(directory) => directory.close(self.site, &batch.to),
            None => Ok(()),
        });
        if let Err(error) = closed {
            self.site.fail(number, error);
        }
    }

    fn file(&mut self, batch: &Batch, name: &Name) -> Result<(), Error> {
        let path = join(&batch.above, name.name.to_bytes());
        let source = Source::in_directory(&batch.from, name)
            .map_err(|errno| Error::at("open", path_of(&join(self.site.source, &path)))(errno))?;
        let place = Place {
            directory: Arc::clone(&batch.to),
            name: name.name.clone(),
            mtime: None,
            replace_directory: self.site.rules.layer,
        };
        let shown = self.site.dest.join(path_of(&path));
        if source.meta().is_linked() {
            self.linked(&source, &place, path, &shown)
        } else {
            self.copier.write(&source, &place, &shown)
        }
    }

    /// A file with several names, the first of which is written.
    fn linked(&mut self, source: &Source, place: &Place, path: Vec<u8>, shown: &Path) -> Result<(), Error> {
        let first = self.site.first_name(source.meta().id());
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = &*first {
            self.copier.stats.files += 1;
            return link(&mut self.targets, self.site.top, first, place, shown);
        }
        self.copier.write(source, place, shown)?;
        // A device that was skipped has no first name to link to.
        if place.meta().is_ok() {
            *first = Some(path);
        }
        Ok(())
    }
}

/// Makes a further name of the file at `first`, below `top`.
fn link<'a>(
    targets: &mut Option<Cursor<'a>>,
    top: BorrowedFd<'a>,
    first: &[u8],
    place: &Place,
    shown: &Path,
) -> Result<(), Error> {
    let (above, name) = split(first);
    let mut find = || {
        let targets = match targets {
            Some(targets) => targets,
            None => targets.insert(Cursor::new(top)?),
        };
        targets.enter(above, Missing::Fail)
    };
    let from = find().map_err(Error::at("open the directory of", shown))?;
    let name = OsStr::from_bytes(name);
    place.create(
        || linkat(&*from, name, &*place.directory, &*place.name, AtFlags::empty()),
        shown,
    )
}
