//! `kiln report`

use std::path::PathBuf;

use kiln_image::{Platform, Reference};
use kiln_inspect::{Image, Tree, start};
use kiln_store::{BuildId, BuildResult};

use super::packages;
use crate::atomic;
use crate::check::start::verdicts;
use crate::engine::{Engine, StepRow, look_failure};
use crate::failure::{Context as _, Failure, Outcome};
use crate::page::{self, Build, Point, Step, Subject};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::vulnerabilities::{self, DatabaseArgs};
use crate::{terminal, time};

/// Arguments of `kiln report`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image: a name of the store or a registry, docker://NAME, oci:DIRECTORY[:TAG], oci-archive: or
    /// docker-archive:FILE[:TAG], or a path
    image: String,
    /// Where the page goes; `-` is standard output
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Which image of several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

/// Writes a page about an image.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let to_stdout = args.output.as_os_str() == "-";
    let cannot = || format!("cannot write {}", args.output.display());
    if !to_stdout {
        atomic::check(&args.output).or_failed(cannot)?;
    }
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let looked = engine.look_into(&args.image, args.platform.as_ref(), settings, &interrupt)?;
    let image = &looked.image;
    let packages = packages::with_licenses(image)?;
    packages::warn_of_unread(&args.image, &packages);
    let tree = Tree::of(image.indexes());
    let report = start::check(image, &tree).map_err(|error| look_failure(error, &interrupt))?;
    let results = results(&engine, &args.image)?;
    let vulnerabilities = args.database.look(&packages, settings)?;
    if let Some(found) = &vulnerabilities {
        vulnerabilities::warn_of_gaps(&args.image, found);
    }
    let page = page::render(&Subject {
        name: &args.image,
        image,
        packages: &packages,
        vulnerabilities: vulnerabilities.as_ref(),
        verdicts: &verdicts(image, &report, &|name| engine.stage_with(image, name, u64::MAX), |_| {
            false
        }),
        now: time::now(),
        build: build(&engine, args, image, &results)?,
        trend: results.iter().map(point).collect(),
    });
    if to_stdout {
        return terminal::print(page);
    }
    atomic::write(&args.output, page.as_bytes()).or_failed(cannot)
}

fn point(result: &BuildResult) -> Point {
    Point {
        build: result.build.to_string(),
        started: result.started,
        bytes: result.size,
    }
}

/// What the builds that are remembered came to under the name that the user gave, if it is one.
fn results(engine: &Engine, name: &str) -> Result<Vec<BuildResult>, Failure> {
    match name.parse::<Reference>() {
        Ok(name) => engine.build_results(&name),
        Err(_) => Ok(Vec::new()),
    }
}

/// The build to be shown: of those that made this image, under that name or one that a layer tells of, the newest that did
/// not take everything from the cache; if all did, the newest.
fn build(engine: &Engine, args: &Args, image: &Image, results: &[BuildResult]) -> Result<Option<Build>, Failure> {
    let id = engine.find(&args.image, args.platform.as_ref()).ok().map(|row| row.id);
    let of_image = results.iter().filter(|result| id.is_some() && result.image == id);
    let makers = image.layers.iter().filter_map(|layer| layer.maker.as_ref()?.build);
    let mut candidates: Vec<BuildId> = of_image.map(|result| result.build).collect();
    if candidates.is_empty() {
        candidates.extend(makers.max());
    }
    let candidates: Vec<String> = candidates.iter().map(ToString::to_string).collect();
    let mut newest: Option<Build> = None;
    // The newest come first.
    for build in engine
        .builds()?
        .into_iter()
        .filter(|build| candidates.contains(&build.id))
    {
        let steps = engine.steps(&build)?;
        let ran = steps.iter().any(|step| step.lines.is_some() && step.outcome == "done");
        let later = newest.as_ref().map(|newest| newest.id.clone());
        if ran || newest.is_none() {
            let shown = Build {
                id: build.id,
                started: build.started,
                steps: timed(steps),
                later,
            };
            if ran {
                return Ok(Some(shown));
            }
            newest = Some(shown);
        }
    }
    Ok(newest)
}

/// The steps of which it is known when they began, in that order.
fn timed(steps: Vec<StepRow>) -> Vec<Step> {
    let mut steps: Vec<Step> = steps
        .into_iter()
        .filter_map(|step| {
            Some(Step {
                began: step.began?,
                name: step.name,
                outcome: step.outcome,
                took: step.seconds,
            })
        })
        .collect();
    steps.sort_by(|a, b| a.began.total_cmp(&b.began));
    steps
}
