//! Time and memory of a command, by two small C programs (`scripts/bench`): the shell's `time` knows no microseconds,
//! and the standard library no resident sets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{command, paths};

/// What a command took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// From start to end.
    pub milliseconds: f64,
    /// The largest resident set of it or of a process that it waited for.
    pub mebibytes: f64,
}

/// The compiled programs.
#[derive(Debug)]
pub struct Tools {
    measure: PathBuf,
    floor: PathBuf,
    figures: PathBuf,
}

impl Tools {
    /// Compiles them into a directory.
    pub fn compile(into: &Path) -> Result<Self> {
        let compile = |name: &str| {
            let (source, program) = (
                paths::workspace().join(format!("scripts/bench/{name}.c")),
                into.join(name),
            );
            command::quietly(Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(source))?;
            Ok::<_, anyhow::Error>(program)
        };
        Ok(Self {
            measure: compile("measure")?,
            floor: compile("floor")?,
            figures: into.join("figures"),
        })
    }

    /// Runs a command that must succeed.
    pub fn measure(&self, inner: &Command) -> Result<Figure> {
        let mut outer = Command::new("/bin/sh");
        // The figures go to descriptor 3, so that the command keeps its own three.
        outer.args(["-c", "exec \"$0\" \"$@\" 3>\"$FIGURES\""]);
        outer
            .arg(&self.measure)
            .arg(inner.get_program())
            .args(inner.get_args())
            .env("FIGURES", &self.figures);
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                outer.env(name, value);
            }
        }
        command::quietly(&mut outer)?;
        parse(&fs::read_to_string(&self.figures)?)
    }

    /// The floor of a step: see `floor.c`.
    pub fn floor(&self, lower: &Path, work: &Path, count: u32) -> Result<Figure> {
        let mut floor = Command::new(&self.floor);
        let text = command::quietly(floor.arg(lower).arg(work).arg(count.to_string()).arg(":"))?;
        parse(&format!("{} 0", text.trim()))
    }
}

fn parse(text: &str) -> Result<Figure> {
    let (microseconds, kibibytes) = text
        .trim()
        .split_once(' ')
        .with_context(|| format!("no figures: {text:?}"))?;
    Ok(Figure {
        milliseconds: microseconds.parse::<f64>()? / 1e3,
        mebibytes: kibibytes.parse::<f64>()? / 1024.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!(
            parse("1500 2048\n").unwrap(),
            Figure {
                milliseconds: 1.5,
                mebibytes: 2.0
            }
        );
        assert!(parse("").is_err());
    }
}
