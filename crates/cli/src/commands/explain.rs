//! `kiln explain`

use serde_json::json;

use crate::explain;
use crate::failure::{Failure, Outcome};
use crate::format::{Format, rows};
use crate::{table, terminal};

/// Arguments of `kiln explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What stands in brackets: `StepFailed` of `error[StepFailed]`, `DL3008` of `warning[DL3008]`; without it all are
    /// listed
    code: Option<String>,
    /// `table`, `json`, or a template like `{{.Code}}`
    #[arg(short, long)]
    format: Option<String>,
}

/// What is known of a code.
struct Entry {
    code: &'static str,
    summary: &'static str,
    text: String,
}

/// Explains a code, or lists them.
pub(crate) fn run(args: &Args) -> Outcome {
    let entries: Vec<Entry> = match &args.code {
        Some(code) => vec![find(code)?],
        None => entries().collect(),
    };
    match (Format::parse(args.format.as_deref())?, &args.code) {
        (Format::Table, Some(_)) => terminal::print(entries.iter().map(Entry::show).collect::<String>()),
        (Format::Table, None) => {
            let rows: Vec<_> = entries
                .iter()
                .map(|entry| [entry.code, entry.summary].map(str::to_owned))
                .collect();
            terminal::print(table::render(["CODE", "MEANING"], &rows))
        }
        (format, _) => {
            let values: Vec<_> = entries
                .iter()
                .map(|entry| json!({"Code": entry.code, "Summary": entry.summary, "Text": entry.text}))
                .collect();
            terminal::print(rows(&format, &values)?)
        }
    }
}

/// What builds and parsing say, then the linter's rules.
fn entries() -> impl Iterator<Item = Entry> {
    let builds = explain::pages().map(|page| Entry {
        code: page.code,
        summary: page.summary,
        text: page.text.to_owned(),
    });
    let rules = kiln_lint::pages().map(|page| Entry {
        code: page.code,
        summary: page.summary,
        text: page.text(),
    });
    builds.chain(rules)
}

impl Entry {
    fn show(&self) -> String {
        let Self { code, summary, text } = self;
        if text.is_empty() {
            return format!("{code}: {summary}\n");
        }
        format!("{code}: {summary}\n\n{text}\n")
    }
}

/// The entry of a code, however it is written: `stepfailed`, `error[StepFailed]`.
fn find(code: &str) -> Result<Entry, Failure> {
    let bare = code.rsplit('[').next().unwrap_or(code).trim_end_matches([']', ':']);
    if let Some(entry) = entries().find(|entry| entry.code.eq_ignore_ascii_case(bare)) {
        return Ok(entry);
    }
    let failure = Failure::failed(anyhow::anyhow!("no error or warning is called `{bare}`"));
    Err(
        match kiln_dockerfile::suggest::closest(bare, entries().map(|entry| entry.code)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`kiln explain` lists all"),
        },
    )
}
