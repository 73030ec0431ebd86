//! What a build that ran something came to: a table of its steps, what became of the image's size, what of it could go, and
//! what keeps it from starting.
//!
//! A build that found everything in the cache has none, so that it costs nothing. The image is looked into only where not much
//! of it is new: the layers of a large base are left to `kiln waste`, after which they are known.

use std::fmt::Write as _;

use kiln_build::Built;
use kiln_dockerfile::source::Source;
use kiln_image::Reference;
use kiln_inspect::waste::{Finding, LayerWaste, Waste};
use kiln_inspect::{Image, Tree};
use serde_json::{Value, json};

use super::witness::{Seen, Step};
use crate::check::budget::Budget;
use crate::check::{self, Around, Verdict, formats};
use crate::commands::waste::what;
use crate::engine::{Engine, Looked};
use crate::layers;
use crate::progress::text::{cut, one_line};
use crate::signals::Interrupt;
use crate::table;
use crate::values::size;

/// Layers of more bytes that nobody looked into yet are not looked into for a summary: about a second's work.
const MOST_UNKNOWN: u64 = 256_000_000;

/// How many steps are shown.
const MOST_STEPS: usize = 25;

/// How many findings are shown.
const MOST_FINDINGS: usize = 3;

/// How much of a step is shown.
const WIDEST: usize = 60;

/// What a build came to.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    rows: Vec<Row>,
    size: u64,
    /// Bytes of all layers as they are transferred, where that is known.
    compressed: Option<u64>,
    /// The name, and the size of the image that had it before.
    before: Option<(Reference, u64)>,
    found: Option<Found>,
    /// Why nothing was found.
    trouble: Option<String>,
}

/// A step.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    step: Step,
    /// Its first line, in whichever file.
    line: u32,
    /// Bytes of its layer; `None` of what was cached and is not in the image, or was not looked into.
    added: Option<u64>,
    /// What of its layer upper layers killed; `None` of what is not in the image, or was not looked into.
    wasted: Option<u64>,
}

/// What there is to say about the image.
#[derive(Debug)]
struct Found {
    looked: Looked,
    waste: Waste,
    verdicts: Vec<Verdict>,
}

/// What the build before had.
pub(super) fn before(engine: &Engine, names: &[Reference]) -> Option<(Reference, u64)> {
    let name = names.first()?;
    Some((name.clone(), engine.size_of(name)?))
}

impl Summary {
    /// Of a build that ran something and made an image; `None` of others.
    pub(super) fn of(
        built: &Built,
        seen: &Seen,
        source: &Source,
        before: Option<(Reference, u64)>,
        (engine, interrupt): (&Engine, &Interrupt),
        budget: &Budget,
    ) -> Option<Self> {
        let is_base = |step: &&Step| step.name.contains("] FROM ");
        let steps: Vec<&Step> = seen.steps.iter().filter(|step| !is_base(step)).collect();
        if steps.iter().all(|step| step.added.is_none()) || built.id().is_none() {
            return None;
        }
        let looked = built
            .config
            .and_then(|id| engine.look_at_built(&id, MOST_UNKNOWN).transpose());
        let before_size = before.as_ref().map(|(_, size)| *size);
        let mut summary = Self {
            size: built.size,
            before,
            ..Self::default()
        };
        match looked.transpose().and_then(|looked| {
            looked
                .map(|looked| {
                    let around = Around {
                        name: None,
                        engine,
                        interrupt,
                        most: MOST_UNKNOWN,
                        dive: None,
                        databases: None,
                        before: before_size,
                    };
                    Found::of(looked, budget, &around)
                })
                .transpose()
        }) {
            Ok(found) => summary.found = found,
            Err(error) => summary.trouble = Some(error.to_string()),
        }
        let image = summary.found.as_ref().map(|found| &found.looked.image);
        summary.compressed = image.and_then(|image| image.layers.iter().map(|layer| layer.compressed).sum());
        let row = |step: &&Step| {
            let layer = summary.found.as_ref().and_then(|found| found.layer_of(step));
            Row {
                line: source.lines(step.lines).1.0,
                added: step.added.or(layer.map(|layer| layer.bytes)),
                wasted: layer.map(|layer| layer.dead),
                step: (*step).clone(),
            }
        };
        summary.rows = steps.iter().map(row).collect();
        Some(summary)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("\n{}", self.table());
        let hidden = self.rows.len().saturating_sub(MOST_STEPS);
        if hidden > 0 {
            let _ = writeln!(text, "and {hidden} more");
        }
        text.push_str(&self.sizes());
        if let Some(found) = &self.found {
            text.push_str(&found.text());
        }
        if let Some(trouble) = &self.trouble {
            let _ = writeln!(text, "the image could not be looked into: {}", one_line(trouble));
        }
        text
    }

