//! `kiln logs`

use std::io::{self, Write};

use serde_json::json;

use crate::engine::{BuildRow, Engine};
use crate::failure::{Failure, Outcome};
use crate::format::{self, Format};
use crate::progress::text::{Lines, sanitise};
use crate::settings::Settings;
use crate::{table, terminal, time};

/// Arguments of `kiln logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of the build [default: the last one]
    build: Option<String>,
    /// Only steps whose name contains this, like `2/5` or `RUN make`, or the step of this number
    step: Option<String>,
    /// List builds instead
    #[arg(short, long)]
    list: bool,
    /// With --list: `table`, `json`, or a template like `{{.ID}}`
    #[arg(long, requires = "list")]
    format: Option<String>,
}

/// Prints the full output of a build's steps.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let engine = Engine::open(settings)?;
    if args.list {
        return list(&engine.builds()?, &Format::parse(args.format.as_deref())?);
    }
    let build = engine.past_build(args.build.as_deref())?;
    let steps = engine.steps(&build)?;
    let wanted = |number: usize, name: &str| match &args.step {
        None => true,
        Some(text) => text.parse() == Ok(number) || name.contains(text.as_str()),
    };
    let mut found = false;
    for step in &steps {
        if !wanted(step.number, &step.name) {
            continue;
        }
        found = true;
        terminal::print_line(format_args!(
            "==> {} {} ({})",
            step.number,
            step.shown_name(),
            step.outcome
        ))?;
        if terminal::stdout_is_terminal() {
            engine.copy_log(&build, step, &mut Sanitised::new(std::io::stdout().lock()))?;
        } else {
            engine.copy_log(&build, step, &mut std::io::stdout().lock())?;
        }
    }
    if found {
        return Ok(());
    }
    let what = args
        .step
        .as_ref()
        .map_or_else(|| "no step".to_owned(), |step| format!("no step `{step}`"));
    Err(Failure::failed(anyhow::anyhow!("build {} has {what}", build.id)).hint("`kiln logs BUILD` shows all of them"))
}

fn list(builds: &[BuildRow], format: &Format) -> Outcome {
    let now = time::now();
    if *format == Format::Table {
        let cells = |build: &BuildRow| {
            [
                build.id.clone(),
                time::ago(build.started, now),
                build.outcome.clone(),
                build.what.clone(),
            ]
        };
        let cells: Vec<_> = builds.iter().map(cells).collect();
        return terminal::print(table::render(["BUILD", "STARTED", "RESULT", "NAME"], &cells));
    }
    let object = |build: &BuildRow| {
        json!({
            "ID": build.id,
            "StartedAt": time::show(build.started),
            "StartedSince": time::ago(build.started, now),
            "Result": build.outcome,
            "Name": build.what,
        })
    };
    let objects: Vec<_> = builds.iter().map(object).collect();
    terminal::print(format::rows(format, &objects)?)
}

/// Passes lines on without what would move the cursor of a terminal or change it.
struct Sanitised<W> {
    out: W,
    lines: Lines,
}

impl<W> Sanitised<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            lines: Lines::default(),
        }
    }
}

impl<W: Write> Write for Sanitised<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut text = String::new();
        self.lines.push(data, |line| {
            text.push_str(&sanitise(line));
            text.push('\n');
        });
        self.out.write_all(text.as_bytes())?;
        Ok(data.len())
    }

    /// Called once, in the end.
    fn flush(&mut self) -> io::Result<()> {
        if let Some(rest) = self.lines.rest() {
            writeln!(self.out, "{}", sanitise(&rest))?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_cannot_change_the_terminal() {
        let mut out = Sanitised::new(Vec::new());
        out.write_all(b"a\x1b[2J\nb\rc\n\x1b]0;x\x07d").unwrap();
        out.flush().unwrap();
        assert_eq!(out.out, b"a\nc\nd\n");
    }
}
