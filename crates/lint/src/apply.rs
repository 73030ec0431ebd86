//! Fixes, applied in turns.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::finding::{Fix, Safety};
use crate::run::{holds, lint};

/// More turns than any file needs.
const MOST_TURNS: usize = 100;

/// What came of fixing a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The text.
    pub text: String,
    /// How many fixes are in it.
    pub applied: usize,
    /// The rules that they are of.
    pub codes: BTreeSet<&'static str>,
    /// The rules whose fixes broke the file and were dropped: bugs of theirs.
    pub dropped: Vec<&'static str>,
}

/// Applies the fixes of what is found, unsafe ones only if they are allowed. Those that overlap an earlier one wait for the
/// next turn, which looks at the new text. What no longer parses or plans is dropped.
pub fn fix(source: &str, config: &Config, allowed: Safety) -> Fixed {
    let mut fixed = Fixed {
        text: source.to_owned(),
        applied: 0,
        codes: BTreeSet::new(),
        dropped: Vec::new(),
    };
    for _ in 0..MOST_TURNS {
        let findings = lint(&fixed.text, config);
        let mut fixes: Vec<(&'static str, Fix)> = findings
            .into_iter()
            .filter(|finding| !fixed.dropped.contains(&finding.code))
            .filter_map(|finding| Some((finding.code, finding.fix?)))
            .filter(|(_, fix)| fix.safety <= allowed)
            .collect();
        fixes.sort_by_key(|(_, fix)| fix.edits.first().map(|edit| edit.span.start));
        let together = apart(fixes);
        if together.is_empty() {
            break;
        }
        let text = with(&fixed.text, together.iter().map(|(_, fix)| fix));
        if holds(&fixed.text, &text) {
            fixed.applied += together.len();
            fixed.codes.extend(together.iter().map(|(code, _)| code));
            fixed.text = text;
        } else {
            one_by_one(&mut fixed, together);
        }
    }
    fixed
}

/// Applies those that hold, each by itself, and remembers the rules of the others.
fn one_by_one(fixed: &mut Fixed, fixes: Vec<(&'static str, Fix)>) {
    // From the end, so that the places of those before stay.
    for (code, fix) in fixes.into_iter().rev() {
        let text = with(&fixed.text, std::iter::once(&fix));
        if holds(&fixed.text, &text) {
            fixed.applied += 1;
            fixed.codes.insert(code);
            fixed.text = text;
        } else if !fixed.dropped.contains(&code) {
            fixed.dropped.push(code);
        }
    }
}

/// The fixes of which no two touch, earlier ones first; fixes whose pieces lie within one another wait.
fn apart(fixes: Vec<(&'static str, Fix)>) -> Vec<(&'static str, Fix)> {
    let mut end = None;
    let mut taken = Vec::new();
    for (code, fix) in fixes {
        let (Some(first), Some(last)) = (fix.edits.first(), fix.edits.last()) else {
            continue;
        };
        if end.is_none_or(|end| first.span.start > end) {
            end = Some(last.span.end);
            taken.push((code, fix));
        }
    }
    taken
}

/// A text with the pieces of these fixes, which do not touch.
fn with<'a>(text: &str, fixes: impl Iterator<Item = &'a Fix>) -> String {
    let mut edits: Vec<_> = fixes.flat_map(|fix| &fix.edits).collect();
    edits.sort_by_key(|edit| edit.span.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        let Some(kept) = text.get(at..edit.span.start) else {
            continue;
        };
        out.push_str(kept);
        out.push_str(&edit.text);
        at = edit.span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}
