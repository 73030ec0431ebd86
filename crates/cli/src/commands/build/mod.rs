//! `kiln build`

pub(crate) mod access;
mod caches;
mod call;
mod compat;
pub(crate) mod definition;
mod findings;
mod limits;
mod on_fail;
pub(crate) mod results;
mod summary;
mod witness;

use std::path::PathBuf;
use std::thread::ScopedJoinHandle;

use kiln_build::event::{Silent, Sink, Work};
use kiln_build::request::{Annotations, LayerOptions, Output, Request};
use kiln_build::{Built, OnFail};
use kiln_dockerfile::source::Source;
use kiln_image::Reference;
use kiln_lint::Finding;

use crate::engine::{self, Engine};
use crate::failure::{Failure, Outcome};
use crate::progress::{Mode, Progress};
use crate::report::Reporter;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;
use crate::trace::{self, Trace, Traced};
use crate::values::{annotation, output};
use caches::CacheArgs;
use call::CallArgs;
use compat::CompatArgs;
use definition::DefinitionArgs;
use findings::Asked;
use limits::LimitArgs;
use on_fail::{OnFailMode, Shells};
use summary::Summary;
use witness::{Seen, Witness};

/// Arguments of `kiln build`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 built, 1 the build failed, 2 wrong usage, 125 Kiln's own failure, 130 Ctrl-C.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Args {
    #[command(flatten)]
    definition: DefinitionArgs,
    /// A name for the image
    #[arg(short, long, value_name = "NAME[:TAG]", help_heading = "Result")]
    tag: Vec<String>,
    /// Where else the result goes: a directory, `-` for a tar on standard output, or
    /// type=oci|docker|tar|local|image|registry[,dest=PATH][,name=NAME][,push=true][,compression=zstd]…
    #[arg(short, long, value_name = "DEST", help_heading = "Result")]
    output: Vec<String>,
    /// A note in the image's manifest; TYPE is manifest, manifest-descriptor, index or index-descriptor
    #[arg(long, value_name = "[TYPE:]KEY=VALUE", help_heading = "Result")]
    annotation: Vec<String>,
    /// Push the image to its registries
    #[arg(long, help_heading = "Result")]
    push: bool,
    /// Keep the image in the store, as Kiln always does
    #[arg(long, help_heading = "Result")]
    load: bool,
    /// Write the image's ID to a file
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    iidfile: Option<PathBuf>,
    /// Write what was built to a file, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    metadata_file: Option<PathBuf>,
    /// How many steps run at the same time [default: the number of processors]
    #[arg(short, long, value_name = "N", help_heading = "Steps")]
    jobs: Option<usize>,
    /// What becomes of what a step leaves that fails
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Steps")]
    on_fail: Option<OnFailMode>,
    /// How to show progress [default: $BUILDKIT_PROGRESS, else auto]
    #[arg(long, value_enum, help_heading = "Progress")]
    progress: Option<Mode>,
    /// Show nothing but the image's ID
    #[arg(short, long, help_heading = "Progress")]
    quiet: bool,
    /// Say in the end what each step that ran took and brought, what could go, and whether the image will start; =false: do
    /// not [default: `summary` in kiln.toml, else true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Progress")]
    summary: Option<bool>,
    /// Say why each step runs that is not cached; afterwards `kiln why` does
    #[arg(long, help_heading = "Progress")]
    explain: bool,
    /// Do not say what `kiln lint` finds [default: `lint.during-build` in kiln.toml]
    #[arg(long, help_heading = "Progress")]
    no_lint: bool,
    /// Write what took how long to a file, or with `-` to standard output, for Perfetto and chrome://tracing
    /// [default: $KILN_TRACE]
    #[arg(long, value_name = "FILE", help_heading = "Progress")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    caches: CacheArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    call: CallArgs,
    #[command(flatten)]
    compat: CompatArgs,
}

/// What came of a build.
struct Done {
    built: Built,
    source: Source,
    /// What the linter found.
    findings: Vec<Finding>,
}

/// Builds, or says what would be built from.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    args.compat.check()?;
    if let Some(call) = args.call.call()? {
        return call.run(args, settings);
    }
    args.on_fail.map_or(Ok(()), OnFailMode::check)?;
    let mut request = args.request(settings)?;
    check_annotations(&request)?;
    args.check_outputs(&request)?;
    let trace = args.trace(&request, settings)?;
    let outcome = args.run(&mut request, trace.as_ref(), settings);
    if let Some(trace) = trace {
        trace.finish();
    }
    outcome
}

