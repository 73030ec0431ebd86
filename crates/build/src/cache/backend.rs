//! A place for documents and blobs.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use kiln_image::{Descriptor, Hasher, Reference};

use super::document::Document;
use crate::error::StepResult;

/// A place for one document and its blobs, on this machine or another. All of it is hostile.
pub(crate) trait Backend: Send + Sync {
    /// As people call it.
    fn name(&self) -> String;

    /// The repository, if it is one: registries take blobs from one another.
    fn reference(&self) -> Option<&Reference> {
        None
    }

    /// The document; `None` where there is none yet.
    fn read(&self) -> StepResult<Option<Document>>;

    /// Whether writing what was read would change nothing.
    fn is_current(&self) -> bool {
        true
    }

    /// The bytes of a blob. The reader fails at the latest at the end if they are not what the descriptor says.
    fn open<'r>(
        &'r self,
        blob: &Descriptor,
        report: Box<dyn Fn(u64) + Send + 'r>,
    ) -> StepResult<Box<dyn Read + Send + 'r>>;

    /// Whether a blob that the document names is still there, as far as that is known without asking.
    fn still_has(&self, blob: &Descriptor) -> bool;

    /// Whether a blob that the document names and this build needs is still there. Where old blobs are removed, it is not
    /// old afterwards.
    fn keep(&self, blob: &Descriptor) -> StepResult<bool> {
        Ok(self.still_has(blob))
    }

    /// Makes sure that the blob is there, whose content is in `file`.
    fn put(&self, blob: &Descriptor, file: &Path, report: &dyn Fn(u64)) -> StepResult<()>;

    /// Keeps all others from writing documents while the value lives, where the place can.
    fn alone(&self) -> StepResult<Option<File>> {
        Ok(None)
    }

    /// Puts the document in the place of the one that was read last. All blobs that it names are there. `false` where
    /// somebody else wrote another one in the meantime, which is to be read: this one may be lost.
    fn write(&self, document: &Document) -> StepResult<bool>;
}

/// Waits until everybody has written who looked what was there before this build wrote, and took no longer than twice as long
/// from there to the writing as this build, which began at `start`.
pub(super) fn let_others_write(start: Instant) {
    std::thread::sleep((2 * start.elapsed()).min(LONGEST_WAIT));
}

/// Who takes longer than half of that between a look and a request loses a race at worst.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A reader that fails at the end if what passed is not what was wanted.
pub(crate) struct Verified<R> {
    inner: R,
    wanted: Descriptor,
    size: u64,
    hasher: Hasher,
}

impl<R> Verified<R> {
    pub(crate) fn new(inner: R, wanted: &Descriptor) -> Self {
        Self {
            inner,
            wanted: wanted.clone(),
            size: 0,
            hasher: Hasher::new(),
        }
    }

    fn wrong(&self, what: &str) -> io::Error {
        let message = format!("blob {} {what}: it is damaged", self.wanted.digest);
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.size += count as u64;
        if self.size > self.wanted.size {
            return Err(self.wrong(&format!("has more than its {} bytes", self.wanted.size)));
        }
        if count == 0 && !buffer.is_empty() {
            let found = self.hasher.clone().finish();
            if self.size < self.wanted.size {
                return Err(self.wrong(&format!("has {} of {} bytes", self.size, self.wanted.size)));
            }
            if found != self.wanted.digest {
                return Err(self.wrong(&format!("has the digest {found}")));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_what_was_wanted_is_no_end() {
        let wanted = Descriptor::of("", b"content");
        let read = |bytes: &'static [u8]| io::copy(&mut Verified::new(bytes, &wanted), &mut io::sink());
        assert_eq!(read(b"content").unwrap(), 7);
        for lie in [&b"conte"[..], b"content and more", b"Content"] {
            let error = read(lie).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{lie:?}: {error}");
        }
    }
}
