//! The figures, for people and for programs.

use serde::Serialize;

use super::Options;
use crate::table;

/// What Kiln may need of memory, in MiB.
const AT_MOST_MIB: f64 = 150.0;

/// All figures; `None` where something could not be measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    rounds: usize,
    /// How buildah isolated its steps, if it could run any.
    buildah_isolation: Option<&'static str>,
    rows: Vec<Row>,
}

/// Medians of one subject.
#[derive(Debug, Default, Serialize)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) kiln_ms: Option<f64>,
    pub(super) buildah_ms: Option<f64>,
    /// Namespaces, overlay, pivot and `sh -c`, from C, nothing else.
    pub(super) floor_ms: Option<f64>,
    pub(super) at_most_ms: Option<f64>,
    /// The largest resident set of any of Kiln's processes, the steps' own among them.
    pub(super) kiln_peak_mib: Option<f64>,
}

impl Report {
    /// From the rows of all subjects, of which the second has `options.steps` steps more than the first, and the last
    /// imports `options.records` records more than the one before.
    pub(super) fn new(options: &Options, peer: Option<&'static str>, mut rows: Vec<Row>, floor: Option<f64>) -> Self {
        let difference = |more: usize, less: usize, of: fn(&Row) -> Option<f64>| {
            let row = |number: usize| rows.get(number).and_then(of);
            Some(row(more)? - row(less)?)
        };
        let each = |all: Option<f64>| Some(all? / f64::from(options.steps));
        let step = Row {
            what: "one more trivial RUN step".to_owned(),
            kiln_ms: each(difference(1, 0, |row| row.kiln_ms)),
            buildah_ms: each(difference(1, 0, |row| row.buildah_ms)),
            floor_ms: floor,
            at_most_ms: Some(10.0),
            kiln_peak_mib: None,
        };
        let last = rows.len().saturating_sub(1);
        let import = Row {
            what: format!("import of {} records", options.records),
            kiln_ms: difference(last, last.saturating_sub(1), |row| row.kiln_ms),
            at_most_ms: Some(100.0),
            ..Row::default()
        };
        rows.insert(0, step);
        rows.push(import);
        Self {
            rounds: options.rounds,
            buildah_isolation: peer,
            rows,
        }
    }

    /// A table for people.
    pub(super) fn table(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(Row::cells).collect();
        let heading = [
            "median of times",
            "kiln",
            "buildah",
            "buildah / kiln",
            "floor in C",
            "kiln / floor",
            "at most",
            "kiln's peak memory",
        ];
        let peak = self.rows.iter().filter_map(|row| row.kiln_peak_mib).fold(0.0, f64::max);
        format!(
            "{}\n{} rounds; buildah's isolation: {}; Kiln's peak memory: {peak:.0} MiB, at most {AT_MOST_MIB:.0}\n",
            table::render(&heading, &rows),
            self.rounds,
            self.buildah_isolation.unwrap_or("none works here")
        )
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let show =
            |value: Option<f64>, unit: &str| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} {unit}"));
        let ratio = |of: Option<f64>, to: Option<f64>| match (of, to) {
            (Some(of), Some(to)) if to > 0.0 => format!("{:.1}", of / to),
            _ => "-".to_owned(),
        };
        vec![
            self.what.clone(),
            show(self.kiln_ms, "ms"),
            show(self.buildah_ms, "ms"),
            ratio(self.buildah_ms, self.kiln_ms),
            show(self.floor_ms, "ms"),
            ratio(self.kiln_ms, self.floor_ms),
            show(self.at_most_ms, "ms"),
            show(self.kiln_peak_mib, "MiB"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_the_difference_divided() {
        let row = |kiln: f64| Row {
            kiln_ms: Some(kiln),
            ..Row::default()
        };
        let options = Options::parse(&[]).unwrap();
        let report = Report::new(&options, None, vec![row(20.0), row(220.0)], Some(2.0));
        assert_eq!(report.rows[0].kiln_ms, Some(10.0));
        assert_eq!(report.rows[0].buildah_ms, None);
        assert_eq!(report.rows[0].cells()[5], "5.0");
        assert_eq!(report.rows[3].kiln_ms, Some(200.0));
        assert!(report.table().contains("| one more trivial RUN step |  10.0 ms |"));
    }
}
