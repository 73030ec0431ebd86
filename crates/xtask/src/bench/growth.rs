//! `cargo xtask bench --growth`: what a build costs against how large it is. A curve that bends is a defect.

mod curves;
mod report;

use anyhow::{Context as _, Result, bail};

use self::curves::Curve;
use self::report::{MARKS, Point, Report, Row};
use super::options::Options;
use super::report::Medians;
use super::stand::Stand;
use super::workload::{Contender, Workload};
use crate::harness::Harness;
use crate::kiln::Profile;
use crate::packages;

/// Measures, prints, and writes what was asked for.
pub(super) fn run(options: &Options) -> Result<()> {
    let curves = chosen(options)?;
    packages::install()?;
    let harness = Harness::start(Profile::Release, &[super::workload::BASE])?;
    let stand = Stand::new(&harness, &[], options.quick)?;
    let report = measure(&stand, &curves, options);
    stand.clean()?;
    let report = report?;
    super::publish(&report, &report.table(), MARKS, options)
}

/// All curves, or those of `--only`.
fn chosen(options: &Options) -> Result<Vec<Curve>> {
    let mut curves = curves::all();
    let names: Vec<&str> = curves.iter().map(|curve| curve.name).collect();
    if let Some(unknown) = options.only.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("there is no curve {unknown}; there are: {}", names.join(", "));
    }
    curves.retain(|curve| options.only.is_empty() || options.only.iter().any(|name| name == curve.name));
    Ok(curves)
}

fn measure(stand: &Stand, curves: &[Curve], options: &Options) -> Result<Report> {
    let mut rows = Vec::new();
    for curve in curves {
        eprintln!("{}", curve.name);
        let mut points = Vec::new();
        for &size in curve.sizes(options.quick) {
            let point = point(stand, curve, size, options);
            points.push(point.with_context(|| format!("curve {} at {size}", curve.name))?);
        }
        rows.extend(Row::of_curve(curve, &points));
    }
    Ok(Report {
        runs: options.runs(),
        commit: super::commit(),
        date: super::today()?,
        rows,
    })
}

fn point(stand: &Stand, curve: &Curve, size: u32, options: &Options) -> Result<Point> {
    let workload = (curve.workload)(size);
    stand.set_up(&workload)?;
    let runs = runs(stand, &workload, options)?;
    stand.remove_large(&workload)?;
    if !options.quick {
        stand.tidy(Contender::Kiln)?;
    }
    let medians = Medians::new(Contender::Kiln, &runs).context("a point wants a run")?;
    Ok(Point { size, medians })
}

type Runs = Vec<(crate::measure::Figure, Option<u64>)>;

fn runs(stand: &Stand, workload: &Workload, options: &Options) -> Result<Runs> {
    let mut runs = Vec::new();
    for round in 0..options.runs() {
        if workload.fresh && round > 0 {
            stand.tidy(Contender::Kiln)?;
        }
        runs.push(stand.measure(workload.run(Contender::Kiln))?);
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_curves() {
        let only = |name| chosen(&Options::parse(&["--growth", "--only", name]).unwrap());
        assert_eq!(only("steps").unwrap().len(), 1);
        assert!(
            only("nothing")
                .unwrap_err()
                .to_string()
                .contains("there are: files-copied, ")
        );
    }

    #[test]
    fn the_document_explains_each() {
        let path = crate::paths::workspace().join("docs/performance.md");
        let text = std::fs::read_to_string(path).unwrap();
        for curve in curves::all() {
            let row = format!("\n| `{}` | ", curve.name);
            assert!(text.contains(&row), "no row explains {}", curve.name);
        }
        assert!(MARKS.iter().all(|mark| text.contains(mark)));
    }
}
