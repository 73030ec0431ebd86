//! `kiln lint`

pub(crate) mod config;
mod formats;
mod mend;

pub(super) use mend::{patch, replace};

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::include::LARGEST;
use kiln_lint::{Config, Finding, Safety};

use crate::failure::{FAILED, Failure, Outcome};
use crate::report::Reporter;
use crate::settings::Settings;
use crate::terminal;

/// Arguments of `kiln lint`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    /// Dockerfiles; `-` is standard input [default: Dockerfile]
    files: Vec<PathBuf>,
    /// Settings in hadolint's form [default: .hadolint.yaml, else hadolint's other places]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// text, or for programs: tty and json (hadolint's), sarif, github, gitlab, checkstyle, junit, codeclimate
    #[arg(short, long)]
    format: Option<String>,
    /// Fail from this severity on: error, warning, info, style; none never does [default: info]
    #[arg(short = 't', long, alias = "error-on", value_name = "SEVERITY")]
    failure_threshold: Option<String>,
    /// Never fail because of what is found
    #[arg(long)]
    no_fail: bool,
    /// Silence a rule; may be given several times
    #[arg(long, value_name = "RULE")]
    ignore: Vec<String>,
    /// Make what a rule finds an error
    #[arg(long, value_name = "RULE")]
    error: Vec<String>,
    /// Make what a rule finds a warning
    #[arg(long, value_name = "RULE")]
    warning: Vec<String>,
    /// Make what a rule finds information
    #[arg(long, value_name = "RULE")]
    info: Vec<String>,
    /// Make what a rule finds a matter of style
    #[arg(long, value_name = "RULE")]
    style: Vec<String>,
    /// A registry that images may come from; `*` at either end stands for anything
    #[arg(long, value_name = "REGISTRY")]
    trusted_registry: Vec<String>,
    /// A label that images must have, and what it must be: text, rfc3339, semver, url, hash, spdx or email
    #[arg(long, value_name = "LABEL:KIND")]
    require_label: Vec<String>,
    /// Images may have no other labels than those that they must have
    #[arg(long)]
    strict_labels: bool,
    /// Comments in the file silence nothing
    #[arg(long)]
    disable_ignore_pragma: bool,
    /// What the file is called in the report, where there is one
    #[arg(long, value_name = "NAME")]
    file_path_in_report: Option<String>,
    /// Write what mends the findings and cannot change what is built into the files
    #[arg(long)]
    fix: bool,
    /// With --fix, also write what may change what is built
    #[arg(long)]
    unsafe_fixes: bool,
    /// Print what --fix would change, and change nothing
    #[arg(long)]
    diff: bool,
}

/// A file and what was found in it.
pub(crate) struct Linted {
    /// Its name in the report.
    name: String,
    /// Where it is; standard input is nowhere.
    path: Option<PathBuf>,
    /// Its tree, for lines and columns.
    file: Dockerfile,
    findings: Vec<Finding>,
}

/// Looks for what is wrong with Dockerfiles.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let config = config::gather(args, settings)?;
    let format = formats::Format::parse(config.format.as_deref())?;
    let mut unread = Vec::new();
    let mut linted = Vec::new();
    for path in files(args) {
        match read(&path, args) {
            Ok((name, text)) => linted.push(lint(name, &path, &text, &config.rules)),
            Err(failure) => unread.push(failure),
        }
    }
    let reporter = Reporter::for_output(settings);
    for failure in &unread {
        terminal::say(Reporter::new(settings).failure(failure));
    }
    if args.diff {
        terminal::print(mend::diff(&linted, &config.rules, args.safety()))?;
        return conclude(&linted, &config.rules, &unread);
    }
    if args.fix || args.unsafe_fixes {
        mend::write(&mut linted, &config.rules, args.safety())?;
    }
    terminal::print(format.show(&linted, &reporter))?;
    conclude(&linted, &config.rules, &unread)
}

impl Args {
    const fn safety(&self) -> Safety {
        if self.unsafe_fixes {
            Safety::Unsafe
        } else {
            Safety::Safe
        }
    }
}

fn files(args: &Args) -> Vec<PathBuf> {
    if args.files.is_empty() {
        vec![PathBuf::from("Dockerfile")]
    } else {
        args.files.clone()
    }
}

fn conclude(linted: &[Linted], config: &Config, unread: &[Failure]) -> Outcome {
    let mut findings = linted.iter().flat_map(|file| &file.findings);
    if unread.is_empty() && !findings.any(|finding| config.threshold.fails(finding.severity)) {
        return Ok(());
    }
    Err(Failure::silent(FAILED))
}

/// The text of a file and its name in the report. What is no text is read as far as it is one, which is a finding.
fn read(path: &Path, args: &Args) -> Result<(String, String), Failure> {
    let name = args.file_path_in_report.clone();
    let name = name.unwrap_or_else(|| path.display().to_string());
    let cannot =
        |error: std::io::Error| Failure::failed(anyhow::Error::new(error).context(format!("cannot read {name}")));
    let mut reader: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(cannot)?)
    };
    let mut bytes = Vec::new();
    let limit = LARGEST as u64;
    reader
        .by_ref()
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > limit {
        return Err(Failure::failed(anyhow::anyhow!(
            "{name} is larger than {} MiB",
            limit >> 20
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::failed(anyhow::anyhow!("{name} is not UTF-8 text (byte {at})"))
    })?;
    Ok((name, text))
}

fn lint(name: String, path: &Path, text: &str, config: &Config) -> Linted {
    let findings = kiln_lint::lint(text, config);
    Linted {
        name,
        path: (path.as_os_str() != "-").then(|| path.to_owned()),
        file: kiln_dockerfile::parse(text).0,
        findings,
    }
}
