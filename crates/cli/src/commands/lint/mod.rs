//! `kiln lint`

mod bake;
mod baseline;
mod compose;
pub(crate) mod config;
mod entry;
mod formats;
pub(crate) mod included;
mod inline;
mod known;
mod mend;
mod verify;

pub(super) use mend::{patch, replace};
use verify::Verifier;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::include::LARGEST;
use kiln_lint::{Config, Finding, Safety};

use self::entry::{Entry, Kind, Written};
use self::included::{Files, Whole};
use crate::engine::Costs;
use crate::failure::{FAILED, Failure, Outcome};
use crate::report::Reporter;
use crate::settings::Settings;
use crate::terminal;

/// Arguments of `kiln lint`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    /// Dockerfiles, or files of Compose's (.yaml) and bake's (.hcl, .json) that name them; `-` is standard input [default:
    /// Dockerfile]
    files: Vec<PathBuf>,
    /// Settings in hadolint's form [default: .hadolint.yaml, else hadolint's other places]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// text, or for programs: tty and json (hadolint's), sarif, github, gitlab, checkstyle, junit, codeclimate
    #[arg(short, long)]
    format: Option<String>,
    /// Fail from this severity on: error, warning, info, style; none never does [default: info]
    #[arg(short = 't', long, value_name = "SEVERITY")]
    failure_threshold: Option<String>,
    /// Fail only because of these: a severity, and what is worse, or a rule; may be given several times
    #[arg(long, value_name = "SEVERITY|RULE", conflicts_with = "failure_threshold")]
    error_on: Vec<String>,
    /// Findings that are known, and neither shown nor counted: a file that --write-baseline wrote
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write all that is found to the file of --baseline
    #[arg(long, requires = "baseline", conflicts_with_all = ["fix", "unsafe_fixes", "diff"])]
    write_baseline: bool,
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
    /// Where fixes find versions to name; may be given several times: context (lock files beside the Dockerfile), store (base
    /// images that are there), or a TOML file with a table for each of apt, apk, dnf, zypper, pip, npm, gem, go and images
    #[arg(long, value_name = "context|store|FILE")]
    versions: Vec<known::Source>,
    /// With --fix, build the image as the file is and as it will be, and write nothing if more is different than the fixes say
    #[arg(long, conflicts_with = "diff")]
    verify: bool,
    /// The build context of --verify [default: the directory of the Dockerfile]
    #[arg(long, value_name = "DIRECTORY", requires = "verify")]
    context: Option<PathBuf>,
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
    file: Rc<Dockerfile>,
    /// What the rules were asked, and may know.
    config: Config,
    findings: Vec<Finding>,
    role: Role,
}

/// What a file is of what is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// All of it.
    Whole,
    /// Dockerfiles are written into it, and what was found is in these.
    Host,
    /// It includes others, or is included: its text alone is not what is built.
    Part,
}

impl Linted {
    /// Looks at a text in place of the one before.
    fn read_again(&mut self, text: &str) {
        self.findings = kiln_lint::lint(text, &self.config);
        self.file = Rc::new(kiln_dockerfile::parse(text).0);
    }
}

/// Looks for what is wrong with Dockerfiles.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    if args.verify && !(args.fix || args.unsafe_fixes) {
        return Err(Failure::usage("--verify: nothing is fixed").hint("add --fix or --unsafe-fixes"));
    }
    let config = config::gather(args, settings)?;
    let mut sources = known::Sources::new(&args.versions, settings)?;
    let format = formats::Format::parse(config.format.as_deref())?;
    // What goes wrong with one file stops no other.
    let mut failures = Vec::new();
    let mut files = Files::default();
    let mut measurer = Measurer::new(args, settings);
    for entry in entries(args, settings, &mut failures) {
        match args.lint(&entry, &config.rules, &mut sources, &mut measurer) {
            Ok(found) => found.into_iter().for_each(|file| files.add(file)),
            Err(failure) => failures.push(failure),
        }
    }
    let mut linted = files.into_linted();
    // Who does not want anything fixed need not know why it is not.
    if !(args.fix || args.unsafe_fixes || args.diff) && args.versions.is_empty() {
        let mended = linted.iter_mut().filter(|file| file.role != Role::Host);
        for finding in mended.flat_map(|file| &mut file.findings) {
            finding.unfixed = None;
        }
    }
    if args.diff {
        terminal::print(mend::diff(&linted, args.safety()))?;
    } else if args.fix || args.unsafe_fixes {
        let verifier = args.verifier(settings)?;
        failures.extend(mend::write(&mut linted, args.safety(), verifier.as_ref()));
    }
    let reporter = Reporter::for_output(settings);
    for failure in &failures {
        terminal::say(Reporter::new(settings).failure(failure));
    }
    if let Some(path) = &args.baseline {
        if args.write_baseline {
            return baseline::write(path, &linted, failures.is_empty());
        }
        baseline::leave_out(path, &mut linted)?;
    }
    if !args.diff {
        for file in &mut linted {
            measurer.measure(file);
        }
        terminal::print(format.show(&linted, &reporter))?;
    }
    let mut findings = linted.iter().flat_map(|file| &file.findings);
    if failures.is_empty() && !findings.any(|finding| config.fails(finding)) {
        return Ok(());
    }
    Err(Failure::silent(FAILED))
}

