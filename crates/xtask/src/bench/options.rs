//! What to measure, and how large.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

/// What to measure, from the words of the command line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Options {
    /// Tiny sizes, one run: to see that everything works.
    pub(super) quick: bool,
    /// Cost against size, instead of Kiln against others.
    pub(super) growth: bool,
    /// Kiln and the floor alone.
    pub(super) without_peers: bool,
    /// Names of rows; none: all.
    pub(super) only: Vec<String>,
    /// How often each, if said.
    runs: Option<usize>,
    /// Where the figures go besides the terminal.
    pub(super) json: Option<PathBuf>,
    /// A document whose table they replace.
    pub(super) markdown: Option<PathBuf>,
}

impl Options {
    /// From `--growth`, `--quick`, `--without-peers`, `--only NAME …`, `--runs N`, `--json FILE` and `--markdown FILE`.
    pub fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter().peekable();
        while let Some(&word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} wants a value"));
            match word {
                "--growth" => options.growth = true,
                "--quick" => options.quick = true,
                "--without-peers" => options.without_peers = true,
                "--runs" => options.runs = Some(runs(value()?)?),
                "--json" => options.json = Some(PathBuf::from(value()?)),
                "--markdown" => options.markdown = Some(PathBuf::from(value()?)),
                "--only" => {
                    options.only.push((*value()?).to_owned());
                    while let Some(name) = words.next_if(|word| !word.starts_with("--")) {
                        options.only.push((*name).to_owned());
                    }
                }
                _ => bail!(
                    "bench takes --growth, --quick, --without-peers, --only NAME …, --runs N, --json FILE and --markdown FILE, not {word}"
                ),
            }
        }
        Ok(options)
    }

    /// How often each row is measured.
    pub(super) fn runs(&self) -> usize {
        self.runs.unwrap_or(match (self.quick, self.growth) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 5,
        })
    }

    /// Whether a first run warms up what all later ones have warm: pulled bases, the page cache.
    pub(super) fn warms_up(&self) -> bool {
        !self.quick
    }

    pub(super) fn sizes(&self) -> &'static Sizes {
        if self.quick { &QUICK } else { &FULL }
    }
}

fn runs(word: &str) -> Result<usize> {
    match word.parse() {
        Ok(0) | Err(_) => bail!("--runs wants a number from 1, not {word:?}"),
        Ok(runs) => Ok(runs),
    }
}

/// How large the workloads are.
#[derive(Debug)]
pub(super) struct Sizes {
    /// Trivial steps of a Dockerfile.
    pub(super) steps: u32,
    /// Those of a deep one.
    pub(super) deep: u32,
    /// Of the large file, and of the files of one stage, in MB.
    pub(super) large: u64,
    pub(super) stage: u32,
    /// Files of a context, and bytes of each.
    pub(super) files: u32,
    pub(super) file_bytes: usize,
    /// Files of a context of many, small ones.
    pub(super) many_files: u32,
    /// How long a stage sleeps, in seconds.
    pub(super) sleep: &'static str,
    /// The part of the base that a step copies, and how often.
    pub(super) tree: &'static str,
    pub(super) copies: u32,
    /// What is pushed, in MB.
    pub(super) pushed: u64,
    /// Functions of each file of a C program.
    pub(super) functions: u32,
    /// Records of a cache that is read.
    pub(super) records: u32,
}

const FULL: Sizes = Sizes {
    steps: 20,
    deep: 100,
    large: 512,
    stage: 20,
    files: 20_000,
    file_bytes: 10_000,
    many_files: 100_000,
    sleep: "1",
    tree: "/usr",
    copies: 5,
    pushed: 100,
    functions: 1000,
    records: 1000,
};

const QUICK: Sizes = Sizes {
    steps: 3,
    deep: 5,
    large: 2,
    stage: 1,
    files: 200,
    file_bytes: 100,
    many_files: 1000,
    sleep: "0.1",
    tree: "/usr/sbin",
    copies: 1,
    pushed: 1,
    functions: 10,
    records: 100,
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn words() {
        assert_eq!(Options::parse(&[]).unwrap().runs(), 5);
        let quick = Options::parse(&["--quick", "--json", "x"]).unwrap();
        assert_eq!((quick.runs(), quick.json.as_deref()), (1, Some(Path::new("x"))));
        assert_eq!(Options::parse(&["--growth"]).unwrap().runs(), 3);
        let two = Options::parse(&["--only", "cached", "why", "--runs", "3"]).unwrap();
        assert_eq!(
            (two.only.as_slice(), two.runs()),
            (["cached".to_owned(), "why".to_owned()].as_slice(), 3)
        );
    }

    #[test]
    fn words_that_mean_nothing() {
        for words in [
            &["--no"][..],
            &["cached"],
            &["--only"],
            &["--runs", "0"],
            &["--runs", "x"],
            &["--json"],
        ] {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }
}
