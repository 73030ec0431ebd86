//! `kiln compare`

use kiln_image::Platform;
use kiln_inspect::packages::Packages;
use kiln_inspect::vulnerabilities::Vulnerabilities;
use kiln_inspect::waste::Waste;
use kiln_inspect::{Tree, start};
use serde_json::{Value, json};

use super::packages;
use super::waste::percent;
use crate::check::start::verdicts;
use crate::engine::{Engine, Looked};
use crate::failure::{Failure, Outcome};
use crate::format::{Format, rows};
use crate::progress::text::{cut, one_line};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::values::size;
use crate::vulnerabilities::{self, DatabaseArgs};
use crate::{table, terminal};

/// How much of a name of others' the table shows.
const WIDEST: usize = 40;

/// Where shells are, those that most images have first.
const SHELLS: &[&str] = &[
    "bin/sh",
    "bin/bash",
    "bin/ash",
    "bin/dash",
    "usr/bin/sh",
    "usr/bin/bash",
    "busybox/sh",
];

/// Arguments of `kiln compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The images: names of the store or a registry, docker://NAME, oci:DIRECTORY[:TAG], oci-archive: or
    /// docker-archive:FILE[:TAG], or paths; the first one is what the others are compared with
    #[arg(required = true, num_args = 1.., value_name = "IMAGE")]
    images: Vec<String>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// `table`, `markdown`, `json` (an object for each image), or a template like `{{.Name}} {{.Bytes}}`
    #[arg(long)]
    format: Option<String>,
    /// Which images of several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

/// What is compared of an image.
struct Compared {
    name: String,
    base: Option<String>,
    bytes: u64,
    compressed: Option<u64>,
    dead: u64,
    layers: usize,
    packages: Packages,
    vulnerabilities: Option<Vulnerabilities>,
    shell: Option<&'static str>,
    user: String,
    /// The checks that failed, those that the command cannot do without first.
    failures: Vec<&'static str>,
    starts: bool,
}

/// Shows images beside one another.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let is_markdown = args.format.as_deref() == Some("markdown");
    let format = Format::parse(args.format.as_deref().filter(|_| !is_markdown))?;
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let mut compared = Vec::new();
    for name in &args.images {
        let looked = engine.look_into(name, args.platform.as_ref(), settings, &interrupt)?;
        let row = Compared::of(name, &looked, &engine, &interrupt)?;
        packages::warn_of_unread(name, &row.packages);
        compared.push(row);
    }
    let of_each: Vec<&Packages> = compared.iter().map(|row| &row.packages).collect();
    let known = args.database.look_each(&of_each, settings)?;
    for (row, found) in compared.iter_mut().zip(known.into_iter().flatten()) {
        vulnerabilities::warn_of_gaps(&row.name, &found);
        row.vulnerabilities = Some(found);
    }
    let first = compared.first().map_or(0, |row| row.bytes);
    let cells: Vec<_> = compared.iter().map(|row| row.cells(first)).collect();
    terminal::print(match format {
        Format::Table if is_markdown => markdown(&HEADER, &cells),
        Format::Table => table::render(HEADER, &cells),
        format => rows(&format, &compared.iter().map(Compared::object).collect::<Vec<_>>())?,
    })
}

const HEADER: [&str; 11] = [
    "IMAGE",
    "BASE",
    "SIZE",
    "CHANGE",
    "COMPRESSED",
    "LAYERS",
    "PACKAGES",
    "VULNERABILITIES",
    "SHELL",
    "USER",
    "STARTS",
];

