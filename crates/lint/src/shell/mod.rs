//! What a shell would run: the simple commands of a script. A grammar for looking at, not for running: what it cannot
//! read has no commands.

mod check;
mod commands;
mod parse;
mod shuck;
mod word;
mod words;

pub(crate) use check::{Dialect, Reader, Remark, Text, checkers};
pub(crate) use word::{Command, Word};

/// A script of RUN.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// All simple commands, wherever they stand: in conditions, loops, subshells, functions, substitutions.
    pub(crate) commands: Vec<Command>,
    /// Whether the output of one goes into another.
    pub(crate) pipes: bool,
    /// Whether it could be read.
    pub(crate) valid: bool,
    /// Where the pipes stand.
    pub(crate) pipe_places: Vec<usize>,
    /// Whether its outermost commands are tied by nothing but `&&`.
    pub(crate) chain: bool,
}

impl Script {
    /// Reads a script.
    pub(crate) fn parse(text: &str) -> Self {
        parse::script(text)
    }

    /// The commands of that name.
    pub(crate) fn named<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a Command> {
        let wanted = |command: &&Command| names.contains(&command.name.as_str());
        self.commands.iter().filter(wanted)
    }
}
