//! Where a tar is cut: around the contents of files that are not small, so that these are the same members whatever the
//! file's name, owner and time; and else behind entries that their names choose, so that a file which changes, comes or
//! goes changes the member that it is in, and perhaps the next, and all others stay what they were.
//!
//! All of this is part of the output's definition.

use crate::tar::{BLOCK, Header, at_most};

/// Nothing shorter is cut off for the sake of a name.
pub(super) const SHORTEST: usize = 512 << 10;
/// No piece is longer. A multiple of [`BLOCK`].
pub(super) const LONGEST: usize = 2 << 20;
/// The content of a file that has as many bytes of blocks is not in one piece with anything else.
pub(super) const APART: u64 = 128 << 10;
/// An entry is chosen with the probability that is its share of so many bytes: how far it is to the next one does not
/// depend on how large files are.
const MEAN: u64 = 512 << 10;

/// Reads a tar as it comes along, as far as that is needed to know where its entries end. What is no tar is cut as well.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    place: Place,
    /// What the notes say that belong to the next entry.
    notes: blake3::Hasher,
    /// Whether the entry at hand is chosen.
    chosen: bool,
    /// Whether its content is apart.
    apart: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, Default)]
enum Place {
    /// A header, or else a block of something that is none.
    #[default]
    Header,
    /// So many bytes of notes.
    Notes(u64),
    /// So many bytes of a file.
    Content(u64),
}

impl Cutter {
    /// How many bytes the piece can take at most before [`ends`](Self::ends) must be asked; `filled` are in it.
    pub(super) fn room(&self, filled: usize) -> usize {
        let left = match self.place {
            Place::Header => BLOCK - filled % BLOCK,
            Place::Notes(left) | Place::Content(left) => at_most(left, LONGEST),
        };
        left.min(LONGEST - filled)
    }

    /// Whether the piece ends here, to which so many bytes were `added`.
    pub(super) fn ends(&mut self, piece: &[u8], added: usize) -> bool {
        let chosen = match self.place {
            Place::Header => piece.len().is_multiple_of(BLOCK) && self.header(piece),
            Place::Notes(left) => {
                self.notes.update(&piece[piece.len() - added..]);
                self.place = following(left - added as u64, Place::Notes);
                false
            }
            Place::Content(left) => {
                self.place = following(left - added as u64, Place::Content);
                matches!(self.place, Place::Header) && (self.apart || self.is_end_of_entry(piece.len()))
            }
        };
        chosen || piece.len() == LONGEST
    }

    /// Takes the block at the piece's end.
    fn header(&mut self, piece: &[u8]) -> bool {
        let Some(header) = piece.last_chunk::<BLOCK>().and_then(Header::of) else {
            return false;
        };
        let stored = header.stored();
        if header.is_extended() {
            self.place = following(stored, Place::Notes);
            return false;
        }
        for field in header.name() {
            self.notes.update(field);
        }
        let hash = self.notes.finalize();
        self.notes.reset();
        let number = hash
            .as_bytes()
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.chosen = number % MEAN < stored.saturating_add(BLOCK as u64);
        self.place = following(stored, Place::Content);
        self.apart = stored >= APART;
        match self.place {
            Place::Content(_) => self.apart,
            _ => self.is_end_of_entry(piece.len()),
        }
    }

    fn is_end_of_entry(&self, filled: usize) -> bool {
        self.chosen && filled >= SHORTEST
    }
}

fn following(left: u64, place: fn(u64) -> Place) -> Place {
    if left == 0 { Place::Header } else { place(left) }
}
