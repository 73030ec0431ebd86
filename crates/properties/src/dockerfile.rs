//! Whole Dockerfiles.

use kiln_dockerfile::ast::{Command, Instruction, Kind, Span, Word};
use kiln_dockerfile::diagnostic::{Diagnostic, Severity};
use kiln_dockerfile::{Dockerfile, parse, parse_bytes};
use kiln_lint::Config;
use kiln_lint::editor::{self, Names};
use kiln_plan::{Images, Options, Outcome, Plan, ResolvedImage, plan};

/// Any bytes parse; the tree is in order and lies in the text; what is said points into the text. If there are no
/// errors, the tree says all of the text, and it can be planned or refused.
pub fn dockerfile(bytes: &[u8]) {
    let (tree, found) = parse_bytes(bytes);
    let all = instructions(&tree);
    for each in &all {
        in_place(each, &tree);
    }
    for pair in all.windows(2) {
        assert!(pair[0].span.end <= pair[1].span.start && pair[0].lines.1 < pair[1].lines.0);
    }
    for one in &found {
        assert!(inside(one.span, &tree), "{one:?}");
    }
    assert!(found.windows(2).all(|pair| pair[0].span.start <= pair[1].span.start));
    if found.iter().any(|one| one.severity == Severity::Error) {
        return;
    }
    assert_eq!(print(&tree).as_bytes(), bytes);
    planned(&tree);
}

/// Whatever a Dockerfile says, the linter finds places in it, and formatting it twice changes nothing.
pub fn linted(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let config = Config::default();
    let findings = kiln_lint::lint(text, &config);
    for finding in &findings {
        let edits = finding.fix.iter().flat_map(|fix| &fix.edits).map(|edit| edit.span);
        for span in edits.chain([finding.span]) {
            assert!(text.get(span.range()).is_some(), "{finding:?}");
        }
    }
    let readable = |text: &str| !has_error(&parse(text).1);
    if let Some(formatted) = kiln_lint::format(text) {
        assert_eq!(kiln_lint::format(&formatted).as_deref(), Some(formatted.as_str()));
    } else {
        assert!(!readable(text));
    }
}

/// Wherever an editor asks, there is an answer, and its places are in the text.
pub fn edited(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let tree = parse(text).0;
    let names = Names::new(&tree);
    // All places of a long text would take too long.
    let step = text.len() / 200 + 1;
    for place in (0..text.len() + 2).step_by(step) {
        let completion = editor::complete(&tree, place);
        assert!(inside(completion.replace, &tree), "{place}: {completion:?}");
        if let Some(help) = editor::help_at(&tree, place) {
            assert!(inside(help.span, &tree), "{place}: {help:?}");
        }
        let _known = editor::environment(&tree, place, &|_| Vec::new());
        let Some(named) = names.at(place) else { continue };
        assert!(inside(named.span, &tree), "{named:?}");
        let there = &text[named.span.range()];
        assert!(there == named.name || there.contains('\n'), "{there:?} {named:?}");
        assert!(named.origin.is_none_or(|origin| inside(origin, &tree)), "{named:?}");
        assert!(names.of(named.symbol).any(|other| other == named), "{named:?}");
    }
}

fn instructions(tree: &Dockerfile) -> Vec<&Instruction> {
    let stages = tree.stages.iter();
    let of_stages = stages.flat_map(|stage| std::iter::once(&stage.instruction).chain(&stage.instructions));
    tree.globals.iter().chain(of_stages).collect()
}

fn inside(span: Span, tree: &Dockerfile) -> bool {
    span.start <= span.end && tree.source.get(span.range()).is_some()
}

fn in_place(each: &Instruction, tree: &Dockerfile) {
    assert!(inside(each.span, tree) && inside(each.keyword.span, tree));
    stands(&each.keyword, tree);
    assert_eq!(each.span.start, each.keyword.span.start);
    // Lines that hold nothing but a continuation may come before the keyword.
    assert!(tree.line(each.span.start) >= each.lines.0);
    for comment in &each.comments {
        stands(comment, tree);
    }
}

/// A word is what stands at its place, unless it is continued on another line.
fn stands(word: &Word, tree: &Dockerfile) {
    let there = &tree.source[word.span.range()];
    assert!(there == word.raw || there.contains('\n'), "{there:?} {word:?}");
}

/// The text again, made of what the tree points at; what belongs to nothing must say nothing.
fn print(tree: &Dockerfile) -> String {
    let directives = tree.directives.iter().map(|directive| directive.span);
    let instructions = instructions(tree).into_iter().map(|instruction| instruction.span);
    let mut printed = String::new();
    for span in directives.chain(instructions) {
        let between = &tree.source[printed.len()..span.start];
        assert!(says_nothing(between, tree.escape), "{between:?} belongs to nothing");
        printed.push_str(between);
        printed.push_str(&tree.source[span.range()]);
    }
    let rest = &tree.source[printed.len()..];
    assert!(says_nothing(rest, tree.escape), "{rest:?} belongs to nothing");
    printed + rest
}

/// Whether a text holds no instruction: comments, blank lines, a byte order mark, lines that only continue.
fn says_nothing(text: &str, escape: char) -> bool {
    let nothing = |line: &str| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line.chars().all(|c| c == escape)
    };
    text.trim_start_matches('\u{feff}').split('\n').all(nothing)
}

/// Plans every stage, with images that have nothing but a platform; `None` if that is refused.
pub(crate) fn planned(tree: &Dockerfile) -> Option<Plan> {
    let options = Options {
        every_stage: true,
        ..Options::default()
    };
    let mut images = Images::new();
    loop {
        match plan(tree, &options, &images) {
            Outcome::Plan(plan, found) => {
                assert!(!has_error(&found));
                for (place, step) in plan.steps.iter().enumerate() {
                    assert!(step.waits_for().iter().all(|input| input.0 < place));
                }
                return Some(*plan);
            }
            Outcome::Invalid(found) => {
                assert!(has_error(&found));
                return None;
            }
            Outcome::Needs(needs) => {
                assert!(needs.keys().all(|request| !images.contains_key(request)));
                images.extend(needs.into_keys().map(|request| {
                    let unknown = ResolvedImage::unknown(&request);
                    (request, unknown)
                }));
            }
        }
    }
}

pub(crate) fn has_error(found: &[Diagnostic]) -> bool {
    found.iter().any(|one| one.severity == Severity::Error)
}

/// CMD takes a text for a JSON array of strings where another reader of JSON does, and reads the same strings.
pub fn json_form(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let is_line = !text.contains(['\n', '\r']) && !text.trim_end().ends_with('\\');
    if !is_line || text.len() > 60_000 {
        return;
    }
    let (tree, found) = parse(&format!("FROM a\nCMD {text}\n"));
    let instructions = tree.stages.first().map_or(&[][..], |stage| &stage.instructions);
    let ours = match instructions {
        [only] => match &only.kind {
            Kind::Cmd(Command::Exec(strings)) => Some(strings.clone()),
            _ => None,
        },
        _ => None,
    };
    let theirs: Option<Vec<String>> = serde_json::from_str(text.trim()).ok();
    // Flags stand before the array; half a surrogate pair is a character to BuildKit and an error to serde.
    let differs = text.trim_start().starts_with("--") || text.contains("\\u");
    assert!(
        ours == theirs || (differs && theirs.is_none()),
        "{text:?}: {ours:?}, but JSON says {theirs:?}; {found:?}"
    );
}
