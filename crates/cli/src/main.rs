//! The `kiln` program.
//!
//! This crate alone reads arguments and the environment, prints, and decides on exit codes.

#![expect(
    clippy::doc_markdown,
    reason = "comments of arguments are help texts, where backticks would be seen"
)]

mod atomic;
mod attach;
mod aws;
mod check;
mod cli;
mod commands;
mod context;
mod docker_config;
mod engine;
mod explain;
mod explore;
mod failure;
mod format;
mod glob;
mod layers;
mod lsp;
mod making;
mod page;
mod pieces;
mod progress;
mod report;
mod settings;
mod signals;
mod table;
mod terminal;
mod time;
mod trace;
mod values;
mod vulnerabilities;
mod why;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use cli::{Cli, Command};
use failure::{Failure, Outcome};
use report::Reporter;
use settings::Settings;

fn main() -> ExitCode {
    let began = Instant::now();
    let arguments = cli::familiar(std::env::args_os().collect());
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure.
            let code = if error.use_stderr() { failure::USAGE } else { 0 };
            let _nobody_listens = error.print();
            return ExitCode::from(code);
        }
    };
    let (reporter, outcome) = match Settings::of_process(cli.global.clone(), began) {
        Ok(settings) => (Reporter::new(&settings), run(cli.command, &settings)),
        Err(failure) => (Reporter::plain(), Err(failure)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::say(reporter.failure(&failure));
            ExitCode::from(failure.code)
        }
    }
}

fn run(command: Command, settings: &Settings) -> Outcome {
    if command.touches_layers() {
        // First of all, while there is one thread: a process with several cannot enter a user namespace.
        kiln_sandbox::enter().map_err(|error| {
            Failure::internal(error).hint("`kiln doctor` says what this machine allows and what is missing")
        })?;
    }
    match command {
        Command::Build(args) => commands::build::run(&args, settings),
        Command::Plan(args) => commands::plan::run(&args, settings),
        Command::Export(args) => commands::export::run(&args, settings),
        Command::Lint(args) => commands::lint::run(&args, settings),
        Command::Fmt(args) => commands::fmt::run(&args, settings),
        Command::Lsp(args) => commands::lsp::run(&args, settings),
        Command::Images(args) => commands::images::run(&args, settings),
        Command::History(args) => commands::history::run(&args, settings),
        Command::Inspect(args) => commands::inspect::run(&args, settings),
        Command::Waste(args) => commands::waste::run(&args, settings),
        Command::Check(args) => commands::check::run(&args, settings),
        Command::Diff(args) => commands::diff::run(&args, settings),
        Command::Compare(args) => commands::compare::run(&args, settings),
        Command::Report(args) => commands::report::run(&args, settings),
        Command::Packages(args) => commands::packages::run(&args, settings),
        Command::Explore(args) => commands::explore::run(&args, settings),
        Command::Tag(args) => commands::tag::run(&args, settings),
        Command::Rmi(args) => commands::rmi::run(&args, settings),
        Command::Pull(args) => commands::pull::run(&args, settings),
        Command::Push(args) => commands::push::run(&args, settings),
        Command::Login(args) => commands::login::run(&args, settings),
        Command::Logout(args) => commands::logout::run(&args, settings),
        Command::Run(args) => commands::run::run(&args, settings),
        Command::Unpack(args) => commands::unpack::run(&args, settings),
        Command::Repack(args) => commands::repack::run(&args, settings),
        Command::Dockerfile(args) => commands::dockerfile::run(&args, settings),
        Command::Validate(args) => commands::validate::run(&args, settings),
        Command::Copy(args) => commands::copy::run(&args, settings),
        Command::Append(args) => commands::append::run(&args, settings),
        Command::Mutate(args) => commands::mutate::run(&args, settings),
        Command::Rebase(args) => commands::rebase::run(&args, settings),
        Command::Recompress(args) => commands::recompress::run(&args, settings),
        Command::Flatten(args) => commands::flatten::run(&args, settings),
        Command::Squash(args) => commands::squash::run(&args, settings),
        Command::Shell(args) => commands::shell::run(&args, settings),
        Command::Cp(args) => commands::cp::run(&args, settings),
        Command::Load(args) => commands::load::run(&args, settings),
        Command::Save(args) => commands::save::run(&args, settings),
        Command::Logs(args) => commands::logs::run(&args, settings),
        Command::Why(args) => commands::why::run(&args, settings),
        Command::Prune(args) => commands::prune::run(&args, settings),
        Command::Cache(action) => commands::cache::run(&action, settings),
        Command::Du(args) => commands::du::run(&args, settings),
        Command::Doctor(args) => commands::doctor::run(&args, settings),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Version(args) => commands::version::run(&args),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Man(args) => commands::man::run(&args),
    }
}
