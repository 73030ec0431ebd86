//! Comments that silence rules: `# hadolint ignore=A,B`, `global ignore`, `stage ignore`, `# shellcheck disable=A,B`.

use std::collections::{BTreeSet, HashMap};

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::Span;

/// What the comments of a file say.
#[derive(Debug, Default)]
pub(crate) struct Pragmas<'a> {
    /// Silent everywhere.
    global: BTreeSet<&'a str>,
    /// Silent in an instruction that begins in that line.
    lines: HashMap<u32, BTreeSet<&'a str>>,
    /// Silent in the stage in which they stand; by the number of its FROM.
    stages: HashMap<Option<usize>, BTreeSet<&'a str>>,
    /// The comments that silence the next instruction.
    pub(crate) ignores: Vec<Span>,
}

/// The comment lines of a file that are not within an instruction.
pub(crate) fn comments(file: &Dockerfile) -> Vec<(u32, Span)> {
    let mut found = Vec::new();
    let mut at = 0;
    for (number, line) in (1_u32..).zip(file.source.split_inclusive('\n')) {
        let start = at;
        at += line.len();
        let text = line.trim_start_matches('\u{feff}').trim();
        let skipped = line.find('#').unwrap_or_default();
        if text.starts_with('#') && !inside(file, start + skipped) {
            let end = start + line.trim_end().len();
            found.push((
                number,
                Span {
                    start: start + skipped,
                    end,
                },
            ));
        }
    }
    found
}

fn inside(file: &Dockerfile, place: usize) -> bool {
    file.instruction_at(place).is_some()
}

impl<'a> Pragmas<'a> {
    pub(crate) fn read(file: &'a Dockerfile) -> Self {
        let mut pragmas = Self::default();
        for (line, span) in comments(file) {
            let text = file.source[span.range()].trim_start_matches('#').trim_start();
            let Some(said) = text.strip_prefix("hadolint") else {
                pragmas.lines.entry(line + 1).or_default().extend(disabled(text));
                continue;
            };
            let rest = said.trim_start();
            if rest.len() == said.len() {
                continue;
            }
            if let Some(codes) = rest.strip_prefix("global").map(str::trim_start).and_then(ignored) {
                pragmas.global.extend(codes);
            } else if let Some(codes) = rest.strip_prefix("stage").map(str::trim_start).and_then(ignored) {
                pragmas
                    .stages
                    .entry(stage_of(file, span.start))
                    .or_default()
                    .extend(codes);
            } else if let Some(codes) = ignored(rest) {
                pragmas.lines.entry(line + 1).or_default().extend(codes);
                pragmas.ignores.push(span);
            }
        }
        pragmas
    }

    /// Whether a rule is silenced for an instruction that begins in `line`, at a place.
    pub(crate) fn silence(&self, file: &Dockerfile, code: &str, line: u32, place: usize) -> bool {
        let has = |codes: Option<&BTreeSet<&str>>| codes.is_some_and(|codes| codes.contains(code));
        self.global.contains(code)
            || has(self.lines.get(&line))
            || (!self.stages.is_empty() && has(self.stages.get(&stage_of(file, place))))
    }
}

fn stage_of(file: &Dockerfile, place: usize) -> Option<usize> {
    let after = file
        .stages
        .partition_point(|stage| stage.instruction.span.start <= place);
    after.checked_sub(1)
}

/// The codes of `ShellCheck`'s `shellcheck disable=A,B`; a comment may follow, and other words of its.
fn disabled(text: &str) -> impl Iterator<Item = &str> {
    let words = text.strip_prefix("shellcheck ").unwrap_or_default().split('#').next();
    let lists = words
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("disable="));
    lists.flat_map(|list| list.split(','))
}

/// The codes of `ignore=A,B`; a comment may follow.
fn ignored(text: &str) -> Option<Vec<&str>> {
    let rest = text.strip_prefix("ignore")?.trim_start();
    let list = rest.strip_prefix('=')?.trim_start();
    let mut codes = Vec::new();
    let mut rest = list;
    loop {
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if length == 0 {
            break;
        }
        codes.push(&rest[..length]);
        match rest[length..].trim_start().strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => break,
        }
    }
    // A list that words follow is no list, but a comment may.
    let rest = rest
        .trim_start_matches(|c: char| c.is_ascii_alphanumeric())
        .trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(codes)
}
