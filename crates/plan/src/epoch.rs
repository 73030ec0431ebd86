//! `SOURCE_DATE_EPOCH`: the moment at which an image says that it was made.

use std::rc::Rc;

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Kind, Span, Stage};
use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::expand::Env as _;

use crate::Outcome;
use crate::globals::Globals;
use crate::options::{Images, NamedContext, Options};
use crate::origin::MAIN_CONTEXT;
use crate::report::{Report, error};
use crate::step::{Op, Plan, Source};

/// The build argument, and variable of the environment, that says it.
pub const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Who says when an image was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Epoch {
    /// Nobody: it is when its steps ran.
    Unset,
    /// Seconds since 1970.
    At(i64),
    /// What the build context is: see [`Epoch::Source`].
    Context,
    /// What is fetched, by git or HTTP: the time of the commit; what the server says, or the newest entry of an archive.
    Source(Box<Source>),
}

/// Who says it: a build argument, or the default of an ARG before the first FROM. (`BuildKit`: `docs/build-repro.md`)
///
/// What it names beyond a number must be looked up by the caller, who plans with the number as build argument, or with
/// an empty one where nothing was found.
///
/// # Errors
///
/// It is neither a number nor something that has a time.
pub fn epoch(dockerfile: &Dockerfile, options: &Options) -> Result<Epoch, Vec<Diagnostic>> {
    let Some(value) = value(dockerfile, options) else {
        return Ok(Epoch::Unset);
    };
    if value.is_empty() {
        return Ok(Epoch::Unset);
    }
    if let Ok(seconds) = value.parse() {
        return Ok(Epoch::At(seconds));
    }
    if value == MAIN_CONTEXT {
        return Ok(Epoch::Context);
    }
    if let Some(context) = options.contexts.get(&value.to_lowercase()) {
        return Ok(match context {
            NamedContext::Remote(remote) => Epoch::Source(Box::new(remote.context())),
            NamedContext::Local | NamedContext::Image(_) => Epoch::Unset,
        });
    }
    let named = |stage: &&Stage| {
        stage
            .name
            .as_deref()
            .is_some_and(|name| name.eq_ignore_ascii_case(&value))
    };
    match dockerfile.stages.iter().find(named) {
        Some(stage) => source(stage, dockerfile, options).map(|source| Epoch::Source(Box::new(source))),
        None => Err(vec![invalid(dockerfile, options, &value)]),
    }
}

/// The seconds, once everything else is looked up.
pub(crate) fn seconds(options: &Options, globals: &Globals) -> Option<i64> {
    let given = options.build_args.get(SOURCE_DATE_EPOCH).map(String::as_str);
    given.or_else(|| globals.vars.get(SOURCE_DATE_EPOCH))?.parse().ok()
}

fn value(dockerfile: &Dockerfile, options: &Options) -> Option<String> {
    if let Some(given) = options.build_args.get(SOURCE_DATE_EPOCH) {
        return Some(given.clone());
    }
    // What is wrong with the ARGs is told when they are planned.
    let globals = Globals::new(
        dockerfile,
        options,
        &options.targets()[0],
        &Rc::default(),
        &mut Report::default(),
    );
    globals.vars.get(SOURCE_DATE_EPOCH).map(ToOwned::to_owned)
}

fn invalid(dockerfile: &Dockerfile, options: &Options, value: &str) -> Diagnostic {
    let given = if options.build_args.contains_key(SOURCE_DATE_EPOCH) {
        ", a build argument"
    } else {
        ""
    };
    let declares = |instruction: &&kiln_dockerfile::ast::Instruction| match &instruction.kind {
        Kind::Arg(declarations) => declarations.iter().any(|one| one.name.raw == SOURCE_DATE_EPOCH),
        _ => false,
    };
    let declared = dockerfile.globals.iter().rfind(declares);
    let span = declared.map_or_else(Span::default, |instruction| instruction.span);
    Diagnostic {
        help: Some(
            "seconds since 1970, `context`, a build context, or a stage that ADDs one thing from elsewhere".to_owned(),
        ),
        ..error("BadEpoch", span, format!("invalid {SOURCE_DATE_EPOCH}: {value}{given}"))
    }
}

