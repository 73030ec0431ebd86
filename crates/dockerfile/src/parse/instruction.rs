//! One logical line: keyword, flags, arguments, and who reads them.

use std::ops::Range;

use super::flags::{self, Flag, Flags};
use super::heredoc::Document;
use super::json::{self, Form};
use super::logical::Logical;
use super::report::{Parsed, Problem, error, helped};
use super::words::{by_blanks, is_blank};
use super::{add_copy, cache_key, from, healthcheck, if_exists, pairs, run};
use crate::ast::{Command, Instruction, Kind, Onbuild, Span, Word};
use crate::extensions::Extensions;
use crate::{code, suggest};

pub(super) const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The parts of a line, as ranges of its text.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) keyword: Range<usize>,
    flags: Vec<Flag>,
    /// The arguments without the blanks around them.
    rest: Range<usize>,
}

impl Head {
    pub(super) fn read(logical: &Logical, range: Range<usize>, escape: char) -> Self {
        let range = logical.trimmed(range);
        let length = logical.text[range.clone()].find(is_blank).unwrap_or(range.len());
        let keyword = range.start..range.start + length;
        let (flags, start) = flags::read(logical, keyword.end..range.end, escape);
        Self {
            keyword,
            flags,
            rest: logical.trimmed(start..range.end),
        }
    }

    fn keyword<'a>(&self, logical: &'a Logical) -> &'a str {
        &logical.text[self.keyword.clone()]
    }
}

/// What the lines hold besides the head.
pub(super) struct Input<'a> {
    pub(super) logical: &'a Logical,
    pub(super) escape: char,
    pub(super) extensions: Extensions,
    pub(super) documents: Vec<Document>,
    /// First and last line, here-documents included.
    pub(super) lines: (u32, u32),
    /// Where all of it ends in the source.
    pub(super) end: usize,
}

impl<'a> Input<'a> {
    /// What the parser of the instruction of that keyword gets.
    pub(super) fn arguments(self, head: Head, keyword: &'static str) -> Arguments<'a> {
        Arguments {
            logical: self.logical,
            escape: self.escape,
            extensions: self.extensions,
            keyword,
            keyword_span: self.logical.span(head.keyword),
            flags: head.flags,
            rest: head.rest,
            documents: self.documents,
        }
    }
}

/// What an instruction's parser gets.
pub(super) struct Arguments<'a> {
    pub(super) logical: &'a Logical,
    pub(super) escape: char,
    pub(super) extensions: Extensions,
    /// In upper case.
    pub(super) keyword: &'static str,
    pub(super) keyword_span: Span,
    pub(super) flags: Vec<Flag>,
    pub(super) rest: Range<usize>,
    pub(super) documents: Vec<Document>,
}

impl Arguments<'_> {
    pub(super) fn text(&self) -> &str {
        &self.logical.text[self.rest.clone()]
    }

    /// Where the arguments stand, or the keyword if there are none.
    pub(super) fn span(&self) -> Span {
        if self.rest.is_empty() {
            self.keyword_span
        } else {
            self.logical.span(self.rest.clone())
        }
    }

    pub(super) fn word(&self) -> Word {
        self.logical.word(self.rest.clone())
    }

    pub(super) fn wrong(&self, message: impl Into<String>) -> Problem {
        error(code::BAD_ARGUMENTS, message, self.span())
    }

    pub(super) fn at_least_one(&self) -> Problem {
        self.wrong(format!("{} requires at least one argument", self.keyword))
    }

    /// The strings of the exec form, or `None`.
    pub(super) fn json(&self) -> Parsed<Option<Vec<Word>>> {
        json_words(self.logical, self.rest.clone())
    }

    /// The words of the exec form, or those between blanks.
    pub(super) fn json_or_words(&self) -> Parsed<Vec<Word>> {
        Ok(match self.json()? {
            Some(words) => words,
            None => self.words(),
        })
    }

    pub(super) fn words(&self) -> Vec<Word> {
        let ranges = by_blanks(&self.logical.text, self.rest.clone());
        ranges.into_iter().map(|range| self.logical.word(range)).collect()
    }
}

