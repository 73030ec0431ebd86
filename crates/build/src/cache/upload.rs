//! Content on its way to a service that takes it whole or in parts.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;

use kiln_registry::Content;

/// Something of known length.
pub(super) enum Upload<'u> {
    /// In memory.
    Bytes(&'u [u8]),
    /// In a file.
    File {
        path: &'u Path,
        size: u64,
        /// Told how many bytes are on their way.
        report: &'u dyn Fn(u64),
    },
}

impl Upload<'_> {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// Where parts of so many bytes begin, and how long they are.
    pub(super) fn parts(&self, most: u64) -> impl Iterator<Item = (u64, u64)> + use<> {
        let size = self.size();
        let starts = std::iter::successors(Some(0), move |start| Some(start + most));
        starts
            .take_while(move |start| *start < size)
            .map(move |start| (start, most.min(size - start)))
    }

    /// Sends one part.
    pub(super) fn send<T>(&self, (start, length): (u64, u64), send: impl FnOnce(Content<'_>) -> T) -> T {
        match self {
            Self::Bytes(bytes) => {
                let at = |offset| usize::try_from(offset).map_or(bytes.len(), |offset: usize| offset.min(bytes.len()));
                send(Content::Bytes(&bytes[at(start)..at(start + length)]))
            }
            Self::File { path, report, .. } => {
                let open = || -> io::Result<Box<dyn Read + Send>> {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(start))?;
                    Ok(Box::new(file.take(length)))
                };
                send(Content::Stream {
                    open: &open,
                    length,
                    progress: &|bytes| report(start + bytes),
                })
            }
        }
    }

    /// Sends all of it at once.
    pub(super) fn send_whole<T>(&self, send: impl FnOnce(Content<'_>) -> T) -> T {
        self.send((0, self.size()), send)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole() {
        let upload = Upload::Bytes(b"0123456789");
        let parts = |most| upload.parts(most).collect::<Vec<_>>();
        assert_eq!(parts(4), [(0, 4), (4, 4), (8, 2)]);
        assert_eq!(parts(10), [(0, 10)]);
        assert_eq!(Upload::Bytes(b"").parts(4).count(), 0);
        let sent = upload.send((8, 2), |content| match content {
            Content::Bytes(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        });
        assert_eq!(sent, b"89");
    }
}
