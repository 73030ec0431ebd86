//! `kiln validate`

use std::fmt::Write as _;

use kiln_build::surgery::{Validated, Which};
use serde_json::{Value, json};

use crate::failure::{FAILED, Failure, Outcome};
use crate::format::{Format, rows};
use crate::making::ProgressArgs;
use crate::settings::Settings;
use crate::terminal;

/// Arguments of `kiln validate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image, wherever it is: a name, or docker://…, oci:…, oci-archive:…, docker-archive:…
    image: String,
    /// Look at one image of several [default: at all of them]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<kiln_image::Platform>,
    /// `text`, `json`, or a template like `{{.Passed}}`
    #[arg(long)]
    format: Option<String>,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Says whether an image is what it says that it is.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref().filter(|format| *format != "text"))?;
    let which = match &args.platform {
        Some(platform) => Which::One(Some(platform)),
        None => Which::All,
    };
    let found = args.progress.work(settings, |builder, sink, cancel| {
        let location = builder.locate(&args.image)?;
        builder.validate(&location, which, sink, cancel)
    })?;
    let passed = found.iter().all(|one| one.problem.is_none());
    terminal::print(match format {
        Format::Table => for_people(&found),
        format => rows(&format, &[object(&args.image, &found, passed)])?,
    })?;
    if passed { Ok(()) } else { Err(Failure::silent(FAILED)) }
}

/// A line for each subject that is right, and one for each thing that is wrong.
fn for_people(found: &[Validated]) -> String {
    let mut text = String::new();
    let is_same = |one: &Validated, other: &Validated| one.manifest == other.manifest && one.subject == other.subject;
    let several = found.iter().any(|one| one.manifest != found[0].manifest);
    for group in found.chunk_by(is_same) {
        let of = if several {
            format!(" of {}", group[0].manifest.short())
        } else {
            String::new()
        };
        let subject = format!("{}{of} {}", group[0].subject, group[0].digest);
        let problems: Vec<&Validated> = group.iter().filter(|one| one.problem.is_some()).collect();
        if problems.is_empty() {
            let checks: Vec<&str> = group.iter().map(|one| one.check).collect();
            let _ = writeln!(text, "PASS  {subject}: {}", checks.join(", "));
        }
        for one in problems {
            let problem = one.problem.as_deref().unwrap_or_default();
            let problem = crate::progress::text::one_line(problem);
            let _ = writeln!(text, "FAIL  {subject}: {}: {problem}", one.check);
        }
    }
    text
}

fn object(image: &str, found: &[Validated], passed: bool) -> Value {
    let check = |one: &Validated| {
        json!({
            "Manifest": one.manifest,
            "Subject": one.subject,
            "Digest": one.digest,
            "Check": one.check,
            "Passed": one.problem.is_none(),
            "Problem": one.problem.as_deref().unwrap_or_default(),
        })
    };
    json!({
        "Image": image,
        "Passed": passed,
        "Checks": found.iter().map(check).collect::<Vec<_>>(),
    })
}