impl Args {
    fn run(&self, request: &mut Request, trace: Option<&Trace>, settings: &Settings) -> Outcome {
        let alone = Traced { trace, next: &Silent };
        let work = Work::begin(&alone, "open the store");
        let engine = Engine::open(settings)?;
        drop(work);
        let work = Work::begin(&alone, "watch for signals and report");
        let interrupt = Interrupt::watch()?;
        let progress = Progress::start(self.progress, self.quiet, settings)?;
        drop(work);
        let next = progress.sink();
        let traced = Traced { trace, next };
        let witness = Witness::new(&traced);
        let is_told =
            self.summary.unwrap_or_else(|| settings.summary()) && (progress.for_people() || progress.is_json());
        let before = is_told.then(|| summary::before(&engine, &request.names())).flatten();
        let asked = Asked::of(request, settings, self.no_lint || self.quiet, &witness);
        let result = self.build(request, asked, &engine, &witness, (&progress, &interrupt), settings);
        if let Ok(done) = &result
            && progress.is_json()
        {
            findings::tell(&done.findings, &traced);
        }
        progress.finish();
        let done = match result {
            Ok(done) => done,
            Err(failure) if progress.is_json() => {
                terminal::say(results::error_line(&failure));
                return Err(Failure::silent(failure.code));
            }
            Err(failure) => return Err(failure),
        };
        let seen = witness.into_seen();
        let work = Work::begin(&alone, "sum up");
        let summary = is_told.then(|| {
            Summary::of(
                &done.built,
                &seen,
                &done.source,
                before,
                (&engine, &interrupt),
                &settings.budget(),
            )
        });
        drop(work);
        let ended = Ended {
            done: &done,
            request,
            seen: &seen,
            summary: summary.flatten(),
        };
        let work = Work::begin(&alone, "conclude");
        let concluded = self.conclude(&ended, &progress, settings);
        drop(ended);
        drop(work);
        let _work = Work::begin(&alone, "close the store");
        drop(engine);
        concluded
    }

    /// The trace, if one is wanted.
    fn trace(&self, request: &Request, settings: &Settings) -> Result<Option<Trace>, Failure> {
        let Some(file) = self.trace.clone().or_else(|| settings.trace()) else {
            return Ok(None);
        };
        if trace::to_stdout(&file) && (self.quiet || request.outputs.iter().any(output::to_stdout)) {
            return Err(Failure::usage(
                "--trace -: something else goes to standard output already",
            ));
        }
        Trace::start(file, settings.began).map(Some)
    }

    /// Everything that is known without reading context and Dockerfile.
    fn request(&self, settings: &Settings) -> Result<Request, Failure> {
        let tags = self.tags()?;
        let limits = self.limits.limits()?;
        let step_timeout = self.limits.step_timeout()?;
        let annotations = self.annotations()?;
        let request = self.definition.request(settings)?;
        let (outputs, epoch) = self.outputs(&tags)?;
        let mut request = Request {
            jobs: self.jobs.unwrap_or(request.jobs).max(1),
            explain: self.explain,
            epoch,
            limits,
            step_timeout,
            tags,
            outputs,
            annotations,
            ..request
        };
        self.caches.apply(&mut request, &settings.environment)?;
        Ok(request)
    }

    /// Reads context and Dockerfile, and builds; meanwhile the linter looks at the text.
    fn build(
        &self,
        request: &mut Request,
        asked: Option<Asked>,
        engine: &Engine,
        sink: &dyn Sink,
        (progress, interrupt): (&Progress, &Interrupt),
        settings: &Settings,
    ) -> Result<Done, Failure> {
        let work = Work::begin(sink, "find the Dockerfile and the context");
        let inputs = self.definition.load(request, engine, sink, interrupt)?;
        drop(work);
        let source = &inputs.dockerfile;
        let shells = match self.on_fail {
            Some(OnFailMode::Shell) => Some(Shells::new(progress, source, settings)?),
            _ => None,
        };
        let on_fail = match (self.on_fail, &shells) {
            (_, Some(shells)) => OnFail::Show(shells),
            (Some(_), None) => OnFail::Keep,
            (None, None) => OnFail::Forget,
        };
        let (built, findings) = std::thread::scope(|scope| {
            let linting = asked.map(|asked| asked.start(source, sink, scope)).transpose()?;
            let built = engine.builder().build_with(request, &on_fail, sink, &interrupt.cancel);
            let built = built.map_err(|error| {
                let failure = engine::build_failure(error, source, interrupt);
                on_fail::tell(failure, self.on_fail)
            })?;
            let findings = linting.map_or(Ok(Vec::new()), ScopedJoinHandle::join);
            let findings = findings.map_err(|_| Failure::internal(anyhow::anyhow!("the linter panicked")))?;
            Ok((built, findings))
        })?;
        Ok(Done {
            built,
            source: inputs.dockerfile,
            findings,
        })
    }

    fn tags(&self) -> Result<Vec<Reference>, Failure> {
        let parse = |text: &String| {
            let reference: Reference = text
                .parse()
                .map_err(|error| Failure::usage(format!("--tag: {error}")))?;
            match reference.digest() {
                Some(_) => Err(Failure::usage(format!(
                    "--tag {text}: an image cannot be given a digest"
                ))),
                None => Ok(reference),
            }
        };
        self.tag.iter().map(parse).collect()
    }

    fn annotations(&self) -> Result<Annotations, Failure> {
        let notes: Result<Vec<_>, _> = self.annotation.iter().map(|text| annotation::parse(text)).collect();
        let notes = notes.map_err(|message| Failure::usage(format!("--annotation {message}")))?;
        Ok(Annotations(notes.concat()))
    }

