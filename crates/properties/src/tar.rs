//! Archives.

use std::io;
use std::ops::Range;

use kiln_layer::tar::{BLOCK, Entry, Kind, Reader, Writer};

/// Where a header has its checksum.
const CHECKSUM: Range<usize> = 148..156;

/// More is not read of an archive: a header may promise terabytes of holes.
const MOST: u64 = 1 << 20;

/// Archives are read to their end or to an error. What can be read can be written, and reads the same. The bytes are
/// tried as they are, and with a checksum in every block, which nobody comes to by chance.
pub fn tar(bytes: &[u8]) {
    read_and_written(bytes);
    read_and_written(&sealed(bytes));
}

/// The bytes with each block's checksum where a header has it: the sum of the block with blanks in that place.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    for block in sealed
        .chunks_exact_mut(BLOCK)
        .filter(|block| block.iter().any(|byte| *byte != 0))
    {
        block[CHECKSUM].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    sealed
}

fn read_and_written(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while let Ok(Some(entry)) = reader.next_entry() {
        let Some(content) = content(&mut reader, &entry) else {
            return;
        };
        entries.push((entry, content));
    }
    for (mut entry, content) in entries {
        entry.xattrs.sort();
        // Of a sparse file only the pieces are here; files with the name of a directory cannot be made.
        if entry.sparse.is_some() || (entry.kind != Kind::Directory && entry.path.ends_with(b"/")) {
            continue;
        }
        let first = written(&entry, &content).expect("what was read can be written");
        let mut reader = Reader::new(first.as_slice());
        let again = reader.next_entry().expect("what was written can be read");
        let again = again.expect("an entry was written");
        assert_eq!(self::content(&mut reader, &again).as_ref(), Some(&content));
        let of = |entry: &Entry| {
            (
                entry.kind,
                entry.mode,
                entry.uid,
                entry.gid,
                entry.mtime,
                entry.xattrs.clone(),
            )
        };
        assert_eq!(of(&again), of(&entry));
        // What a kind has no use for is not written, such as where a file leads.
        let second = written(&again, &content).expect("what was read can be written");
        assert!(second == first, "{entry:?} is written as {again:?}");
    }
}

fn written(entry: &Entry, content: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    writer.entry(entry)?;
    writer.data(content)?;
    writer.finish()
}

/// What an entry holds, if that is little enough to look at.
fn content(reader: &mut Reader<&[u8]>, entry: &Entry) -> Option<Vec<u8>> {
    if entry.size > MOST {
        return None;
    }
    let mut content = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match reader.read_content(&mut buffer) {
            Ok(0) => break,
            Ok(read) => content.extend_from_slice(&buffer[..read]),
            Err(_) => return None,
        }
    }
    assert!(entry.kind == Kind::File || content.is_empty());
    Some(content)
}
