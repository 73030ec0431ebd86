//! `--call`: what the Dockerfile says, without building it.

mod check;
mod json;
mod outline;
mod targets;

use super::Args;
use super::findings::{self, Asked};
use crate::engine::{self, Engine};
use crate::failure::{FAILED, Failure, Outcome, Report};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::values::csv;
use crate::{table, terminal};

/// Flags that ask about the Dockerfile instead of building it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Instead of building")]
pub(crate) struct CallArgs {
    /// Print what the Dockerfile says: check (warnings), outline (arguments, secrets), targets (stages)
    #[arg(long, value_name = "METHOD[,format=json]")]
    call: Option<String>,
    /// Print the warnings: --call=check
    #[arg(long, value_name = "true | false", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    check: Option<String>,
    /// The former name of --call
    #[arg(long, hide = true, conflicts_with = "call")]
    print: Option<String>,
}

impl CallArgs {
    /// What is asked; `None` to build.
    pub(crate) fn call(&self) -> Result<Option<Call>, Failure> {
        let (flag, text) = match (&self.call, &self.print) {
            (Some(text), _) => ("--call", Some(text)),
            (None, text) => ("--print", text.as_ref()),
        };
        let call = text.map(|text| Call::parse(text)).transpose();
        let call = call
            .map_err(|message| Failure::usage(format!("{flag} {message}")))?
            .flatten();
        let check = match &self.check {
            Some(text) => csv::boolean("--check", Some(text)).map_err(Failure::usage)?,
            None => false,
        };
        match call {
            None if check => Ok(Some(Call::CHECK)),
            Some(Call { method, .. }) if check && method != Method::Check => {
                Err(Failure::usage("--check asks for another method than --call").hint("leave one of them out"))
            }
            call => Ok(call),
        }
    }
}

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Check,
    Outline,
    Targets,
    Describe,
}

/// A question about a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    method: Method,
    json: bool,
    /// Whether warnings leave the exit code at 0.
    ignore_status: bool,
}

impl Call {
    const CHECK: Self = Self {
        method: Method::Check,
        json: false,
        ignore_status: false,
    };

    /// Reads `METHOD[,format=json|text][,ignorestatus=true]`; `None` for `build`.
    fn parse(text: &str) -> Result<Option<Self>, String> {
        let mut method = None;
        let mut call = Self::CHECK;
        for field in text.split(',') {
            match field.split_once('=') {
                None if method.is_none() => method = Some(field),
                None => return Err(format!("{text}: it names two methods")),
                Some(("format", "json")) => call.json = true,
                Some(("format", "text" | "")) => call.json = false,
                Some(("format", other)) => return Err(format!("{text}: the format is json or text, not {other}")),
                Some(("ignorestatus", value)) => call.ignore_status = csv::boolean("ignorestatus", Some(value))?,
                Some((other, _)) => return Err(format!("{text}: {other} is neither format nor ignorestatus")),
            }
        }
        call.method = match method.unwrap_or("build") {
            "build" => return Ok(None),
            "check" | "lint" => Method::Check,
            "outline" => Method::Outline,
            "targets" => Method::Targets,
            "subrequests.describe" => Method::Describe,
            other => return Err(format!("{other}: wanted build, check, outline or targets")),
        };
        Ok(Some(call))
    }

    /// Answers on standard output.
    pub(crate) fn run(self, args: &Args, settings: &Settings) -> Outcome {
        if self.method == Method::Describe {
            return terminal::print(self.describe());
        }
        let mut request = args.request(settings)?;
        let engine = Engine::open(settings)?;
        let interrupt = Interrupt::watch()?;
        let progress = Progress::start(args.progress, args.quiet, settings)?;
        let inputs = args.definition.load(&mut request, &engine, progress.sink(), &interrupt);
        let inputs = match inputs {
            // It cannot be put together.
            Err(Failure {
                report: Report::Dockerfile { source, diagnostics },
                ..
            }) if self.method == Method::Check => {
                progress.finish();
                return self.conclude(check::Result::new(diagnostics, None, &source));
            }
            inputs => inputs?,
        };
        let source = &inputs.dockerfile;
        if self.method == Method::Targets {
            progress.finish();
            return terminal::print(targets::show(source, self.json)?);
        }
        let builder = engine.builder();
        let failure = |error| engine::build_failure(error, source, &interrupt);
        if self.method == Method::Outline {
            let plan = builder.plan(&request, progress.sink(), &interrupt.cancel);
            progress.finish();
            return terminal::print(outline::show(&plan.map_err(failure)?.outline, source, self.json));
        }
        let checked = builder.check(&request, progress.sink(), &interrupt.cancel);
        let asked = Asked::of(&request, settings, args.no_lint, progress.sink());
        progress.finish();
        let mut checked = checked.map_err(failure)?;
        if let Some(asked) = asked {
            let found = asked.find(source);
            checked.found.extend(found.iter().map(findings::warning));
            checked.found.sort_by_key(|each| each.span.start);
        }
        self.conclude(check::Result::new(checked.found, checked.failure.map(failure), source))
    }

    /// Prints what a check found.
    fn conclude(self, result: check::Result<'_>) -> Outcome {
        terminal::print(result.show(self.json))?;
        let warned = result.has_warnings();
        match result.into_failure() {
            Some(failure) => Err(failure),
            None if warned && !self.ignore_status => Err(Failure::silent(FAILED)),
            None => Ok(()),
        }
    }

    fn describe(self) -> String {
        const METHODS: [(&str, &str); 3] = [
            ("outline", "List all parameters that the build takes"),
            ("targets", "List all stages that can be built"),
            ("subrequests.describe", "List all methods"),
        ];
        if self.json {
            let methods = METHODS.map(|(name, description)| {
                let name = format!("frontend.{name}");
                serde_json::json!({"name": name, "version": json::VERSION, "type": "rpc", "description": description})
            });
            return json::pretty(&methods);
        }
        let rows =
            METHODS.map(|(name, description)| [name.to_owned(), json::VERSION.to_owned(), description.to_owned()]);
        table::render_apart(1, ["NAME", "VERSION", "DESCRIPTION"], &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_formats() {
        let call = |method, json| {
            Ok(Some(Call {
                method,
                json,
                ignore_status: false,
            }))
        };
        for (text, expected) in [
            ("build", Ok(None)),
            ("", Err(())),
            ("check", call(Method::Check, false)),
            ("lint,format=json", call(Method::Check, true)),
            ("outline,format=text", call(Method::Outline, false)),
            ("format=json,targets", call(Method::Targets, true)),
            ("check,outline", Err(())),
            ("check,format=xml", Err(())),
            ("check,colour=red", Err(())),
            ("check,ignorestatus=perhaps", Err(())),
            ("lnt", Err(())),
        ] {
            assert_eq!(Call::parse(text).map_err(drop), expected, "{text}");
        }
        assert!(Call::parse("check,ignorestatus=1").unwrap().unwrap().ignore_status);
    }
}