impl Compared {
    fn of(name: &str, looked: &Looked, engine: &Engine, interrupt: &Interrupt) -> Result<Self, Failure> {
        let image = &looked.image;
        let tree = Tree::of(image.indexes());
        let report = start::check(image, &tree).map_err(|error| crate::engine::look_failure(error, interrupt))?;
        let verdicts = verdicts(image, &report, &|_| None, |_| false);
        let mut failed: Vec<_> = verdicts.iter().filter(|verdict| !verdict.passed).collect();
        failed.sort_by_key(|verdict| !verdict.is_of_command);
        let mut failures: Vec<&'static str> = failed.iter().map(|verdict| verdict.check).collect();
        failures.dedup();
        let packages = packages::of(image)?;
        let waste = Waste::of(image.indexes());
        let user = image.config.config.user.as_str();
        Ok(Self {
            name: name.to_owned(),
            base: engine.sources_of(looked).said.or_else(|| packages.system.clone()),
            bytes: waste.bytes,
            compressed: image.layers.iter().map(|layer| layer.compressed).sum(),
            dead: waste.dead,
            layers: image.layers.len(),
            packages,
            vulnerabilities: None,
            shell: SHELLS
                .iter()
                .copied()
                .find(|shell| tree.file(shell.as_bytes()).is_some()),
            user: if user.is_empty() {
                "root".to_owned()
            } else {
                user.to_owned()
            },
            starts: failed.iter().all(|verdict| !verdict.is_of_command),
            failures,
        })
    }

    fn cells(&self, first: u64) -> [String; 11] {
        let change = match self.bytes.cmp(&first) {
            std::cmp::Ordering::Less => format!("-{}", percent(first - self.bytes, first)),
            std::cmp::Ordering::Equal => String::new(),
            std::cmp::Ordering::Greater => format!("+{}", percent(self.bytes - first, first)),
        };
        let name = |text: &str| cut(&one_line(text), WIDEST, '…');
        [
            one_line(&self.name),
            self.base.as_deref().map_or_else(|| "none".to_owned(), name),
            size::show(self.bytes),
            change,
            self.compressed.map_or_else(|| "unknown".to_owned(), size::show),
            self.layers.to_string(),
            packages::count(&self.packages.packages),
            self.vulnerabilities.as_ref().map_or_else(|| "-".to_owned(), known),
            self.shell
                .map_or_else(|| "none".to_owned(), |shell| format!("/{shell}")),
            name(&self.user),
            self.outcome(),
        ]
    }

    /// Whether it starts, and which checks failed.
    fn outcome(&self) -> String {
        match (self.starts, &self.failures[..]) {
            (true, []) => "yes".to_owned(),
            (true, failures) => format!("yes, but {}", failures.join(", ")),
            (false, failures) => format!("no: {}", failures.join(", ")),
        }
    }

    fn object(&self) -> Value {
        json!({
            "Name": self.name,
            "Base": self.base,
            "Bytes": self.bytes,
            "Compressed": self.compressed,
            "Dead": self.dead,
            "Layers": self.layers,
            "Packages": self.packages.packages.len(),
            "Vulnerabilities": self.vulnerabilities.as_ref().map(|found| vulnerabilities::counts(&found.found)),
            "Undecided": self.vulnerabilities.as_ref().map(|found| found.undecided.len()),
            "Uncovered": self.vulnerabilities.as_ref().map(Vulnerabilities::uncovered_names),
            "Shell": self.shell.map(|shell| format!("/{shell}")),
            "User": self.user,
            "Starts": self.starts,
            "Failures": self.failures,
        })
    }
}

/// How many are known, and of what nothing is.
fn known(found: &Vulnerabilities) -> String {
    let count = vulnerabilities::count(&found.found);
    if found.uncovered.is_empty() {
        return count;
    }
    let kinds = one_line(&found.uncovered_names().join(", "));
    format!("{count}; no record of {}", cut(&kinds, WIDEST, '…'))
}

/// A table of Markdown. What would end a cell, or be taken for something else, is written so that it is not.
fn markdown<const N: usize>(header: &[&str; N], rows: &[[String; N]]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(header.iter().map(|&name| name.to_owned()).collect());
    text.push_str(&line(vec!["---".to_owned(); N]));
    for row in rows {
        text.push_str(&line(row.iter().map(|cell| escape(cell)).collect()));
    }
    text
}

fn escape(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for c in one_line(cell).chars() {
        match c {
            '<' => text.push_str("&lt;"),
            '&' => text.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_cells() {
        assert_eq!(
            markdown(&["A", "B"], &[["a|b".to_owned(), "<script>`x`".to_owned()]]),
            "| A | B |\n| --- | --- |\n| a\\|b | &lt;script>\\`x\\` |\n"
        );
    }
}
