//! Copying what is in a file by the cheapest way that the file systems allow.

use std::os::fd::OwnedFd;

use rustix::fs::{copy_file_range, ftruncate, ioctl_ficlone};
use rustix::io::{Errno, pread, pwrite};

use crate::pack::next_data;
use crate::tar::at_most;
use crate::walk::Meta;

/// Copies contents, and remembers which ways do not work between the file systems at hand.
#[derive(Debug)]
pub(crate) struct Content {
    clone: bool,
    in_kernel: bool,
    buffer: Vec<u8>,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            clone: true,
            in_kernel: true,
            buffer: Vec::new(),
        }
    }
}

/// Files up to this are read and written: fewer system calls than to find out about anything better.
const SMALL: u64 = 64 * 1024;

const BUFFER: usize = 256 * 1024;

impl Content {
    /// Copies everything from `source`, which is `meta`, to `copy`, which is empty. Gives the number of bytes.
    pub(crate) fn copy(&mut self, source: &OwnedFd, copy: &OwnedFd, meta: &Meta) -> Result<u64, Errno> {
        if meta.size == 0 {
            return self.rest(source, copy, 0);
        }
        if self.clone && meta.size > SMALL {
            match ioctl_ficlone(copy, source) {
                Ok(()) => return Ok(meta.size),
                Err(_) => self.clone = false,
            }
        }
        if meta.is_sparse() {
            return self.sparse(source, copy, meta.size);
        }
        let copied = if meta.size > SMALL {
            self.range(source, copy, 0, meta.size)?
        } else {
            0
        };
        self.rest(source, copy, copied)
    }

    /// Reads and writes from `at` to the end of the source, which may have grown.
    fn rest(&mut self, source: &OwnedFd, copy: &OwnedFd, mut at: u64) -> Result<u64, Errno> {
        while let Some(read) = self.piece(source, copy, at, u64::MAX)? {
            at += read;
        }
        Ok(at)
    }

    fn sparse(&mut self, source: &OwnedFd, copy: &OwnedFd, size: u64) -> Result<u64, Errno> {
        ftruncate(copy, size)?;
        let mut at = 0;
        while let Some((data, hole)) = next_data(source, at, size)? {
            let mut copied = self.range(source, copy, data, hole)?;
            while copied < hole {
                // Shorter than it was: what follows stays a hole.
                let Some(read) = self.piece(source, copy, copied, hole - copied)? else {
                    return Ok(size);
                };
                copied += read;
            }
            at = hole;
        }
        Ok(size)
    }

    /// Copies within the kernel; gives how far that went.
    fn range(&mut self, source: &OwnedFd, copy: &OwnedFd, start: u64, end: u64) -> Result<u64, Errno> {
        let (mut from, mut to) = (start, start);
        while self.in_kernel && from < end {
            let length = usize::try_from(end - from).unwrap_or(usize::MAX).min(1 << 30);
            match copy_file_range(source, Some(&mut from), copy, Some(&mut to), length) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::BADF) => {
                    self.in_kernel = false;
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(from)
    }

    /// Reads a piece and writes it; `None` at the end.
    fn piece(&mut self, source: &OwnedFd, copy: &OwnedFd, at: u64, limit: u64) -> Result<Option<u64>, Errno> {
        self.buffer.resize(BUFFER, 0);
        let wanted = at_most(limit, BUFFER);
        let read = retry(|| pread(source, &mut self.buffer[..wanted], at))?;
        if read == 0 {
            return Ok(None);
        }
        let mut written = 0;
        while written < read {
            written += retry(|| pwrite(copy, &self.buffer[written..read], at + written as u64))?;
        }
        Ok(Some(read as u64))
    }
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
