//! The syntax tree. Every node knows the bytes it came from, so that errors can point at them and the linter
//! can rewrite them. Words are kept unexpanded; [`crate::expand`] expands them in an environment.

use std::ops::Range;

use crate::lines::LineIndex;
use crate::parse::Joined;

/// A range of bytes in the Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range as slices want it.
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// The smallest span that contains both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// A piece of the text as written, quotes and escapes included and continuations removed, with its place.
///
/// Two kinds of word are not quite as written, because their form has quotes of its own, which are read before anything
/// is expanded: values of flags come without the quotes and escapes around them, strings of a JSON array decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The raw text.
    pub raw: String,
    /// Where it stands.
    pub span: Span,
}

/// What a plain Dockerfile has in place of a piece of the text; see [`crate::extensions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The piece.
    pub span: Span,
    /// What it becomes.
    pub text: String,
}

/// A whole Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The text that was parsed (a byte order mark included).
    pub source: String,
    /// `# key=value` lines at the top.
    pub directives: Vec<Directive>,
    /// The escape character: `\` or `` ` ``.
    pub escape: char,
    /// The ARG instructions before the first FROM.
    pub globals: Vec<Instruction>,
    /// The stages in order.
    pub stages: Vec<Stage>,
    pub(crate) lines: LineIndex,
}

/// A parser directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its name in lower case: `syntax`, `escape`, `check`, `kiln`.
    pub name: String,
    /// Its value.
    pub value: Word,
    /// The whole line.
    pub span: Span,
}

/// A FROM and what follows it, up to the next FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its place among the stages, from 0.
    pub index: usize,
    /// Its name in lower case, if it has one.
    pub name: Option<String>,
    /// What it starts from.
    pub from: From,
    /// The FROM as an instruction (its kind repeats `from`).
    pub instruction: Instruction,
    /// The instructions after FROM.
    pub instructions: Vec<Instruction>,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// What it says.
    pub kind: Kind,
    /// The keyword as written (case included).
    pub keyword: Word,
    /// All of it, heredoc bodies included.
    pub span: Span,
    /// First and last line, counted from 1, heredoc bodies included.
    pub lines: (u32, u32),
    /// The logical line as BuildKit shows it: keyword in upper case, continuations joined, comments dropped.
    pub text: String,
    /// The comment lines directly above, without `#` and the blank after it.
    pub comments: Vec<Word>,
}

/// The instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the instructions of the language, named as there"
)]
pub enum Kind {
    Add(Add),
    Arg(Vec<Declaration>),
    Cmd(Command),
    Copy(Copy),
    Entrypoint(Command),
    Env(Vec<Pair>),
    Expose(Vec<Word>),
    From(From),
    Healthcheck(Healthcheck),
    Label(Vec<Pair>),
    Maintainer(Word),
    Onbuild(Onbuild),
    Run(Run),
    Shell(Vec<String>),
    Stopsignal(Word),
    User(Word),
    Volume(Vec<Word>),
    Workdir(Word),
}

/// `FROM [--platform=P] IMAGE [AS NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// `--platform`
    pub platform: Option<Word>,
    /// Image, stage or named context.
    pub image: Word,
    /// The `AS` keyword as written.
    pub as_keyword: Option<Word>,
    /// The name after AS, as written.
    pub name: Option<Word>,
}

/// One `NAME[=default]` of ARG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The name.
    pub name: Word,
    /// The default, unexpanded; `Some` and empty for `NAME=`.
    pub default: Option<Word>,
}

/// One `KEY=value` of ENV or LABEL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key, unexpanded.
    pub key: Word,
    /// The value, unexpanded.
    pub value: Word,
    /// Whether it is the old form with a blank: `ENV KEY value`.
    pub legacy: bool,
}

/// The command of RUN, CMD, ENTRYPOINT, HEALTHCHECK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Text for the shell, with heredoc operators as written.
    Shell(Word),
    /// A JSON array.
    Exec(Vec<String>),
}

/// `RUN`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// `--mount`, unexpanded, in order. [`crate::mount::Mount::parse`] reads them once expanded.
    pub mounts: Vec<Word>,
    /// What a plain Dockerfile has in place of mounts with a `key=`, in order.
    pub edits: Vec<Edit>,
    /// `--network`
    pub network: Option<Word>,
    /// `--security`
    pub security: Option<Word>,
    /// `--device`
    pub devices: Vec<Word>,
    /// What runs.
    pub command: Command,
    /// The here-documents, in order of their operators.
    pub heredocs: Vec<Heredoc>,
}

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without quotes.
    pub name: String,
    /// The file descriptor before `<<`, if one was given.
    pub descriptor: Option<u32>,
    /// Whether the delimiter was unquoted, so that variables expand in COPY and ADD.
    pub expand: bool,
    /// Whether it is `<<-`; `content` is stripped of leading tabs already.
    pub strip_tabs: bool,
    /// The text between the operator's line and the delimiter.
    pub content: String,
    /// The operator as written.
    pub operator: Word,
    /// The body with its closing delimiter line.
    pub body: Span,
}

