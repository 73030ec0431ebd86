//! Dockerfile to plan: parsing, planning again until no image is missing, and the warnings.

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::checks::Config as Checks;
use kiln_dockerfile::diagnostic::{Diagnostic, Severity};
use kiln_dockerfile::ignore::Ignore;
use kiln_dockerfile::mount::CacheKey;
use kiln_plan::{Epoch, Images as KnownImages, Options, Outcome, Plan, SOURCE_DATE_EPOCH, Source};

use crate::error::{Error, StepError, StepResult};
use crate::event::{Event, Sink};
use crate::images::Images;
use crate::remote::Fetcher;
use crate::request::Request;
use crate::session::Tasks;

/// The build argument that says what `# check=` does, and wins over it.
const CHECK: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// The plan. Warnings that are not silenced go to the sink, or fail the build where `check=error=true` says so.
pub(crate) fn plan(request: &Request, images: &Images<'_>, sink: &dyn Sink) -> Result<Plan, Error> {
    sink.event(Event::Dockerfile(Box::new(request.dockerfile.clone())));
    let work = images.tasks.work("parse");
    let (dockerfile, mut found) = kiln_dockerfile::parse(request.dockerfile.text());
    drop(work);
    if found.iter().any(is_error) {
        return Err(Error::Dockerfile(found));
    }
    let checks = settings(request, &dockerfile)?;
    let mut options = options(request);
    let epoch = kiln_plan::epoch(&dockerfile, &options).map_err(Error::Dockerfile)?;
    let fetcher = Fetcher {
        store: images.store,
        registry: &images.registry,
        access: &request.access,
        sink,
        cancel: images.cancel,
    };
    set(&mut options, epoch, request, |source| {
        time(&fetcher, images.tasks, source)
    })?;
    let plan = match outcome(&dockerfile, &options, request.pull, images)? {
        Planned::Plan(plan, more) => {
            found.extend(more);
            *plan
        }
        Planned::Invalid(diagnostics) => return Err(Error::Dockerfile(diagnostics)),
    };
    checks.apply(&dockerfile, &mut found);
    if checks.error && !found.is_empty() {
        for diagnostic in &mut found {
            diagnostic.severity = Severity::Error;
        }
        return Err(Error::Dockerfile(found));
    }
    for diagnostic in found {
        sink.event(Event::Warning(diagnostic));
    }
    Ok(plan)
}

/// What there is to say about a Dockerfile.
#[derive(Debug)]
pub struct Checked {
    /// All errors and warnings that are not silenced, in the order of the text.
    pub found: Vec<Diagnostic>,
    /// Why it could not be looked at to the end: an image that cannot be resolved, say.
    pub failure: Option<Error>,
}

/// Looks at a Dockerfile. One that does not parse is not planned: what is missing in its tree would be missed everywhere
/// else.
pub(crate) fn check(request: &Request, images: &Images<'_>) -> Result<Checked, Error> {
    let (dockerfile, mut found) = kiln_dockerfile::parse(request.dockerfile.text());
    let checks = settings(request, &dockerfile)?;
    let mut failure = None;
    if !found.iter().any(is_error) {
        let mut options = Options {
            every_stage: request.options.target.is_none(),
            ..options(request)
        };
        match kiln_plan::epoch(&dockerfile, &options) {
            // Nothing is fetched for a look.
            Ok(epoch) => set(&mut options, epoch, request, |_| Ok(None))?,
            Err(wrong) => found.extend(wrong),
        }
        match outcome(&dockerfile, &options, request.pull, images) {
            Ok(Planned::Plan(_, more) | Planned::Invalid(more)) => found.extend(more),
            Err(error) => failure = Some(error),
        }
    }
    checks.apply(&dockerfile, &mut found);
    found.sort_by_key(|each| (each.span.start, each.span.end));
    Ok(Checked { found, failure })
}

fn settings(request: &Request, dockerfile: &Dockerfile) -> StepResult<Checks> {
    match request.options.build_args.get(CHECK) {
        Some(text) => Checks::parse(text).map_err(|message| StepError::Invalid(format!("{CHECK}: {message}"))),
        None => Ok(Checks::of(dockerfile)),
    }
}

/// With what the ignore file says. One that cannot be read is reported where the context is.
fn options(request: &Request) -> Options {
    let ignored = request.ignore.as_ref().and_then(|(text, _)| Ignore::parse(text).ok());
    let mut options = Options {
        ignored,
        ..request.options.clone()
    };
    if request.context.is_none() {
        // Files that need not be there are not, and the context is not asked for.
        for key in options.cache_keys.values_mut() {
            key.retain(|part| !matches!(part, CacheKey::File(_)));
        }
    }
    options
}

/// `SOURCE_DATE_EPOCH` as the plan sees it: seconds, or nothing.
fn set(
    options: &mut Options,
    epoch: Epoch,
    request: &Request,
    time: impl FnOnce(&Source) -> StepResult<Option<i64>>,
) -> StepResult<()> {
    let seconds = match epoch {
        Epoch::Unset | Epoch::At(_) => return Ok(()),
        Epoch::Context => request.context_time,
        Epoch::Source(source) => time(&source)?,
    };
    let value = seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
    options.build_args.insert(SOURCE_DATE_EPOCH.to_owned(), value);
    Ok(())
}

/// Looks up when a source was made.
fn time(fetcher: &Fetcher<'_>, tasks: &Tasks<'_>, source: &Source) -> StepResult<Option<i64>> {
    let task = tasks.start(format!("[internal] resolve {SOURCE_DATE_EPOCH}"));
    let time = fetcher.time(task.id(), source);
    task.end(time)
}

/// What planning came to when all images were known.
enum Planned {
    Plan(Box<Plan>, Vec<Diagnostic>),
    Invalid(Vec<Diagnostic>),
}

fn outcome(dockerfile: &Dockerfile, options: &Options, pull: bool, images: &Images<'_>) -> Result<Planned, Error> {
    let mut known = KnownImages::new();
    loop {
        let work = images.tasks.work("plan");
        let outcome = kiln_plan::plan(dockerfile, options, &known);
        drop(work);
        match outcome {
            Outcome::Needs(requests) => {
                let _work = images.tasks.work("resolve");
                known.extend(images.resolve_all(&requests, pull)?);
            }
            Outcome::Plan(plan, more) => return Ok(Planned::Plan(plan, more)),
            Outcome::Invalid(diagnostics) => return Ok(Planned::Invalid(diagnostics)),
        }
    }
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
}