/// The strings of a JSON array as words.
pub(super) fn json_words(logical: &Logical, range: Range<usize>) -> Parsed<Option<Vec<Word>>> {
    match json::read(&logical.text, range) {
        Form::Text => Ok(None),
        Form::Strings(strings) => {
            let word = |(raw, range)| Word {
                raw,
                span: logical.span(range),
            };
            Ok(Some(strings.into_iter().map(word).collect()))
        }
        Form::NotStrings(place) => {
            let message = "when using JSON array syntax, arrays must be comprised of strings only";
            Err(error(code::BAD_JSON, message, logical.span(place)))
        }
    }
}

/// Exec form or shell form.
pub(super) fn command(logical: &Logical, range: Range<usize>) -> Parsed<Command> {
    Ok(match json_words(logical, range.clone())? {
        Some(words) => Command::Exec(words.into_iter().map(|word| word.raw).collect()),
        None => Command::Shell(logical.word(range)),
    })
}

/// Whether here-documents may follow the line.
pub(super) fn takes_documents(logical: &Logical, head: &Head, escape: char) -> bool {
    if head.keyword(logical).eq_ignore_ascii_case("ONBUILD") {
        let inner = Head::read(logical, head.rest.clone(), escape);
        return !inner.keyword(logical).eq_ignore_ascii_case("ONBUILD") && takes_documents(logical, &inner, escape);
    }
    let keyword = head.keyword(logical);
    let takes = ["ADD", "COPY", "RUN"]
        .iter()
        .any(|known| keyword.eq_ignore_ascii_case(known));
    takes && json::read(&logical.text, head.rest.clone()) == Form::Text
}

/// Makes an instruction of a line.
pub(super) fn parse(input: Input<'_>, head: Head, comments: Vec<Word>) -> Parsed<Instruction> {
    let logical = input.logical;
    let written = head.keyword(logical);
    let keyword = known(logical, &head)?;
    let place = logical.word(head.keyword.clone());
    let text = format!(
        "{}{}",
        written.to_ascii_uppercase(),
        logical.text[head.keyword.end..].trim_end()
    );
    let (lines, end) = (input.lines, input.end);
    let arguments = input.arguments(head, keyword);
    let span = Span {
        start: place.span.start,
        end,
    };
    let kind = if keyword == "ONBUILD" {
        onbuild(arguments, lines, end)?
    } else {
        kind(arguments)?
    };
    Ok(Instruction {
        kind,
        keyword: place,
        span,
        lines,
        text,
        comments,
    })
}

fn known(logical: &Logical, head: &Head) -> Parsed<&'static str> {
    let written = head.keyword(logical);
    if let Some(known) = KEYWORDS.iter().find(|known| written.eq_ignore_ascii_case(known)) {
        return Ok(known);
    }
    let span = logical.span(head.keyword.clone());
    if written.is_empty() {
        return Err(error(
            code::UNKNOWN_INSTRUCTION,
            "line continuation without an instruction",
            span,
        ));
    }
    let shown: String = written.chars().take(60).collect();
    let message = format!("unknown instruction: {shown}{}", suggest::hint(written, KEYWORDS));
    let found = error(code::UNKNOWN_INSTRUCTION, message, span);
    Err(match suggest::closest(written, KEYWORDS) {
        Some(keyword) => helped(found, format!("did you mean `{keyword}`?")),
        None => found,
    })
}

fn kind(arguments: Arguments<'_>) -> Parsed<Kind> {
    match arguments.keyword {
        "ADD" => add_copy::add(arguments),
        "COPY" => add_copy::copy(arguments),
        "FROM" => from::parse(arguments),
        "RUN" => run::parse(arguments),
        "HEALTHCHECK" => healthcheck::parse(arguments),
        "ARG" => pairs::arg(&arguments),
        "ENV" => pairs::env(arguments).map(Kind::Env),
        "LABEL" => pairs::env(arguments).map(Kind::Label),
        "CMD" => flagless_command(arguments).map(Kind::Cmd),
        "ENTRYPOINT" => flagless_command(arguments).map(Kind::Entrypoint),
        "SHELL" => shell(arguments),
        "EXPOSE" => expose(arguments),
        "VOLUME" => volume(arguments),
        // BuildKit drops flags of STOPSIGNAL without a word.
        "STOPSIGNAL" => exactly_one(&arguments).map(Kind::Stopsignal),
        "MAINTAINER" => one_without_flags(arguments).map(Kind::Maintainer),
        "USER" => one_without_flags(arguments).map(Kind::User),
        _ => one_without_flags(arguments).map(Kind::Workdir),
    }
}

