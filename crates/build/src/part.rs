//! A part of a file tree: of its layers, the topmost first, no more are read than say all of it, and of these no more is
//! unpacked than is wanted.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use kiln_layer::{Look, UnpackOptions, Unpacked, Wanted};
use kiln_sandbox::Overlay;
use kiln_store::{LayerDir, Store};

use crate::error::StepResult;

/// After as many passes everything is wanted: in each the layers are unpacked anew, and an image may be made of links that lead
/// from one to the next.
const MOST_PASSES: usize = 8;

/// The layers of a file tree, of which some are to be read.
pub(crate) trait Layers {
    /// How many there are.
    fn count(&self) -> usize;

    /// Where the layer of that number (0 is the lowest) is unpacked, if it is. It is asked once in each reading.
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
        for pass in 1.. {
            if pass > MOST_PASSES {
                wanted = Wanted::all();
            }
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
        }
        unreachable!("where all is wanted there is no more")
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
                if self.add(unpacked.missing_links.iter().map(|(_, target)| target)) {
                    return Ok(Outcome::MoreIsWanted);
                }
            }
            pieces.push(piece);
            let open = self.look(&pieces, number == 0)?;
            if open.iter().any(self.ends) {
                return Ok(Outcome::Ended);
            }
            let is_settled = open.is_empty();
            if self.add(open.into_iter().filter_map(elsewhere)) {
                return Ok(Outcome::MoreIsWanted);
            }
            if is_settled && !depends {
                break;
            }
        }
        match self.complete(&pieces) {
            Ok(more) => {
                if self.add(more) {
                    return Ok(Outcome::MoreIsWanted);
                }
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

    /// Adds to what is wanted; says whether there was anything new.
    fn add(&mut self, paths: impl IntoIterator<Item = impl AsRef<Path>>) -> bool {
        let mut is_new = false;
        for path in paths {
            is_new |= self.wanted.add(path.as_ref());
        }
        is_new
    }

    /// What is known of those goals of which not all is.
    fn look(&self, pieces: &[Piece], is_all: bool) -> StepResult<Vec<Look>> {
        let mut open = Vec::new();
        for goal in self.goals {
            let look = kiln_layer::look(pieces, is_all, &goal.path, goal.follow, self.wanted)?;
            if look != Look::Settled {
                open.push(look);
            }
        }
        Ok(open)
    }

    /// Gives layers what they take from those below them, all of which are there; or tells what is wanted besides, since it
    /// is what that leads to.
    fn complete(&self, pieces: &[Piece]) -> StepResult<Vec<PathBuf>> {
        let mut more = Vec::new();
        for at in 0..pieces.len() {
            more.extend(self.led_to(&pieces[at..])?);
        }
        if !more.is_empty() {
            return Ok(more);
        }
        for at in (0..pieces.len()).rev() {
            let Some(unpacked) = depending(&pieces[at..]) else {
                continue;
            };
            // Of those below names are hard links only now, maybe to symbolic ones.
            let more = self.led_to(&pieces[at..])?;
            if !more.is_empty() {
                return Ok(more);
            }
            let below = pieces[at + 1..].iter().map(|piece| piece.path.clone()).collect();
            let empty = self.store.new_layer()?;
            let below = tree(below, empty.fs())?;
            kiln_layer::complete(&pieces[at].path, below.as_fd(), unpacked)?;
        }
        Ok(self.look(pieces, true)?.into_iter().filter_map(elsewhere).collect())
    }

    /// Where what the first layer takes from those below it leads, as far as that is not wanted so far.
    fn led_to(&self, pieces: &[Piece]) -> StepResult<Vec<PathBuf>> {
        let mut more = Vec::new();
        let Some(unpacked) = depending(pieces).filter(|_| !self.wanted.is_all()) else {
            return Ok(more);
        };
        for (path, follow) in unpacked.looked_up() {
            for layers in [pieces, &pieces[1..]] {
                more.extend(elsewhere(kiln_layer::look(layers, true, path, follow, self.wanted)?));
            }
        }
        Ok(more)
    }
}

/// What the first layer takes from those below it, if that is anything.
fn depending(pieces: &[Piece]) -> Option<&Unpacked> {
    let (piece, below) = pieces.split_first()?;
    let (_, unpacked) = piece.own.as_ref()?;
    let depends = !unpacked.missing_links.is_empty() || (!below.is_empty() && unpacked.is_incomplete());
    depends.then_some(unpacked)
}

/// What else is wanted of a path of which not all is known.
fn elsewhere(look: Look) -> Option<PathBuf> {
    match look {
        Look::Elsewhere(path) => Some(path),
        Look::Settled | Look::Open | Look::OpenDirectory => None,
    }
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests;
