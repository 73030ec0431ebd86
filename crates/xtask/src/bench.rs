//! `make bench`: what a build costs, against buildah and against the floor, in one run on one machine. Runs alternate,
//! and medians are compared, because a machine's speed changes while one measures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::harness::Harness;
use crate::kiln::{self, Kiln, Profile};
use crate::measure::{Figure, Tools};
use crate::{command, packages, table, user};

/// Trivial steps of the benchmark's Dockerfile.
const STEPS: u32 = 20;
/// The base that they stand on.
const BASE: &str = "debian:bookworm-slim";

/// What to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How often.
    rounds: usize,
    /// Megabytes of the large context.
    megabytes: u64,
    /// Where the figures go besides the terminal.
    json: Option<PathBuf>,
}

impl Options {
    /// From `--quick` and `--json FILE`.
    pub fn parse(words: &[&str]) -> Result<Self> {
        match words {
            [] => Ok(Self {
                rounds: 9,
                megabytes: 512,
                json: None,
            }),
            [rest @ .., "--json", file] => Ok(Self {
                json: Some(PathBuf::from(file)),
                ..Self::parse(rest)?
            }),
            [rest @ .., "--quick"] => Ok(Self {
                rounds: 1,
                megabytes: 8,
                ..Self::parse(rest)?
            }),
            _ => bail!("bench takes --quick and --json FILE, not {}", words.join(" ")),
        }
    }
}

/// All figures; times in milliseconds, memory in MiB. They are `None` where something could not be measured.
#[derive(Debug, Default, Serialize)]
struct Report {
    rounds: usize,
    /// A step beyond the first: the difference between a build with all steps and one with none, divided.
    kiln_step_ms: Option<f64>,
    kiln_uncached_ms: Option<f64>,
    kiln_cached_ms: Option<f64>,
    buildah_step_ms: Option<f64>,
    buildah_uncached_ms: Option<f64>,
    buildah_cached_ms: Option<f64>,
    /// Namespaces, overlay, pivot and `sh -c`, from C, nothing else.
    floor_step_ms: Option<f64>,
    /// The largest process of any of Kiln's builds here, the large context with an OCI archive among them.
    kiln_peak_mib: Option<f64>,
    large_context_mib: u64,
}

/// Measures, prints, and writes the JSON.
pub fn run(options: &Options) -> Result<()> {
    packages::install()?;
    let harness = Harness::start(Profile::Release, &[BASE])?;
    let bench = Bench::new(&harness)?;
    let report = bench.measure(options);
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
}

impl<'a> Bench<'a> {
    fn new(harness: &'a Harness) -> Result<Self> {
        let directory = harness.work.path().join("bench");
        fs::create_dir_all(directory.join("context"))?;
        let tools = Tools::compile(&directory)?;
        let kiln = Kiln {
            root: directory.join("store"),
            ..harness.kiln.clone()
        };
        let none = format!("FROM {BASE}\nLABEL benchmark=none\n");
        let all: String = (1..=STEPS).fold(none.clone(), |text, step| format!("{text}RUN : {step}\n"));
        fs::write(directory.join("context/none"), none)?;
        fs::write(directory.join("context/all"), all)?;
        Ok(Self {
            kiln,
            tools,
            directory,
            harness,
        })
    }

    fn measure(&self, options: &Options) -> Result<Report> {
        let mut report = Report {
            rounds: options.rounds,
            large_context_mib: options.megabytes,
            ..Report::default()
        };
        let buildah = self.buildah_works();
        let mut times: [Vec<f64>; 7] = Default::default();
        let mut peak: f64 = 0.0;
        // The first round warms up what all later ones have warm: pulled bases, the page cache.
        for round in 0..=options.rounds {
            let mut figures = vec![
                Some(self.kiln("none", true)?),
                Some(self.kiln("all", true)?),
                Some(self.kiln("all", false)?),
                buildah.then(|| self.buildah("none", true)).transpose()?,
                buildah.then(|| self.buildah("all", true)).transpose()?,
                buildah.then(|| self.buildah("all", false)).transpose()?,
            ];
            figures.push(self.floor(round)?);
            peak = figures[..3]
                .iter()
                .flatten()
                .fold(peak, |peak, figure| peak.max(figure.mebibytes));
            for (times, figure) in times.iter_mut().zip(figures).filter(|_| round > 0) {
                times.extend(figure.map(|figure| figure.milliseconds));
            }
        }
        let [none, all, cached, buildah_none, buildah_all, buildah_cached, floor] =
            times.map(|times| table::median(&times));
        let step = |all: Option<f64>, none: Option<f64>| Some((all? - none?) / f64::from(STEPS));
        report.kiln_step_ms = step(all, none);
        (report.kiln_uncached_ms, report.kiln_cached_ms) = (all, cached);
        report.buildah_step_ms = step(buildah_all, buildah_none);
        (report.buildah_uncached_ms, report.buildah_cached_ms) = (buildah_all, buildah_cached);
        report.floor_step_ms = floor;
        report.kiln_peak_mib = Some(peak.max(self.large(options.megabytes)?.mebibytes));
        Ok(report)
    }

    fn context(&self) -> PathBuf {
        self.directory.join("context")
    }

