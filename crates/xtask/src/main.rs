//! `cargo xtask COMMAND`: see `cargo xtask help`.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use xtask::harness::{self, Harness};
use xtask::kiln::Profile;
use xtask::{bases, bench, demo, house, lint_compat, packages, shell};

const HELP: &str = "\
cargo xtask COMMAND

  packages                    install the Debian packages that are missing (root, or sudo)
  bases [NAME…]               make base images (all, or those named) that are not there yet
  demo [EXAMPLE…]             build, measure and run the examples
  shell                       a shell with kiln, a registry of base images as docker.io, and a store that goes with it
  bench [--quick] [--without-peers] [--only NAME…] [--runs N] [--json FILE] [--markdown FILE]
                              measure Kiln against other builders and against the floor (docs/performance.md)
  bench --growth [--quick] [--only CURVE…] [--runs N] [--json FILE] [--markdown FILE]
                              measure how Kiln's cost grows with sizes
  lint-compat [DIRECTORY…]    what hadolint, ShellCheck and `kiln lint` ($KILN_BIN) find in the Dockerfiles of the
                              repository and below the directories, by rule
  check-house                 floors and invariants of ARCHITECTURE.md, dependencies, licences
  with-harness COMMAND…       run a command with a registry of base images, as the tests want it
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        [] | ["help" | "--help" | "-h"] => print!("{HELP}"),
        ["packages"] => packages::install()?,
        ["bases", names @ ..] => {
            packages::install()?;
            let all: Vec<&str> = bases::ALL.iter().map(|base| base.name).collect();
            Harness::start(Profile::Dev, if names.is_empty() { &all } else { names })?;
        }
        ["demo", examples @ ..] => demo::run(examples)?,
        ["shell"] => shell::run()?,
        ["bench", options @ ..] => bench::run(&bench::Options::parse(options)?)?,
        ["lint-compat", more @ ..] => lint_compat::run(more)?,
        ["check-house"] => house::check()?,
        ["with-harness", program, arguments @ ..] => {
            packages::install()?;
            let harness = Harness::start(Profile::Dev, bases::FOR_TESTS)?;
            let user = harness::test_user()?;
            harness.around(Command::new(program).args(arguments), user.as_ref())?;
        }
        _ => bail!("no such command: {}\n{HELP}", words.join(" ")),
    }
    Ok(())
}
