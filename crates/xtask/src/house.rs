//! The house stands: crates import lower floors only, and each does only what it may. The floors are those of the
//! table in `ARCHITECTURE.md`, which is so kept true.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::metadata::{Metadata, Package};
use crate::source::{self, Source};
use crate::{dependencies, paths};

/// Longer files hold more than one idea.
const LONGEST_FILE: usize = 700;

/// What may not be in the code of which crates.
struct Rule {
    /// What the crates that obey it do not do; completes "… , which only … may".
    what: &'static str,
    words: &'static [&'static str],
    /// Crates that may.
    may: &'static [&'static str],
    /// If not empty, only these crates are looked at.
    only: &'static [&'static str],
}

/// Tools around the product: they may do everything.
const TOOLS: &[&str] = &["xtask", "e2e"];

const RULES: &[Rule] = &[
    Rule {
        what: "uses unsafe code",
        words: &["unsafe {", "unsafe fn", "unsafe impl"],
        may: &["sandbox"],
        only: &[],
    },
    Rule {
        what: "prints",
        words: &["println!", "print!(", "dbg!("],
        may: &["cli"],
        only: &[],
    },
    Rule {
        what: "ends the process",
        words: &["process::exit", "process::abort"],
        may: &["cli", "sandbox"],
        only: &[],
    },
    Rule {
        what: "reads the environment",
        words: &["env::var", "env::home_dir", "env::current_dir", "env::args"],
        may: &["cli"],
        only: &[],
    },
    Rule {
        what: "does input or output, or knows the time",
        words: &[
            "std::fs",
            "std::net",
            "std::process",
            "std::thread",
            "io::stdin",
            "io::stdout",
            "io::stderr",
            "rustix::",
            "libc::",
            "tokio",
            "SystemTime::now",
            "Instant::now",
        ],
        may: &[],
        only: &["dockerfile", "image", "plan", "lint"],
    },
    Rule {
        what: "is async",
        words: &["async fn", "async move", "async {", ".await"],
        may: &["registry"],
        only: &[],
    },
    Rule {
        what: "excuses itself from a lint without a reason",
        words: &["#[allow(", "#![allow("],
        may: &[],
        only: &[],
    },
];

/// Crates that pure crates may not stand on, even through others.
const IMPURE: &[&str] = &["tokio", "reqwest", "hyper", "rusqlite", "rustix", "libc", "clap"];
/// Crates that do no input or output.
const PURE: &[&str] = &["dockerfile", "image", "plan", "lint"];

/// Checks everything; the error lists all that is wrong.
pub fn check() -> Result<()> {
    let metadata = Metadata::read()?;
    let text = fs::read_to_string(paths::workspace().join("ARCHITECTURE.md")).context("cannot read ARCHITECTURE.md")?;
    let floors = floors(&text);
    let mut wrong = Vec::new();
    for package in metadata.ours() {
        let name = folder(package);
        let Some(&floor) = floors.get(name) else {
            wrong.push(format!("crate {name} has no line in ARCHITECTURE.md's table of floors"));
            continue;
        };
        check_imports(&metadata, package, floor, &floors, &mut wrong);
        check_purity(&metadata, package, &mut wrong);
        check_lints(package, &mut wrong)?;
        for source in source::read_all(&crate_directory(package).join("src"))? {
            check_source(name, &source, &mut wrong);
        }
    }
    wrong.extend(dependencies::wrong(&metadata));
    if !wrong.is_empty() {
        bail!(
            "{} things are wrong with the house:\n  {}",
            wrong.len(),
            wrong.join("\n  ")
        );
    }
    Ok(())
}

fn crate_directory(package: &Package) -> &Path {
    package.manifest_path.parent().unwrap_or(&package.manifest_path)
}

/// The name of the crate's directory, by which it is known in the house.
fn folder(package: &Package) -> &str {
    crate_directory(package)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// The lines `| 4 | `build` | …` of the table.
fn floors(text: &str) -> BTreeMap<String, u32> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let floor = cells.next()?.parse().ok()?;
        let name = cells.next()?.split('`').nth(1)?;
        Some((name.to_owned(), floor))
    };
    text.lines().filter_map(row).collect()
}

fn check_imports(
    metadata: &Metadata,
    package: &Package,
    floor: u32,
    floors: &BTreeMap<String, u32>,
    wrong: &mut Vec<String>,
) {
    for other in metadata
        .direct(&package.id, false)
        .into_iter()
        .filter(|other| other.source.is_none())
    {
        let (name, other) = (folder(package), folder(other));
        if floors.get(other).is_some_and(|&below| below >= floor) {
            wrong.push(format!(
                "crate {name} (floor {floor}) imports {other}, which is no lower"
            ));
        }
    }
}

fn check_purity(metadata: &Metadata, package: &Package, wrong: &mut Vec<String>) {
    let name = folder(package);
    if !PURE.contains(&name) {
        return;
    }
    for id in metadata.closure(&package.id) {
        if let Some(other) = metadata
            .package(&id)
            .filter(|other| IMPURE.contains(&other.name.as_str()))
        {
            wrong.push(format!("crate {name} is pure and stands on {}", other.name));
        }
    }
}

/// Every crate takes the workspace's lints, by which `unsafe` is forbidden; those that need lints of their own say so.
fn check_lints(package: &Package, wrong: &mut Vec<String>) -> Result<()> {
    let name = folder(package);
    let text = fs::read_to_string(&package.manifest_path)?;
    let manifest: toml::Table = text
        .parse()
        .with_context(|| format!("in {}", package.manifest_path.display()))?;
    let lints = manifest.get("lints");
    let shared = lints
        .and_then(|lints| lints.get("workspace"))
        .and_then(toml::Value::as_bool)
        == Some(true);
    if !shared && name != "sandbox" && !TOOLS.contains(&name) {
        wrong.push(format!("crate {name} does not take the workspace's lints"));
    }
    Ok(())
}

fn check_source(name: &str, source: &Source, wrong: &mut Vec<String>) {
    let path = source
        .path
        .strip_prefix(paths::workspace())
        .unwrap_or(&source.path)
        .display();
    if source.lines > LONGEST_FILE {
        wrong.push(format!("{path} has {} lines, more than {LONGEST_FILE}", source.lines));
    }
    if TOOLS.contains(&name) {
        return;
    }
    for rule in RULES {
        if rule.may.contains(&name) || !(rule.only.is_empty() || rule.only.contains(&name)) {
            continue;
        }
        if let Some(word) = rule.words.iter().find(|word| source.code.contains(*word)) {
            wrong.push(format!("{path} {} (`{word}`), which {name} may not", rule.what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_stands() {
        check().unwrap();
    }

    #[test]
    fn floors_are_read_from_the_table() {
        let text = "| floor | crate |\n|---|---|\n| 5 | `cli` | x |\n| 1 | `image` | y |\nfloor 3";
        assert_eq!(
            floors(text),
            BTreeMap::from([("cli".to_owned(), 5), ("image".to_owned(), 1)])
        );
    }

    #[test]
    fn forbidden_words_are_found_in_code_only() {
        let source = |code: &str| Source {
            path: "x.rs".into(),
            lines: 1,
            code: code.to_owned(),
        };
        let mut wrong = Vec::new();
        check_source("layer", &source("std::env::var(\"\")"), &mut wrong);
        check_source("plan", &source("std::fs::read(\"\")"), &mut wrong);
        check_source("cli", &source("println!(\"\")"), &mut wrong);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }
}
