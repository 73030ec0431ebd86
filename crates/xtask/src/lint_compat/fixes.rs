//! What `kiln lint --fix` mends of what hadolint finds: hadolint reads the files again once they are fixed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::{Found, Linters, is_refused};
use crate::{command, paths, table};

/// So much of what hadolint finds the fixes together must mend.
const WANTED: f64 = 0.7;

/// The versions that the fixes may write, as somebody who wants them pinned would give them.
const VERSIONS: &str = "crates/lint/tests/versions.toml";

/// What a set of fixes does to the files.
struct Set {
    title: &'static str,
    flags: &'static [&'static str],
}

const SETS: [Set; 3] = [
    Set {
        title: "safe",
        flags: &["--fix"],
    },
    Set {
        title: "unsafe too",
        flags: &["--fix", "--unsafe-fixes"],
    },
    Set {
        title: "and versions",
        flags: &["--fix", "--unsafe-fixes", "--versions"],
    },
];

/// What came of it.
#[derive(Default)]
struct Outcome {
    /// Findings that are left, by code.
    left: BTreeMap<String, usize>,
    /// Files that hadolint or Kiln could read before and cannot read any more.
    broken: Vec<String>,
    /// Comments that are not there any more.
    lost: Vec<String>,
}

/// Fixes copies of the files, whose findings are given, prints the table, and fails if a file is broken, a comment is lost
/// or too little is mended.
pub(super) fn measure(linters: &Linters, from: &Path, before: &BTreeMap<String, Found>) -> Result<()> {
    let outcomes = SETS.iter().map(|set| of_set(set, linters, from, before));
    let outcomes = outcomes.collect::<Result<Vec<Outcome>>>()?;
    let mut rows: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for ((_, code), count) in before.values().flatten().filter(is_its_own) {
        rows.entry(code).or_insert_with(|| vec![0; 1 + SETS.len()])[0] += count;
    }
    for (place, outcome) in outcomes.iter().enumerate() {
        for (code, count) in &outcome.left {
            rows.entry(code).or_insert_with(|| vec![0; 1 + SETS.len()])[place + 1] += count;
        }
    }
    let sum = |place: usize| rows.values().map(|row| row[place]).sum::<usize>();
    let total: Vec<usize> = (0..=SETS.len()).map(sum).collect();
    let cells = |name: &str, row: &[usize]| {
        let counts = row.iter().map(ToString::to_string);
        std::iter::once(name.to_owned()).chain(counts).collect::<Vec<String>>()
    };
    let mut shown: Vec<Vec<String>> = rows.iter().map(|(code, row)| cells(code, row)).collect();
    shown.push(cells("all", &total));
    let mut heads = vec!["rule", "before"];
    heads.extend(SETS.iter().map(|set| set.title));
    println!("\nwhat hadolint finds before and after `kiln lint --fix`, with --unsafe-fixes, and with --versions:");
    print!("{}", table::render(&heads, &shown));
    verdict(&outcomes, &total)
}

#[expect(clippy::cast_precision_loss, reason = "counts of findings are far below 2⁵²")]
fn verdict(outcomes: &[Outcome], total: &[usize]) -> Result<()> {
    let mut bad = 0;
    let mut mended = 0.0;
    for ((set, outcome), left) in SETS.iter().zip(outcomes).zip(&total[1..]) {
        mended = 1.0 - *left as f64 / total[0].max(1) as f64;
        println!(
            "{}: {:.1} % mended, {} files broken, {} comments lost",
            set.title,
            mended * 100.0,
            outcome.broken.len(),
            outcome.lost.len()
        );
        for what in outcome.broken.iter().chain(&outcome.lost) {
            println!("  {what}");
        }
        bad += outcome.broken.len() + outcome.lost.len();
    }
    if bad > 0 || mended < WANTED {
        bail!("wanted {WANTED} of the findings mended, no file broken and no comment lost");
    }
    Ok(())
}

fn of_set(set: &Set, linters: &Linters, from: &Path, before: &BTreeMap<String, Found>) -> Result<Outcome> {
    let directory = tempfile::tempdir()?;
    for name in before.keys() {
        fs::copy(from.join(name), directory.path().join(name))?;
    }
    let mut fix = Command::new(&linters.kiln);
    fix.args(["lint", "--no-fail", "-f", "json"]).args(set.flags);
    if set.flags.contains(&"--versions") {
        fix.arg(paths::workspace().join(VERSIONS));
    }
    fix.args(before.keys())
        .current_dir(directory.path())
        .env("HOME", directory.path());
    let output = command::output(&mut fix)?;
    let mut outcome = Outcome::default();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    outcome.broken.extend(
        said.lines()
            .filter(|line| line.contains("that is a bug"))
            .map(str::to_owned),
    );
    let names: Vec<String> = before.keys().cloned().collect();
    let theirs = linters.hadolint(directory.path(), &names)?;
    let ours = linters.kiln(directory.path(), &names)?;
    for name in &names {
        let readable = ours.get(name).is_some_and(|found| !is_refused(found));
        let left = theirs.get(name).filter(|found| !is_refused(found));
        let Some(left) = left.filter(|_| readable) else {
            outcome.broken.push(name.clone());
            continue;
        };
        for ((_, code), count) in left.iter().filter(is_its_own) {
            *outcome.left.entry(code.clone()).or_default() += count;
        }
        let (old, new) = (
            fs::read_to_string(from.join(name))?,
            fs::read_to_string(directory.path().join(name))?,
        );
        outcome
            .lost
            .extend(lost(&old, &new).map(|comment| format!("{name}: {comment}")));
    }
    Ok(outcome)
}

/// Those of `ShellCheck` are not of the Dockerfile, and nobody mends them.
fn is_its_own(((_, code), _): &(&(u32, String), &usize)) -> bool {
    code.starts_with("DL")
}

/// The comment lines of a text that another does not have as often.
fn lost<'a>(old: &'a str, new: &str) -> impl Iterator<Item = &'a str> {
    fn comments(text: &str) -> impl Iterator<Item = &str> {
        text.lines().filter(|line| line.trim_start().starts_with('#'))
    }
    let mut there: BTreeMap<String, usize> = BTreeMap::new();
    for comment in comments(new) {
        *there.entry(comment.to_owned()).or_default() += 1;
    }
    comments(old).filter(move |comment| match there.get_mut(*comment) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}
