//! The contexts of the builds. Each is made only if a chosen workload reads it, and has the same bytes in every run of
//! the benchmark but for what is random on purpose.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};

/// Small files beside the large one of [`Context::Large`].
pub(super) const SMALL_FILES: u32 = 1000;

/// Files of a C program, beside `main.c` and the one that is edited.
pub(super) const SOURCES: u32 = 4;

/// Files below one directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    Empty,
    /// Files of text in directories of a hundred.
    Files {
        count: u32,
        bytes: usize,
    },
    /// A file of random bytes, and a thousand small ones.
    Large {
        megabytes: u64,
    },
    /// A file of random bytes.
    Random {
        megabytes: u64,
    },
    /// A C program.
    Source {
        functions: u32,
    },
}

impl Context {
    /// Its directory.
    pub(super) fn path(self) -> String {
        let name = match self {
            Self::Empty => "empty".to_owned(),
            Self::Files { count, .. } => format!("files-{count}"),
            Self::Large { .. } => "large".to_owned(),
            Self::Random { .. } => "random".to_owned(),
            Self::Source { .. } => "source".to_owned(),
        };
        format!("@dir/contexts/{name}")
    }

    /// Whether it is large, and made anew more quickly than it is worth its room.
    pub(super) fn is_large(self) -> bool {
        matches!(self, Self::Large { .. } | Self::Random { .. })
    }

    /// Writes the files to a directory that is not there yet.
    pub(super) fn write(self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)?;
        match self {
            Self::Empty => Ok(()),
            Self::Files { count, bytes } => write_files(directory, count, bytes),
            Self::Large { megabytes } => {
                write_random(directory, megabytes)?;
                let small = directory.join("files");
                fs::create_dir(&small)?;
                (0..SMALL_FILES)
                    .try_for_each(|number| fs::write(small.join(number.to_string()), number.to_string()))?;
                Ok(())
            }
            Self::Random { megabytes } => write_random(directory, megabytes),
            Self::Source { functions } => write_source(directory, functions),
        }
        .with_context(|| format!("cannot write {}", directory.display()))
    }
}

fn write_files(directory: &Path, count: u32, bytes: usize) -> Result<()> {
    let mut text = Text::new();
    for number in 0..count {
        let parent = directory.join(format!("d{}", number / 100));
        if number % 100 == 0 {
            fs::create_dir(&parent)?;
        }
        fs::write(parent.join(format!("f{number}")), text.next(bytes))?;
    }
    Ok(())
}

fn write_random(directory: &Path, megabytes: u64) -> Result<()> {
    let mut random = File::open("/dev/urandom")?.take(megabytes * 1_000_000);
    io::copy(&mut random, &mut File::create(directory.join("random"))?)?;
    Ok(())
}

fn write_source(directory: &Path, functions: u32) -> Result<()> {
    let parts = |of: fn(u32) -> String| -> Vec<String> { (0..SOURCES).map(of).collect() };
    let main = format!(
        "#include <stdio.h>\nextern const char *edited;\n{}\nint main(void) {{ printf(\"%s %d\\n\", edited, {}); return 0; }}\n",
        parts(|file| format!("extern int part{file}(int);")).join("\n"),
        parts(|file| format!("part{file}(3)")).join(" + ")
    );
    for file in 0..SOURCES {
        let mut text = BufWriter::new(File::create(directory.join(format!("part{file}.c")))?);
        for function in 0..functions {
            writeln!(
                text,
                "static int f{function}(int n) {{ int s = {function}; while (n--) s += s * n % 7; return s; }}"
            )?;
        }
        let calls: Vec<String> = (0..functions).map(|function| format!("f{function}(n)")).collect();
        writeln!(text, "int part{file}(int n) {{ return {}; }}", calls.join(" + "))?;
    }
    fs::write(directory.join("main.c"), main)?;
    fs::write(directory.join("edited.c"), "const char *edited = \"\";\n")?;
    Ok(())
}

/// Text that compresses as source code does, to about a third: words of a vocabulary, the same in every run.
struct Text {
    words: Vec<String>,
    state: u64,
}

impl Text {
    fn new() -> Self {
        let mut text = Self {
            words: Vec::new(),
            state: 0x9E37_79B9_7F4A_7C15,
        };
        text.words = (0..2048).map(|_| text.word()).collect();
        text
    }

    /// Marsaglia's xorshift, a number below `end`.
    fn random(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap_or_default() % end
    }

    fn word(&mut self) -> String {
        let length = 2 + self.random(10);
        (0..length)
            .map(|_| char::from(b"etaoinshrdlucmfwypvbgk_("[self.random(24)]))
            .collect()
    }

    fn next(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            let at = self.random(self.words.len());
            text += &self.words[at];
            text.push(if self.random(8) == 0 { '\n' } else { ' ' });
        }
        text.truncate(bytes);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_same_each_time() {
        let work = tempfile::tempdir().unwrap();
        let context = Context::Files { count: 101, bytes: 50 };
        let read = |name: &str| fs::read(work.path().join(name).join("d1/f100")).unwrap();
        context.write(&work.path().join("a")).unwrap();
        context.write(&work.path().join("b")).unwrap();
        assert_eq!(read("a").len(), 50);
        assert_eq!(read("a"), read("b"));
    }
}
