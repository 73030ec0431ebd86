//! `make conformance`: every case that another builder can play, by Kiln and by buildah. Cases say what the language
//! demands; the table says who does it, by area. `--differences` lists where the two differ, and why.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use anyhow::{Result, bail};
use e2e::case::{self, Found};
use e2e::peer;
use e2e::stage::{Stage, World};
use xtask::{table, user};

/// How one case went.
struct Played {
    area: String,
    name: String,
    kiln: Result<()>,
    peer: Result<()>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether Kiln did everything right.
fn run(arguments: &[String]) -> Result<bool> {
    let (options, filters): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|word| word.starts_with("--"));
    let differences = match options.as_slice() {
        [] => false,
        [option] if option.as_str() == "--differences" => true,
        _ => bail!("usage: conformance [--differences] [FILTER…]"),
    };
    if !user::is_root() {
        bail!("conformance runs as root: the peer needs it to play the cases");
    }
    let version = peer::version()?;
    let mut cases = case::all()?;
    cases.retain(|found| filters.is_empty() || filters.iter().any(|filter| found.name.contains(filter.as_str())));
    let all = cases.len();
    cases.retain(peer::can_play);
    eprintln!("{all} cases, of which {} say something of any builder", cases.len());
    let played = play_all(cases)?;
    if differences {
        print!("{}", told(&played));
    }
    print!("{}", summary(&played, &version));
    Ok(played.iter().all(|case| case.kiln.is_ok()))
}

fn play_all(cases: Vec<Found>) -> Result<Vec<Played>> {
    let world = World::find()?;
    let waiting = Mutex::new(cases);
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            let Some(found) = waiting.lock().ok().and_then(|mut cases| cases.pop()) else {
                return;
            };
            let played = play(&found, &world);
            if let Ok(mut done) = done.lock() {
                done.push(played);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut played = done.into_inner().unwrap_or_default();
    played.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(played)
}

fn play(found: &Found, world: &World) -> Played {
    let on_stage = |play: fn(&Found, &Stage) -> Result<()>| {
        let stage = Stage::new(world, None)?;
        let outcome = play(found, &stage);
        let left = stage.end();
        outcome.and(left)
    };
    Played {
        area: found.name.split("::").next().unwrap_or_default().to_owned(),
        name: found.name.clone(),
        kiln: on_stage(case::play),
        peer: on_stage(peer::play),
    }
}

fn summary(played: &[Played], version: &str) -> String {
    let mut areas: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut total = [0; 3];
    for case in played {
        let row = areas.entry(&case.area).or_default();
        for (at, counts) in [true, case.kiln.is_ok(), case.peer.is_ok()].into_iter().enumerate() {
            row[at] += usize::from(counts);
            total[at] += usize::from(counts);
        }
    }
    let cells = |name: &str, [cases, kiln, peer]: [usize; 3]| {
        vec![
            name.to_owned(),
            cases.to_string(),
            share(kiln, cases),
            share(peer, cases),
        ]
    };
    let mut rows: Vec<Vec<String>> = areas.into_iter().map(|(name, row)| cells(name, row)).collect();
    rows.push(cells("all", total));
    table::render(&["area", "cases", "Kiln", version], &rows)
}

fn share(right: usize, all: usize) -> String {
    format!("{right} ({} %)", (right * 100).checked_div(all).unwrap_or(0))
}

/// Where one of them is wrong, with the first lines of what it did otherwise.
fn told(played: &[Played]) -> String {
    let mut lines = Vec::new();
    for case in played {
        for (who, outcome) in [("kiln", &case.kiln), ("buildah", &case.peer)] {
            let Err(error) = outcome else { continue };
            let error = format!("{error:#}");
            let said = error.split("\n--- the log").next().unwrap_or_default();
            lines.push(format!("{}: {who}", case.name));
            lines.extend(said.lines().take(3).map(|line| format!("    {line}")));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
