//! `make bench`: what a build costs, against buildah and against the floor, in one run on one machine. Runs alternate,
//! and medians are compared, because a machine's speed changes while one measures.

mod report;
mod subject;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use self::report::{Report, Row};
use self::subject::Subject;
use crate::harness::Harness;
use crate::kiln::{self, Kiln, Profile};
use crate::measure::{Figure, Tools};
use crate::{command, packages, table, user};

/// The base that they stand on.
const BASE: &str = "debian:bookworm-slim";

/// What to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How often.
    rounds: usize,
    /// Trivial steps of the Dockerfile.
    steps: u32,
    /// Megabytes of the large context.
    megabytes: u64,
    /// Files of the context of many; a second one has five times as many.
    files: u32,
    /// Records of a cache that is read.
    records: u32,
    /// Where the figures go besides the terminal.
    json: Option<PathBuf>,
}

impl Options {
    /// From `--quick` and `--json FILE`.
    pub fn parse(words: &[&str]) -> Result<Self> {
        match words {
            [] => Ok(Self {
                rounds: 5,
                steps: 20,
                megabytes: 512,
                files: 20_000,
                records: 1000,
                json: None,
            }),
            [rest @ .., "--json", file] => Ok(Self {
                json: Some(PathBuf::from(file)),
                ..Self::parse(rest)?
            }),
            [rest @ .., "--quick"] => Ok(Self {
                rounds: 1,
                steps: 3,
                megabytes: 8,
                files: 200,
                records: 100,
                ..Self::parse(rest)?
            }),
            _ => bail!("bench takes --quick and --json FILE, not {}", words.join(" ")),
        }
    }
}

/// Measures, prints, and writes the JSON.
pub fn run(options: &Options) -> Result<()> {
    packages::install()?;
    let harness = Harness::start(Profile::Release, &[BASE])?;
    let bench = Bench::new(&harness, options)?;
    let report = bench.measure();
    bench.clean()?;
    let report = report?;
    print!("{}", report.table());
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

struct Bench<'a> {
    kiln: Kiln,
    tools: Tools,
    directory: PathBuf,
    harness: &'a Harness,
    options: &'a Options,
}

/// What was measured of one subject.
#[derive(Debug, Default)]
struct Times {
    kiln: Vec<f64>,
    buildah: Vec<f64>,
    peak: f64,
}

impl<'a> Bench<'a> {
    fn new(harness: &'a Harness, options: &'a Options) -> Result<Self> {
        let directory = harness.work.path().join("bench");
        subject::write_contexts(&directory, options)?;
        let tools = Tools::compile(&directory)?;
        let kiln = Kiln {
            root: directory.join("store"),
            ..harness.kiln.clone()
        };
        Ok(Self {
            kiln,
            tools,
            directory,
            harness,
            options,
        })
    }

    fn measure(&self) -> Result<Report> {
        let subjects = subject::all(&self.directory, self.options);
        let peer = self.peer(&subjects[1]);
        for words in subject::fill_records(&self.directory, self.options) {
            command::quietly(self.kiln.command().args(words))?;
        }
        let mut times: Vec<Times> = subjects.iter().map(|_| Times::default()).collect();
        let mut floor = Vec::new();
        // The first round warms up what all later ones have warm: pulled bases, the page cache.
        for round in 0..=self.options.rounds {
            for (subject, times) in subjects.iter().zip(&mut times) {
                self.prepare(subject)?;
                let kiln = self.tools.measure(self.kiln.command().args(&subject.kiln))?;
                times.peak = times.peak.max(kiln.mebibytes);
                let peer = peer.filter(|_| !subject.buildah.is_empty());
                let buildah = peer.map(|isolation| self.buildah(subject, isolation)).transpose()?;
                if round > 0 {
                    times.kiln.push(kiln.milliseconds);
                    times.buildah.extend(buildah);
                }
            }
            let figure = self.floor(round)?;
            floor.extend(figure.filter(|_| round > 0).map(|figure| figure.milliseconds));
        }
        let rows = subjects.iter().zip(&times).map(|(subject, times)| Row {
            what: subject.what.clone(),
            kiln_ms: table::median(&times.kiln),
            buildah_ms: table::median(&times.buildah),
            floor_ms: None,
            at_most_ms: subject.at_most,
            kiln_peak_mib: Some(times.peak),
        });
        Ok(Report::new(self.options, peer, rows.collect(), table::median(&floor)))
    }

    /// What comes before and is not measured.
    fn prepare(&self, subject: &Subject) -> Result<()> {
        if let Some(edit) = &subject.edit {
            command::quietly(Command::new("/bin/sh").args(["-ec", edit]))?;
        }
        if let Some(before) = &subject.before {
            command::quietly(self.kiln.command().args(before))?;
        }
        Ok(())
    }

    /// All commands of a subject, one after the other, in milliseconds.
    fn buildah(&self, subject: &Subject, isolation: &str) -> Result<f64> {
        let mut sum = 0.0;
        for words in &subject.buildah {
            let mut buildah = self.buildah_command(words);
            buildah.env("BUILDAH_ISOLATION", isolation);
            sum += self.tools.measure(&buildah)?.milliseconds;
        }
        Ok(sum)
    }

    fn buildah_command(&self, words: &[String]) -> Command {
        let mut buildah = Command::new("buildah");
        for (option, directory) in [("--root", "buildah"), ("--runroot", "buildah-run")] {
            buildah.arg(option).arg(self.directory.join(directory));
        }
        buildah.args(["--storage-driver", "overlay"]);
        buildah.env("CONTAINERS_REGISTRIES_CONF", &self.harness.kiln.registries_conf);
        buildah.args(words);
        buildah
    }

    /// The best isolation with which buildah can run steps on this machine: through an OCI runtime, as Kiln isolates
    /// them, or else in a mere chroot.
    fn peer(&self, subject: &Subject) -> Option<&'static str> {
        let oci = if user::is_root() { "oci" } else { "rootless" };
        for isolation in [oci, "chroot"] {
            match self.buildah(subject, isolation) {
                Ok(_) => return Some(isolation),
                Err(error) => eprintln!("buildah cannot run steps here with isolation {isolation}: {error:#}"),
            }
        }
        None
    }

    /// `None` without root, which the floor needs.
    fn floor(&self, round: usize) -> Result<Option<Figure>> {
        if !user::is_root() {
            return Ok(None);
        }
        let lower = self.directory.join("lower");
        if !lower.exists() {
            let words = subject::unpack_base(&self.directory, &lower);
            command::quietly(self.kiln.command().args(words))?;
        }
        let work = self.directory.join(format!("floor{round}"));
        fs::create_dir(&work)?;
        self.tools.floor(&lower, &work, self.options.steps).map(Some)
    }

    fn clean(&self) -> Result<()> {
        let words = ["rmi", "--all", "--force"].map(str::to_owned);
        if let Err(error) = self.buildah_command(&words).output() {
            eprintln!("cannot clean up after buildah: {error}");
        }
        kiln::remove_tree(&self.directory)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn options() {
        assert_eq!(Options::parse(&[]).unwrap().rounds, 5);
        let quick = Options::parse(&["--quick", "--json", "x"]).unwrap();
        assert_eq!((quick.rounds, quick.json.as_deref()), (1, Some(Path::new("x"))));
        assert!(Options::parse(&["--no"]).is_err());
    }
}
