//! A part of a file tree: of its layers, the topmost first, no more are read than say all of it, and of these no more is
//! unpacked than is wanted.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use kiln_layer::{Look, UnpackOptions, Unpacked, Wanted};
use kiln_sandbox::Overlay;
use kiln_store::{LayerDir, Store};

use crate::error::StepResult;

/// With more links on the way everything is unpacked: an image may be made to have them.
const MOST_PATHS: usize = 64;

/// The layers of a file tree, of which some are to be read.
pub(crate) trait Layers {
    /// How many there are.
    fn count(&self) -> usize;

    /// Where the layer of that number (0 is the lowest) is unpacked, if it is. It is asked once.
    fn directory(&self, number: usize) -> StepResult<Option<PathBuf>>;

    /// Unpacks it, or what of it is wanted. Those whose digest is not that of the layer are refused. The second time costs
    /// no transfer.
    fn unpack(&self, number: usize, into: &Path, options: &UnpackOptions) -> StepResult<Unpacked>;
}

/// A path that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Goal {
    /// As seen from the root.
    pub(crate) path: PathBuf,
    /// Whether a link that it is stands for what it leads to.
    pub(crate) follow: bool,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Part {
    /// The topmost first.
    pieces: Vec<Piece>,
}

/// A layer, or what is wanted of it.
#[derive(Debug)]
struct Piece {
    path: PathBuf,
    /// It, opened.
    directory: OwnedFd,
    /// Set where it is not unpacked elsewhere.
    own: Option<(LayerDir, Unpacked)>,
}

impl Piece {
    fn open(path: PathBuf, own: Option<(LayerDir, Unpacked)>) -> StepResult<Self> {
        let directory = kiln_layer::open_layer(&path)?;
        Ok(Self { path, directory, own })
    }
}

impl AsFd for Piece {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Part {
    /// Reads the layers down to where all goals are settled.
    pub(crate) fn read(store: &Store, layers: &dyn Layers, goals: &[Goal]) -> StepResult<Self> {
        let part = Self::read_until(store, layers, goals, |_| false)?;
        Ok(part.expect("nothing ends it"))
    }

    /// The same; `None` as soon as one is a directory that hides nothing of lower layers: all are wanted then, which are
    /// better fetched together.
    pub(crate) fn read_files(store: &Store, layers: &dyn Layers, goals: &[Goal]) -> StepResult<Option<Self>> {
        Self::read_until(store, layers, goals, |look| *look == Look::OpenDirectory)
    }

    fn read_until(
        store: &Store,
        layers: &dyn Layers,
        goals: &[Goal],
        ends: fn(&Look) -> bool,
    ) -> StepResult<Option<Self>> {
        let (mut wanted, mut directories) = (Wanted::default(), Vec::new());
        for goal in goals {
            wanted.add(&goal.path);
        }
        loop {
            let reading = Reading {
                store,
                layers,
                goals,
                ends,
                wanted: &mut wanted,
                directories: &mut directories,
            };
            match reading.run()? {
                Outcome::Read(pieces) => return Ok(Some(Self { pieces })),
                Outcome::Ended => return Ok(None),
                Outcome::MoreIsWanted => {}
            }
            if wanted.count() > MOST_PATHS {
                wanted = Wanted::all();
            }
        }
    }

    /// The directories, the topmost first.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        self.pieces.iter().map(|piece| piece.path.clone()).collect()
    }

    /// A file tree that has the goals, and of all else nobody knows what.
    pub(crate) fn tree(&self, empty: PathBuf) -> StepResult<OwnedFd> {
        tree(self.directories(), empty)
    }
}

/// The merged tree of directories, the topmost first. Of a single one there would be no overlay, and only in one is a whiteout
/// nothing, rather than a device; so there is an empty one below.
pub(crate) fn tree(mut lower: Vec<PathBuf>, empty: PathBuf) -> StepResult<OwnedFd> {
    lower.push(empty);
    let tree = Overlay {
        lower: &lower,
        upper: None,
        volatile: false,
    };
    Ok(tree.mount()?)
}

struct Reading<'r> {
    store: &'r Store,
    layers: &'r dyn Layers,
    goals: &'r [Goal],
    ends: fn(&Look) -> bool,
    wanted: &'r mut Wanted,
    /// What was answered when it was asked where layers are, the topmost first.
    directories: &'r mut Vec<Option<PathBuf>>,
}

/// What reading came to.
enum Outcome {
    Read(Vec<Piece>),
    /// It turned out on the way that more is wanted: what was read has not all of it.
    MoreIsWanted,
    Ended,
}

