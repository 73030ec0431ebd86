//! `--baseline`: findings that are known.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Linted;
use super::formats::Fingerprints;
use crate::atomic;
use crate::failure::{Context as _, FAILED, Failure, Outcome};
use crate::terminal;

/// The form that is read and written.
const VERSION: u32 = 1;

/// A file of findings.
#[derive(Serialize, Deserialize)]
struct Baseline {
    version: u32,
    findings: Vec<Known>,
}

/// A finding; the fingerprint says which, all else is for people.
#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    file: String,
    code: String,
    message: String,
    fingerprint: String,
}

/// Writes all findings; fails if some files could not be read.
pub(super) fn write(path: &Path, linted: &[Linted], complete: bool) -> Outcome {
    let mut findings = Vec::new();
    let mut prints = Fingerprints::default();
    for file in linted {
        findings.extend(file.findings.iter().map(|finding| Known {
            file: file.name.clone(),
            code: finding.code.to_owned(),
            message: finding.message.clone(),
            fingerprint: prints.of(file, finding),
        }));
    }
    findings.sort();
    let count = findings.len();
    let baseline = Baseline {
        version: VERSION,
        findings,
    };
    let text = serde_json::to_string_pretty(&baseline).map_err(Failure::internal)?;
    atomic::write(path, format!("{text}\n").as_bytes()).or_failed(|| format!("cannot write {}", path.display()))?;
    terminal::say(format!("{}: {count} findings\n", path.display()));
    if complete { Ok(()) } else { Err(Failure::silent(FAILED)) }
}

/// Takes away what the file names, and says of what it names and is no longer found.
pub(super) fn leave_out(path: &Path, linted: &mut [Linted]) -> Outcome {
    let text = std::fs::read_to_string(path)
        .or_failed(|| format!("cannot read {}", path.display()))
        .map_err(|failure| failure.hint("--write-baseline writes it"))?;
    let wrong =
        |what: String| Failure::usage(format!("{}: {what}", path.display())).hint("--write-baseline writes it anew");
    let baseline: Baseline = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if baseline.version != VERSION {
        return Err(wrong(format!("wanted version {VERSION}, found {}", baseline.version)));
    }
    // Of files that are not looked at nothing is known to be gone.
    let names: BTreeSet<&str> = linted.iter().map(|file| file.name.as_str()).collect();
    let here = baseline
        .findings
        .into_iter()
        .filter(|known| names.contains(known.file.as_str()));
    let known: BTreeSet<String> = here.map(|known| known.fingerprint).collect();
    let mut seen = BTreeSet::new();
    let mut prints = Fingerprints::default();
    for file in linted {
        let findings = std::mem::take(&mut file.findings);
        for finding in findings {
            let print = prints.of(file, &finding);
            if known.contains(&print) {
                seen.insert(print);
            } else {
                file.findings.push(finding);
            }
        }
    }
    if let Some(gone @ 1..) = known.len().checked_sub(seen.len()) {
        terminal::warn(format!(
            "{}: {gone} of its findings are no longer there; --write-baseline forgets them",
            path.display()
        ));
    }
    Ok(())
}
