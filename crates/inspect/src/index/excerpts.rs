//! What is written down of the contents of a layer's files where the layer itself is not there to be looked at again: what
//! dynamic linkers read of programs, first lines of scripts, and small files that say what an image is.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::sync::Arc;

use kiln_layer::tar;

use super::TooMuch;
use super::bytes::{Reader, number, text};
use crate::elf::{self, Elf};
use crate::licenses;

/// What the kernel reads of a script (`BINPRM_BUF_SIZE`).
const FIRST_LINE: usize = 256;

/// A larger file is not kept whole.
const LARGEST_TEXT: u64 = 16 << 20;

/// A larger file is not looked through for licenses.
pub(crate) const LARGEST_COPYRIGHT: u64 = 1 << 20;

/// More of a layer's files is not kept.
const MOST_TEXT: usize = 64 << 20;

/// More of what linkers read is not kept of a layer's programs: it is no layer of programs.
const MOST_OF_PROGRAMS: usize = 64 << 20;

/// Larger programs are not read into memory on their way.
const IN_MEMORY: u64 = 1 << 20;

/// Larger files are no programs that anybody has; an archive may say that holes make one of any size.
const LARGEST_PROGRAM: u64 = 4 << 30;

/// Files that are kept whole besides those that describe packages, without slashes before them; a star stands for the rest
/// of a name.
const TEXTS: &[&str] = &[
    "etc/passwd",
    "etc/group",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d/*",
    "etc/ld-musl-*",
    "etc/os-release",
    "usr/lib/os-release",
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d/*",
    "lib/apk/db/installed",
    "usr/lib/apk/db/installed",
];

/// What is started or loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    /// An ELF file.
    Elf(Arc<Elf>),
    /// A script, with what the kernel reads of it.
    Script(Vec<u8>),
    /// Neither.
    Other,
}

impl Program {
    /// Of a file.
    pub(crate) fn of(file: &(impl elf::ReadAt + ?Sized)) -> std::io::Result<Self> {
        let mut start = [0; FIRST_LINE];
        let count = elf::read_up_to(file, &mut start)?;
        Ok(match &start[..count] {
            [b'#', b'!', ..] => Self::Script(start[..count].to_vec()),
            [0x7f, b'E', b'L', b'F', ..] => elf::read(file).map_or(Self::Other, |elf| Self::Elf(Arc::new(elf))),
            _ => Self::Other,
        })
    }
}

/// What is kept of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Excerpt {
    Program(Program),
    /// All of it.
    Text(Vec<u8>),
    /// The licenses that it names.
    Licenses(Vec<String>),
}

impl Excerpt {
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Program(Program::Other) => out.push(0),
            Self::Program(Program::Script(start)) => {
                out.push(1);
                out.extend_from_slice(start);
            }
            Self::Text(whole) => {
                out.push(2);
                out.extend_from_slice(whole);
            }
            Self::Licenses(names) => {
                out.push(4);
                out.extend_from_slice(names.join("\n").as_bytes());
            }
            Self::Program(Program::Elf(elf)) => {
                out.push(3);
                elf.write(&mut out);
            }
        }
        out
    }

    /// What [`Excerpt::to_bytes`] gave; `None` for anything else.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        Some(match kind {
            0 => Self::Program(Program::Other),
            1 => Self::Program(Program::Script(rest.to_vec())),
            2 => Self::Text(rest.to_vec()),
            3 => Self::Program(Program::Elf(Arc::new(Elf::read_written(&mut Reader::new(rest))?))),
            4 => Self::Licenses(std::str::from_utf8(rest).ok()?.lines().map(str::to_owned).collect()),
            _ => return None,
        })
    }
}

/// What is kept of a layer's files, by their entries in its index: as bytes, of which there are fewer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Excerpts(HashMap<u32, Box<[u8]>>);

impl Excerpts {
    pub(crate) fn get(&self, entry: u32) -> Option<Excerpt> {
        Excerpt::from_bytes(self.0.get(&entry)?)
    }

    pub(super) fn set(&mut self, entry: u32, excerpt: Option<Excerpt>) {
        match excerpt {
            Some(excerpt) => self.0.insert(entry, excerpt.to_bytes().into()),
            None => self.0.remove(&entry),
        };
    }

    /// Gives every entry the number that is at its place.
    pub(super) fn renumber(&mut self, places: &[u32]) {
        let old = std::mem::take(&mut self.0);
        let moved = old
            .into_iter()
            .map(|(entry, excerpt)| (places[entry as usize], excerpt));
        self.0.extend(moved);
    }

    /// Adds them to bytes that are kept.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_unstable_by_key(|(entry, _)| **entry);
        number(out, entries.len() as u64);
        for (entry, excerpt) in entries {
            number(out, u64::from(*entry));
            text(out, excerpt);
        }
    }

    /// What [`Excerpts::write`] wrote; `None` for anything else.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut excerpts = HashMap::new();
        for _ in 0..reader.number()? {
            let entry = u32::try_from(reader.number()?).ok()?;
            excerpts.insert(entry, reader.text()?.into());
        }
        Some(Self(excerpts))
    }
}

/// Keeps excerpts while files go by.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Where large programs are while they are looked at; nothing is kept without it.
    scratch: Option<File>,
    text: usize,
    of_programs: usize,
    now: Now,
}

/// What becomes of the file that goes by.
#[derive(Debug)]
enum Now {
    Nothing,
    Text(Vec<u8>),
    /// What names licenses, so far.
    Copyright(Vec<u8>),
    /// What may be a program, so far.
    Program(Vec<u8>),
    /// A program that is larger.
    Large(std::io::Result<()>),
}

impl Keeper {
    /// Keeps nothing.
    pub(super) const fn of_nothing() -> Self {
        Self {
            scratch: None,
            text: 0,
            of_programs: 0,
            now: Now::Nothing,
        }
    }

    /// Keeps what images are looked into for. `scratch` is a file of nobody else.
    pub(super) fn new(scratch: File) -> Self {
        Self {
            scratch: Some(scratch),
            ..Self::of_nothing()
        }
    }

    /// A file begins.
    pub(super) fn begin(&mut self, entry: &tar::Entry) {
        self.now = Now::Nothing;
        let Some(scratch) = self.scratch.as_mut().filter(|_| entry.kind == tar::Kind::File) else {
            return;
        };
        let path = entry.path.strip_prefix(b"./").unwrap_or(&entry.path);
        let room = MOST_TEXT.saturating_sub(self.text) as u64;
        if is_text(path) && entry.size <= LARGEST_TEXT.min(room) {
            self.now = Now::Text(Vec::new());
        } else if is_copyright(path) && entry.size <= LARGEST_COPYRIGHT {
            self.now = Now::Copyright(Vec::new());
        } else if (entry.mode & 0o111 != 0 || crate::start::is_library(path)) && entry.size <= LARGEST_PROGRAM {
            self.now = if entry.size <= IN_MEMORY {
                Now::Program(Vec::new())
            } else {
                Now::Large(scratch.rewind().and_then(|()| scratch.set_len(0)))
            };
        }
    }

    /// More of it.
    pub(super) fn piece(&mut self, piece: &[u8]) {
        match (&mut self.now, &mut self.scratch) {
            (Now::Text(bytes) | Now::Copyright(bytes) | Now::Program(bytes), _) => bytes.extend_from_slice(piece),
            (Now::Large(written), Some(scratch)) if written.is_ok() => *written = scratch.write_all(piece),
            _ => {}
        }
    }

    /// It ends. What could not be kept is read again by who needs it.
    pub(super) fn end(&mut self) -> Result<Option<Excerpt>, TooMuch> {
        let excerpt = match (std::mem::replace(&mut self.now, Now::Nothing), &self.scratch) {
            (Now::Text(bytes), _) => {
                self.text += bytes.len();
                return Ok(Some(Excerpt::Text(bytes)));
            }
            (Now::Copyright(bytes), _) => {
                let (names, has_more) = licenses::of_copyright(&String::from_utf8_lossy(&bytes));
                self.text += names.iter().map(String::len).sum::<usize>();
                let is_kept = !has_more && self.text <= MOST_TEXT;
                return Ok(is_kept.then_some(Excerpt::Licenses(names)));
            }
            (Now::Program(bytes), _) => Program::of(&bytes[..]).ok(),
            (Now::Large(Ok(())), Some(scratch)) => Program::of(scratch).ok(),
            _ => None,
        };
        let excerpt = excerpt.map(Excerpt::Program);
        self.of_programs += match &excerpt {
            Some(Excerpt::Program(Program::Elf(elf))) => elf.size(),
            _ => 0,
        };
        if self.of_programs > MOST_OF_PROGRAMS {
            return Err(TooMuch);
        }
        Ok(excerpt)
    }
}

/// Whether that is what Debian's packages have to say of their licenses.
fn is_copyright(path: &[u8]) -> bool {
    let package = path
        .strip_prefix(b"usr/share/doc/")
        .and_then(|rest| rest.strip_suffix(b"/copyright"));
    package.is_some_and(|package| !package.is_empty() && !package.contains(&b'/'))
}

fn is_text(path: &[u8]) -> bool {
    let is_listed = TEXTS.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => path
            .strip_prefix(start.as_bytes())
            .is_some_and(|rest| !rest.contains(&b'/')),
        None => path == pattern.as_bytes(),
    });
    is_listed || crate::packages::is_read(path)
}
