//! What Go's linker writes into programs: the version of Go, and the modules that are in it (`debug/buildinfo`).

use memchr::memmem::Finder;

use super::databases::Listed;
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
const SILENT: &str = "a program of Go that does not say its modules";
const DAMAGED: &str = "a program of Go whose information about its modules is damaged, or larger than what is read";

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
    let mut all: Vec<(usize, Listed)> = Vec::new();
    let mut end = |number: usize, search: Search| {
        let size = files.get(number).map_or(0, |(_, place)| tree.content(*place).1.size);
        all.extend(search.end(size).map(|listed| (number, listed)));
    };
    image.read_files(&places, LARGEST, &mut |number, piece| match piece {
        Piece::Begin => {
            end(current, std::mem::take(&mut search));
            current = number;
        }
        Piece::Bytes(bytes) => search.push(bytes, &finder),
    })?;
    end(current, search);
    for (number, (modules, why)) in all {
        let (node, place) = files[number];
        let path = tree.path(node);
        found.unread.extend(why.map(|why| (path.clone(), why)));
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

    /// What a program of that size says of its modules; `None` of what is no program of Go.
    fn end(self, size: u64) -> Option<Listed> {
        if self.found {
            return Some(packages(&self.kept, size));
        }
        self.has_pointers.then_some((Vec::new(), Some(OLD)))
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

/// The packages that the information names: Go itself, then the modules, that of the program first.
fn packages(information: &[u8], size: u64) -> Listed {
    let Some((go, mut rest)) = go(information) else {
        return (Vec::new(), Some(DAMAGED));
    };
    let mut found = vec![go];
    let why = match text(&mut rest) {
        Some(text) => modules(text, size, &mut found),
        None => Some(DAMAGED),
    };
    (found, why)
}

/// Go itself, and what is behind its version; `None` if that is damaged.
fn go(information: &[u8]) -> Option<(Package, &[u8])> {
    if information.get(FLAGS)? & INLINE == 0 {
        return None;
    }
    let mut rest = information.get(HEADER..)?;
    let version = String::from_utf8_lossy(text(&mut rest)?);
    // `go1.22.1 X:…`, `devel go1.23-0a1b2c …`, or no number at all.
    let number = version.split_whitespace().find_map(|word| word.strip_prefix("go"));
    let version = number.or_else(|| version.split_whitespace().next())?;
    let go = Package {
        licenses: vec!["BSD-3-Clause".to_owned()],
        ..Package::new(Ecosystem::Golang, "stdlib".to_owned(), word(version)?)
    };
    Some((go, rest))
}

/// Adds the modules that a text names; says why they are not all, if so. Sums are not of interest.
fn modules(text: &[u8], size: u64, found: &mut Vec<Package>) -> Option<&'static str> {
    // Sixteen bytes stand before the lines and behind them. Other build systems than Go's own leave the text empty.
    let lines = text.len().checked_sub(16).and_then(|end| text.get(16..end));
    let modules = String::from_utf8_lossy(lines.unwrap_or_default());
    // Go's own tools have no modules but what comes with Go.
    let mut is_told = modules.lines().any(|line| line.starts_with("path\tcmd/"));
    for line in modules.lines() {
        let mut fields = line.split('\t');
        let kind = fields.next().unwrap_or_default();
        let Some(name) = fields.next().and_then(word) else {
            continue;
        };
        let version = fields.next().and_then(word).unwrap_or_default();
        let module = Package::new(Ecosystem::Golang, name, version);
        is_told |= matches!(kind, "mod" | "dep");
        match kind {
            "mod" => found.push(Package {
                bytes: Some(size),
                ..module
            }),
            "dep" => found.push(module),
            // In the place of the one before; a directory has that one, in whatever version.
            "=>" => match &mut found[..] {
                [_, .., replaced] if module.version.is_empty() => replaced.version.clear(),
                [_, .., replaced] => *replaced = module,
                _ => {}
            },
            _ => {}
        }
    }
    (!is_told).then_some(SILENT)
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
        with_modules(
            "path\texample.org/x\nmod\texample.org/x\t(devel)\t\ndep\texample.org/a\tv1.2.3\th1:x=\n\
                       dep\texample.org/b\tv0.1.0\n=>\texample.org/c\tv0.2.0\th1:y=\n\
                       dep\texample.org/d\tv0.3.0\n=>\t./d\t\nbuild\t-compiler=gc\n",
        )
    }

    fn with_modules(modules: &str) -> Vec<u8> {
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
        let (found, why) = packages(&information(), 99);
        assert_eq!(why, None);
        let found: Vec<_> = found
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
                search.end(1).map(|(found, why)| (found.len(), why)),
                Some((5, None)),
                "{size}"
            );
        }
    }

    /// As other build systems leave them, and as Go does where modules are switched off.
    #[test]
    fn programs_that_do_not_say_their_modules() {
        let mut empty = with_modules("");
        empty.truncate(HEADER + 9);
        empty.push(0);
        let silent = Some(SILENT);
        for (information, why) in [
            (empty, silent),
            (with_modules("path\texample.org/x\nbuild\t-compiler=gc\n"), silent),
            (with_modules("path\tcmd/gofmt\nbuild\t-compiler=gc\n"), None),
            (with_modules("path\tx\ndep\texample.org/a\tv1.0.0\n"), None),
        ] {
            let (found, told) = packages(&information, 1);
            assert_eq!((&*found[0].name, &*found[0].version), ("stdlib", "1.22.1"));
            assert_eq!(told, why, "{}", String::from_utf8_lossy(&information));
        }
    }

    #[test]
    fn no_program_of_go_vanishes() {
        let whole = information();
        let end = |information: &[u8]| {
            let mut search = Search::default();
            search.push(b"\x7fELF            ", &Finder::new(MAGIC));
            search.push(information, &Finder::new(MAGIC));
            search.end(1)
        };
        let cut = whole[..whole.len() - 1].to_vec();
        let mut large = whole[..HEADER + 9].to_vec();
        // A text of 8 MiB.
        large.extend([0x80, 0x80, 0x80, 0x04]);
        large.resize(3 << 20, b'x');
        for (information, why) in [(whole, None), (cut, Some(DAMAGED)), (large, Some(DAMAGED))] {
            assert_eq!(end(&information).map(|(_, why)| why), Some(why));
        }
        assert_eq!(end(b"no program of Go"), None);
    }

    /// What is whole before that is told.
    #[test]
    fn damaged_information() {
        let whole = information();
        let version = HEADER + 9;
        for end in 0..whole.len() {
            let (found, why) = packages(&whole[..end], 1);
            assert_eq!(
                (found.len(), why),
                (usize::from(end >= version), Some(DAMAGED)),
                "{end}"
            );
        }
        let mut wrong = whole;
        wrong[version..version + 2].fill(0xff);
        assert_eq!(packages(&wrong, 1).1, Some(DAMAGED));
    }
}
