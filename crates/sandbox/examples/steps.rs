//! Runs trivial steps over a directory and says what one costs.
//!
//! `steps ROOT [COUNT [WORKDIR [COMMAND…]]]`: ROOT is a directory with `/bin/sh`; the upper directories are made in
//! WORKDIR. `STEPS_NETWORK=none` gives them no network, `STEPS_EMULATOR=PROGRAM` has that run files that begin with `KILN`. With a COMMAND, that is run once, with everything inherited, and its exit code returned.
//! `steps --probe` says which rung of the ladder works.
#![expect(clippy::print_stdout, reason = "its purpose")]

use kiln_sandbox::{Emulator, Interpreter, Network, Overlay, Spec, Stdio, create_stubs, enter, spawn};
use std::error::Error;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if std::env::args().nth(1).is_some_and(|first| first == "--probe") {
        println!("{:?}", kiln_sandbox::probe());
        return Ok(ExitCode::SUCCESS);
    }
    let rung = enter()?;
    let args: Vec<String> = std::env::args().collect();
    let root = args.get(1).ok_or("usage: steps ROOT [COUNT [WORKDIR [COMMAND…]]]")?;
    let count: u32 = args.get(2).map_or(Ok(100), |count| count.parse())?;
    let work = PathBuf::from(args.get(3).map_or("/tmp/kiln/steps", String::as_str));
    let work = work.join(std::process::id().to_string());
    fs::create_dir_all(&work)?;
    let stubs = work.join("stubs");
    create_stubs(&stubs)?;
    let lower = [PathBuf::from(root), stubs];
    if let Some(command) = args.get(4..).filter(|command| !command.is_empty()) {
        let exit = step(&lower, &work, 0, command.to_vec(), || Stdio::Inherit)?;
        fs::remove_dir_all(&work)?;
        return Ok(ExitCode::from(u8::try_from(exit.code.unwrap_or(255)).unwrap_or(255)));
    }
    let mut times = Vec::new();
    for number in 0..count {
        let start = Instant::now();
        let args = ["/bin/sh", "-c", "echo 1 > /f"].map(str::to_owned).to_vec();
        let exit = step(&lower, &work, number, args, || Stdio::Null)?;
        times.push(start.elapsed());
        if exit.code != Some(0) {
            return Err(format!("step {number} ended with {exit:?}").into());
        }
    }
    // Not after each step: ext4 would then search long for inodes that were not deleted just now.
    fs::remove_dir_all(&work)?;
    times.sort();
    let total: Duration = times.iter().sum();
    let half = times.len() / 2;
    println!(
        "{rung}: {count} steps, mean {:?}, median {:?}, worst {:?}",
        total / count,
        times[half],
        times[times.len() - 1]
    );
    Ok(ExitCode::SUCCESS)
}

fn step(
    lower: &[PathBuf],
    work: &Path,
    number: u32,
    args: Vec<String>,
    stdio: impl Fn() -> Stdio,
) -> Result<kiln_sandbox::Exit, Box<dyn Error>> {
    let directory = work.join(number.to_string());
    let (upper, scratch) = (directory.join("upper"), directory.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&scratch)?;
    let root = Overlay {
        lower,
        upper: Some((&upper, &scratch)),
        volatile: true,
    }
    .mount()?;
    let none = std::env::var_os("STEPS_NETWORK").is_some_and(|network| network == "none");
    let emulator = std::env::var_os("STEPS_EMULATOR").map(|program| {
        Emulator::new(&Interpreter {
            path: Path::new(&program),
            magic: b"KILN",
            mask: &[0xff; 4],
        })
    });
    let spec = Spec {
        emulator: emulator.transpose()?,
        network: if none { Network::None } else { Network::Host },
        upper: Some(upper.clone()),
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        ..Spec::new(root.as_fd(), args)
    };
    let exit = spawn(&spec, stdio(), stdio(), stdio())?.wait()?;
    Ok(exit)
}
