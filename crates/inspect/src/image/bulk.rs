//! Contents of many files at once: a layer that is not in the store is read once for all of them.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Mutex;

use super::{Contents, Excerpt, Image, open_file};
use crate::error::{Error, path};
use crate::reread;
use crate::tree::Place;

/// A part of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'p> {
    /// The content begins. What came of this file before, if anything did, does not count.
    Begin,
    /// Some bytes.
    Bytes(&'p [u8]),
}

/// Takes a part of the file of that number.
type Take<'t> = &'t mut (dyn FnMut(usize, Piece<'_>) + Send);

impl Image {
    /// Gives the contents of files to `take`, in pieces, each file known by its number among `places`. They come in any
    /// order, one after the other, and no more than `limit` bytes of any. Of several names of one file one may get nothing.
    pub fn read_files(&self, places: &[Place], limit: u64, take: Take<'_>) -> Result<(), Error> {
        let mut away: BTreeMap<usize, HashMap<Vec<u8>, usize>> = BTreeMap::new();
        for (number, place) in places.iter().enumerate() {
            let layer = place.layer as usize;
            let index = &self.indexes[layer];
            let first = index.first_name(place.entry);
            match &self.contents[layer] {
                Contents::Directory(directory) => {
                    let name = index.path(place.entry);
                    let mut file = open_file(directory, name.clone())?.take(limit);
                    pieces(&mut file, number, take).map_err(|source| Error::File {
                        path: path(name),
                        source,
                    })?;
                }
                Contents::Excerpts(excerpts) => match excerpts.get(first) {
                    Some(Excerpt::Text(text)) => {
                        take(number, Piece::Begin);
                        let length = usize::try_from(limit).map_or(text.len(), |limit| limit.min(text.len()));
                        take(number, Piece::Bytes(&text[..length]));
                    }
                    _ if index.entry(first).size == 0 => take(number, Piece::Begin),
                    _ => {
                        let names = away.entry(layer).or_default();
                        names.extend(index.names_of(first).map(|entry| (index.path(entry), number)));
                    }
                },
            }
        }
        self.read_away(&away, limit, take)
    }

    /// What was kept of a copyright file of a layer that is not in the store: the licenses that it names.
    pub(crate) fn kept_licenses(&self, place: Place) -> Option<Vec<String>> {
        let layer = place.layer as usize;
        let Contents::Excerpts(excerpts) = &self.contents[layer] else {
            return None;
        };
        match excerpts.get(self.indexes[layer].first_name(place.entry))? {
            Excerpt::Licenses(names) => Some(names),
            _ => None,
        }
    }

    /// Reads layers that are elsewhere.
    fn read_away(
        &self,
        away: &BTreeMap<usize, HashMap<Vec<u8>, usize>>,
        limit: u64,
        take: Take<'_>,
    ) -> Result<(), Error> {
        if away.is_empty() {
            return Ok(());
        }
        let layers: Vec<usize> = away.keys().copied().collect();
        let state = Mutex::new((take, Ok(())));
        let read = |layer: usize, tar: &mut dyn Read| {
            let Some(names) = away.get(&layer) else { return };
            // One layer at a time is given away: the files of another wait.
            let mut state = state.lock().expect("nobody panics with it");
            let mut left = limit;
            let done = reread::each(tar, names, &mut |number, piece| match piece {
                Piece::Begin => {
                    left = limit;
                    (state.0)(number, piece);
                }
                Piece::Bytes(bytes) => {
                    let count = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    left -= count as u64;
                    (state.0)(number, Piece::Bytes(&bytes[..count]));
                }
            });
            if let Err(source) = done {
                let layer = path(format!("{layer}").into_bytes());
                state.1 = Err(Error::Layer { layer, source });
            }
        };
        self.tars.read(&layers, &read).map_err(Error::Tars)?;
        state.into_inner().expect("nobody panics with it").1
    }
}

fn pieces(file: &mut impl Read, number: usize, take: Take<'_>) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    take(number, Piece::Begin);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => take(number, Piece::Bytes(&buffer[..count])),
        }
    }
}