fn flagless_command(arguments: Arguments<'_>) -> Parsed<Command> {
    let command = command(arguments.logical, arguments.rest)?;
    Flags::none(arguments.flags)?;
    Ok(command)
}

fn exactly_one(arguments: &Arguments<'_>) -> Parsed<Word> {
    if arguments.rest.is_empty() {
        return Err(arguments.wrong(format!("{} requires exactly one argument", arguments.keyword)));
    }
    Ok(arguments.word())
}

fn one_without_flags(arguments: Arguments<'_>) -> Parsed<Word> {
    let word = exactly_one(&arguments)?;
    Flags::none(arguments.flags)?;
    Ok(word)
}

fn shell(arguments: Arguments<'_>) -> Parsed<Kind> {
    let words = arguments.json()?;
    if arguments.rest.is_empty() || words.as_ref().is_some_and(Vec::is_empty) {
        return Err(arguments.at_least_one());
    }
    let Some(words) = words else {
        let found = arguments.wrong("SHELL requires the arguments to be in JSON form");
        return Err(helped(
            found,
            "write the shell as a JSON array: `SHELL [\"/bin/bash\", \"-c\"]`",
        ));
    };
    Flags::none(arguments.flags)?;
    Ok(Kind::Shell(words.into_iter().map(|word| word.raw).collect()))
}

fn expose(arguments: Arguments<'_>) -> Parsed<Kind> {
    if arguments.rest.is_empty() {
        return Err(arguments.at_least_one());
    }
    let words = arguments.words();
    Flags::none(arguments.flags)?;
    Ok(Kind::Expose(words))
}

fn volume(arguments: Arguments<'_>) -> Parsed<Kind> {
    let words = arguments.json_or_words()?;
    if words.is_empty() {
        return Err(arguments.at_least_one());
    }
    if let Some(word) = words.iter().find(|word| word.raw.trim().is_empty()) {
        return Err(error(
            code::BAD_ARGUMENTS,
            "VOLUME specified can not be an empty string",
            word.span,
        ));
    }
    Flags::none(arguments.flags)?;
    let trimmed = |word: Word| Word {
        raw: word.raw.trim().to_owned(),
        span: word.span,
    };
    Ok(Kind::Volume(words.into_iter().map(trimmed).collect()))
}

fn onbuild(arguments: Arguments<'_>, lines: (u32, u32), end: usize) -> Parsed<Kind> {
    if arguments.rest.is_empty() {
        return Err(arguments.at_least_one());
    }
    let logical = arguments.logical;
    let head = Head::read(logical, arguments.rest.clone(), arguments.escape);
    match head.keyword(logical).to_ascii_uppercase().as_str() {
        "ONBUILD" => return Err(arguments.wrong("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
        forbidden @ ("MAINTAINER" | "FROM" | "INCLUDE") => {
            return Err(arguments.wrong(format!("{forbidden} isn't allowed as an ONBUILD trigger")));
        }
        _ => {}
    }
    Flags::none(arguments.flags)?;
    let mut text = logical.text[arguments.rest.clone()].to_owned();
    for document in &arguments.documents {
        text.push('\n');
        text.push_str(&document.raw);
        text.push_str(&document.heredoc.name);
    }
    let input = Input {
        logical,
        escape: arguments.escape,
        extensions: arguments.extensions,
        documents: arguments.documents,
        lines,
        end,
    };
    let instruction = Box::new(parse(input, head, Vec::new())?);
    if_exists::not_in_trigger(&instruction)?;
    cache_key::not_in_trigger(&instruction)?;
    Ok(Kind::Onbuild(Onbuild { text, instruction }))
}