/// What COPY and ADD share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// `--chown`
    pub chown: Option<Word>,
    /// `--chmod`
    pub chmod: Option<Word>,
    /// `--link`
    pub link: bool,
    /// `--exclude`, in order.
    pub exclude: Vec<Word>,
    /// What is copied.
    pub sources: Vec<SourcePath>,
    /// Where to.
    pub destination: Word,
}

/// A source of COPY or ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourcePath {
    /// A path, pattern or URL, unexpanded.
    Path(Word),
    /// A file given in place.
    Heredoc(Heredoc),
}

/// `COPY`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// `--from`: stage name or index, named context or image.
    pub from: Option<Word>,
    /// `--parents`
    pub parents: bool,
    /// What a plain Dockerfile has in place of `--if-exists` and its sources, in order; empty where it is not given. The
    /// sources of this tree are such patterns already.
    pub edits: Vec<Edit>,
    /// The rest.
    pub transfer: Transfer,
}

/// `ADD`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// `--keep-git-dir`
    pub keep_git_dir: Option<bool>,
    /// `--checksum`
    pub checksum: Option<Word>,
    /// `--unpack`
    pub unpack: Option<bool>,
    /// The rest.
    pub transfer: Transfer,
}

/// `HEALTHCHECK`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `HEALTHCHECK NONE`
    None,
    /// `HEALTHCHECK [options] CMD command`; durations in nanoseconds, `None` where not given.
    Check {
        /// What asks.
        command: Command,
        /// `--interval`
        interval: Option<u64>,
        /// `--timeout`
        timeout: Option<u64>,
        /// `--start-period`
        start_period: Option<u64>,
        /// `--start-interval`
        start_interval: Option<u64>,
        /// `--retries`
        retries: Option<u64>,
    },
}

/// `ONBUILD`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onbuild {
    /// The instruction's text as the image config keeps it, heredoc bodies included.
    pub text: String,
    /// The same, parsed.
    pub instruction: Box<Instruction>,
}

impl Instruction {
    /// What the comments above say of a stage or an ARG: the rest of the first line that starts with its name.
    pub fn description_of(&self, name: &str) -> Option<&str> {
        if name.is_empty() {
            return None;
        }
        let mut comments = self.comments.iter();
        comments.find_map(|comment| comment.raw.strip_prefix(name)?.strip_prefix(' '))
    }
}

impl Dockerfile {
    /// The line, from 1, of a byte. Places past the end are the end.
    pub fn line(&self, offset: usize) -> u32 {
        self.lines.line(&self.source, offset)
    }

    /// The line, from 1, and the character in it, from 1, of a byte. Places past the end are the end.
    pub fn line_and_column(&self, offset: usize) -> (u32, u32) {
        let line = self.line(offset);
        let start = self.lines.start(&self.source, line);
        let before = self
            .source
            .get(start..offset.min(self.source.len()))
            .unwrap_or_default();
        let column = before.trim_start_matches('\u{feff}').chars().count();
        (line, u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// Where a line, from 1, starts; the end of the text for lines that it does not have.
    pub fn line_start(&self, line: u32) -> usize {
        self.lines.start(&self.source, line)
    }

    /// A word of an instruction with its lines joined, and the way back to the places in the source.
    pub fn joined(&self, span: Span) -> Joined {
        Joined::new(&self.source, span, self.escape)
    }

    /// The instruction that stands at a byte; `None` for places between instructions, and in those with an error.
    pub fn instruction_at(&self, place: usize) -> Option<&Instruction> {
        let instructions = match self
            .stages
            .partition_point(|stage| stage.instruction.span.start <= place)
        {
            0 => &self.globals,
            next => {
                let stage = &self.stages[next - 1];
                if place < stage.instruction.span.end {
                    return Some(&stage.instruction);
                }
                &stage.instructions
            }
        };
        let next = instructions.partition_point(|instruction| instruction.span.start <= place);
        let found = instructions.get(next.checked_sub(1)?)?;
        (place < found.span.end).then_some(found)
    }

    /// The last stage of that name before stage number `before`; case does not count.
    pub fn stage_by_name(&self, name: &str, before: usize) -> Option<&Stage> {
        let name = name.to_lowercase();
        self.stages
            .iter()
            .take(before)
            .rev()
            .find(|stage| stage.name.as_deref() == Some(&name))
    }
}