impl Reading<'_> {
    fn run(mut self) -> StepResult<Outcome> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut depends = false;
        for number in (0..self.layers.count()).rev() {
            let piece = self.piece(number)?;
            if let Some((_, unpacked)) = &piece.own {
                depends |= unpacked.is_incomplete();
                // Lower layers have what is linked to. Those above may have it, too, and were unpacked without it.
                let known = self.wanted.count();
                for (_, target) in &unpacked.missing_links {
                    self.wanted.add(target);
                }
                if self.wanted.count() > known {
                    return Ok(Outcome::MoreIsWanted);
                }
            }
            pieces.push(piece);
            match self.look(&pieces, number == 0)? {
                look if (self.ends)(&look) => return Ok(Outcome::Ended),
                Look::Settled if !depends => break,
                Look::Settled | Look::Open | Look::OpenDirectory => {}
                Look::Elsewhere(path) => {
                    self.wanted.add(&path);
                    return Ok(Outcome::MoreIsWanted);
                }
            }
        }
        match self.complete(&pieces) {
            Ok(None) => {}
            Ok(Some(path)) => {
                self.wanted.add(&path);
                return Ok(Outcome::MoreIsWanted);
            }
            Err(_) if !self.wanted.is_all() => {
                *self.wanted = Wanted::all();
                return Ok(Outcome::MoreIsWanted);
            }
            Err(error) => return Err(error),
        }
        // Each layer of a mount costs, and of some number there is none.
        if !self.wanted.is_all() {
            pieces.retain(|piece| piece.own.is_none() || !is_empty(&piece.path));
        }
        Ok(Outcome::Read(pieces))
    }

    fn piece(&mut self, number: usize) -> StepResult<Piece> {
        let depth = self.layers.count() - 1 - number;
        if self.directories.len() == depth {
            self.directories.push(self.layers.directory(number)?);
        }
        if let Some(path) = self.directories[depth].clone() {
            return Piece::open(path, None);
        }
        let unpack = |wanted: Wanted| -> StepResult<(LayerDir, Unpacked)> {
            let directory = self.store.new_layer()?;
            let unpacked = self
                .layers
                .unpack(number, &directory.fs(), &UnpackOptions::of(wanted))?;
            Ok((directory, unpacked))
        };
        let (mut directory, mut unpacked) = unpack(self.wanted.clone())?;
        // The file that a name is a link to may be one that is not wanted by any other name.
        if !self.wanted.is_all() && (unpacked.strayed || !unpacked.missing_links.is_empty()) {
            (directory, unpacked) = unpack(Wanted::all())?;
        }
        unpacked.limit_to(self.wanted);
        Piece::open(directory.fs(), Some((directory, unpacked)))
    }

    /// What is known of the goals; the first of which not all is known says what.
    fn look(&self, pieces: &[Piece], is_all: bool) -> StepResult<Look> {
        for goal in self.goals {
            let look = kiln_layer::look(pieces, is_all, &goal.path, goal.follow, self.wanted)?;
            if look != Look::Settled {
                return Ok(look);
            }
        }
        Ok(Look::Settled)
    }

    /// Gives layers what they take from those below them, all of which are there; or tells what is wanted besides, since it
    /// is what that leads to.
    fn complete(&self, pieces: &[Piece]) -> StepResult<Option<PathBuf>> {
        let lowest_first = pieces.iter().enumerate().rev();
        for (at, piece) in lowest_first {
            let Some((_, unpacked)) = piece.own.as_ref().filter(|(_, unpacked)| unpacked.is_incomplete()) else {
                continue;
            };
            let below: Vec<PathBuf> = pieces[at + 1..].iter().map(|piece| piece.path.clone()).collect();
            if below.is_empty() && unpacked.missing_links.is_empty() {
                continue;
            }
            for (path, follow) in unpacked.looked_up() {
                for layers in [&pieces[at..], &pieces[at + 1..]] {
                    if let Look::Elsewhere(path) = kiln_layer::look(layers, true, path, follow, self.wanted)? {
                        return Ok(Some(path));
                    }
                }
            }
            let empty = self.store.new_layer()?;
            let below = tree(below, empty.fs())?;
            kiln_layer::complete(&piece.path, below.as_fd(), unpacked)?;
        }
        // Names are hard links only now, maybe to symbolic ones.
        Ok(match self.look(pieces, true)? {
            Look::Elsewhere(path) => Some(path),
            Look::Settled | Look::Open | Look::OpenDirectory => None,
        })
    }
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests;
