//! `kiln fmt`

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kiln_dockerfile::include::LARGEST;

use super::lint::{names_dockerfiles, patch, replace};
use crate::failure::{Context as _, FAILED, Failure, Outcome};
use crate::report::Reporter;
use crate::settings::Settings;
use crate::terminal;

/// Arguments of `kiln fmt`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Dockerfiles; `-` is standard input, which is printed [default: Dockerfile]
    files: Vec<PathBuf>,
    /// Change nothing: name the files that would change, and fail if there are any
    #[arg(long)]
    check: bool,
    /// Change nothing: print what would change
    #[arg(long)]
    diff: bool,
}

/// Writes Dockerfiles in one form.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let default = [PathBuf::from("Dockerfile")];
    let files = if args.files.is_empty() {
        &default[..]
    } else {
        &args.files
    };
    let mut bad = false;
    for path in files {
        match one(args, path) {
            Ok(fits) => bad |= !fits,
            Err(failure) => {
                terminal::say(Reporter::new(settings).failure(&failure));
                bad = true;
            }
        }
    }
    if bad { Err(Failure::silent(FAILED)) } else { Ok(()) }
}

/// Formats a file; whether it is as it should be then, or was with `--check`.
fn one(args: &Args, path: &Path) -> Result<bool, Failure> {
    let standard = path.as_os_str() == "-";
    let name = path.display().to_string();
    let old = read(path, standard, &name)?;
    let Some(new) = kiln_lint::format(&old) else {
        if names_dockerfiles(path) {
            let failure = Failure::failed(anyhow::anyhow!("{name} cannot be formatted: it is no Dockerfile"));
            let hint = "files of Compose's and bake's stay as they are, with the Dockerfiles in them: name Dockerfiles themselves";
            return Err(failure.hint(hint));
        }
        let failure = Failure::failed(anyhow::anyhow!("{name} cannot be formatted: it has errors"));
        return Err(failure.hint(format!("`kiln lint {name}` says which")));
    };
    if args.diff {
        terminal::print(patch(&name, &old, &new))?;
    }
    if args.check {
        if old != new && !args.diff {
            terminal::print_line(&name)?;
        }
        return Ok(old == new);
    }
    if standard && !args.diff {
        terminal::print(new)?;
    } else if old != new && !args.diff {
        replace(path, &new).or_failed(|| format!("cannot write {name}"))?;
        terminal::say(format!("{name}: formatted\n"));
    }
    Ok(true)
}

fn read(path: &Path, standard: bool, name: &str) -> Result<String, Failure> {
    let doing = || format!("cannot read {name}");
    let mut bytes = Vec::new();
    let limit = LARGEST as u64 + 1;
    if standard {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .or_failed(doing)?;
    } else {
        fs::File::open(path)
            .or_failed(doing)?
            .take(limit)
            .read_to_end(&mut bytes)
            .or_failed(doing)?;
    }
    if bytes.len() as u64 == limit {
        return Err(Failure::failed(anyhow::anyhow!(
            "{name} is larger than {} MiB",
            LARGEST >> 20
        )));
    }
    String::from_utf8(bytes).or_failed(|| format!("{name} is not UTF-8 text"))
}
