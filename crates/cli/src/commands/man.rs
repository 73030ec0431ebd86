//! `kiln man`

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::failure::{Context as _, Outcome};

/// Arguments of `kiln man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory to write to; made if missing
    directory: PathBuf,
}

/// Writes a page for Kiln and one for each command.
pub(crate) fn run(args: &Args) -> Outcome {
    std::fs::create_dir_all(&args.directory).or_failed(|| format!("cannot create {}", args.directory.display()))?;
    let mut kiln = Cli::command();
    kiln.build();
    page(&args.directory, "kiln", kiln.clone())?;
    for command in kiln.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("kiln-{}", command.get_name());
        // Pages are named after the command as it is found by man(1), not as it is typed.
        page(&args.directory, &name, command.clone().display_name(name.clone()))?;
    }
    Ok(())
}

fn page(directory: &Path, name: &str, command: clap::Command) -> Outcome {
    let path = directory.join(format!("{name}.1"));
    let mut text = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut text)
        .or_internal(|| format!("cannot render {name}"))?;
    crate::atomic::write(&path, &text).or_failed(|| format!("cannot write {}", path.display()))
}
