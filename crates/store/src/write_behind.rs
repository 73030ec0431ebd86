//! Files that are on their way to the disk while they are still being written.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZero;

use rustix::fs::{Advice, fadvise};

/// How much is written between two hints, in bytes.
const STRIDE: u64 = 8 << 20;

/// A file that is written from its beginning. Its disk is kept busy meanwhile, so that [`WriteBehind::sync`] has little left
/// to wait for.
#[derive(Debug)]
pub struct WriteBehind {
    file: File,
    written: u64,
    /// How much of that the kernel was told of.
    told: u64,
}

impl WriteBehind {
    /// Of an empty file.
    pub fn new(file: File) -> Self {
        Self {
            file,
            written: 0,
            told: 0,
        }
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Waits until everything is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Says that what was written is not needed any more: the kernel begins to write it, and keeps it in memory until it
    /// is on the disk. What it says to that does not matter: who needs the disk to have it syncs.
    fn hint(&mut self) {
        let length = NonZero::new(self.written - self.told);
        let _does_not_matter = fadvise(&self.file, self.told, length, Advice::DontNeed);
        self.told = self.written;
    }
}

impl Write for WriteBehind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        if self.written - self.told >= STRIDE {
            self.hint();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_change_no_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut file = WriteBehind::new(File::create(&path).unwrap());
        let bytes: Vec<u8> = (0..3_u32 << 20).flat_map(u32::to_le_bytes).collect();
        for piece in bytes.chunks(999_999) {
            file.write_all(piece).unwrap();
        }
        assert!(file.told > 0 && file.told < file.written);
        file.sync().unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes);
    }
}