    fn kiln(&self, dockerfile: &str, no_cache: bool) -> Result<Figure> {
        let mut build = self.kiln.command();
        build
            .args(["build", "-q", "-t", "bench", "-f"])
            .arg(self.context().join(dockerfile));
        if no_cache {
            build.arg("--no-cache");
        }
        self.tools.measure(build.arg(self.context()))
    }

    /// A context larger than any budget of memory, exported with compression.
    fn large(&self, megabytes: u64) -> Result<Figure> {
        let context = self.directory.join("large");
        fs::create_dir_all(&context)?;
        let half = context.join("random");
        let count = format!("count={megabytes}");
        let of = format!("of={}", half.display());
        command::quietly(Command::new("dd").args(["if=/dev/urandom", "bs=1M", "status=none", &count, &of]))?;
        fs::write(context.join("Dockerfile"), format!("FROM {BASE}\nCOPY . /large\n"))?;
        let mut build = self.kiln.command();
        let output = format!("type=oci,dest={}", self.directory.join("large.tar").display());
        self.tools
            .measure(build.args(["build", "-q", "-o", &output]).arg(&context))
    }

    fn buildah_command(&self, words: &[&str]) -> Command {
        let mut buildah = Command::new("buildah");
        buildah.args([
            "--root",
            &self.directory.join("buildah").to_string_lossy(),
            "--runroot",
            &self.directory.join("buildah-run").to_string_lossy(),
            "--storage-driver",
            "overlay",
        ]);
        buildah.env("CONTAINERS_REGISTRIES_CONF", &self.harness.kiln.registries_conf);
        buildah.args(words);
        buildah
    }

    fn buildah(&self, dockerfile: &str, no_cache: bool) -> Result<Figure> {
        let mut build = self.buildah_command(&["build", "-q", "--layers", "-t", "bench", "-f"]);
        build.arg(self.context().join(dockerfile));
        if no_cache {
            build.arg("--no-cache");
        }
        self.tools.measure(build.arg(self.context()))
    }

    fn buildah_works(&self) -> bool {
        match self.buildah("all", true) {
            Ok(_) => true,
            Err(error) => {
                eprintln!("buildah cannot be measured here: {error:#}");
                false
            }
        }
    }

    /// `None` without root, which the floor needs.
    fn floor(&self, round: usize) -> Result<Option<Figure>> {
        if !user::is_root() {
            return Ok(None);
        }
        let lower = self.directory.join("lower");
        if !lower.exists() {
            self.unpack_base(&lower)?;
        }
        let work = self.directory.join(format!("floor{round}"));
        fs::create_dir(&work)?;
        self.tools.floor(&lower, &work, STEPS).map(Some)
    }

    fn unpack_base(&self, lower: &Path) -> Result<()> {
        fs::write(self.context().join("base"), format!("FROM {BASE}\n"))?;
        let mut build = self.kiln.command();
        let output = format!("type=local,dest={}", lower.display());
        build
            .args(["build", "-q", "-o", &output, "-f"])
            .arg(self.context().join("base"))
            .arg(self.context());
        command::quietly(&mut build).map(drop)
    }

    fn clean(&self) -> Result<()> {
        let buildah = self.buildah_command(&["rmi", "--all", "--force"]).output();
        if let Err(error) = buildah {
            eprintln!("cannot clean up after buildah: {error}");
        }
        kiln::remove_tree(&self.directory)
    }
}

impl Report {
    fn table(&self) -> String {
        let show = |value: Option<f64>, unit: &str| value.map_or("-".to_owned(), |value| format!("{value:.1} {unit}"));
        let ratio = |of: Option<f64>, to: Option<f64>| match (of, to) {
            (Some(of), Some(to)) if to > 0.0 => format!("{:.1}", of / to),
            _ => "-".to_owned(),
        };
        let row = |what: &str, kiln: Option<f64>, buildah: Option<f64>, floor: Option<f64>, wanted: &str| {
            let shown = [
                show(kiln, "ms"),
                show(buildah, "ms"),
                ratio(buildah, kiln),
                show(floor, "ms"),
            ];
            let mut row = vec![what.to_owned()];
            row.extend(shown);
            row.push(wanted.to_owned());
            row
        };
        let steps = format!("{STEPS} trivial RUN steps");
        let cached = "the same, fully cached";
        let rows = [
            row(
                "one more trivial RUN step",
                self.kiln_step_ms,
                self.buildah_step_ms,
                self.floor_step_ms,
                "10 ms",
            ),
            row(&steps, self.kiln_uncached_ms, self.buildah_uncached_ms, None, ""),
            row(cached, self.kiln_cached_ms, self.buildah_cached_ms, None, "30 ms"),
        ];
        let heading = ["median", "kiln", "buildah", "buildah / kiln", "floor in C", "at most"];
        let peak = show(self.kiln_peak_mib, "MiB");
        let large = self.large_context_mib;
        format!(
            "{}\npeak memory of Kiln, a context of {large} MiB compressed to an archive included: {peak} (at most 150)\n",
            table::render(&heading, &rows)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        assert_eq!(Options::parse(&[]).unwrap().rounds, 9);
        let quick = Options::parse(&["--quick", "--json", "x"]).unwrap();
        assert_eq!((quick.rounds, quick.json.as_deref()), (1, Some(Path::new("x"))));
        assert!(Options::parse(&["--no"]).is_err());
    }

    #[test]
    fn report_without_figures() {
        assert!(Report::default().table().contains("| -"));
    }
}