    fn table(&self) -> String {
        // Of more than fit those that ran, and longest.
        let mut longest: Vec<usize> = (0..self.rows.len()).collect();
        longest.sort_by_key(|at| {
            let step = &self.rows[*at].step;
            (step.added.is_none(), std::cmp::Reverse(step.duration))
        });
        longest.truncate(MOST_STEPS);
        longest.sort_unstable();
        let cells: Vec<_> = longest.iter().map(|at| self.rows[*at].cells()).collect();
        table::render(["STEP", "LINE", "TIME", "ADDED", "WASTED", "CACHE"], &cells)
    }

    fn sizes(&self) -> String {
        let mut text = size::show(self.size);
        text.push_str(" unpacked");
        if let Some(compressed) = self.compressed {
            let _ = write!(text, ", {} compressed", size::show(compressed));
        }
        if let Some((name, before)) = &self.before {
            let difference = size::show(self.size.abs_diff(*before));
            let than = match self.size.cmp(before) {
                std::cmp::Ordering::Less => format!("{difference} less than"),
                std::cmp::Ordering::Equal => "as much as".to_owned(),
                std::cmp::Ordering::Greater => format!("{difference} more than"),
            };
            let _ = write!(text, ", {than} {} before", name.familiar());
        }
        text.push('\n');
        text
    }

    /// For programs.
    pub(super) fn object(&self) -> Value {
        let steps = self.rows.iter().map(|row| {
            json!({
                "name": row.step.name,
                "lines": row.step.lines,
                "seconds": row.step.duration.as_secs_f64(),
                "cache": row.cache(),
                "bytes_added": row.added,
                "bytes_wasted": row.wasted,
            })
        });
        let mut object = json!({
            "steps": steps.collect::<Vec<_>>(),
            "compressed": self.compressed,
            "size_before": self.before.as_ref().map(|(_, size)| size),
        });
        if let Some(found) = &self.found {
            object["wasted"] = json!(found.waste.dead);
            object["largest"] = found.largest().map(|finding| found.object(finding)).collect();
            object["failed_checks"] = found
                .failed()
                .map(|verdict| verdict.object(&found.looked.image))
                .collect();
        }
        object
    }
}

impl Row {
    const fn cache(&self) -> &'static str {
        if self.step.added.is_some() { "ran" } else { "cached" }
    }

    fn cells(&self) -> [String; 6] {
        [
            cut(&one_line(&self.step.name), WIDEST, '…'),
            self.line.to_string(),
            format!("{:.1}s", self.step.duration.as_secs_f64()),
            self.added.map(size::show).unwrap_or_default(),
            self.wasted.map(size::show).unwrap_or_default(),
            self.cache().to_owned(),
        ]
    }
}

impl Found {
    fn of(looked: Looked, budget: &Budget, around: &Around<'_>) -> Result<Self, kiln_inspect::Error> {
        let waste = Waste::of(looked.image.indexes());
        let tree = Tree::of(looked.image.indexes());
        let verdicts = check::verdicts(&looked, &tree, &waste, budget, around)?;
        drop(tree);
        Ok(Self {
            looked,
            waste,
            verdicts,
        })
    }

