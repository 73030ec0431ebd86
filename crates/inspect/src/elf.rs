//! ELF files, as far as the dynamic linker needs to know them (System V ABI, chapters 4 and 5; glibc's version tables).
//!
//! The files are foreign: what is read of one is read where it stands, in pieces of bounded size, and whatever makes no
//! sense ends the reading. A file of gigabytes costs a few pages.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::index::bytes;

/// What kind of machine a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Machine {
    /// `e_machine`.
    pub number: u16,
    /// Whether it has 64 bits.
    pub is_64: bool,
    /// Whether the highest byte comes first.
    pub is_big: bool,
}

/// What the dynamic linker reads of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Elf {
    pub(crate) machine: Option<Machine>,
    /// Programs, also those that can be anywhere in memory; no libraries.
    pub(crate) interpreter: Option<Vec<u8>>,
    /// Whether there is anything to link.
    pub(crate) is_dynamic: bool,
    /// Whether it is an object file, a core dump or the like, which nobody starts or loads.
    pub(crate) is_other: bool,
    pub(crate) needed: Vec<Vec<u8>>,
    pub(crate) rpath: Option<Vec<u8>>,
    pub(crate) runpath: Option<Vec<u8>>,
    /// Versions of symbols that it must have: of which library, and which.
    pub(crate) requires: Vec<(Vec<u8>, Vec<u8>)>,
    /// Versions of symbols that it has.
    pub(crate) provides: Vec<Vec<u8>>,
}

/// More program headers, entries of the dynamic section, or versions are not read.
const MOST: u64 = 4096;
/// The longest name; paths are not longer.
const LONGEST: usize = 4096;

const ET_EXEC: u64 = 2;
const ET_DYN: u64 = 3;
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_VERDEF: u64 = 0x6fff_fffc;
const DT_VERDEFNUM: u64 = 0x6fff_fffd;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_VERNEEDNUM: u64 = 0x6fff_ffff;
/// The version need not be there (`VER_FLG_WEAK`).
const WEAK: u64 = 2;
/// The version is the name of the file itself (`VER_FLG_BASE`).
const BASE: u64 = 1;

/// A piece of the file that is in memory when it runs.
#[derive(Debug, Clone, Copy)]
struct Segment {
    offset: u64,
    address: u64,
    size: u64,
}

/// What can be read where one wants.
pub(crate) trait ReadAt {
    /// As many bytes as there are, at most as many as fit; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, at)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at)
            .ok()
            .and_then(|at| self.get(at..))
            .unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// The beginning of a file: how much of the buffer it fills.
pub(crate) fn read_up_to(file: &(impl ReadAt + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

struct Reader<'a, F: ?Sized> {
    file: &'a F,
    machine: Machine,
    segments: Vec<Segment>,
}

/// What the file is; `None` if it is no ELF file, or a damaged one.
pub(crate) fn read(file: &(impl ReadAt + ?Sized)) -> Option<Elf> {
    let mut ident = [0; 16];
    if read_up_to(file, &mut ident).ok()? < ident.len() || ident[..4] != *b"\x7fELF" {
        return None;
    }
    let machine = Machine {
        number: 0,
        is_64: ident[4] == 2,
        is_big: ident[5] == 2,
    };
    let mut reader = Reader {
        file,
        machine,
        segments: Vec::new(),
    };
    reader.machine.number = u16::try_from(reader.number(18, 2)?).ok()?;
    let kind = reader.number(16, 2)?;
    let mut elf = Elf {
        machine: Some(reader.machine),
        is_other: kind != ET_EXEC && kind != ET_DYN,
        ..Elf::default()
    };
    if !elf.is_other {
        reader.read(&mut elf)?;
    }
    Some(elf)
}

impl Elf {
    /// Bytes of memory, about.
    pub(crate) fn size(&self) -> usize {
        let texts = self.needed.iter().chain(&self.provides);
        let pairs = self
            .requires
            .iter()
            .map(|(file, version)| file.len() + version.len() + 48);
        let one = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, Vec::len);
        let ones = one(&self.interpreter) + one(&self.rpath) + one(&self.runpath);
        texts.map(|text| text.len() + 24).sum::<usize>() + pairs.sum::<usize>() + ones + size_of::<Self>()
    }

    /// Adds it to bytes that are kept.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let machine = self.machine.unwrap_or(Machine {
            number: 0,
            is_64: false,
            is_big: false,
        });
        bytes::number(out, machine.number.into());
        let flags = [
            machine.is_64,
            machine.is_big,
            self.is_dynamic,
            self.is_other,
            self.machine.is_some(),
        ];
        out.push((0..).zip(flags).fold(0, |sum, (at, flag)| sum | u8::from(flag) << at));
        for text in [&self.interpreter, &self.rpath, &self.runpath] {
            bytes::number(out, text.is_some().into());
            bytes::text(out, text.as_deref().unwrap_or_default());
        }
        let pairs = self.requires.iter().flat_map(|(file, version)| [file, version]);
        let lists = [
            self.needed.iter().collect::<Vec<_>>(),
            self.provides.iter().collect(),
            pairs.collect(),
        ];
        for list in lists {
            bytes::number(out, list.len() as u64);
            for text in list {
                bytes::text(out, text);
            }
        }
    }

    /// What [`Elf::write`] wrote; `None` for anything else.
    pub(crate) fn read_written(reader: &mut bytes::Reader<'_>) -> Option<Self> {
        let number = u16::try_from(reader.number()?).ok()?;
        let flags = reader.take(1)?[0];
        let flag = |at: u8| flags & (1 << at) != 0;
        let machine = Machine {
            number,
            is_64: flag(0),
            is_big: flag(1),
        };
        let mut ones = [const { None }; 3];
        for one in &mut ones {
            let is_there = reader.number()? != 0;
            *one = Some(reader.text()?.to_vec()).filter(|_| is_there);
        }
        let mut lists = [const { Vec::new() }; 3];
        for list in &mut lists {
            for _ in 0..reader.number()? {
                list.push(reader.text()?.to_vec());
            }
        }
        let ([interpreter, rpath, runpath], [needed, provides, pairs]) = (ones, lists);
        let mut pairs = pairs.into_iter();
        let mut requires = Vec::new();
        while let Some(file) = pairs.next() {
            requires.push((file, pairs.next()?));
        }
        Some(Self {
            machine: flag(4).then_some(machine),
            interpreter,
            is_dynamic: flag(2),
            is_other: flag(3),
            needed,
            rpath,
            runpath,
            requires,
            provides,
        })
    }
}

