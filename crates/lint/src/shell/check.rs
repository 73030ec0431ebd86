//! What a linter of shell scripts says of a RUN, whoever does the reading.

use std::ops::Range;

use super::commands::Commands;
use super::shuck::Shuck;

/// The shell that reads a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sh,
    Bash,
    Dash,
    Ksh,
}

impl Dialect {
    /// The shell of that path or name; `None` for what is no shell of these.
    pub(crate) fn of(program: &str) -> Option<Self> {
        match program.rsplit('/').next()? {
            "sh" => Some(Self::Sh),
            "bash" => Some(Self::Bash),
            "dash" | "ash" => Some(Self::Dash),
            "ksh" => Some(Self::Ksh),
            _ => None,
        }
    }
}

/// Who reads a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The shell of its stage.
    Stage,
    /// A shell that it names itself.
    Own(Dialect),
    /// A program that is no shell of these.
    Other,
}

impl Reader {
    /// The program of that path or name.
    pub(crate) fn of(program: &str) -> Self {
        Dialect::of(program).map_or(Self::Other, Self::Own)
    }

    /// Who a `#!` line names, if there is one.
    pub(crate) fn of_first_line(script: &str) -> Self {
        let Some(line) = script.lines().next().and_then(|line| line.strip_prefix("#!")) else {
            return Self::Stage;
        };
        let mut words = line.split_ascii_whitespace();
        match words.next().unwrap_or_default() {
            program if program.ends_with("/env") => {
                let program = words.find(|word| !word.starts_with('-'));
                program.map_or(Self::Other, Self::of)
            }
            program => Self::of(program),
        }
    }
}

/// A script as its shell gets it.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    pub(crate) script: &'a str,
    pub(crate) dialect: Dialect,
    /// Variables that are set before it begins.
    pub(crate) names: &'a [&'a str],
}

/// What is said of a place in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    /// `SC2086`
    pub(crate) code: &'static str,
    /// In one sentence without final period.
    pub(crate) message: String,
    pub(crate) range: Range<usize>,
}

/// Someone who reads shell scripts.
pub(crate) trait Checker {
    /// What there is to say of a script.
    fn check(&self, text: &Text<'_>) -> Vec<Remark>;
}

/// Those who do, each told the codes that are asked for.
pub(crate) fn checkers(codes: &[&'static str]) -> [Box<dyn Checker>; 2] {
    [Box::new(Shuck::new(codes)), Box::new(Commands::new(codes))]
}