/// Puts in what builds measured; where these cannot be asked, that is said once, and the findings are what they are.
struct Measurer<'a> {
    /// `None` where nobody is to be asked.
    costs: Option<Costs<'a>>,
}

impl<'a> Measurer<'a> {
    fn new(args: &Args, settings: &'a Settings) -> Self {
        Self {
            costs: (!args.diff).then(|| Costs::new(settings)),
        }
    }

    /// Of a file as it is built: what is part of another was measured with that.
    fn measure(&mut self, linted: &mut Linted) {
        if let (Some(costs), Some(path), Role::Whole) = (&self.costs, &linted.path, linted.role)
            && let Err(error) = costs.measure(path, &linted.file, &mut linted.findings)
        {
            terminal::warn(format!("what builds measured is not shown: {error}"));
            self.costs = None;
        }
    }
}

impl Args {
    const fn safety(&self) -> Safety {
        if self.unsafe_fixes {
            Safety::Unsafe
        } else {
            Safety::Safe
        }
    }

    /// Whether it looks into images: see [`crate::cli::Command::touches_layers`].
    pub(crate) fn touches_layers(&self) -> bool {
        self.verify || self.versions.contains(&known::Source::Store)
    }

    fn verifier<'a>(&self, settings: &'a Settings) -> Result<Option<Verifier<'a>>, Failure> {
        let wanted = self.verify.then(|| Verifier::new(self.context.clone(), settings));
        wanted.transpose()
    }

    /// What is found in a Dockerfile, and in what it includes.
    fn lint(
        &self,
        entry: &Entry,
        config: &Config,
        sources: &mut known::Sources<'_>,
        measurer: &mut Measurer<'_>,
    ) -> Result<Vec<Linted>, Failure> {
        let (name, text) = match &entry.dockerfile {
            Written::File(path) => read(path, self)?,
            Written::Inline(inline) => (self.shown(&inline.host.path), inline.text.clone()),
        };
        let path = entry.path();
        let read = Whole::read(&text, path, entry.context.as_deref());
        let source = &read.source;
        let file = Rc::new(kiln_dockerfile::parse(source.text()).0);
        let config = Config {
            known: sources.of(&file, entry.directory())?,
            context: entry.context()?,
            ..config.clone()
        };
        let mut whole = Linted {
            name,
            path: path.map(Path::to_owned),
            findings: read.lint(&config),
            file,
            config,
            role: Role::Whole,
        };
        let mut files = if source.files().len() > 1 {
            measurer.measure(&mut whole);
            included::apart(whole, source)
        } else {
            vec![whole]
        };
        if let Written::Inline(inline) = &entry.dockerfile {
            // The first is the Dockerfile itself.
            let own = files.remove(0);
            files.insert(0, inline.place(own));
        }
        Ok(files)
    }

    /// What a file is called in the report.
    fn shown(&self, path: &Path) -> String {
        let name = self.file_path_in_report.clone();
        name.unwrap_or_else(|| path.display().to_string())
    }
}

/// Whether a file is taken for one that names Dockerfiles, Compose's or bake's.
pub(super) fn names_dockerfiles(path: &Path) -> bool {
    entry::kind(path) != Kind::Dockerfile
}

fn files(args: &Args) -> Vec<PathBuf> {
    if args.files.is_empty() {
        vec![PathBuf::from("Dockerfile")]
    } else {
        args.files.clone()
    }
}

/// The Dockerfiles that are named, or named by what is.
fn entries(args: &Args, settings: &Settings, failures: &mut Vec<Failure>) -> Vec<Entry> {
    let files = files(args);
    let mut found = Vec::new();
    // Directories whose files of bake's are read: all that are named count as one, where the first of them stands.
    let mut baked = BTreeSet::new();
    for path in &files {
        let listed = match entry::kind(path) {
            Kind::Dockerfile => {
                found.push(entry::alone(path));
                continue;
            }
            Kind::Compose => read(path, args).and_then(|(_, text)| entry::composed(path, &text)),
            Kind::Bake if baked.insert(entry::directory(path)) => {
                let beside = |other: &&PathBuf| {
                    entry::kind(other) == Kind::Bake && entry::directory(other) == entry::directory(path)
                };
                let texts = files
                    .iter()
                    .filter(beside)
                    .map(|path| Ok((path.clone(), read(path, args)?.1)));
                let texts: Result<Vec<_>, Failure> = texts.collect();
                texts.and_then(|texts| entry::baked(&texts, &settings.environment))
            }
            Kind::Bake => continue,
        };
        match listed {
            Ok(listed) => {
                found.extend(listed.entries);
                failures.extend(listed.failures);
            }
            Err(failure) => failures.push(failure),
        }
    }
    found
}

/// The text of a file and its name in the report. What is no text is read as far as it is one, which is a finding.
fn read(path: &Path, args: &Args) -> Result<(String, String), Failure> {
    let name = args.shown(path);
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
