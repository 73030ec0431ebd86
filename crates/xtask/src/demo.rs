//! `make demo`: every example built twice over (single-stage, multi-stage), each cold, after an edit and again; each
//! image run and asked. Ends with the table.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::example::{self, Example};
use crate::harness::Harness;
use crate::kiln::{Kiln, Profile};
use crate::{command, packages, table};

/// What was measured of one Dockerfile.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Bytes of the image's file tree, as docker counts them.
    size: u64,
    cold: Duration,
    edited: Duration,
    cached: Duration,
}

/// Runs the examples of these names, or all.
pub fn run(names: &[&str]) -> Result<()> {
    packages::install()?;
    let examples = chosen(names)?;
    let mut bases: Vec<&str> = examples
        .iter()
        .flat_map(|example| &example.bases)
        .map(String::as_str)
        .collect();
    bases.sort_unstable();
    bases.dedup();
    let harness = Harness::start(Profile::Release, &bases)?;
    let mut rows = Vec::new();
    for example in &examples {
        rows.push(row(example, &harness).with_context(|| format!("example {}", example.name))?);
    }
    print!("\n{}", table::render(HEADING, &rows));
    println!("\nEvery image was started and gave the right answer, before and after the edit.");
    println!("Times are of the multi-stage build; cold begins with an empty store and pulls the base images.");
    Ok(())
}

const HEADING: &[&str] = &[
    "example",
    "single-stage",
    "multi-stage",
    "saved",
    "cold build",
    "after one edit",
    "fully cached",
];

fn chosen(names: &[&str]) -> Result<Vec<Example>> {
    let all = example::all()?;
    if let Some(unknown) = names
        .iter()
        .find(|name| !all.iter().any(|example| example.name == **name))
    {
        bail!("there is no example {unknown}");
    }
    Ok(all
        .into_iter()
        .filter(|example| names.is_empty() || names.contains(&example.name.as_str()))
        .collect())
}

fn row(example: &Example, harness: &Harness) -> Result<Vec<String>> {
    let single = measure(example, "Dockerfile.single", harness)?;
    let multi = measure(example, "Dockerfile", harness)?;
    Ok(vec![
        example.name.clone(),
        table::megabytes(single.size),
        table::megabytes(multi.size),
        format!(
            "{} %",
            (single.size.saturating_sub(multi.size)) * 100 / single.size.max(1)
        ),
        table::seconds(multi.cold),
        table::seconds(multi.edited),
        table::seconds(multi.cached),
    ])
}

fn measure(example: &Example, dockerfile: &str, harness: &Harness) -> Result<Figures> {
    let work = tempfile::tempdir_in(harness.work.path())?;
    let context = work.path().join("context");
    example.copy_to(&context)?;
    // A store of its own: no step of another Dockerfile helps.
    let kiln = Kiln {
        root: work.path().join("store"),
        ..harness.kiln.clone()
    };
    let figures = measure_in(example, dockerfile, &context, &kiln);
    kiln.remove_store()?;
    figures
}

fn measure_in(example: &Example, dockerfile: &str, context: &Path, kiln: &Kiln) -> Result<Figures> {
    let image = format!("kiln-demo/{}:latest", example.name);
    eprintln!("{} ({dockerfile})", example.name);
    let cold = build(kiln, context, dockerfile, &image)?;
    let answer = example.check(kiln, &image, false)?;
    eprintln!("  built in {}, answers {answer:?}", table::seconds(cold));
    let size = size(kiln, &image)?;
    example.apply_edit(context)?;
    let edited = build(kiln, context, dockerfile, &image)?;
    let answer = example.check(kiln, &image, true)?;
    eprintln!("  rebuilt in {}, answers {answer:?}", table::seconds(edited));
    let cached = build(kiln, context, dockerfile, &image)?;
    Ok(Figures {
        size,
        cold,
        edited,
        cached,
    })
}

fn build(kiln: &Kiln, context: &Path, dockerfile: &str, image: &str) -> Result<Duration> {
    let mut build = kiln.command();
    build
        .args(["build", "--progress=plain", "-t", image, "-f"])
        .arg(context.join(dockerfile))
        .arg(context);
    let begin = Instant::now();
    command::quietly(&mut build)?;
    Ok(begin.elapsed())
}

/// What `docker images` would show.
fn size(kiln: &Kiln, image: &str) -> Result<u64> {
    let text = command::quietly(kiln.command().args(["inspect", image]))?;
    let images: serde_json::Value = serde_json::from_str(&text).context("kiln inspect printed no JSON")?;
    images[0]["Size"]
        .as_u64()
        .with_context(|| format!("kiln inspect {image} says no Size"))
}
