//! What Go's linker writes into programs: the version of Go, and the modules that are in it (`debug/buildinfo`).

use memchr::memmem::Finder;

use super::databases::package;
use super::{Ecosystem, Package, Packages, word};
use crate::error::Error;
use crate::image::{Image, Piece};
use crate::tree::{Place, Tree};

/// Smaller programs are none of Go's: its runtime alone is larger.
const SMALLEST: u64 = 512 << 10;

/// Larger programs are not looked through to their end.
const LARGEST: u64 = 1 << 30;

/// What the information begins with.
const MAGIC: &[u8] = b"\xff Go buildinf:";

/// Where it is said how the texts are kept, and that they are behind it.
const FLAGS: usize = 15;
const INLINE: u8 = 2;

/// Where the texts begin if they are behind it, as since Go 1.18.
const HEADER: usize = 32;

/// Why the modules of a program are not known.
const OLD: &str = "a program of a Go before 1.18, whose modules are not read";

/// More text is not read.
const LONGEST: usize = 1 << 20;

pub(super) fn read(image: &Image, tree: &Tree<'_>, found: &mut Packages) -> Result<(), Error> {
    let files = tree.live_files().into_iter();
    let files = files.filter(|(_, _, entry)| entry.mode & 0o111 != 0 && entry.size >= SMALLEST);
    let files: Vec<(u32, Place)> = files.map(|(node, place, _)| (node, place)).collect();
    let places: Vec<Place> = files.iter().map(|(_, place)| *place).collect();
    let finder = Finder::new(MAGIC);
    let mut search = Search::default();
    let mut current = 0;
    let mut all: Vec<(usize, Vec<Package>)> = Vec::new();
    let mut old = Vec::new();
    let mut end = |number: usize, search: Search| {
        old.extend((search.has_pointers && !search.found).then_some(number));
        let size = files.get(number).map_or(0, |(_, place)| tree.content(*place).1.size);
        let modules = search.end().and_then(|information| modules(&information, size));
        all.extend(modules.map(|modules| (number, modules)));
    };
    image.read_files(&places, LARGEST, &mut |number, piece| match piece {
        Piece::Begin => {
            end(current, std::mem::take(&mut search));
            current = number;
        }
        Piece::Bytes(bytes) => search.push(bytes, &finder),
    })?;
    end(current, search);
    let paths = old.into_iter().map(|number| tree.path(files[number].0));
    found.unread.extend(paths.map(|path| (path, OLD)));
    for (number, modules) in all {
        let (node, place) = files[number];
        let path = tree.path(node);
        found.packages.extend(modules.into_iter().map(|module| Package {
            layer: place.layer,
            path: path.clone(),
            ..module
        }));
    }
    Ok(())
}

/// Looks for the information in a program that goes by.
#[derive(Default)]
struct Search {
    /// Whether it began like a program.
    is_program: Option<bool>,
    /// Bytes that went by and are not kept.
    gone: usize,
    /// The end of what went by, or the information from its beginning on.
    kept: Vec<u8>,
    found: bool,
    has_pointers: bool,
}

impl Search {
    fn push(&mut self, bytes: &[u8], finder: &Finder<'_>) {
        let is_program = *self.is_program.get_or_insert_with(|| bytes.starts_with(b"\x7fELF"));
        if !is_program || (self.found && self.kept.len() >= LONGEST) {
            return;
        }
        self.kept.extend_from_slice(bytes);
        if self.found {
            return;
        }
        let mut from = 0;
        let end = loop {
            let Some(at) = finder.find(&self.kept[from..]).map(|at| from + at) else {
                // It may begin at the very end.
                break from.max(self.kept.len().saturating_sub(MAGIC.len() - 1));
            };
            match Start::of(&self.kept[at..], self.gone + at) {
                Some(Start::Information) => self.found = true,
                Some(other) => {
                    self.has_pointers |= other == Start::Pointers;
                    from = at + 1;
                    continue;
                }
                None => {}
            }
            break at;
        };
        self.kept.drain(..end);
        self.gone += end;
    }

    fn end(self) -> Option<Vec<u8>> {
        self.found.then_some(self.kept)
    }
}

/// What the magic begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Information,
    /// Information of a Go before 1.18, which has pointers in the place of texts.
    Pointers,
    /// The text by which programs look for information in others.
    Text,
}

impl Start {
    /// At a place of a file; `None` if too little of it is there.
    fn of(bytes: &[u8], at: usize) -> Option<Self> {
        const ALIGNMENT: usize = 16;
        let version = bytes.get(HEADER + 1..HEADER + 3)?;
        // Before the flags is the size of pointers.
        Some(match (&bytes[FLAGS - 1..=FLAGS], version) {
            _ if !at.is_multiple_of(ALIGNMENT) => Self::Text,
            ([_, flags], b"go" | b"de") if flags & INLINE != 0 => Self::Information,
            ([4 | 8, 0 | 1], _) => Self::Pointers,
            _ => Self::Text,
        })
    }
}

