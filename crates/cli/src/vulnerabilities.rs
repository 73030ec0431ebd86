//! Known vulnerabilities of packages, where a database of them is on this machine, as people and programs are shown them.

use std::fmt::Write as _;
use std::path::PathBuf;

use kiln_inspect::Image;
use kiln_inspect::packages::Packages;
use kiln_inspect::vulnerabilities::{Rating, Severity, Vulnerabilities, Vulnerability};
use serde_json::{Map, Value, json};

use crate::commands::packages;
use crate::failure::Failure;
use crate::progress::text::{cut, one_line};
use crate::settings::Settings;
use crate::{layers, table, terminal};

/// How much of a text of others' the table shows.
const WIDEST: usize = 40;

/// Where the database is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DatabaseArgs {
    /// Known vulnerabilities: records of OSV (.json, .zip, a directory of them), Debian's security tracker as JSON
    /// [default: $KILN_VULNERABILITY_DB, else `vulnerability-db` in kiln.toml]
    #[arg(long, value_name = "PATH")]
    vulnerability_db: Vec<PathBuf>,
}

impl DatabaseArgs {
    /// Where it is; empty if there is none.
    pub(crate) fn paths(&self, settings: &Settings) -> Vec<PathBuf> {
        if self.vulnerability_db.is_empty() {
            settings.vulnerability_db()
        } else {
            self.vulnerability_db.clone()
        }
    }

    /// What it knows of some packages; `None` if there is none.
    pub(crate) fn look(&self, packages: &Packages, settings: &Settings) -> Result<Option<Vulnerabilities>, Failure> {
        let found = self.look_each(&[packages], settings)?;
        Ok(found.and_then(|mut found| found.pop()))
    }

    /// What it knows of the packages of each of several images; `None` if there is none.
    pub(crate) fn look_each(
        &self,
        images: &[&Packages],
        settings: &Settings,
    ) -> Result<Option<Vec<Vulnerabilities>>, Failure> {
        let paths = self.paths(settings);
        if paths.is_empty() {
            return Ok(None);
        }
        Vulnerabilities::of_each(images, &paths)
            .map(Some)
            .map_err(Failure::failed)
    }
}

/// Says what the database does not tell of an image.
pub(crate) fn warn_of_gaps(name: &str, found: &Vulnerabilities) {
    if !found.uncovered.is_empty() {
        terminal::warn(format!(
            "{name}: the database of vulnerabilities has no record of {}",
            found.uncovered_names().join(", ")
        ));
    }
    if !found.undecided.is_empty() {
        terminal::warn(format!(
            "{name}: of {} vulnerabilities it cannot be told whether a package has them: see `kiln packages --vulnerabilities \
             --format json`",
            found.undecided.len()
        ));
    }
}

/// How many there are by how severe they are: `2 critical, 1 low`.
pub(crate) fn count(found: &[Vulnerability]) -> String {
    let counts = Rating::ALL.map(|rating| (of(found, rating), rating.name()));
    packages::counted(&counts)
}

/// The same for programs.
pub(crate) fn counts(found: &[Vulnerability]) -> Value {
    let counts = Rating::ALL.map(|rating| (title(rating), json!(of(found, rating))));
    Value::Object(counts.into_iter().collect::<Map<_, _>>())
}

fn of(found: &[Vulnerability], rating: Rating) -> usize {
    let of_it = found.iter().filter(|one| one.severity.rating == rating);
    of_it.count()
}

fn title(rating: Rating) -> String {
    let name = rating.name();
    name[..1].to_ascii_uppercase() + &name[1..]
}

/// How severe something is: `high (7.5)`.
pub(crate) fn severity(severity: Severity) -> String {
    match score(severity) {
        Some(score) => format!("{} ({score:.1})", severity.rating.name()),
        None => severity.rating.name().to_owned(),
    }
}

fn score(severity: Severity) -> Option<f64> {
    severity.tenths.map(|tenths| f64::from(tenths) / 10.0)
}

/// A table, and how many there are.
pub(crate) fn for_people(image: &Image, packages: &Packages, found: &Vulnerabilities) -> String {
    if found.found.is_empty() {
        return "no known vulnerabilities\n".to_owned();
    }
    let cells = found.found.iter().map(|one| {
        let package = &packages.packages[one.package];
        let text = |text: &str| cut(&one_line(text), WIDEST, '…');
        [
            text(&one.id),
            severity(one.severity),
            text(&package.name),
            text(&package.version),
            one.fixed.as_deref().map(text).unwrap_or_default(),
            layers::shown(image, package.layer as usize, WIDEST),
        ]
    });
    let header = ["VULNERABILITY", "SEVERITY", "PACKAGE", "VERSION", "FIXED", "LAYER"];
    let mut text = table::render(header, &cells.collect::<Vec<_>>());
    let _ = writeln!(text, "\n{}", count(&found.found));
    text
}

/// Those that were found, or that it cannot be told of, for programs.
pub(crate) fn objects(packages: &Packages, all: &[Vulnerability]) -> Vec<Value> {
    let object = |one: &Vulnerability| {
        let package = &packages.packages[one.package];
        json!({
            "ID": one.id,
            "Aliases": one.aliases,
            "Summary": one.summary,
            "Severity": one.severity.rating.name(),
            "Score": score(one.severity),
            "Type": package.ecosystem.name(),
            "Package": package.name,
            "Version": package.version,
            "Fixed": one.fixed,
            "LastAffected": one.last_affected,
            "Layer": package.layer,
            "Path": format!("/{}", String::from_utf8_lossy(&package.path)),
        })
    };
    all.iter().map(object).collect()
}
