//! A file and settings to findings.

use kiln_dockerfile::ast::{Kind, Span};
use kiln_dockerfile::checks;
use kiln_dockerfile::diagnostic::{Diagnostic, Severity as Level};
use kiln_dockerfile::{Dockerfile, code, parse};
use kiln_plan::{Images, Options, Outcome, Plan, ResolvedImage};

use crate::buildkit;
use crate::config::Config;
use crate::finding::{Finding, Severity};
use crate::pragma::Pragmas;
use crate::rules::RULES;
use crate::twins;
use crate::view::View;

/// Reads a Dockerfile and tells all there is to say about it, in the order of its lines. A part that cannot be read is a
/// finding, and the rest is looked at all the same.
pub fn lint(source: &str, config: &Config) -> Vec<Finding> {
    let (file, diagnostics) = parse(source);
    let mut findings = of_builder(&file, diagnostics);
    findings.extend(of_rules(&file, config));
    silence_and_sort(findings, &file, config)
}

/// What hadolint's and Kiln's rules alone say of a file that was read: all but what a build of it says.
pub fn rules(file: &Dockerfile, config: &Config) -> Vec<Finding> {
    silence_and_sort(of_rules(file, config), file, config)
}

fn of_rules(file: &Dockerfile, config: &Config) -> Vec<Finding> {
    let view = View::new(file, config);
    let mut findings = Vec::new();
    for rule in RULES {
        if !config.ignored.contains(rule.code) && (!rule.off || config.severities.contains_key(rule.code)) {
            findings.extend(rule.run(&view));
        }
    }
    findings
}

/// Leaves out what settings and comments silence.
fn silence_and_sort(mut findings: Vec<Finding>, file: &Dockerfile, config: &Config) -> Vec<Finding> {
    let pragmas = if config.disable_ignore_pragma {
        Pragmas::default()
    } else {
        Pragmas::read(file)
    };
    twins::join(&mut findings);
    let skipped = checks::Config::of(file);
    let skips = |name: &str, place: usize| {
        if checks::rule(name).is_none() {
            return false;
        }
        let comments = file
            .instruction_at(place)
            .map(|each| checks::Config::of_comments(&each.comments));
        skipped.skips(name) || comments.is_some_and(|comments| comments.skips(name))
    };
    findings.retain_mut(|finding| {
        let names = [Some(finding.code), twins::other(finding.code)];
        if let Some(severity) = names.iter().flatten().find_map(|name| config.severities.get(*name)) {
            finding.severity = *severity;
        }
        // Who silences a rule by one of its names means the rule.
        !names.into_iter().flatten().any(|name| {
            config.ignored.contains(name)
                || skips(name, finding.span.start)
                || pragmas.silence(file, name, finding.line, finding.span.start)
        })
    });
    findings.sort_by(|a, b| (a.line, a.span.start, a.code).cmp(&(b.line, b.span.start, b.code)));
    findings
}

/// What the parser and the plan say: errors, and BuildKit's checks.
fn of_builder(file: &Dockerfile, mut diagnostics: Vec<Diagnostic>) -> Vec<Finding> {
    let readable = diagnostics.iter().all(|each| each.severity != Level::Error);
    if readable {
        diagnostics.extend(planned(file).1);
    }
    checks::Config::of(file).apply(file, &mut diagnostics);
    let first = diagnostics.iter().position(|each| each.code == code::BEFORE_FROM);
    if let Some(place) = first {
        let more = before_from(file, &diagnostics[place]);
        diagnostics.extend(more);
    }
    let findings = diagnostics.into_iter().map(|diagnostic| finding(file, diagnostic));
    let mut findings: Vec<Finding> = findings.collect();
    findings.sort_by(|a, b| (a.code, a.span.start, &a.message).cmp(&(b.code, b.span.start, &b.message)));
    findings.dedup_by(|a, b| (a.code, a.span, &a.message) == (b.code, b.span, &b.message));
    findings
}