    /// Where the image goes, and the time stamps that an output asks for.
    fn outputs(&self, tags: &[Reference]) -> Result<(Vec<Output>, Option<i64>), Failure> {
        let mut outputs = Vec::new();
        let mut epoch = None;
        for text in &self.output {
            let (parsed, own) =
                output::parse(text, tags).map_err(|message| Failure::usage(format!("--output {message}")))?;
            outputs.push(parsed);
            epoch = own.or(epoch);
        }
        if self.push {
            if tags.is_empty() {
                return Err(Failure::usage("--push needs a name to push to: -t NAME"));
            }
            outputs.push(Output::Image {
                names: tags.to_vec(),
                push: true,
                layers: LayerOptions::default(),
            });
        }
        let to_stdout = outputs.iter().filter(|output| output::to_stdout(output)).count();
        if to_stdout > 1 {
            return Err(Failure::usage("only one output can go to standard output"));
        }
        if to_stdout == 1 && terminal::stdout_is_terminal() {
            return Err(
                Failure::usage("standard output is a terminal, which cannot take an archive")
                    .hint("redirect it, or add dest=FILE"),
            );
        }
        Ok((outputs, epoch))
    }

    /// What several platforms, and builds without an image, cannot have.
    fn check_outputs(&self, request: &Request) -> Outcome {
        if self.iidfile.is_some() && request.is_cache_only() {
            return Err(Failure::usage(
                "--iidfile: with --output type=cacheonly there is no image to have an ID",
            ));
        }
        if !request.options.several() {
            return Ok(());
        }
        let platforms = request.options.targets();
        let docker = |output: &Output| matches!(output, Output::Docker { .. });
        if request.outputs.iter().any(docker) {
            return Err(
                Failure::usage("--output type=docker: docker's archives have no place for several platforms")
                    .hint("use type=oci, which docker load takes too where docker keeps images in containerd's store"),
            );
        }
        let files = |output: &Output| matches!(output, Output::Local { .. } | Output::Tar { .. } | Output::CacheOnly);
        let files_alone = !request.outputs.is_empty() && request.outputs.iter().all(files);
        if self.iidfile.is_some() && files_alone {
            return Err(
                Failure::usage("--iidfile: several platforms have the ID of their index, and none is written")
                    .hint("leave it out, or add -t NAME with --output type=image"),
            );
        }
        let others = request.annotations.0.iter().filter_map(|note| note.platform.as_ref());
        match others.into_iter().find(|platform| !platforms.contains(platform)) {
            Some(other) => Err(Failure::usage(format!("--annotation: {other} is not built for"))),
            None => Ok(()),
        }
    }

    fn conclude(&self, ended: &Ended<'_>, progress: &Progress, settings: &Settings) -> Outcome {
        let Ended {
            done,
            request,
            seen,
            summary,
        } = ended;
        let Done {
            built,
            source,
            findings,
        } = done;
        if progress.for_people() {
            terminal::say(Reporter::new(settings).diagnostics(source, &seen.warnings));
            terminal::say(findings::show(findings, source));
            if progress.is_live() {
                terminal::say(results::reasons(&seen.reasons));
            }
            if let Some(heaviest) = &seen.heaviest {
                terminal::say(results::most_memory(heaviest));
            }
            terminal::say(results::emulated(&seen.emulated));
            terminal::say(summary.as_ref().map(Summary::text).unwrap_or_default());
            terminal::say(results::summary(built, request));
        } else if progress.is_json() {
            terminal::say(results::result_line(
                built,
                request,
                summary.as_ref().map(Summary::object),
            ));
        }
        if let (Some(path), Some(id)) = (&self.iidfile, built.id()) {
            results::write(path, id.to_string().as_bytes())?;
        }
        if let Some(path) = &self.metadata_file {
            results::write(path, &results::metadata(built, &request.names()))?;
        }
        if let Some(id) = built.id()
            && self.quiet
            && !request.outputs.iter().any(output::to_stdout)
        {
            terminal::print_line(id)?;
        }
        Ok(())
    }
}

/// A build that is over.
struct Ended<'a> {
    done: &'a Done,
    request: &'a Request,
    seen: &'a Seen,
    summary: Option<Summary>,
}

/// The store keeps no manifest of an image that it built, only of several platforms: notes need an output that writes one.
fn check_annotations(request: &Request) -> Outcome {
    let several = request.options.several();
    let writes = |output: &Output| match output {
        Output::Oci { .. } | Output::Docker { .. } => true,
        Output::Image { push, .. } => *push || several,
        Output::Local { .. } | Output::Tar { .. } | Output::CacheOnly => false,
    };
    let written = several && request.outputs.is_empty() || request.outputs.iter().any(writes);
    if request.annotations.0.is_empty() || written {
        return Ok(());
    }
    Err(
        Failure::usage("--annotation: nothing is written that has a manifest, so it would be lost")
            .hint("add --push or --output type=oci,dest=FILE; what the image itself shall say is a --label"),
    )
}
