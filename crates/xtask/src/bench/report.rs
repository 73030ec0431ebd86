//! The figures, for people and for programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::aim::Aim;
use super::workload::{Contender, Difference};
use crate::measure::Figure;
use crate::table;

/// What Kiln may need of memory in any row, in MiB.
const AT_MOST_MIB: f64 = 60.0;

/// All figures.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) runs: usize,
    /// The commit that was measured, if it is known.
    pub(super) commit: Option<String>,
    pub(super) date: String,
    /// What each peer is, or why there is none.
    pub(super) peers: BTreeMap<Contender, String>,
    pub(super) rows: Vec<Row>,
}

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) what: String,
    /// Of those who took part.
    pub(super) of: BTreeMap<Contender, Medians>,
    #[serde(skip)]
    pub(super) aims: Vec<Aim>,
}

/// Of all runs of one contender.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Medians {
    pub(super) milliseconds: f64,
    /// Of processors; `None` where a daemon does the work, or where it is no one's own.
    pub(super) cpu_milliseconds: Option<f64>,
    /// The most of all runs: the largest resident set of any process, the steps' own among them.
    pub(super) peak_mebibytes: Option<f64>,
    /// Of the archive that came out.
    pub(super) output_bytes: Option<u64>,
}

impl Medians {
    /// `None` if there were no runs.
    pub(super) fn new(contender: Contender, runs: &[(Figure, Option<u64>)]) -> Option<Self> {
        let of = |value: fn(&Figure) -> f64| -> Vec<f64> { runs.iter().map(|(figure, _)| value(figure)).collect() };
        // What the client of a daemon needs says nothing.
        let own = contender != Contender::Docker;
        let sizes: Vec<u64> = runs.iter().filter_map(|(_, size)| *size).collect();
        Some(Self {
            milliseconds: table::median(&of(|figure| figure.milliseconds))?,
            cpu_milliseconds: table::median(&of(|figure| figure.cpu_milliseconds)).filter(|_| own),
            peak_mebibytes: of(|figure| figure.mebibytes)
                .into_iter()
                .reduce(f64::max)
                .filter(|_| own),
            output_bytes: table::median(&sizes),
        })
    }
}

impl Row {
    fn milliseconds(&self, contender: Contender) -> Option<f64> {
        self.of.get(&contender).map(|medians| medians.milliseconds)
    }