/// The parser says it of the first instruction before FROM: here are the others.
fn before_from(file: &Dockerfile, said: &Diagnostic) -> Vec<Diagnostic> {
    const STAGE: &str = "FROM scratch\n";
    let start = said.span.start;
    let end = file
        .stages
        .first()
        .map_or(file.source.len(), |stage| stage.instruction.span.start);
    let (Some(before), Some(text)) = (file.source.get(..start), file.source.get(start..end)) else {
        return Vec::new();
    };
    let staged = parse(&format!("{before}{STAGE}{text}")).0;
    let others = staged.stages.iter().flat_map(|stage| &stage.instructions).skip(1);
    others
        .filter(|each| !matches!(each.kind, Kind::Arg(_)))
        .map(|each| Diagnostic {
            span: Span {
                start: each.span.start - STAGE.len(),
                end: each.span.end - STAGE.len(),
            },
            ..said.clone()
        })
        .collect()
}

fn finding(file: &Dockerfile, diagnostic: Diagnostic) -> Finding {
    let instruction = file.instruction_at(diagnostic.span.start);
    let line = instruction.map_or_else(|| file.line(diagnostic.span.start), |each| file.line(each.span.start));
    let (code, severity) = match diagnostic.severity {
        Level::Warning => (diagnostic.code, Severity::Warning),
        Level::Error => (error_code(file, &diagnostic), Severity::Error),
    };
    let mut finding = Finding {
        code,
        also: None,
        severity,
        message: diagnostic.message,
        span: shown(file, diagnostic.span),
        line,
        fix: None,
        unfixed: None,
        cost: None,
    };
    finding.fix = buildkit::fix(file, &finding);
    finding
}

/// The first line of what is meant, for places that span several.
fn shown(file: &Dockerfile, span: Span) -> Span {
    let text = file.source.get(span.range()).unwrap_or_default();
    let length = text.find(['\n', '\r']).unwrap_or(text.len());
    Span {
        start: span.start,
        end: span.start + length,
    }
}

/// hadolint's code of what cannot be read.
fn error_code(file: &Dockerfile, diagnostic: &Diagnostic) -> &'static str {
    let text = file.source.get(diagnostic.span.start..).unwrap_or_default();
    match diagnostic.code {
        code::BEFORE_FROM => "DL3061",
        code::BAD_ARGUMENTS if is_forbidden_trigger(file, diagnostic.span, text) => "DL3043",
        _ => "DL1000",
    }
}

/// ONBUILD of what cannot be put off.
fn is_forbidden_trigger(file: &Dockerfile, span: Span, text: &str) -> bool {
    let line = file.source.get(file.line_start(file.line(span.start))..span.start);
    let after_onbuild = line.is_some_and(|line| line.trim().eq_ignore_ascii_case("ONBUILD"));
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    after_onbuild
        && ["ONBUILD", "FROM", "MAINTAINER"]
            .iter()
            .any(|each| word.eq_ignore_ascii_case(each))
}

/// Plans every stage over images of which nothing is known, and what that says: but nothing of variables, which the images
/// may set, nor of their platforms.
pub(crate) fn planned(file: &Dockerfile) -> (Option<Plan>, Vec<Diagnostic>) {
    let options = Options {
        every_stage: true,
        ..Options::default()
    };
    let mut images = Images::new();
    let (plan, mut found) = loop {
        match kiln_plan::plan(file, &options, &images) {
            Outcome::Plan(plan, found) => break (Some(*plan), found),
            Outcome::Invalid(found) => break (None, found),
            Outcome::Needs(needs) => images.extend(needs.into_keys().map(|request| {
                let unknown = ResolvedImage::unknown(&request);
                (request, unknown)
            })),
        }
    };
    found.retain(|each| {
        each.severity == Level::Warning
            && !matches!(
                each.code,
                code::UNDEFINED_VAR | code::INVALID_BASE_IMAGE_PLATFORM | code::NETWORK_HOST_NOT_ALLOWED
            )
    });
    (plan, found)
}

/// Whether a text parses, and plans if `before` did.
pub(crate) fn holds(before: &str, after: &str) -> bool {
    let readable = |found: &[Diagnostic]| found.iter().all(|each| each.severity != Level::Error);
    let (old, old_found) = parse(before);
    let (new, new_found) = parse(after);
    if !readable(&new_found) {
        return !readable(&old_found) && new_found.len() <= old_found.len();
    }
    let same_shape = old.stages.len() == new.stages.len() || !readable(&old_found);
    same_shape && (planned(&new).0.is_some() || planned(&old).0.is_none())
}
