//! Reading a single file out of a layer's tar.

use std::io::Read;

use kiln_layer::tar::{Kind, Reader};

use crate::index::{components, content};

/// Holes of a sparse file are written out, up to so many bytes of what goes by.
const MOST_HOLES: u64 = 64 << 30;

/// The first bytes of the file that has one of these names; `None` if there is none. The tar is read to its end: what it says
/// last is what counts.
pub(crate) fn file(tar: impl Read, names: &[Vec<u8>], limit: u64) -> Result<Option<Vec<u8>>, kiln_layer::Error> {
    let mut reader = Reader::new(kiln_layer::uncompressed(tar)?);
    let mut found = None;
    let mut holes = MOST_HOLES;
    while let Some(entry) = reader.next_entry()? {
        if entry.kind != Kind::File {
            continue;
        }
        let Ok(path) = components(&entry.path) else { continue };
        if !names.contains(&path.join(&b'/')) {
            continue;
        }
        let mut bytes = Vec::new();
        let read = content(&mut reader, &entry, &mut holes, &mut |piece| {
            let room = limit.saturating_sub(bytes.len() as u64);
            let count = usize::try_from(room).map_or(piece.len(), |room| room.min(piece.len()));
            bytes.extend_from_slice(&piece[..count]);
        });
        found = read?.map(|_| bytes);
    }
    Ok(found)
}
