//! What the linter finds in the Dockerfile of a build: looked for while steps run, and said in a few lines at the end.

use std::fmt::Write as _;
use std::path::Path;
use std::thread::{self, Scope, ScopedJoinHandle};

use kiln_build::event::{Event, Sink, Work};
use kiln_build::request::Request;
use kiln_dockerfile::diagnostic::{Diagnostic, Severity as Level};
use kiln_dockerfile::parse;
use kiln_dockerfile::source::Source;
use kiln_lint::{Config, Context, Finding, Severity};

use crate::commands::lint::config;
use crate::failure::{Context as _, Failure, Report};
use crate::progress::text::one_line;
use crate::report::sentence;
use crate::settings::{DuringBuild, Settings};

/// How many findings are shown.
const SHOWN: usize = 3;

/// Which rules are asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    config: Config,
    /// Whether those are asked too that hadolint has.
    hadolints: bool,
}

impl Asked {
    /// As the settings say it, of a build that is asked for; `None` if nothing is looked for. Whoever has settings for
    /// hadolint wants its rules; where they cannot be read, the sink is told why.
    pub(super) fn of(request: &Request, settings: &Settings, silent: bool, sink: &dyn Sink) -> Option<Self> {
        let wanted = settings.lint_during_build();
        if silent || wanted == DuringBuild::Nothing {
            return None;
        }
        match config::found(&settings.environment) {
            Ok(found) => Some(Self {
                hadolints: found.is_some() || wanted == DuringBuild::All,
                config: Config {
                    // Of what lies in the context nothing is said: the build itself reads it.
                    context: Some(Context {
                        named: request.options.contexts.keys().cloned().collect(),
                        ..Context::default()
                    }),
                    ..found.unwrap_or_default()
                },
            }),
            Err(failure) => {
                let why = match &failure.report {
                    Report::Plain { error, .. } => one_line(&sentence(error)),
                    _ => "its settings cannot be read".to_owned(),
                };
                sink.event(Event::Notice(format!("the linter finds nothing: {why}")));
                None
            }
        }
    }

    /// What is found that is worth a warning, in the order of the text. BuildKit's checks are not asked: the build does.
    pub(super) fn find(&self, source: &Source) -> Vec<Finding> {
        let file = parse(source.text()).0;
        if kiln_dockerfile::checks::Config::of(&file).skip_all {
            return Vec::new();
        }
        let mut findings = kiln_lint::rules(&file, &self.config);
        let asked = |finding: &Finding| self.hadolints || finding.code.starts_with('K');
        findings.retain(|finding| finding.severity >= Severity::Warning && asked(finding));
        findings
    }

    /// The same, in a thread of its own.
    pub(super) fn start<'scope>(
        self,
        source: &'scope Source,
        sink: &'scope dyn Sink,
        scope: &'scope Scope<'scope, '_>,
    ) -> Result<ScopedJoinHandle<'scope, Vec<Finding>>, Failure> {
        let find = move || {
            let _work = Work::begin(sink, "lint");
            self.find(source)
        };
        let thread = thread::Builder::new().name("lint".to_owned());
        thread
            .spawn_scoped(scope, find)
            .or_internal(|| "cannot start a thread".to_owned())
    }
}

/// A finding as the build's own warnings are.
pub(super) fn warning(finding: &Finding) -> Diagnostic {
    Diagnostic {
        code: finding.code,
        severity: Level::Warning,
        message: finding.message.clone(),
        span: finding.span,
        help: finding.fix.as_ref().map(|fix| fix.title.clone()),
    }
}

/// Tells programs.
pub(super) fn tell(findings: &[Finding], sink: &dyn Sink) {
    for finding in findings {
        sink.event(Event::Warning(warning(finding)));
    }
}

/// The first of them, for people, and where to see the others; empty if there are none.
pub(super) fn show(findings: &[Finding], source: &Source) -> String {
    let mut text = String::new();
    for finding in findings.iter().take(SHOWN) {
        let (number, span) = source.place(finding.span);
        let file = &source.files()[number];
        let message = one_line(&finding.message);
        let _infallible = writeln!(
            text,
            "{}:{}: {}[{}]: {message}",
            one_line(&file.name),
            file.line(span.start),
            finding.severity.name(),
            finding.code
        );
    }
    let name = source.name();
    if findings.is_empty() || !Path::new(name).is_file() {
        return text;
    }
    let more = match findings.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("{more} more; "),
    };
    let _infallible = writeln!(text, "{more}`kiln lint {}` shows all", one_line(name));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, hadolints: bool) -> Vec<&'static str> {
        let asked = Asked {
            config: Config::default(),
            hadolints,
        };
        let found = asked.find(&Source::new("Dockerfile", text.to_owned()));
        found.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn kilns_rules_are_asked_and_hadolints_where_they_are_wanted() {
        let text = "FROM a\nRUN sudo x\nFROM debian\nEXPOSE 80 # why\nRUN apt-get install -y x\n";
        assert_eq!(find(text, false), ["K1003", "K1001"]);
        // DL3009 and DL3015 are no warnings; what BuildKit checks the build says itself.
        let all = find(text, true);
        for code in ["K1001", "DL3004", "DL3006", "DL3008"] {
            assert!(all.contains(&code), "{code}: {all:?}");
        }
        assert!(!all.contains(&"DL3009") && all.iter().all(|code| code.starts_with(['D', 'K'])));
        assert!(find(&format!("# check=skip=all\n{text}"), true).is_empty());
        assert_eq!(
            find(&format!("# hadolint global ignore=K1001\n{text}"), false),
            ["K1003"]
        );
    }

    #[test]
    fn a_few_are_shown() {
        let text = "FROM scratch\nEXPOSE 1 # a\nEXPOSE 2 # b\n";
        let source = |text: &str| Source::new("/nowhere/Dockerfile", text.to_owned());
        let asked = Asked {
            config: Config::default(),
            hadolints: false,
        };
        let shown = |text: &str| show(&asked.find(&source(text)), &source(text));
        let lines = shown(text);
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(
            lines.starts_with("/nowhere/Dockerfile:2: warning[K1001]: a comment needs"),
            "{lines}"
        );
        let many = format!("FROM scratch\n{}", "EXPOSE 1 # a\n".repeat(9));
        assert_eq!(shown(&many).lines().count(), SHOWN);
        assert_eq!(shown("FROM scratch\n"), "");
    }
}
