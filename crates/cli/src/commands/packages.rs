//! `kiln packages`

use std::fmt::Write as _;

use clap::ValueEnum;
use kiln_image::Platform;
use kiln_inspect::packages::{Ecosystem, Package, PackageChange, Packages};
use kiln_inspect::vulnerabilities::Vulnerabilities;
use kiln_inspect::{Image, Tree};
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::failure::{Failure, Outcome};
use crate::format::{Format, rows};
use crate::progress::text::{cut, one_line};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::values::size;
use crate::vulnerabilities::{self, DatabaseArgs};
use crate::{layers, table, terminal};

/// How much of a layer's instruction, or of licenses, the table shows.
const WIDEST: usize = 40;
/// How much of a version or a name tables show.
const WIDEST_NAME: usize = 60;

/// What packages are of, as an argument.
#[derive(Debug, Clone, Copy)]
struct Type(Ecosystem);

impl ValueEnum for Type {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Type; Ecosystem::ALL.len()] = {
            let mut all = [Type(Ecosystem::Deb); Ecosystem::ALL.len()];
            let mut at = 0;
            while at < all.len() {
                all[at] = Type(Ecosystem::ALL[at]);
                at += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

/// Arguments of `kiln packages`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image: a name of the store or a registry, docker://NAME, oci:DIRECTORY[:TAG], oci-archive: or
    /// docker-archive:FILE[:TAG], or a path
    image: String,
    /// Only packages of these kinds
    #[arg(long = "type", value_enum, value_delimiter = ',', value_name = "TYPE")]
    types: Vec<Type>,
    /// Known vulnerabilities of them, instead of the packages; with --format both
    #[arg(long)]
    vulnerabilities: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    /// `table`, `json`, or a template like `{{range .Packages}}{{.Name}} {{.Version}}{{println}}{{end}}`
    #[arg(long)]
    format: Option<String>,
    /// Which image of several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

/// Lists the packages of an image.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let looked = engine.look_into(&args.image, args.platform.as_ref(), settings, &interrupt)?;
    let mut found = with_licenses(&looked.image)?;
    if !args.types.is_empty() {
        let is_wanted = |package: &Package| args.types.iter().any(|wanted| wanted.0 == package.ecosystem);
        found.packages.retain(is_wanted);
    }
    warn_of_unread(&args.image, &found);
    let known = args.known(&found, settings)?;
    terminal::print(match (format, &known) {
        (Format::Table, Some(known)) => vulnerabilities::for_people(&looked.image, &found, known),
        (Format::Table, None) => for_people(&looked.image, &found),
        (format, known) => {
            let mut object = object(&looked.image, &args.image, &found);
            if let Some(known) = known {
                object["Vulnerabilities"] = vulnerabilities::objects(&found, &known.found).into();
                object["Undecided"] = vulnerabilities::objects(&found, &known.undecided).into();
                object["Uncovered"] = known.uncovered_names().into();
            }
            rows(&format, &[object])?
        }
    })
}

impl Args {
    /// What is known of the packages, if that is asked for.
    fn known(&self, found: &Packages, settings: &Settings) -> Result<Option<Vulnerabilities>, Failure> {
        if !self.vulnerabilities {
            return Ok(None);
        }
        let known = self.database.look(found, settings)?.ok_or_else(|| {
            Failure::usage("--vulnerabilities: there is no database of them").hint(
                "--vulnerability-db names one: records of OSV, as its exports have them, or the JSON of Debian's security tracker",
            )
        })?;
        vulnerabilities::warn_of_gaps(&self.image, &known);
        Ok(Some(known))
    }
}

/// The packages of an image, without licenses that are in files of their own.
pub(crate) fn of(image: &Image) -> Result<Packages, Failure> {
    Packages::of(image, &Tree::of(image.indexes())).map_err(Failure::failed)
}

/// The packages of an image.
pub(crate) fn with_licenses(image: &Image) -> Result<Packages, Failure> {
    let tree = Tree::of(image.indexes());
    let found = Packages::of(image, &tree).and_then(|found| found.with_licenses(image, &tree));
    found.map_err(Failure::failed)
}

/// Says which lists of packages are there and were not read.
pub(crate) fn warn_of_unread(name: &str, packages: &Packages) {
    for (path, why) in &packages.unread {
        terminal::warn(format!(
            "{name}: {}: {why}; what it lists is missing here",
            layers::path(path)
        ));
    }
}

/// How many there are, by type: `88 deb, 3 pypi`.
pub(crate) fn count(packages: &[Package]) -> String {
    let counts = Ecosystem::ALL.map(|ecosystem| {
        let count = packages.iter().filter(|package| package.ecosystem == ecosystem).count();
        (count, ecosystem.name())
    });
    counted(&counts)
}

/// What there is of each, where there is some.
pub(crate) fn counted(counts: &[(usize, &str)]) -> String {
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = counts.map(|(count, name)| format!("{count} {name}")).collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

fn for_people(image: &Image, found: &Packages) -> String {
    if found.packages.is_empty() {
        return "no packages that are known of\n".to_owned();
    }
    let cells = found.packages.iter().map(|package| {
        [
            package.ecosystem.name().to_owned(),
            cut(&one_line(&package.name), WIDEST_NAME, '…'),
            cut(&one_line(&package.version), WIDEST_NAME, '…'),
            package.bytes.map(size::show).unwrap_or_default(),
            cut(&one_line(&licenses(package)), WIDEST, '…'),
            layers::shown(image, package.layer as usize, WIDEST),
        ]
    });
    let mut text = table::render(
        ["TYPE", "NAME", "VERSION", "SIZE", "LICENSE", "LAYER"],
        &cells.collect::<Vec<_>>(),
    );
    let system = found
        .system
        .as_deref()
        .map(|system| format!(" on {}", one_line(system)));
    let _ = writeln!(text, "\n{}{}", count(&found.packages), system.unwrap_or_default());
    text
}

fn object(image: &Image, name: &str, found: &Packages) -> Value {
    json!({
        "Image": name,
        "System": found.system,
        "Layers": (0..image.layers.len()).map(|layer| layers::object(image, layer)).collect::<Vec<_>>(),
        "Packages": found.packages.iter().map(package).collect::<Vec<_>>(),
        "Unread": unread(found),
    })
}

/// Lists of packages that were not read, for programs.
pub(crate) fn unread(found: &Packages) -> Vec<Value> {
    let path = |path: &[u8]| format!("/{}", String::from_utf8_lossy(path));
    let all = found.unread.iter();
    all.map(|(file, why)| json!({"Path": path(file), "Why": why})).collect()
}

/// The licenses of a package, as one text; empty if they are not known.
pub(crate) fn licenses(package: &Package) -> String {
    package.licenses.join(", ")
}

/// A package for programs.
pub(crate) fn package(package: &Package) -> Value {
    json!({
        "Type": package.ecosystem.name(),
        "Name": package.name,
        "Version": package.version,
        "Architecture": package.architecture,
        "Source": package.source,
        "Licenses": package.licenses,
        "MayHaveMoreLicenses": package.may_have_more_licenses,
        "Bytes": package.bytes,
        "Layer": package.layer,
        "Path": format!("/{}", String::from_utf8_lossy(&package.path)),
    })
}

/// What became of packages, as a table.
pub(crate) fn changes_for_people(changes: &[PackageChange]) -> String {
    let versions = |versions: &[String]| cut(&one_line(&versions.join(", ")), WIDEST_NAME, '…');
    let cells = changes.iter().map(|change| {
        [
            change.ecosystem.name().to_owned(),
            cut(&one_line(&change.name), WIDEST_NAME, '…'),
            versions(&change.before),
            versions(&change.after),
            change.outcome.name().to_owned(),
        ]
    });
    table::render(
        ["TYPE", "PACKAGE", "BEFORE", "AFTER", "CHANGE"],
        &cells.collect::<Vec<_>>(),
    )
}

/// What became of packages between two images, for programs.
pub(crate) fn changes([before, after]: [&str; 2], changes: &[PackageChange]) -> Value {
    json!({"Before": before, "After": after, "Packages": changes.iter().map(change).collect::<Vec<_>>()})
}

/// What became of a package, for programs.
pub(crate) fn change(change: &PackageChange) -> Value {
    json!({
        "Type": change.ecosystem.name(),
        "Name": change.name,
        "Before": change.before,
        "After": change.after,
        "Change": change.outcome.name(),
    })
}
