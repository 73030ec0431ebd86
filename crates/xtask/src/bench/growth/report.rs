//! Cost against size, for people and for programs.

use serde::Serialize;

use super::super::report::{Medians, time};
use super::curves::Curve;
use crate::table;

/// Where a document's table begins and ends.
pub(super) const MARKS: [&str; 2] = [
    "<!-- begin of the table of `cargo xtask bench --growth` -->\n",
    "<!-- end of the table of growth -->\n",
];

/// What grows with a higher power of the size bends. Above 1 by what measurements are apart.
const STRAIGHT: f64 = 1.2;

/// One size of a curve.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) size: u32,
    pub(super) medians: Medians,
}

/// All figures.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) runs: usize,
    /// The commit that was measured, if it is known.
    pub(super) commit: Option<String>,
    pub(super) date: String,
    pub(super) rows: Vec<Row>,
}

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    curve: &'static str,
    unit: &'static str,
    size: u32,
    milliseconds: f64,
    peak_mebibytes: Option<f64>,
    /// The power of the size with which the cost grew since the size before.
    exponent: Option<f64>,
    /// Whether that is too much: only at large sizes, where it does not matter what any build costs.
    bends: bool,
}

impl Row {
    /// Those of a curve, whose sizes ascend.
    pub(super) fn of_curve(curve: &Curve, points: &[Point]) -> Vec<Self> {
        let row = |(at, point): (usize, &Point)| {
            let before = at.checked_sub(1).map(|before| points[before]);
            let exponent = before.map(|before| exponent(before, *point));
            Self {
                curve: curve.name,
                unit: curve.unit,
                size: point.size,
                milliseconds: point.medians.milliseconds,
                peak_mebibytes: point.medians.peak_mebibytes,
                exponent,
                bends: at * 2 >= points.len() && exponent.is_some_and(|exponent| exponent > STRAIGHT),
            }
        };
        points.iter().enumerate().map(row).collect()
    }

    fn cells(&self) -> Vec<String> {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let mark = if self.bends { " (bends)" } else { "" };
        vec![
            format!("`{}`", self.curve),
            self.size.to_string(),
            time(self.milliseconds),
            format!("{} / {}", short(self.milliseconds / f64::from(self.size)), self.unit),
            shown(self.exponent.map(|exponent| format!("{exponent:.2}{mark}"))),
            shown(self.peak_mebibytes.map(|peak| format!("{peak:.0} MiB"))),
        ]
    }
}

fn exponent(before: Point, after: Point) -> f64 {
    let time = after.medians.milliseconds / before.medians.milliseconds;
    let size = f64::from(after.size) / f64::from(before.size);
    time.ln() / size.ln()
}

/// A time that may be less than a millisecond.
fn short(milliseconds: f64) -> String {
    if milliseconds < 1.0 {
        format!("{:.1} µs", milliseconds * 1e3)
    } else {
        time(milliseconds)
    }
}

impl Report {
    /// A table for people, in Markdown.
    pub(super) fn table(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(Row::cells).collect();
        let heading = ["curve", "size", "time", "of each", "exponent", "peak memory"];
        let commit = self.commit.as_deref().unwrap_or("unknown");
        format!(
            "{}\n{}, commit {commit}; medians of {} runs.\n",
            table::render(&heading, &rows),
            self.date,
            self.runs
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::curves;
    use super::*;

    fn exponents(times: &[f64]) -> Vec<(Option<f64>, bool)> {
        let point = |(power, &milliseconds): (u32, &f64)| Point {
            size: 10_u32.pow(power),
            medians: Medians {
                milliseconds,
                ..Medians::default()
            },
        };
        let points: Vec<Point> = (0..).zip(times).map(point).collect();
        let rows = Row::of_curve(&curves::all()[0], &points);
        let rounded = |row: &Row| (row.exponent.map(|exponent| (exponent * 10.0).round() / 10.0), row.bends);
        rows.iter().map(rounded).collect()
    }

    #[test]
    fn what_grows_with_the_square_bends() {
        let flat = exponents(&[1.0, 1.0, 10.0, 100.0]);
        assert_eq!(
            flat,
            [
                (None, false),
                (Some(0.0), false),
                (Some(1.0), false),
                (Some(1.0), false)
            ]
        );
        let bent = exponents(&[1.0, 100.0, 1000.0, 100_000.0]);
        assert_eq!(
            bent,
            [(None, false), (Some(2.0), false), (Some(1.0), false), (Some(2.0), true)]
        );
    }
}
