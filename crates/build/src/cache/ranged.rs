//! Blobs of services that give parts of objects: taken up again where a connection broke.

use std::io::{self, Read};

use crate::error::StepResult;

/// So many breaks without a byte between them are too many.
const MOST_BREAKS: u32 = 3;

/// Gives an object's bytes from an offset on.
type From<'r> = Box<dyn Fn(u64) -> StepResult<Box<dyn Read + Send>> + Send + 'r>;

/// A reader that asks for the rest where it broke off.
pub(super) struct Ranged<'r> {
    from: From<'r>,
    reader: Box<dyn Read + Send>,
    size: u64,
    offset: u64,
    breaks: u32,
    report: Box<dyn Fn(u64) + Send + 'r>,
}

impl<'r> Ranged<'r> {
    /// Opens an object of that size; `report` is told how much of it is there.
    pub(super) fn open(from: From<'r>, size: u64, report: Box<dyn Fn(u64) + Send + 'r>) -> StepResult<Self> {
        Ok(Self {
            reader: from(0)?,
            from,
            size,
            offset: 0,
            breaks: 0,
            report,
        })
    }

    fn reopen(&mut self, error: io::Error) -> io::Result<()> {
        self.breaks += 1;
        if self.breaks > MOST_BREAKS {
            return Err(error);
        }
        self.reader = (self.from)(self.offset).map_err(io::Error::other)?;
        Ok(())
    }
}

impl Read for Ranged<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "it ended early");
            match self.reader.read(buffer) {
                Ok(0) if self.offset < self.size && !buffer.is_empty() => self.reopen(ended())?,
                Ok(count) => {
                    self.offset += count as u64;
                    self.breaks = 0;
                    (self.report)(self.offset);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.reopen(error)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Gives at most `piece` bytes each time.
    fn read(content: &'static [u8], piece: usize, most_opens: usize) -> io::Result<Vec<u8>> {
        let opens = AtomicUsize::new(0);
        let from = |offset: u64| -> StepResult<Box<dyn Read + Send>> {
            let rest = &content[usize::try_from(offset).unwrap()..];
            let given = if opens.fetch_add(1, Ordering::SeqCst) < most_opens {
                rest.len().min(piece)
            } else {
                0
            };
            Ok(Box::new(&rest[..given]))
        };
        let mut reader = Ranged::open(Box::new(from), content.len() as u64, Box::new(|_| {})).unwrap();
        let mut all = Vec::new();
        reader.read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn goes_on_where_it_broke_off() {
        assert_eq!(read(b"0123456789", 3, 100).unwrap(), b"0123456789");
        assert_eq!(read(b"", 3, 0).unwrap(), b"");
    }

    #[test]
    fn gives_up_where_nothing_comes() {
        let error = read(b"0123456789", 3, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
