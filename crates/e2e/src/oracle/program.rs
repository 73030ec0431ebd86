//! A Dockerfile of the part of the language that the oracle knows, and its context.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// A Dockerfile, its context, and values for its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    /// Files of the context: mode and content.
    pub context: BTreeMap<String, (u32, String)>,
    /// Symbolic links of the context, and where they lead.
    pub links: BTreeMap<String, String>,
    /// The lines of its ignore file.
    pub ignored: Vec<String>,
    /// `--build-arg`
    pub arguments: BTreeMap<String, String>,
    /// From first to last; the last is built.
    pub stages: Vec<Stage>,
}

/// A stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// An earlier stage, or `scratch`.
    pub base: Option<usize>,
    /// What follows.
    pub instructions: Vec<Instruction>,
}

/// An instruction.
#[derive(Debug, Clone)]
pub enum Instruction {
    /// `ENV name=value …`
    Env(Vec<(String, Word)>),
    /// `ARG name=value`, or without a value
    Arg(String, Option<Word>),
    /// `LABEL name=value`
    Label(String, Word),
    /// `WORKDIR path`
    Workdir(Word),
    /// `USER uid:gid`
    User(u64, u64),
    /// `COPY` or `ADD` of files
    Copy(Copy),
    /// `COPY <<EOF path`
    Heredoc(Word, Word),
    /// `RUN`, by root, of one after the other until one fails
    Run(Vec<Command>),
}

/// What a step may do; paths begin with a slash.
#[derive(Debug, Clone)]
pub enum Command {
    /// `echo text >path`
    Write(String, String),
    /// `echo text >>path`
    Append(String, String),
    /// `mkdir -p path`
    Mkdir(String),
    /// `rm -rf path`
    Remove(String),
    /// `chmod mode path`
    Chmod(u32, String),
    /// `ln -s target path`
    Link(String, String),
}

/// Programs begin with nothing, so the tool of their steps comes from elsewhere.
const TOOL: &str = "/.tool/busybox";

/// A COPY.
#[derive(Debug, Clone)]
pub struct Copy {
    /// ADD means the same where nothing is an archive.
    pub add: bool,
    /// An earlier stage; the context where there is none.
    pub from: Option<usize>,
    /// `--chown`
    pub owner: Option<(u64, u64)>,
    /// `--chmod`, octal
    pub mode: Option<u32>,
    /// `--link`
    pub link: bool,
    /// `--parents`
    pub parents: bool,
    /// `--exclude`
    pub exclude: Vec<String>,
    /// Paths and patterns.
    pub sources: Vec<String>,
    /// Where to.
    pub destination: Word,
}

/// A word, in pieces that are expanded one by one.
#[derive(Debug, Clone)]
pub struct Word(pub Vec<Piece>);

/// A piece of a word.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Letters, digits, slashes, dots: nothing that means something to the language.
    Text(String),
    /// `${name}`
    Value(String),
    /// `${name:-text}`
    OrElse(String, String),
    /// `${name:+text}`
    Instead(String, String),
}

impl Word {
    /// Its text in an environment.
    pub fn expand(&self, environment: &BTreeMap<String, String>) -> String {
        let value = |name: &String| environment.get(name).cloned().unwrap_or_default();
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => value(name),
            Piece::OrElse(name, text) => Some(value(name))
                .filter(|set| !set.is_empty())
                .unwrap_or_else(|| text.clone()),
            Piece::Instead(name, text) => Some(text.clone())
                .filter(|_| !value(name).is_empty())
                .unwrap_or_default(),
        });
        pieces.collect()
    }
}

impl Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Value(name) => write!(f, "${{{name}}}")?,
                Piece::OrElse(name, text) => write!(f, "${{{name}:-{text}}}")?,
                Piece::Instead(name, text) => write!(f, "${{{name}:+{text}}}")?,
            }
        }
        Ok(())
    }
}

impl Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(pairs) => {
                f.write_str("ENV")?;
                pairs.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
            }
            Self::Arg(name, None) => write!(f, "ARG {name}"),
            Self::Arg(name, Some(value)) => write!(f, "ARG {name}={value}"),
            Self::Label(name, value) => write!(f, "LABEL {name}={value}"),
            Self::Workdir(path) => write!(f, "WORKDIR {path}"),
            Self::User(user, group) => write!(f, "USER {user}:{group}"),
            Self::Copy(copy) => copy.fmt(f),
            Self::Heredoc(content, path) => write!(f, "COPY <<EOF {path}\n{content}\nEOF"),
            Self::Run(commands) => {
                f.write_str("USER 0:0\nRUN --mount=from=busybox:1.35,source=/bin,target=/.tool ")?;
                let script: Vec<String> = commands.iter().map(ToString::to_string).collect();
                write!(f, r#"["{TOOL}", "sh", "-c", "{}"]"#, script.join(" && "))
            }
        }
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(text, path) => write!(f, "echo {text} >{path}"),
            Self::Append(text, path) => write!(f, "echo {text} >>{path}"),
            Self::Mkdir(path) => write!(f, "{TOOL} mkdir -p {path}"),
            Self::Remove(path) => write!(f, "{TOOL} rm -rf {path}"),
            Self::Link(target, path) => write!(f, "{TOOL} ln -s {target} {path}"),
            Self::Chmod(mode, path) => write!(f, "{TOOL} chmod {mode:04o} {path}"),
        }
    }
}

impl Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.add { "ADD" } else { "COPY" })?;
        if let Some(stage) = self.from {
            write!(f, " --from=s{stage}")?;
        }
        if let Some((user, group)) = self.owner {
            write!(f, " --chown={user}:{group}")?;
        }
        if let Some(mode) = self.mode {
            write!(f, " --chmod={mode:04o}")?;
        }
        if self.link {
            f.write_str(" --link")?;
        }
        if self.parents {
            f.write_str(" --parents")?;
        }
        for pattern in &self.exclude {
            write!(f, " --exclude={pattern}")?;
        }
        write!(f, " {} {}", self.sources.join(" "), self.destination)
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, stage) in self.stages.iter().enumerate() {
            match stage.base {
                None => writeln!(f, "FROM scratch AS s{number}")?,
                Some(base) => writeln!(f, "FROM s{base} AS s{number}")?,
            }
            for instruction in &stage.instructions {
                writeln!(f, "{instruction}")?;
            }
        }
        Ok(())
    }
}
