//! An archive of files that are read where they stand: nothing is unpacked.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_layer::ArchiveKind;
use kiln_layer::tar::{Kind, Reader};
use kiln_store::Store;

use crate::cancel::{Cancel, Watched};
use crate::error::{StepError, StepResult};
use crate::layout::{Content, LayoutFiles};

/// An archive of images has a few files for each layer; one of more is none.
const MOST: usize = 1 << 20;

/// Links of links are not followed further.
const MOST_LINKS: usize = 8;

/// What the content of a tar's files is filled up to.
const BLOCK: u64 = 512;

/// How much of a file tells what it is.
const START: usize = 512;

/// An archive.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    file: Arc<File>,
    members: HashMap<String, Member>,
}

#[derive(Debug)]
enum Member {
    File {
        start: u64,
        size: u64,
    },
    /// Old archives link layers that several images have.
    Link(String),
}

impl Archive {
    /// Reads an archive's headers. A compressed one is decompressed into a file of the store's that is gone afterwards.
    pub(crate) fn open(path: &Path, store: &Store, cancel: &Cancel) -> StepResult<Self> {
        let file = File::open(path).map_err(StepError::io("open", path))?;
        let is_file = file.metadata().map_err(StepError::io("examine", path))?.is_file();
        if !is_file {
            return Err(StepError::Invalid(format!("{} is no file", path.display())));
        }
        let mut start = [0; START];
        let count = file.read_at(&mut start, 0).map_err(StepError::io("read", path))?;
        let file = match kiln_layer::sniff(&start[..count]) {
            Some(ArchiveKind::Tar) => file,
            Some(_) => decompress(file, path, store, cancel)?,
            None => return Err(StepError::Invalid(format!("{} is no archive", path.display()))),
        };
        let failed = |source| StepError::Unpack {
            what: path.display().to_string(),
            source,
        };
        Ok(Self {
            path: path.to_owned(),
            members: members(&file, cancel).map_err(failed)?.ok_or_else(|| {
                StepError::Invalid(format!("{} has more files than an archive of images", path.display()))
            })?,
            file: Arc::new(file),
        })
    }

    /// Whether it has a file of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }
}

impl LayoutFiles for Archive {
    fn open(&self, name: &str) -> StepResult<Option<Content>> {
        let mut name = name.trim_start_matches("./");
        for _ in 0..MOST_LINKS {
            match self.members.get(name) {
                None => break,
                Some(Member::Link(target)) => name = target,
                Some(Member::File { start, size }) => {
                    let reader = Part {
                        file: Arc::clone(&self.file),
                        at: *start,
                        end: start + size,
                    };
                    return Ok(Some(Content {
                        reader: Box::new(reader),
                        size: *size,
                    }));
                }
            }
        }
        Ok(None)
    }

    fn shown(&self) -> String {
        format!("the archive {}", self.path.display())
    }
}

/// A part of a file.
struct Part {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.file.read_at(&mut buffer[..left], self.at)?;
        if count == 0 && left > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off"));
        }
        self.at += count as u64;
        Ok(count)
    }
}

fn decompress(file: File, path: &Path, store: &Store, cancel: &Cancel) -> StepResult<File> {
    let failed = |source| StepError::Unpack {
        what: path.display().to_string(),
        source,
    };
    let mut tar = kiln_layer::uncompressed(Watched { inner: file, cancel }).map_err(failed)?;
    let mut scratch = store.scratch_file()?;
    io::copy(&mut tar, &mut scratch).map_err(StepError::io("decompress", path))?;
    scratch.flush().map_err(StepError::io("write", path))?;
    Ok(scratch)
}

/// Reads headers one by one, passing over what is between them. `None` if there are too many.
fn members(file: &File, cancel: &Cancel) -> Result<Option<HashMap<String, Member>>, kiln_layer::Error> {
    let mut members = HashMap::new();
    let at = Cell::new(0);
    let from_here = || {
        let inner = From { file, at: &at };
        Reader::new(Watched { inner, cancel })
    };
    let mut reader = from_here();
    while let Some(entry) = reader.next_entry()? {
        let name = String::from_utf8_lossy(&entry.path).trim_start_matches("./").to_owned();
        let member = match entry.kind {
            // No image is kept in a sparse file, whose content is not in one piece.
            Kind::File if entry.sparse.is_none() => {
                let start = at.get();
                let stored = entry.size.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
                at.set(start.saturating_add(stored));
                reader = from_here();
                Member::File {
                    start,
                    size: entry.size,
                }
            }
            Kind::Symlink | Kind::Link => {
                let target = String::from_utf8_lossy(&entry.link);
                Member::Link(target.trim_start_matches("../").to_owned())
            }
            _ => continue,
        };
        members.insert(name, member);
        if members.len() > MOST {
            return Ok(None);
        }
    }
    Ok(Some(members))
}

/// A file from some place on.
struct From<'a> {
    file: &'a File,
    at: &'a Cell<u64>,
}

impl Read for From<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at.get())?;
        self.at.set(self.at.get() + count as u64);
        Ok(count)
    }
}
