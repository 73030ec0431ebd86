//! `kiln explain`

use serde_json::json;

use crate::explain::{Page, pages};
use crate::failure::{Failure, Outcome};
use crate::format::{Format, rows};
use crate::{table, terminal};

/// Arguments of `kiln explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What stands in brackets: `StepFailed` of `error[StepFailed]`; without it all are listed
    code: Option<String>,
    /// `table`, `json`, or a template like `{{.Code}}`
    #[arg(short, long)]
    format: Option<String>,
}

/// Explains a code, or lists them.
pub(crate) fn run(args: &Args) -> Outcome {
    let pages: Vec<Page> = match &args.code {
        Some(code) => vec![find(code)?],
        None => pages().collect(),
    };
    match (Format::parse(args.format.as_deref())?, &args.code) {
        (Format::Table, Some(_)) => terminal::print(pages.iter().map(show).collect::<String>()),
        (Format::Table, None) => {
            let rows: Vec<_> = pages
                .iter()
                .map(|page| [page.code, page.summary].map(str::to_owned))
                .collect();
            terminal::print(table::render(["CODE", "MEANING"], &rows))
        }
        (format, _) => {
            let values: Vec<_> = pages
                .iter()
                .map(|page| json!({"Code": page.code, "Summary": page.summary, "Text": page.text}))
                .collect();
            terminal::print(rows(&format, &values)?)
        }
    }
}

fn show(page: &Page) -> String {
    let Page { code, summary, text } = page;
    if text.is_empty() {
        return format!("{code}: {summary}\n");
    }
    format!("{code}: {summary}\n\n{text}\n")
}

/// The page of a code, however it is written: `stepfailed`, `error[StepFailed]`.
fn find(code: &str) -> Result<Page, Failure> {
    let bare = code.rsplit('[').next().unwrap_or(code).trim_end_matches([']', ':']);
    if let Some(page) = pages().find(|page| page.code.eq_ignore_ascii_case(bare)) {
        return Ok(page);
    }
    let failure = Failure::failed(anyhow::anyhow!("no error or warning is called `{bare}`"));
    Err(
        match kiln_dockerfile::suggest::closest(bare, pages().map(|page| page.code)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`kiln explain` lists all"),
        },
    )
}
