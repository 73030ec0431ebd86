//! Logical lines to instructions, one after the other.

use super::directives::Directives;
use super::heredoc::{self, Document};
use super::include::{self, Include};
use super::instruction::{self, Head, Input};
use super::lines::{Line, Lines};
use super::logical::Logical;
use super::report::{Parsed, error};
use crate::ast::{Instruction, Span, Word};
use crate::code;
use crate::diagnostic::Diagnostic;

/// BuildKit's words for a line that is longer than it reads.
pub(super) const TOO_LONG: &str = "dockerfile line greater than max allowed size of 65535";

/// What a logical line came to.
pub(super) enum Read {
    Instruction(Box<Instruction>),
    Include(Include),
    /// An instruction with an error, which is reported; whether it may be what begins the stage.
    Failed {
        stage: bool,
    },
}

/// Makes instructions of lines.
pub(super) struct Reader<'a> {
    pub(super) source: &'a str,
    pub(super) lines: Lines<'a>,
    pub(super) directives: Directives,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The comment lines directly above what comes next.
    comments: Vec<Word>,
    /// For each instruction with blank lines in it: the first.
    pub(super) empty_lines: Vec<Span>,
    /// The keyword of an instruction that the text ended in the middle of.
    pub(super) unfinished: Option<Span>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a str, directives: Directives) -> Self {
        Self {
            source,
            lines: Lines::new(source),
            directives,
            diagnostics: Vec::new(),
            comments: Vec::new(),
            empty_lines: Vec::new(),
            unfinished: None,
        }
    }

    pub(super) fn line(&mut self, line: Line<'a>) -> Option<Read> {
        let directive = self.directives.take(line).unwrap_or_else(|problem| {
            self.diagnostics.push(problem.into_diagnostic());
            true
        });
        let text = line.text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            self.check_length(line);
            if directive || text.is_empty() {
                self.comments.clear();
            } else {
                self.comment(line);
            }
            return None;
        }
        let logical = Logical::read(line, &mut self.lines, self.directives.escape);
        let comments = std::mem::take(&mut self.comments);
        self.empty_lines.extend(logical.empty_line);
        let head = Head::read(&logical, 0..logical.text.len(), self.directives.escape);
        self.unfinished = logical.unfinished.then(|| logical.span(head.keyword.clone()));
        let is = |keyword: &str| logical.text[head.keyword.clone()].eq_ignore_ascii_case(keyword);
        let (from, include) = (is("FROM"), is("INCLUDE"));
        let read = if include {
            self.include(line, &logical, head).map(Read::Include)
        } else {
            let instruction = self.instruction(&logical, head, comments);
            instruction.map(|instruction| Read::Instruction(Box::new(instruction)))
        };
        Some(read.unwrap_or_else(|problem| {
            self.diagnostics.push(problem.into_diagnostic());
            Read::Failed { stage: from || include }
        }))
    }

    fn include(&self, line: Line<'_>, logical: &Logical, head: Head) -> Parsed<Include> {
        let input = Input {
            logical,
            escape: self.directives.escape,
            extensions: self.directives.extensions,
            documents: Vec::new(),
            lines: logical.lines,
            end: logical.end,
        };
        let keyword = logical.span(head.keyword.clone());
        Ok(Include {
            keyword,
            paths: include::paths(input.arguments(head, "INCLUDE"))?,
            lines: logical.lines,
            range: line.start..self.lines.offset(),
        })
    }

    fn check_length(&mut self, line: Line<'_>) {
        if line.too_long() {
            let span = Span {
                start: line.start,
                end: line.end(),
            };
            self.diagnostics
                .push(error(code::LINE_TOO_LONG, TOO_LONG, span).into_diagnostic());
        }
    }

    fn comment(&mut self, line: Line<'_>) {
        let body = line.text.trim_start().trim_start_matches('#');
        // Only the first `#` is the comment's sign.
        let text = line.text.trim_start().strip_prefix('#').unwrap_or(body).trim();
        if text.is_empty() {
            self.comments.clear();
            return;
        }
        let start = line.start + line.text.trim_end().len() - text.len();
        self.comments.push(Word {
            raw: text.to_owned(),
            span: Span {
                start,
                end: start + text.len(),
            },
        });
    }

    fn instruction(&mut self, logical: &Logical, head: Head, comments: Vec<Word>) -> Parsed<Instruction> {
        let documents = self.documents(logical, &head)?;
        if let Some(span) = logical.too_long.first() {
            return Err(error(code::LINE_TOO_LONG, TOO_LONG, *span));
        }
        let end = documents
            .last()
            .map_or(logical.end, |document| document.heredoc.body.end);
        let last_line = if documents.is_empty() {
            logical.lines.1
        } else {
            self.lines.number()
        };
        let input = Input {
            logical,
            escape: self.directives.escape,
            extensions: self.directives.extensions,
            documents,
            lines: (logical.lines.0, last_line),
            end,
        };
        instruction::parse(input, head, comments)
    }

    /// The here-documents of a line. They are read even if the instruction proves wrong, so that their text is not
    /// taken for instructions.
    fn documents(&mut self, logical: &Logical, head: &Head) -> Parsed<Vec<Document>> {
        if !instruction::takes_documents(logical, head, self.directives.escape) {
            return Ok(Vec::new());
        }
        let operators = heredoc::operators(logical)?;
        heredoc::bodies(self.source, operators, &mut self.lines)
    }
}
