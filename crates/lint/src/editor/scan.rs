//! The variables that an instruction uses, and where.

use std::ops::Range;

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Command, Healthcheck, Heredoc, Instruction, Kind, SourcePath, Span};

/// A variable and the place of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) name: String,
    pub(super) span: Span,
}

/// The variables of an instruction, those that a shell expands among them.
pub(super) fn used(file: &Dockerfile, instruction: &Instruction) -> Vec<Used> {
    let documents = heredocs(&instruction.kind);
    let end = documents
        .iter()
        .map(|document| document.body.start)
        .min()
        .unwrap_or(instruction.span.end);
    let mut found = Vec::new();
    if expands(&instruction.kind) {
        let joined = file.joined(Span {
            start: instruction.span.start,
            end,
        });
        let quotes = Quotes::Mean(file.escape);
        found.extend(variables(joined.text(), quotes).map(|range| Used {
            name: joined.text()[range.clone()].to_owned(),
            span: joined.span(range),
        }));
    }
    for document in documents.iter().filter(|document| document.expand) {
        let text = file.source.get(document.body.range()).unwrap_or_default();
        found.extend(variables(text, Quotes::AreText).map(|range| Used {
            name: text[range.clone()].to_owned(),
            span: Span {
                start: document.body.start + range.start,
                end: document.body.start + range.end,
            },
        }));
    }
    found
}

/// Whether something expands variables in it, at the build or when it runs.
fn expands(kind: &Kind) -> bool {
    match kind {
        Kind::Onbuild(onbuild) => expands(&onbuild.instruction.kind),
        Kind::Cmd(Command::Exec(_))
        | Kind::Entrypoint(Command::Exec(_))
        | Kind::Healthcheck(Healthcheck::None)
        | Kind::Shell(_)
        | Kind::Maintainer(_) => false,
        Kind::Healthcheck(Healthcheck::Check { command, .. }) => matches!(command, Command::Shell(_)),
        _ => true,
    }
}

/// The here-documents of an instruction.
pub fn heredocs(kind: &Kind) -> Vec<&Heredoc> {
    match kind {
        Kind::Run(run) => run.heredocs.iter().collect(),
        Kind::Copy(copy) => of_sources(&copy.transfer.sources),
        Kind::Add(add) => of_sources(&add.transfer.sources),
        Kind::Onbuild(onbuild) => heredocs(&onbuild.instruction.kind),
        _ => Vec::new(),
    }
}

fn of_sources(sources: &[SourcePath]) -> Vec<&Heredoc> {
    let mut documents = Vec::new();
    for source in sources {
        if let SourcePath::Heredoc(document) = source {
            documents.push(document);
        }
    }
    documents
}

/// What quotes are to a text.
#[derive(Debug, Clone, Copy)]
enum Quotes {
    /// Single quotes hide what is in them; that character takes the next one's meaning away.
    Mean(char),
    /// Nothing special, and a backslash escapes.
    AreText,
}

/// The ranges of the names behind each `$` and `${`.
fn variables(text: &str, quotes: Quotes) -> impl Iterator<Item = Range<usize>> {
    let (escape, mean) = match quotes {
        Quotes::Mean(escape) => (escape, true),
        Quotes::AreText => ('\\', false),
    };
    let mut quote = None;
    let mut chars = text.char_indices();
    std::iter::from_fn(move || {
        loop {
            let (place, c) = chars.next()?;
            if c == escape && quote != Some('\'') {
                chars.next();
            } else if mean && quote == Some(c) {
                quote = None;
            } else if mean && quote.is_none() && (c == '\'' || c == '"') {
                quote = Some(c);
            } else if c == '$' && quote != Some('\'') {
                let start = place + 1 + usize::from(text[place + 1..].starts_with('{'));
                let length = name_length(&text[start..]);
                if length > 0 {
                    return Some(start..start + length);
                }
            }
        }
    })
}

/// How long the name of a variable is that a text begins with.
pub(super) fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    if bytes.first().is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    let is_letter = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    bytes.iter().take_while(is_letter).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_dockerfile::parse;

    #[test]
    fn finds_variables() {
        for (text, expected) in [
            ("ENV A=$B C=${D} E=${F:-$G}", &["B", "D", "F", "G"][..]),
            ("ENV A='$B' C=\"$D\" E=\\$F", &["D"]),
            ("RUN echo $A \\\n  # $B\n  ${C}", &["A", "C"]),
            ("RUN <<EOF\necho $A '$B'\nEOF", &["A", "B"]),
            ("RUN <<'EOF'\necho $A\nEOF", &[]),
            ("CMD [\"$A\"]", &[]),
            ("ONBUILD RUN echo $A", &["A"]),
            ("USER $", &[]),
            ("LABEL a=$1 b=$$ c=é$é", &[]),
        ] {
            let source = format!("FROM scratch\n{text}\n");
            let file = parse(&source).0;
            let found = used(&file, &file.stages[0].instructions[0]);
            let names: Vec<&str> = found.iter().map(|used| used.name.as_str()).collect();
            assert_eq!(names, expected, "{text}");
            assert!(
                found.iter().all(|used| source[used.span.range()] == used.name),
                "{text}"
            );
        }
    }
}
