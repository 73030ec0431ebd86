//! Time, processor time and memory of a command, by a small C program (`scripts/bench/measure.c`): the shell's `time`
//! knows no microseconds, and the standard library no resident sets.

use std::fs;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{command, paths};

/// What a command took.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Figure {
    /// From start to end.
    pub milliseconds: f64,
    /// The largest resident set of it or of a process that it waited for.
    pub mebibytes: f64,
    /// Of processors, by it and by the processes that it waited for, in user and in system mode.
    pub cpu_milliseconds: f64,
}

/// One command after another: times add up, memory does not.
impl AddAssign for Figure {
    fn add_assign(&mut self, other: Self) {
        self.milliseconds += other.milliseconds;
        self.mebibytes = self.mebibytes.max(other.mebibytes);
        self.cpu_milliseconds += other.cpu_milliseconds;
    }
}

/// The C programs of `scripts/bench`, compiled.
#[derive(Debug)]
pub struct Tools {
    directory: PathBuf,
}

impl Tools {
    /// Compiles them into a directory, which is made.
    pub fn compile(into: &Path) -> Result<Self> {
        fs::create_dir_all(into).with_context(|| format!("cannot make {}", into.display()))?;
        let sources = paths::workspace().join("scripts/bench");
        for entry in fs::read_dir(&sources).with_context(|| format!("cannot read {}", sources.display()))? {
            let source = entry?.path();
            if source.extension().is_some_and(|extension| extension == "c") {
                let program = into.join(source.file_stem().unwrap_or_default());
                command::quietly(Command::new("cc").args(["-O2", "-o"]).arg(program).arg(source))?;
            }
        }
        Ok(Self {
            directory: into.to_owned(),
        })
    }

    /// Runs a command that must succeed.
    pub fn measure(&self, inner: &Command) -> Result<Figure> {
        let figures = self.directory.join("figures");
        let mut outer = Command::new("/bin/sh");
        // The figures go to descriptor 3, so that the command keeps its own three.
        outer.args(["-c", "exec \"$0\" \"$@\" 3>\"$FIGURES\""]);
        outer
            .arg(self.directory.join("measure"))
            .arg(inner.get_program())
            .args(inner.get_args())
            .env("FIGURES", &figures);
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                outer.env(name, value);
            }
        }
        command::quietly(&mut outer)?;
        parse(&fs::read_to_string(&figures)?)
    }
}

fn parse(text: &str) -> Result<Figure> {
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("no figures: {text:?}"))?;
    let [microseconds, kibibytes, cpu_microseconds] = numbers[..] else {
        bail!("not three figures: {text:?}");
    };
    Ok(Figure {
        milliseconds: microseconds / 1e3,
        mebibytes: kibibytes / 1024.0,
        cpu_milliseconds: cpu_microseconds / 1e3,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        let figure = Figure {
            milliseconds: 1.5,
            mebibytes: 2.0,
            cpu_milliseconds: 0.5,
        };
        assert_eq!(parse("1500 2048 500\n").unwrap(), figure);
        assert!(parse("").is_err());
        assert!(parse("1 2").is_err());
    }

    #[test]
    fn one_after_another() {
        let mut sum = parse("1000 1024 1000").unwrap();
        sum += parse("2000 512 3000").unwrap();
        assert_eq!(sum, parse("3000 1024 4000").unwrap());
    }
}