    /// The layer that a step made.
    fn layer_of(&self, step: &Step) -> Option<LayerWaste> {
        let made = |image: &Image, layer: usize| {
            let maker = image.layers[layer].maker.as_ref();
            maker.is_some_and(|maker| maker.step == step.name && maker.lines == Some(step.lines))
        };
        let at = (0..self.waste.layers.len()).find(|layer| made(&self.looked.image, *layer))?;
        Some(self.waste.layers[at])
    }

    fn largest(&self) -> impl Iterator<Item = &Finding> {
        self.waste.findings.iter().take(MOST_FINDINGS)
    }

    fn failed(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| !verdict.passed)
    }

    fn text(&self) -> String {
        let image = &self.looked.image;
        let mut text = String::new();
        for finding in self.largest() {
            let layer = layers::shown(image, finding.added_by as usize, WIDEST);
            let _ = writeln!(
                text,
                "could go: {}, {}, in {} of {layer}",
                size::show(finding.bytes),
                what(finding.kind),
                layers::path(&finding.directory),
            );
        }
        // What the command does not need is told by `kiln check`; there may be much of it in a base.
        let of_files =
            |verdict: &&Verdict| verdict.path.is_some() && !verdict.is_of_command && verdict.is_about_start();
        let (others, failed): (Vec<&Verdict>, Vec<&Verdict>) = self.failed().partition(of_files);
        let failed: Vec<Verdict> = failed.into_iter().cloned().collect();
        text.push_str(&formats::for_people(image, &failed));
        if !others.is_empty() {
            let _ = writeln!(
                text,
                "{} more that the command does not need: see `kiln check`",
                others.len()
            );
        }
        text
    }

    fn object(&self, finding: &Finding) -> Value {
        json!({
            "kind": finding.kind.name(),
            "bytes": finding.bytes,
            "files": finding.files,
            "directory": format!("/{}", String::from_utf8_lossy(&finding.directory)),
            "layer": layers::object(&self.looked.image, finding.added_by as usize),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(name: &str, line: u32, milliseconds: u64) -> Row {
        Row {
            step: Step {
                name: name.to_owned(),
                lines: (line, line),
                duration: Duration::from_millis(milliseconds),
                added: Some(1_500_000),
            },
            line,
            added: Some(1_500_000),
            wasted: Some(0),
        }
    }

    #[test]
    fn what_is_said_of_sizes() {
        let name: Reference = "app".parse().unwrap();
        let sizes = |size, compressed, before: Option<u64>| {
            let before = before.map(|before| (name.clone(), before));
            Summary {
                size,
                compressed,
                before,
                ..Summary::default()
            }
            .sizes()
        };
        assert_eq!(sizes(2000, None, None), "2kB unpacked\n");
        assert_eq!(
            sizes(2000, Some(1000), Some(500)),
            "2kB unpacked, 1kB compressed, 1.5kB more than app:latest before\n"
        );
        assert_eq!(
            sizes(2000, None, Some(2000)),
            "2kB unpacked, as much as app:latest before\n"
        );
        assert_eq!(
            sizes(500, None, Some(2000)),
            "500B unpacked, 1.5kB less than app:latest before\n"
        );
    }

    #[test]
    fn of_many_steps_those_that_took_longest_are_shown_in_order() {
        let row = |line| row("[1/9] RUN x", line, u64::from(line) * 100);
        let mut rows: Vec<Row> = (1..=30).map(row).collect();
        rows[29].step.added = None;
        let summary = Summary {
            rows,
            ..Summary::default()
        };
        let text = summary.text();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines[0], "STEP          LINE   TIME   ADDED   WASTED   CACHE");
        assert_eq!(lines[1], "[1/9] RUN x   5      0.5s   1.5MB   0B       ran");
        assert_eq!(lines[25], "[1/9] RUN x   29     2.9s   1.5MB   0B       ran");
        assert_eq!(lines[26], "and 5 more");
    }
}
