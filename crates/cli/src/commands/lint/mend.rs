//! `--fix` and `--diff`

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use kiln_lint::Safety;

use super::verify::Verifier;
use super::{Linted, Role};
use crate::failure::{Context as _, Failure, Outcome};
use crate::terminal;
use crate::{atomic, context};

/// Writes the fixes into the files, and looks at them again; what could not be done.
pub(super) fn write(linted: &mut [Linted], allowed: Safety, verifier: Option<&Verifier<'_>>) -> Vec<Failure> {
    let written = linted.iter_mut().map(|file| write_one(file, allowed, verifier));
    written.filter_map(Result::err).collect()
}

fn write_one(file: &mut Linted, allowed: Safety, verifier: Option<&Verifier<'_>>) -> Outcome {
    let Some(path) = file.path.clone() else {
        terminal::warn("standard input cannot be fixed: --diff prints what would change");
        return Ok(());
    };
    if file.role != Role::Whole {
        // What can be said of one file's text alone is not what is built.
        return Ok(());
    }
    // It may have been mended already, where it is built from another context too.
    let text = fs::read_to_string(&path).or_failed(|| format!("cannot read {}", file.name))?;
    if text != file.file.source {
        file.read_again(&text);
    }
    let fixed = kiln_lint::fix(&file.file.source, &file.config, allowed);
    for code in &fixed.dropped {
        terminal::warn(format!(
            "{}: the fix of {code} breaks the file and was left out; that is a bug",
            file.name
        ));
    }
    if fixed.applied == 0 {
        return Ok(());
    }
    if let Some(verifier) = verifier {
        verifier.check(&path, &fixed.text, &fixed.codes)?;
    }
    replace(&path, &fixed.text).or_failed(|| format!("cannot write {}", file.name))?;
    terminal::say(format!("{}: {} fixed\n", file.name, fixed.applied));
    file.read_again(&fixed.text);
    Ok(())
}

/// Writes a file anew, with the mode that it has.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions();
    atomic::write(path, text.as_bytes())?;
    fs::set_permissions(path, mode)
}

/// What the fixes would change, as a patch. What is built from another context too is mended once more, as `write` does it.
pub(super) fn diff(linted: &[Linted], allowed: Safety) -> String {
    let mut mended: Vec<(&Linted, String)> = Vec::new();
    let mut by_place = HashMap::new();
    for file in linted.iter().filter(|file| file.role == Role::Whole) {
        let place = file.path.as_deref().and_then(context::absolute);
        let number = place.map_or(mended.len(), |place| *by_place.entry(place).or_insert(mended.len()));
        if number == mended.len() {
            mended.push((file, file.file.source.clone()));
        }
        let text = &mut mended[number].1;
        *text = kiln_lint::fix(text, &file.config, allowed).text;
    }
    let patches = mended
        .iter()
        .map(|(file, new)| patch(&file.name, &file.file.source, new));
    patches.collect()
}

/// A unified diff; empty if nothing differs.
pub(crate) fn patch(name: &str, old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let (a, b): (Vec<&str>, Vec<&str>) = (lines(old), lines(new));
    let mut out = format!("--- {name}\n+++ {name}\n");
    for hunk in hunks(&changes(&a, &b)) {
        hunk.show(&a, &b, &mut out);
    }
    out
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Lines `a` of the old text that become lines `b` of the new one.
type Change = (std::ops::Range<usize>, std::ops::Range<usize>);

/// Further than this, the next equal line is not looked for.
const FURTHEST: usize = 200;

/// What differs, in order. Where texts differ, the nearest line that is the same in both ends the change.
fn changes(a: &[&str], b: &[&str]) -> Vec<Change> {
    let (mut i, mut j) = (0, 0);
    let mut found = Vec::new();
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let (next_i, next_j) = meet(&a[i..], &b[j..]).map_or((a.len(), b.len()), |(x, y)| (i + x, j + y));
        found.push((i..next_i, j..next_j));
        (i, j) = (next_i, next_j);
    }
    found
}

fn meet(a: &[&str], b: &[&str]) -> Option<(usize, usize)> {
    (1..FURTHEST).find_map(|sum| {
        (0..=sum)
            .map(|x| (x, sum - x))
            .find(|&(x, y)| x < a.len() && y < b.len() && a[x] == b[y] && !a[x].trim().is_empty())
    })
}

/// Changes that are shown together.
struct Hunk {
    changes: Vec<Change>,
}

const AROUND: usize = 3;

fn hunks(changes: &[Change]) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    for change in changes {
        match hunks.last_mut() {
            Some(hunk)
                if hunk
                    .changes
                    .last()
                    .is_some_and(|last| change.0.start <= last.0.end + 2 * AROUND) =>
            {
                hunk.changes.push(change.clone());
            }
            _ => hunks.push(Hunk {
                changes: vec![change.clone()],
            }),
        }
    }
    hunks
}

impl Hunk {
    fn show(&self, a: &[&str], b: &[&str], out: &mut String) {
        let (Some(first), Some(last)) = (self.changes.first(), self.changes.last()) else {
            return;
        };
        let before = first.0.start.min(AROUND);
        let after = (a.len() - last.0.end).min(AROUND);
        let (a_start, b_start) = (first.0.start - before, first.1.start - before);
        let _ = writeln!(
            out,
            "@@ -{},{} +{},{} @@",
            a_start + 1,
            last.0.end + after - a_start,
            b_start + 1,
            last.1.end + after - b_start
        );
        let mut at = a_start;
        for (old, new) in &self.changes {
            a[at..old.start].iter().for_each(|text| line(' ', text, out));
            a[old.clone()].iter().for_each(|text| line('-', text, out));
            b[new.clone()].iter().for_each(|text| line('+', text, out));
            at = old.end;
        }
        a[at..at + after].iter().for_each(|text| line(' ', text, out));
    }
}

fn line(sign: char, text: &str, out: &mut String) {
    out.push(sign);
    out.push_str(text);
    if !text.ends_with('\n') {
        out.push_str("\n\\ No newline at end of file\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches() {
        assert_eq!(patch("f", "a\n", "a\n"), "");
        let expected = "--- f\n+++ f\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n";
        assert_eq!(patch("f", "a\nb\nc\n", "a\nB\nc\n"), expected);
        let expected = "--- f\n+++ f\n@@ -1,1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n";
        assert_eq!(patch("f", "a", "a\nb\n"), expected);
    }
}