/// The modules that the information names: that of the program first. Sums are not of interest.
fn modules(information: &[u8], size: u64) -> Option<Vec<Package>> {
    if information.get(FLAGS)? & INLINE == 0 {
        return None;
    }
    let mut rest = information.get(HEADER..)?;
    let version = text(&mut rest)?;
    let modules = text(&mut rest)?;
    // Sixteen bytes stand before the text and behind it.
    let modules = modules.get(16..modules.len().checked_sub(16)?)?;
    let modules = String::from_utf8_lossy(modules);
    let version = String::from_utf8_lossy(version);
    // `go1.22.1 X:…`, `devel go1.23-0a1b2c …`, or no number at all.
    let number = version.split_whitespace().find_map(|word| word.strip_prefix("go"));
    let version = number.or_else(|| version.split_whitespace().next())?;
    let mut found = vec![Package {
        licenses: vec!["BSD-3-Clause".to_owned()],
        ..package(Ecosystem::Golang, "stdlib".to_owned(), word(version)?)
    }];
    for line in modules.lines() {
        let mut fields = line.split('\t');
        let (kind, name, version) = (fields.next()?, fields.next(), fields.next());
        let (Some(name), version) = (name.and_then(word), version.and_then(word).unwrap_or_default()) else {
            continue;
        };
        let module = package(Ecosystem::Golang, name, version);
        match kind {
            "mod" => found.push(Package {
                bytes: Some(size),
                ..module
            }),
            "dep" => found.push(module),
            // In the place of the one before; a directory has that one, in whatever version.
            "=>" if found.len() > 1 => {
                let replaced = found.pop()?;
                found.push(if module.version.is_empty() {
                    Package {
                        version: String::new(),
                        ..replaced
                    }
                } else {
                    module
                });
            }
            _ => {}
        }
    }
    Some(found)
}

/// A text behind its length, which is a number in seven bits at a time.
fn text<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let mut length = 0_usize;
    for shift in (0..28).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let (text, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn information() -> Vec<u8> {
        let modules = "path\texample.org/x\nmod\texample.org/x\t(devel)\t\ndep\texample.org/a\tv1.2.3\th1:x=\n\
                       dep\texample.org/b\tv0.1.0\n=>\texample.org/c\tv0.2.0\th1:y=\n\
                       dep\texample.org/d\tv0.3.0\n=>\t./d\t\nbuild\t-compiler=gc\n";
        let mut bytes = MAGIC.to_vec();
        bytes.extend([8, 2]);
        bytes.resize(HEADER, 0);
        bytes.push(8);
        bytes.extend(b"go1.22.1");
        let length = modules.len() + 32;
        bytes.extend([
            u8::try_from(length & 0x7f).unwrap() | 0x80,
            u8::try_from(length >> 7).unwrap(),
        ]);
        bytes.extend([b'<'; 16]);
        bytes.extend(modules.as_bytes());
        bytes.extend([b'>'; 16]);
        bytes
    }

    #[test]
    fn modules_of_a_program() {
        let found: Vec<_> = modules(&information(), 99)
            .unwrap()
            .into_iter()
            .map(|package| format!("{} {} {:?}", package.name, package.version, package.bytes))
            .collect();
        assert_eq!(
            found,
            [
                "stdlib 1.22.1 None",
                "example.org/x (devel) Some(99)",
                "example.org/a v1.2.3 None",
                "example.org/c v0.2.0 None",
                "example.org/d  None",
            ]
        );
    }

    #[test]
    fn found_wherever_pieces_end() {
        let mut program = b"\x7fELF".to_vec();
        program.extend([0xff; 1000]);
        // Programs that look for it in others have what it begins with among their texts.
        for rest in ["not aligned", "", "\x08\x02"] {
            program.extend(MAGIC);
            program.extend(rest.as_bytes());
            program.resize(program.len().next_multiple_of(16), 0);
        }
        program.extend(information());
        program.extend([0; 1000]);
        for size in [1, 7, 16, 4096] {
            let mut search = Search::default();
            let finder = Finder::new(MAGIC);
            // The beginning of a file is never cut within its first four bytes.
            search.push(&program[..4], &finder);
            for piece in program[4..].chunks(size) {
                search.push(piece, &finder);
            }
            assert_eq!(
                modules(&search.end().unwrap(), 1).map(|found| found.len()),
                Some(5),
                "{size}"
            );
        }
    }

    #[test]
    fn damaged_information_is_none() {
        let whole = information();
        for end in 0..whole.len() - 1 {
            assert_eq!(modules(&whole[..end], 1), None, "{end}");
        }
        let mut wrong = whole;
        wrong[HEADER + 9] = 0xff;
        wrong[HEADER + 10] = 0xff;
        assert_eq!(modules(&wrong, 1), None);
    }
}
