//! Archives.

use std::io;

use kiln_layer::tar::{Entry, Kind, Reader, Writer};

/// More is not read of an archive: a header may promise terabytes of holes.
const MOST: u64 = 1 << 20;

/// Archives are read to their end or to an error. What can be read can be written, and reads the same.
pub fn tar(bytes: &[u8]) {
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
        // Of a sparse file only the pieces are here.
        if entry.sparse.is_some() {
            continue;
        }
        let written = written(&entry, &content).expect("what was read can be written");
        let mut reader = Reader::new(written.as_slice());
        let again = reader
            .next_entry()
            .expect("what was written can be read")
            .expect("an entry");
        assert_eq!(self::content(&mut reader, &again), Some(content));
        assert_eq!(again, entry);
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