    /// The row of a difference.
    pub(super) fn of_difference(difference: &Difference, rows: &[Self]) -> Self {
        let row = |name| rows.iter().find(|row| row.name == name);
        let of = Contender::ALL.into_iter().filter_map(|contender| {
            let more = row(difference.more)?.milliseconds(contender)?;
            let less = match row(difference.less)?.milliseconds(contender) {
                // The floor of nothing is nothing.
                None if contender == Contender::Floor => 0.0,
                less => less?,
            };
            let medians = Medians {
                milliseconds: (more - less) / f64::from(difference.parts),
                ..Medians::default()
            };
            Some((contender, medians))
        });
        Self {
            name: difference.name,
            what: difference.what.clone(),
            of: of.collect(),
            aims: difference.aims.clone(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let kiln = self.of.get(&Contender::Kiln);
        let mut cells = vec![format!("`{}`: {}", self.name, self.what)];
        cells.extend(Contender::ALL.map(|contender| shown(self.milliseconds(contender).map(time))));
        cells.push(self.ratio(Contender::Kiln, Contender::Floor));
        cells.push(self.ratio(Contender::Buildah, Contender::Kiln));
        cells.push(self.ratio(Contender::Docker, Contender::Kiln));
        cells.push(self.aims());
        cells.push(shown(
            kiln.and_then(|kiln| kiln.peak_mebibytes)
                .map(|peak| format!("{peak:.0} MiB")),
        ));
        cells.push(shown(kiln.and_then(|kiln| kiln.cpu_milliseconds).map(time)));
        cells.push(shown(kiln.and_then(|kiln| kiln.output_bytes).map(table::megabytes)));
        cells
    }

    fn ratio(&self, of: Contender, to: Contender) -> String {
        let ratio = self
            .milliseconds(of)
            .zip(self.milliseconds(to))
            .filter(|(_, to)| *to > 0.0);
        shown(ratio.map(|(of, to)| match of / to {
            small if small < 10.0 => format!("{small:.2}"),
            large => format!("{large:.0}"),
        }))
    }

    /// Each aim, and what Kiln missed it by.
    fn aims(&self) -> String {
        let aim = |aim: &Aim| match (
            aim.at_most(|contender| self.milliseconds(contender)),
            self.milliseconds(Contender::Kiln),
        ) {
            (Some(at_most), Some(kiln)) if kiln > at_most => format!("{aim} (not: × {:.1})", kiln / at_most),
            (Some(_), Some(_)) => format!("{aim} (met)"),
            _ => format!("{aim} (?)"),
        };
        let aims: Vec<String> = self.aims.iter().map(aim).collect();
        shown((!aims.is_empty()).then(|| aims.join(", ")))
    }
}

fn shown(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".to_owned())
}

/// Milliseconds with three figures that count, in seconds where there are many.
pub(super) fn time(milliseconds: f64) -> String {
    match milliseconds {
        few if few.abs() < 100.0 => format!("{few:.1} ms"),
        some if some.abs() < 1000.0 => format!("{some:.0} ms"),
        many => format!("{:.2} s", many / 1e3),
    }
}

/// Where a document's table begins and ends.
pub(super) const MARKS: [&str; 2] = [
    "<!-- begin of the table of `make bench` -->\n",
    "<!-- end of the table -->\n",
];

impl Report {
    /// A table for people, in Markdown.
    pub(super) fn table(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(Row::cells).collect();
        let heading = [
            "workload",
            Contender::Kiln.name(),
            Contender::Buildah.name(),
            Contender::Docker.name(),
            Contender::Floor.name(),
            "Kiln / floor",
            "buildah / Kiln",
            "BuildKit / Kiln",
            "at most",
            "peak memory",
            "processors",
            "archive",
        ];
        let peaks = self
            .rows
            .iter()
            .filter_map(|row| row.of.get(&Contender::Kiln)?.peak_mebibytes);
        let peak = peaks.fold(0.0, f64::max);
        let met = if peak > AT_MOST_MIB { "not met" } else { "met" };
        let peers = self
            .peers
            .iter()
            .map(|(peer, what)| format!("{}: {what}.", peer.name()));
        format!(
            "{}\n{}, commit {}; medians of {} runs.\nKiln's peak memory: {peak:.0} MiB, at most {AT_MOST_MIB:.0} ({met}).\n{}\n",
            table::render(&heading, &rows),
            self.date,
            self.commit.as_deref().unwrap_or("unknown"),
            self.runs,
            peers.collect::<Vec<_>>().join("\n")
        )
    }
}

/// Puts a table between the marks of a document, in place of the one that is there.
pub(super) fn replace_table(path: &Path, marks: [&str; 2], table: &str) -> Result<()> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let replaced = replaced(&text, marks, table)
        .with_context(|| format!("{shown} has no lines {:?} and {:?}", marks[0].trim(), marks[1].trim()))?;
    fs::write(path, replaced).with_context(|| format!("cannot write {shown}"))
}

/// The text with something else between the marks.
fn replaced(text: &str, marks: [&str; 2], table: &str) -> Option<String> {
    let (before, rest) = text.split_once(marks[0])?;
    let (_, after) = rest.split_once(marks[1])?;
    Some(format!("{before}{}\n{table}\n{}{after}", marks[0], marks[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, of: &[(Contender, f64)]) -> Row {
        let medians = |&(contender, milliseconds)| {
            let medians = Medians {
                milliseconds,
                ..Medians::default()
            };
            (contender, medians)
        };
        Row {
            name,
            what: name.to_owned(),
            of: of.iter().map(medians).collect(),
            aims: Vec::new(),
        }
    }

    #[test]
    fn a_step_is_the_difference_divided() {
        use Contender::{Buildah, Floor, Kiln};
        let rows = [
            row("none", &[(Kiln, 20.0), (Buildah, 1.0)]),
            row("all", &[(Kiln, 220.0), (Floor, 40.0)]),
        ];
        let difference = Difference {
            name: "step",
            what: "one more".to_owned(),
            more: "all",
            less: "none",
            parts: 20,
            aims: vec![Aim::Within(9.0), Aim::Floors(5.0)],
        };
        let step = Row::of_difference(&difference, &rows);
        assert_eq!(step.milliseconds(Kiln), Some(10.0));
        assert_eq!(step.milliseconds(Buildah), None);
        assert_eq!(step.milliseconds(Floor), Some(2.0));
        assert_eq!(
            step.cells()[..9],
            [
                "`step`: one more",
                "10.0 ms",
                "-",
                "-",
                "2.0 ms",
                "5.00",
                "-",
                "-",
                "9 ms (not: × 1.1), 5 × floor (met)"
            ]
        );
    }

    #[test]
    fn medians_are_of_those_who_ran() {
        let run = |milliseconds, mebibytes| {
            let figure = Figure {
                milliseconds,
                mebibytes,
                cpu_milliseconds: 1.0,
            };
            (figure, None)
        };
        let runs = [run(1.0, 9.0), run(3.0, 1.0), run(2.0, 1.0)];
        let medians = Medians::new(Contender::Kiln, &runs).unwrap();
        assert_eq!((medians.milliseconds, medians.peak_mebibytes), (2.0, Some(9.0)));
        assert_eq!(Medians::new(Contender::Docker, &runs).unwrap().peak_mebibytes, None);
        assert_eq!(Medians::new(Contender::Kiln, &[]), None);
    }

    #[test]
    fn a_table_in_a_document() {
        let document = format!("a\n{}old\n{}b\n", MARKS[0], MARKS[1]);
        let once = replaced(&document, MARKS, "new\n").unwrap();
        assert_eq!(once, format!("a\n{}\nnew\n\n{}b\n", MARKS[0], MARKS[1]));
        assert_eq!(replaced(&once, MARKS, "new\n").unwrap(), once);
        assert_eq!(replaced("a\n", MARKS, "new\n"), None);
    }
}
