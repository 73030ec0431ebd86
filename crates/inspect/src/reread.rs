//! Reading files out of a layer's tar.

use std::collections::HashMap;
use std::io::Read;

use kiln_layer::tar::{Kind, Reader};

use crate::image::Piece;
use crate::index::{components, content};

/// Holes of a sparse file are written out, up to so many bytes of what goes by.
const MOST_HOLES: u64 = 64 << 30;

/// The first bytes of the file that has one of these names; `None` if there is none.
pub(crate) fn file(tar: impl Read, names: &[Vec<u8>], limit: u64) -> Result<Option<Vec<u8>>, kiln_layer::Error> {
    let names = names.iter().map(|name| (name.clone(), 0)).collect();
    let mut found = None;
    each(tar, &names, &mut |_, piece| match piece {
        Piece::Begin => found = Some(Vec::new()),
        Piece::Bytes(piece) => {
            let bytes = found.get_or_insert_default();
            let room = limit.saturating_sub(bytes.len() as u64);
            let count = usize::try_from(room).map_or(piece.len(), |room| room.min(piece.len()));
            bytes.extend_from_slice(&piece[..count]);
        }
    })?;
    Ok(found)
}

/// The contents of the files that have these names, each known to `take` by the number beside its name. The tar is read to
/// its end, and may have a name several times: what it says last is what counts.
pub(crate) fn each(
    tar: impl Read,
    names: &HashMap<Vec<u8>, usize>,
    take: &mut dyn FnMut(usize, Piece<'_>),
) -> Result<(), kiln_layer::Error> {
    let mut reader = Reader::new(kiln_layer::uncompressed(tar)?);
    let mut holes = MOST_HOLES;
    while let Some(entry) = reader.next_entry()? {
        if entry.kind != Kind::File {
            continue;
        }
        let Ok(path) = components(&entry.path) else { continue };
        let Some(number) = names.get(&path.join(&b'/')) else {
            continue;
        };
        take(*number, Piece::Begin);
        content(&mut reader, &entry, &mut holes, &mut |piece| {
            take(*number, Piece::Bytes(piece));
        })?;
    }
    Ok(())
}