/// What a stage fetches that is made of nothing else.
fn source(stage: &Stage, dockerfile: &Dockerfile, options: &Options) -> Result<Source, Vec<Diagnostic>> {
    let wrong = |span, message: String| vec![error("BadEpoch", span, message)];
    if let Some(other) = stage
        .instructions
        .iter()
        .find(|each| !matches!(each.kind, Kind::Arg(_) | Kind::Add(_)))
    {
        let message = format!("the stage of {SOURCE_DATE_EPOCH} has only ARG and one ADD of a URL or repository");
        return Err(wrong(other.span, message));
    }
    let mut alone = Options {
        target: stage.name.clone(),
        every_stage: false,
        ..options.clone()
    };
    alone.build_args.insert(SOURCE_DATE_EPOCH.to_owned(), String::new());
    let found = match crate::plan(dockerfile, &alone, &Images::new()) {
        Outcome::Plan(plan, _) => only_source(&plan),
        Outcome::Invalid(diagnostics) => return Err(diagnostics),
        Outcome::Needs(_) => None,
    };
    found.ok_or_else(|| {
        let message =
            format!("the stage of {SOURCE_DATE_EPOCH} must be FROM scratch, with one ADD of a URL or repository");
        wrong(stage.from.image.span, message)
    })
}

fn only_source(plan: &Plan) -> Option<Source> {
    let mut sources = plan.steps.iter().filter_map(|step| match &step.op {
        Op::Source(source) => Some(source),
        _ => None,
    });
    match (sources.next(), sources.next()) {
        (Some(source @ (Source::Git(_) | Source::Http { .. })), None) => Some(source.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{GitSource, Remote};

    fn of(text: &str, arguments: &[&str]) -> Result<Epoch, String> {
        let (dockerfile, found) = kiln_dockerfile::parse(text);
        assert_eq!(found, []);
        let remote = |url: &str| NamedContext::Remote(Remote::parse(url).unwrap().unwrap());
        let options = Options {
            build_args: arguments
                .iter()
                .map(|value| (SOURCE_DATE_EPOCH.to_owned(), (*value).to_owned()))
                .collect(),
            contexts: [
                ("here".to_owned(), NamedContext::Local),
                ("code".to_owned(), remote("https://example.com/a.git")),
                ("file".to_owned(), remote("https://example.com/a.tar")),
            ]
            .into(),
            ..Options::default()
        };
        epoch(&dockerfile, &options).map_err(|found| found[0].message.clone())
    }

    #[test]
    fn who_says_it() {
        let http = |url: &str, name: &str| {
            Ok(Epoch::Source(Box::new(Source::Http {
                url: url.to_owned(),
                checksum: None,
                file_name: name.to_owned(),
            })))
        };
        let git = Ok(Epoch::Source(Box::new(Source::Git(GitSource::of(
            "https://example.com/a.git",
        )))));
        for (global, arguments, expected) in [
            ("", &[][..], Ok(Epoch::Unset)),
            ("", &["5"], Ok(Epoch::At(5))),
            ("", &["-5"], Ok(Epoch::At(-5))),
            ("", &[""], Ok(Epoch::Unset)),
            ("ARG SOURCE_DATE_EPOCH=6\n", &[], Ok(Epoch::At(6))),
            ("ARG A=7 SOURCE_DATE_EPOCH=$A\n", &[], Ok(Epoch::At(7))),
            ("ARG SOURCE_DATE_EPOCH=6\n", &["5"], Ok(Epoch::At(5))),
            ("ARG SOURCE_DATE_EPOCH=6\n", &[""], Ok(Epoch::Unset)),
            ("ARG SOURCE_DATE_EPOCH\n", &[], Ok(Epoch::Unset)),
            ("ARG SOURCE_DATE_EPOCH=context\n", &[], Ok(Epoch::Context)),
            ("", &["here"], Ok(Epoch::Unset)),
            ("", &["Code"], git),
            ("", &["file"], http("https://example.com/a.tar", "context")),
            (
                "",
                &["yesterday"],
                Err("invalid SOURCE_DATE_EPOCH: yesterday, a build argument".to_owned()),
            ),
        ] {
            assert_eq!(
                of(&format!("{global}FROM scratch\n"), arguments),
                expected,
                "{global} {arguments:?}"
            );
        }
    }

    #[test]
    fn a_stage_that_fetches_one_thing() {
        let stage = |body: &str| of(&format!("FROM scratch AS when\n{body}\nFROM scratch\n"), &["when"]);
        let found = stage("ARG V=1\nADD https://example.com/v$V.tar /x/");
        let source = Source::Http {
            url: "https://example.com/v1.tar".to_owned(),
            checksum: None,
            file_name: "v1.tar".to_owned(),
        };
        assert_eq!(found, Ok(Epoch::Source(Box::new(source))));
        for (body, part) in [
            ("COPY a /", "has only ARG"),
            ("ADD a /", "must be FROM scratch"),
            ("ARG V", "must be FROM scratch"),
            (
                "ADD https://example.com/a https://example.com/b /x/",
                "must be FROM scratch",
            ),
        ] {
            let message = stage(body).unwrap_err();
            assert!(message.contains(part), "{body}: {message}");
        }
        let message = of(
            "FROM debian AS when\nADD https://example.com/a /\nFROM scratch\n",
            &["when"],
        );
        assert!(message.unwrap_err().contains("must be FROM scratch"));
    }
}
