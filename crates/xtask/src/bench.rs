//! `make bench`: what a build costs, against other builders and against the floor, in one run on one machine. The
//! contenders alternate, and medians are compared, because a machine's speed changes while one measures.
//! `docs/performance.md` says what each row is.

mod aim;
mod context;
mod growth;
mod options;
mod peers;
mod report;
mod stand;
mod workload;
mod workloads;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Serialize;

pub use self::options::Options;
use self::report::{Medians, Report, Row};
use self::stand::Stand;
use self::workload::{Contender, Workload};
use self::workloads::Chosen;
use crate::harness::Harness;
use crate::kiln::Profile;
use crate::measure::Figure;
use crate::{command, kiln, packages, paths};

/// Measures, prints, and writes what was asked for.
pub fn run(options: &Options) -> Result<()> {
    if options.growth {
        return growth::run(options);
    }
    let chosen = Chosen::new(options)?;
    packages::install()?;
    let harness = Harness::start(Profile::Release, &chosen.bases())?;
    let stand = Stand::new(&harness, &chosen.workloads, options.quick)?;
    let report = measure(&stand, &chosen, options);
    stand.clean()?;
    let report = report?;
    publish(&report, &report.table(), report::MARKS, options)
}

/// Prints the table, and writes the figures to the files that were asked for.
fn publish(report: &impl Serialize, table: &str, marks: [&str; 2], options: &Options) -> Result<()> {
    print!("{table}");
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(report)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let replace = |path| report::replace_table(path, marks, table);
    options.markdown.as_deref().map_or(Ok(()), replace)
}

fn today() -> Result<String> {
    Ok(command::quietly(Command::new("date").arg("+%F"))?.trim().to_owned())
}

fn measure(stand: &Stand, chosen: &Chosen, options: &Options) -> Result<Report> {
    let mut rows = Vec::new();
    for workload in &chosen.workloads {
        eprintln!("{}", workload.name);
        rows.push(row(stand, workload, options).with_context(|| format!("workload {}", workload.name))?);
    }
    for difference in &chosen.differences {
        rows.push(Row::of_difference(difference, &rows));
    }
    Ok(Report {
        runs: options.runs(),
        commit: commit(),
        date: today()?,
        peers: stand.peers(),
        rows,
    })
}

/// All runs of one workload, the contenders taking turns.
fn row(stand: &Stand, workload: &Workload, options: &Options) -> Result<Row> {
    stand.set_up(workload)?;
    let mut contenders = Contender::ALL.to_vec();
    contenders.retain(|&contender| stand.takes_part(contender, workload));
    let mut runs: BTreeMap<Contender, Vec<(Figure, Option<u64>)>> = BTreeMap::new();
    let warm_up = usize::from(options.warms_up());
    for round in 0..options.runs() + warm_up {
        for &contender in &contenders {
            if workload.fresh && round > 0 {
                stand.tidy(contender)?;
            }
            let run = stand
                .measure(workload.run(contender))
                .with_context(|| contender.name())?;
            if round >= warm_up {
                runs.entry(contender).or_default().push(run);
            }
        }
    }
    // What tiny sizes leave behind does no harm.
    if !options.quick {
        contenders.iter().try_for_each(|&contender| stand.tidy(contender))?;
    }
    let medians = |(contender, runs): (&Contender, &Vec<_>)| Some((*contender, Medians::new(*contender, runs)?));
    Ok(Row {
        name: workload.name,
        what: workload.what.clone(),
        of: runs.iter().filter_map(medians).collect(),
        aims: workload.aims.clone(),
    })
}

/// What is checked out, with a mark if it was changed since; unknown of a program that was brought along.
fn commit() -> Option<String> {
    if kiln::is_given() {
        return None;
    }
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--exclude=*"])
        .current_dir(paths::workspace());
    Some(command::quietly(&mut git).ok()?.trim().to_owned())
}
