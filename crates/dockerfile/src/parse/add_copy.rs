//! COPY and ADD.

use super::flags::{Flags, Use};
use super::heredoc::{self, Document};
use super::if_exists;
use super::instruction::Arguments;
use super::report::{Parsed, error};
use crate::ast::{Add, Copy, Kind, SourcePath, Transfer, Word};
use crate::code;
use crate::extensions::IF_EXISTS;

pub(super) const COPY: [(&str, Use); 7] = [
    ("chown", Use::Once),
    ("from", Use::Once),
    ("chmod", Use::Once),
    ("link", Use::Switch),
    ("parents", Use::Switch),
    ("exclude", Use::Many),
    (IF_EXISTS, Use::Switch),
];

pub(super) const ADD: [(&str, Use); 7] = [
    ("chown", Use::Once),
    ("chmod", Use::Once),
    ("link", Use::Switch),
    ("keep-git-dir", Use::Switch),
    ("checksum", Use::Once),
    ("unpack", Use::Switch),
    ("exclude", Use::Many),
];

pub(super) fn copy(mut arguments: Arguments<'_>) -> Parsed<Kind> {
    let words = paths(&arguments)?;
    let flags = Flags::check(std::mem::take(&mut arguments.flags), &COPY)?;
    let from = given(&flags, "from");
    if let Some(from) = &from
        && has_variable(&from.raw)
    {
        let message = "variable expansion is not supported for --from, define a new stage with FROM using ARG from \
                       global scope as a workaround";
        return Err(error(code::NO_EXPANSION, message, from.span));
    }
    let mut transfer = transfer(&arguments, words, &flags)?;
    let edits = if_exists::read(&arguments, &flags, &mut transfer.sources)?;
    Ok(Kind::Copy(Copy {
        from,
        parents: flags.switch("parents").unwrap_or(false),
        edits,
        transfer,
    }))
}

pub(super) fn add(mut arguments: Arguments<'_>) -> Parsed<Kind> {
    let words = paths(&arguments)?;
    let flags = Flags::check(std::mem::take(&mut arguments.flags), &ADD)?;
    let transfer = transfer(&arguments, words, &flags)?;
    Ok(Kind::Add(Add {
        keep_git_dir: flags.switch("keep-git-dir"),
        checksum: given(&flags, "checksum"),
        unpack: flags.switch("unpack"),
        transfer,
    }))
}

/// An empty value is as good as none.
fn given(flags: &Flags, name: &str) -> Option<Word> {
    flags.one(name).filter(|word| !word.raw.is_empty())
}

/// A dollar with anything behind it, as BuildKit looks for it.
fn has_variable(text: &str) -> bool {
    text.split_once('$').is_some_and(|(_, rest)| !rest.is_empty())
}

fn paths(arguments: &Arguments<'_>) -> Parsed<Vec<Word>> {
    let words = arguments.json_or_words()?;
    if words.len() < 2 {
        let message = format!(
            "{} requires at least two arguments, but only one was provided. Destination could not be determined",
            arguments.keyword
        );
        return Err(arguments.wrong(message));
    }
    Ok(words)
}

fn transfer(arguments: &Arguments<'_>, mut words: Vec<Word>, flags: &Flags) -> Parsed<Transfer> {
    // `paths` made sure that there are two at least.
    let Some(destination) = words.pop() else {
        return Err(arguments.at_least_one());
    };
    if let Ok(Some(_)) = heredoc::operator(&destination.raw) {
        let message = format!("{} cannot accept a heredoc as a destination", arguments.keyword);
        return Err(error(code::BAD_HEREDOC, message, destination.span));
    }
    let sources = words
        .into_iter()
        .map(|word| source(word, &arguments.documents))
        .collect();
    Ok(Transfer {
        chown: given(flags, "chown"),
        chmod: given(flags, "chmod"),
        link: flags.switch("link").unwrap_or(false),
        exclude: flags.many("exclude"),
        sources,
        destination,
    })
}

fn source(word: Word, documents: &[Document]) -> SourcePath {
    let Ok(Some(operator)) = heredoc::operator(&word.raw) else {
        return SourcePath::Path(word);
    };
    // Of two with one name, BuildKit takes the last.
    let found = documents
        .iter()
        .rev()
        .find(|document| document.heredoc.name == operator.name);
    found.map_or(SourcePath::Path(word), |document| {
        SourcePath::Heredoc(document.heredoc.clone())
    })
}
