//! `kiln check`

use std::path::PathBuf;

use kiln_image::{Platform, Reference};
use kiln_inspect::waste::Waste;
use kiln_inspect::{Image, Tree};

use crate::check;
use crate::check::budget::{Budget, Bytes, Share};
use crate::check::dive_ci::DiveRules;
use crate::check::licenses::Unknown;
use crate::check::vulnerabilities::MaxSeverity;
use crate::check::{Around, Verdict, formats};
use crate::engine::{Engine, Looked, canceled, look_failure};
use crate::failure::{Context as _, FAILED, Failure, Outcome};
use crate::format::Format;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;
use crate::vulnerabilities::DatabaseArgs;

/// Arguments of `kiln check`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Args {
    /// The image: a name of the store or a registry, docker://NAME, oci:DIRECTORY[:TAG], oci-archive: or
    /// docker-archive:FILE[:TAG], or a path
    image: String,
    /// `text`, `json`, `junit`, `github`, `sarif`, or a template like `{{.Failures}}`
    #[arg(long)]
    format: Option<String>,
    /// Bytes of all layers at most, like 100MB
    #[arg(long, value_name = "SIZE")]
    max_size: Option<Bytes>,
    /// Bytes of all layers at most, as they are transferred
    #[arg(long, value_name = "SIZE")]
    max_compressed: Option<Bytes>,
    /// By how much it may be larger than the image that it is compared with (--against), like 5MB or 10%
    #[arg(long, value_name = "SIZE | SHARE")]
    max_growth: Option<Share>,
    /// The image that it is compared with, wherever that is: the last that was released [default: what the last build
    /// that made another image gave this name]
    #[arg(long, value_name = "IMAGE")]
    against: Option<String>,
    /// How many layers at most
    #[arg(long, value_name = "NUMBER")]
    max_layers: Option<usize>,
    /// Dead bytes at most, like 5MB or 2%
    #[arg(long, value_name = "SIZE | SHARE")]
    max_waste: Option<Share>,
    /// dive's score at least, like 0.95
    #[arg(long, value_name = "SCORE")]
    min_efficiency: Option<f64>,
    /// What must not be there: names of commands, or paths with `*`
    #[arg(long, value_name = "NAME | PATH", value_delimiter = ',')]
    forbid: Vec<String>,
    /// Labels that must be there
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    require_label: Vec<String>,
    /// The user must be another than root
    #[arg(long)]
    non_root: bool,
    /// There must be a health check
    #[arg(long)]
    healthcheck: bool,
    /// The only files that may run with the rights of others (setuid, setgid); empty for none
    #[arg(long, value_name = "PATH", value_delimiter = ',', num_args = 0.., require_equals = true)]
    setuid: Option<Vec<String>>,
    /// Nothing outside of volumes may be made for the user to write
    #[arg(long)]
    read_only: bool,
    /// The images that it was built from must have been named by digest
    #[arg(long)]
    pinned_base: bool,
    /// The only images that it may be made from, wherever they are
    #[arg(long, value_name = "IMAGE", value_delimiter = ',')]
    allow_base: Vec<String>,
    /// The only licenses that packages may have: SPDX's names, with `*`
    #[arg(long, value_name = "LICENSE", value_delimiter = ',')]
    allow_license: Vec<String>,
    /// Licenses that no package may have
    #[arg(long, value_name = "LICENSE", value_delimiter = ',')]
    deny_license: Vec<String>,
    /// What becomes of packages whose license is not known [default: allow]
    #[arg(long, value_enum, value_name = "WHAT")]
    unknown_licenses: Option<Unknown>,
    /// How severe known vulnerabilities of packages may be
    #[arg(long, value_enum, value_name = "SEVERITY")]
    max_severity: Option<MaxSeverity>,
    /// Vulnerabilities do not count that nobody fixed yet
    #[arg(long)]
    ignore_unfixed: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Checks that are not made
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    skip: Vec<String>,
    /// Limits in dive's own file [default: .dive-ci]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = ".dive-ci")]
    dive_ci: Option<PathBuf>,
    /// Which image of several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