impl<F: ReadAt + ?Sized> Reader<'_, F> {
    /// A number of up to eight bytes.
    fn number(&self, at: u64, size: usize) -> Option<u64> {
        let mut bytes = [0; 8];
        let bytes = bytes.get_mut(..size)?;
        if self.file.read_at(bytes, at).ok()? < size {
            return None;
        }
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if self.machine.is_big {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        })
    }

    /// A number of the size of an address: at one place in files of 32 bits, at another in those of 64.
    fn word(&self, start: u64, at_32: u64, at_64: u64) -> Option<u64> {
        if self.machine.is_64 {
            self.number(start.checked_add(at_64)?, 8)
        } else {
            self.number(start.checked_add(at_32)?, 4)
        }
    }

    /// A name, which ends with a zero.
    fn text(&self, at: u64) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut buffer = [0; 128];
        while text.len() < LONGEST {
            let count = self
                .file
                .read_at(&mut buffer, at.checked_add(text.len() as u64)?)
                .ok()?;
            let read = &buffer[..count];
            if let Some(end) = read.iter().position(|byte| *byte == 0) {
                text.extend_from_slice(&read[..end]);
                return Some(text);
            }
            if read.is_empty() {
                return None;
            }
            text.extend_from_slice(read);
        }
        None
    }

    /// Where in the file an address of the running program is.
    fn place(&self, address: u64) -> Option<u64> {
        let inside = |segment: &&Segment| address.checked_sub(segment.address).is_some_and(|at| at < segment.size);
        let segment = self.segments.iter().find(inside)?;
        segment.offset.checked_add(address - segment.address)
    }

    fn read(&mut self, elf: &mut Elf) -> Option<()> {
        let headers = self.word(0, 28, 32)?;
        let (size_at, count_at) = if self.machine.is_64 { (54, 56) } else { (42, 44) };
        let (size, count) = (self.number(size_at, 2)?, self.number(count_at, 2)?);
        let mut dynamic = None;
        for number in 0..count.min(MOST) {
            let header = headers.checked_add(number.checked_mul(size)?)?;
            let kind = self.number(header, 4)?;
            if !matches!(kind, PT_LOAD | PT_DYNAMIC | PT_INTERP) {
                continue;
            }
            let segment = Segment {
                offset: self.word(header, 4, 8)?,
                address: self.word(header, 8, 16)?,
                size: self.word(header, 16, 32)?,
            };
            match kind {
                PT_LOAD => self.segments.push(segment),
                PT_INTERP => elf.interpreter = Some(self.text(segment.offset)?),
                _ => dynamic = Some(segment),
            }
        }
        if let Some(segment) = dynamic {
            elf.is_dynamic = true;
            self.dynamic(segment, elf)?;
        }
        Some(())
    }

    fn dynamic(&self, segment: Segment, elf: &mut Elf) -> Option<()> {
        let width = if self.machine.is_64 { 16 } else { 8 };
        let mut found: Vec<(u64, u64)> = Vec::new();
        for number in 0..(segment.size / width).min(MOST) {
            let entry = segment.offset.checked_add(number * width)?;
            let tag = self.word(entry, 0, 0)?;
            if tag == 0 {
                break;
            }
            found.push((tag, self.word(entry, 4, 8)?));
        }
        let one = |tag: u64| found.iter().find(|(known, _)| *known == tag).map(|(_, value)| *value);
        let Some(strings) = one(DT_STRTAB) else { return Some(()) };
        let strings = self.place(strings)?;
        let text = |offset: u64| self.text(strings.checked_add(offset)?);
        for (tag, value) in &found {
            match *tag {
                DT_NEEDED => elf.needed.push(text(*value)?),
                DT_RPATH => elf.rpath = Some(text(*value)?),
                DT_RUNPATH => elf.runpath = Some(text(*value)?),
                _ => {}
            }
        }
        if let Some(at) = one(DT_VERNEED) {
            self.requires(self.place(at)?, one(DT_VERNEEDNUM)?, &text, &mut elf.requires)?;
        }
        if let Some(at) = one(DT_VERDEF) {
            self.provides(self.place(at)?, one(DT_VERDEFNUM)?, &text, &mut elf.provides)?;
        }
        Some(())
    }

    fn requires(
        &self,
        mut at: u64,
        count: u64,
        text: &impl Fn(u64) -> Option<Vec<u8>>,
        requires: &mut Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Option<()> {
        for _ in 0..count.min(MOST) {
            let versions = self.number(at.checked_add(2)?, 2)?;
            let file = text(self.number(at.checked_add(4)?, 4)?)?;
            let mut version = at.checked_add(self.number(at.checked_add(8)?, 4)?)?;
            for _ in 0..versions.min(MOST) {
                let flags = self.number(version.checked_add(4)?, 2)?;
                let name = text(self.number(version.checked_add(8)?, 4)?)?;
                if flags & WEAK == 0 && requires.len() < LONGEST {
                    requires.push((file.clone(), name));
                }
                match self.number(version.checked_add(12)?, 4)? {
                    0 => break,
                    next => version = version.checked_add(next)?,
                }
            }
            match self.number(at.checked_add(12)?, 4)? {
                0 => break,
                next => at = at.checked_add(next)?,
            }
        }
        Some(())
    }

    fn provides(
        &self,
        mut at: u64,
        count: u64,
        text: &impl Fn(u64) -> Option<Vec<u8>>,
        provides: &mut Vec<Vec<u8>>,
    ) -> Option<()> {
        for _ in 0..count.min(MOST) {
            let flags = self.number(at.checked_add(2)?, 2)?;
            let name = at.checked_add(self.number(at.checked_add(12)?, 4)?)?;
            if flags & BASE == 0 {
                provides.push(text(self.number(name, 4)?)?);
            }
            match self.number(at.checked_add(16)?, 4)? {
                0 => break,
                next => at = at.checked_add(next)?,
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::index::bytes;

    /// The test itself is a program that is linked dynamically against glibc.
    fn own() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> Option<Elf> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let found = read(&file);
        assert_eq!(read(bytes), found);
        if let Some(elf) = &found {
            let mut kept = Vec::new();
            elf.write(&mut kept);
            let mut reader = bytes::Reader::new(&kept);
            assert_eq!(Elf::read_written(&mut reader).as_ref(), Some(elf));
        }
        found
    }

    #[test]
    fn a_program_of_this_machine() {
        let elf = read_bytes(&own()).unwrap();
        assert!(elf.is_dynamic && !elf.is_other);
        assert_eq!(elf.machine.unwrap().is_64, cfg!(target_pointer_width = "64"));
        assert!(elf.interpreter.unwrap().starts_with(b"/lib"));
        assert!(elf.needed.contains(&b"libc.so.6".to_vec()), "{:?}", elf.needed);
        assert!(
            elf.requires
                .iter()
                .any(|(file, version)| file == b"libc.so.6" && version.starts_with(b"GLIBC_2."))
        );
    }

    #[test]
    fn what_is_none() {
        for bytes in [
            &b""[..],
            b"#!/bin/sh\n",
            b"\x7fELF",
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(read_bytes(bytes), None);
        }
    }

    #[test]
    fn damage_does_no_harm() {
        let whole = own();
        // The headers, and the tables that they point to, with bytes that lead astray.
        for at in 0..4096.min(whole.len()) {
            for value in [0, 0xff] {
                if at % 3 == 0 || at < 64 {
                    let mut damaged = whole[..whole.len().min(256 << 10)].to_vec();
                    damaged[at] = value;
                    let _whatever = read_bytes(&damaged);
                }
            }
        }
    }
}
