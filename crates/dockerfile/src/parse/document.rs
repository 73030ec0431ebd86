//! The file as a whole: lines to instructions, instructions to stages.

use super::directives::Directives;
use super::lines::Line;
use super::reader::{Read, Reader};
use super::report::{error, helped};
use crate::ast::{Directive, Dockerfile, Instruction, Kind, Span, Stage};
use crate::diagnostic::{Diagnostic, Severity};
use crate::lines::LineIndex;
use crate::{checks, code};

/// A tree without anything.
pub(super) fn empty(source: &str) -> Dockerfile {
    tree(source, Vec::new(), '\\')
}

fn tree(source: &str, directives: Vec<Directive>, escape: char) -> Dockerfile {
    Dockerfile {
        source: source.to_owned(),
        lines: LineIndex::new(source),
        directives,
        escape,
        globals: Vec::new(),
        stages: Vec::new(),
    }
}

/// More than any image can have (its layers alone end at some hundreds), and few enough for any machine's memory: a tree
/// takes about a kilobyte for each.
const MOST_INSTRUCTIONS: usize = 50_000;

/// Reads a whole file.
pub(super) fn parse(source: &str) -> (Dockerfile, Vec<Diagnostic>) {
    let mut builder = Builder::new(source, Directives::new());
    while let Some(line) = builder.reader.lines.next() {
        builder.line(line);
        if builder.read > MOST_INSTRUCTIONS {
            builder.give_up(line);
            break;
        }
    }
    builder.finish()
}

/// Reads one instruction.
pub(super) fn parse_instruction(source: &str) -> (Option<Instruction>, Vec<Diagnostic>) {
    let mut reader = Reader::new(source, Directives::new());
    let mut found = Vec::new();
    while let Some(line) = reader.lines.next() {
        if let Some(Read::Instruction(instruction)) = reader.line(line) {
            found.push(*instruction);
        }
    }
    let whole = Span {
        start: 0,
        end: source.len(),
    };
    let mut diagnostics = reader.diagnostics;
    let ok = diagnostics.iter().all(|found| found.severity != Severity::Error);
    if ok && found.len() != 1 {
        let message = "onbuild trigger should be a single expression";
        diagnostics.push(error(code::BAD_ARGUMENTS, message, whole).into_diagnostic());
        return (None, diagnostics);
    }
    (found.pop().filter(|_| ok), diagnostics)
}

/// Where the file is.
#[derive(PartialEq, Eq)]
enum Place {
    /// Before the first FROM.
    Globals,
    /// The same, and it was said that a FROM is missing.
    GlobalsReported,
    /// In the last stage.
    Stage,
    /// Behind a FROM with an error.
    BrokenStage,
}

/// Makes stages of instructions.
struct Builder<'a> {
    reader: Reader<'a>,
    place: Place,
    /// How many instructions there are so far, wrong ones included.
    read: usize,
    globals: Vec<Instruction>,
    stages: Vec<Stage>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a str, directives: Directives) -> Self {
        Self {
            reader: Reader::new(source, directives),
            place: Place::Globals,
            read: 0,
            globals: Vec::new(),
            stages: Vec::new(),
        }
    }

    fn line(&mut self, line: Line<'a>) {
        let Some(read) = self.reader.line(line) else { return };
        self.read += 1;
        match read {
            Read::Instruction(instruction) => self.put(*instruction),
            Read::Include(include) => {
                let found = error(code::NOT_READ_IN, "INCLUDE: the text was not read in", include.keyword);
                self.reader.diagnostics.push(found.into_diagnostic());
                self.place = Place::BrokenStage;
            }
            Read::Failed { stage: true } => self.place = Place::BrokenStage,
            Read::Failed { stage: false } => {}
        }
    }

    fn give_up(&mut self, line: Line<'_>) {
        let span = Span {
            start: line.start,
            end: line.start + line.text.len(),
        };
        let message = format!("the Dockerfile has more than {MOST_INSTRUCTIONS} instructions; the rest was not read");
        let help = "is it the right file? One that a program wrote can do more in each RUN".to_owned();
        self.reader
            .diagnostics
            .push(helped(error(code::TOO_LONG, message, span), help).into_diagnostic());
    }

    fn put(&mut self, instruction: Instruction) {
        if let Kind::From(from) = &instruction.kind {
            self.place = Place::Stage;
            self.stages.push(Stage {
                index: self.stages.len(),
                name: from.name.as_ref().map(|name| name.raw.to_lowercase()),
                from: from.clone(),
                instruction,
                instructions: Vec::new(),
            });
            return;
        }
        match self.place {
            Place::Globals | Place::GlobalsReported if matches!(instruction.kind, Kind::Arg(_)) => {
                self.globals.push(instruction);
            }
            Place::Globals => {
                self.place = Place::GlobalsReported;
                let found = error(code::BEFORE_FROM, "no build stage in current context", instruction.span);
                let help = "only ARG may stand before the first FROM".to_owned();
                self.reader.diagnostics.push(helped(found, help).into_diagnostic());
            }
            Place::Stage => {
                if let Some(stage) = self.stages.last_mut() {
                    stage.instructions.push(instruction);
                }
            }
            Place::GlobalsReported | Place::BrokenStage => {}
        }
    }

    fn finish(self) -> (Dockerfile, Vec<Diagnostic>) {
        let mut reader = self.reader;
        let end = Span {
            start: reader.source.len(),
            end: reader.source.len(),
        };
        let nothing = if self.read > 0 {
            (self.stages.is_empty() && self.place == Place::Globals && reader.diagnostics.is_empty())
                .then_some((code::NO_STAGE, "dockerfile contains no stages to build"))
        } else if reader.source.is_empty() {
            Some((code::EMPTY_FILE, "the Dockerfile cannot be empty"))
        } else {
            Some((code::EMPTY_FILE, "file with no instructions"))
        };
        if let Some((code, message)) = nothing {
            let found = helped(error(code, message, end), "a Dockerfile needs at least a FROM");
            reader.diagnostics.push(found.into_diagnostic());
        }
        let dockerfile = Dockerfile {
            globals: self.globals,
            stages: self.stages,
            ..tree(reader.source, reader.directives.found, reader.directives.escape)
        };
        reader
            .diagnostics
            .extend(reader.empty_lines.into_iter().map(checks::empty_continuation));
        reader.diagnostics.extend(checks::run(&dockerfile));
        reader.diagnostics.sort_by_key(|found| found.span.start);
        (dockerfile, reader.diagnostics)
    }
}