/// Says whether an image will start, and whether it keeps to the budgets.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let shape = Shape::of(args.format.as_deref())?;
    let dive = args.dive_ci.as_ref().map(read_dive_ci).transpose()?;
    let budget = args.budget().or(settings.budget());
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let looked = engine.look_into(&args.image, args.platform.as_ref(), settings, &interrupt)?;
    let image = &looked.image;
    // One after the other: each takes memory for every file.
    let waste = Waste::of(image.indexes());
    let tree = Tree::of(image.indexes());
    let before = budget
        .limits_growth()
        .then(|| args.before(&looked, &engine, settings, &interrupt));
    let around = Around {
        name: Some(&args.image),
        engine: &engine,
        interrupt: &interrupt,
        most: u64::MAX,
        dive: dive.as_ref(),
        databases: Some(&args.database.paths(settings)),
        before: before.transpose()?.flatten(),
    };
    let verdicts = check::verdicts(&looked, &tree, &waste, &budget, &around);
    let verdicts = verdicts.map_err(|error| look_failure(error, &interrupt))?;
    if interrupt.came() {
        return Err(canceled(&interrupt));
    }
    terminal::print(shape.text(&args.image, &looked.image, &verdicts)?)?;
    if verdicts.iter().all(|verdict| verdict.passed) {
        return Ok(());
    }
    Err(Failure::silent(FAILED))
}

fn read_dive_ci(path: &PathBuf) -> Result<DiveRules, Failure> {
    let text = std::fs::read_to_string(path).or_failed(|| format!("cannot read {}", path.display()))?;
    DiveRules::parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

impl Args {
    /// Unpacked bytes of the image that it is compared with: that of `--against`, else what had its name before.
    fn before(
        &self,
        looked: &Looked,
        engine: &Engine,
        settings: &Settings,
        interrupt: &Interrupt,
    ) -> Result<Option<u64>, Failure> {
        let Some(against) = &self.against else {
            let name = self.image.parse::<Reference>().ok();
            return Ok(name.and_then(|name| engine.size_before(&name, looked)));
        };
        let before = engine.look_into(against, self.platform.as_ref(), settings, interrupt)?;
        Ok(Some(before.image.layers.iter().map(|layer| layer.bytes).sum()))
    }

    fn budget(&self) -> Budget {
        Budget {
            max_size: self.max_size,
            max_layers: self.max_layers,
            max_waste: self.max_waste,
            min_efficiency: self.min_efficiency,
            forbidden: self.forbid.clone(),
            required_labels: self.require_label.clone(),
            non_root: self.non_root,
            healthcheck: self.healthcheck,
            setuid: self.setuid.clone(),
            max_compressed: self.max_compressed,
            max_growth: self.max_growth,
            read_only: self.read_only,
            pinned_base: self.pinned_base,
            allowed_bases: self.allow_base.clone(),
            allowed_licenses: self.allow_license.clone(),
            denied_licenses: self.deny_license.clone(),
            unknown_licenses: self.unknown_licenses,
            max_severity: self.max_severity,
            ignore_unfixed: self.ignore_unfixed,
            ignored_vulnerabilities: Vec::new(),
            not_covered: Vec::new(),
            skip: self.skip.clone(),
        }
    }
}

/// How verdicts are printed.
enum Shape {
    Text,
    Junit,
    Github,
    Sarif,
    Other(Format),
}

impl Shape {
    fn of(text: Option<&str>) -> Result<Self, Failure> {
        Ok(match text {
            None | Some("text") => Self::Text,
            Some("junit") => Self::Junit,
            Some("github") => Self::Github,
            Some("sarif") => Self::Sarif,
            other => match Format::parse(other)? {
                Format::Table => Self::Text,
                format => Self::Other(format),
            },
        })
    }

    fn text(&self, name: &str, image: &Image, verdicts: &[Verdict]) -> Result<String, Failure> {
        Ok(match self {
            Self::Text => formats::for_people(image, verdicts),
            Self::Junit => formats::junit(name, verdicts),
            Self::Github => formats::github(image, verdicts),
            Self::Sarif => format!("{:#}\n", formats::sarif(image, verdicts)),
            Self::Other(format) => crate::format::rows(format, &[formats::json(image, verdicts)])?,
        })
    }
}
