//! Renders failures and warnings for people.

use std::fmt::Write as _;
use std::time::Duration;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use kiln_dockerfile::diagnostic::{Diagnostic, Severity};
use kiln_dockerfile::source::{File, Source};
use kiln_lint::{Amount, Cost, Finding, Safety};

use crate::failure::{FailedStep, Failure, Report};
use crate::progress::text::{cut, lines, sanitise};
use crate::settings::Settings;
use crate::terminal;
use crate::values::size;

/// How many errors and how many warnings about one Dockerfile are shown with their places.
const SHOWN: usize = 20;

/// Lines of a Dockerfile that are shown before and after those of a failed step.
const AROUND: u32 = 2;
/// Columns of a line of a Dockerfile that are shown.
const WIDEST: usize = 1000;
/// Lines of a failed step that are shown; of more than that, the first ones and the last.
const MARKED: u32 = 12;

/// Times below this are not told apart.
const SHORTEST: Duration = Duration::from_millis(50);

/// What a finding costs, in one line; `None` where nothing was measured.
pub(crate) fn cost(cost: &Cost) -> Option<String> {
    let measured = cost.measured.as_ref()?;
    let amount = match measured.amount {
        Amount::Bytes(bytes) => size::show(bytes),
        Amount::Time(time) if time < SHORTEST => "less than 0.1s".to_owned(),
        Amount::Time(time) => format!("{:.1}s", time.as_secs_f64()),
    };
    let mut text = format!(
        "measured in build {}: {}",
        measured.build,
        cost.what.replace("{}", &amount)
    );
    if matches!(measured.amount, Amount::Time(_)) && measured.of > 1 {
        let _ = write!(text, "; it ran in {} of {} builds", measured.ran, measured.of);
    }
    Some(text)
}

/// Renders for standard error.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    colours: bool,
    renderer: Renderer,
    debug: bool,
}

impl Reporter {
    /// In colours if the user and the terminal like them.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self::with(settings.colours(terminal::stderr_is_terminal()), settings.debug())
    }

    /// The same for standard output.
    pub(crate) fn for_output(settings: &Settings) -> Self {
        Self::with(settings.colours(terminal::stdout_is_terminal()), settings.debug())
    }

    /// For when there are no settings.
    pub(crate) fn plain() -> Self {
        Self::with(false, false)
    }

    fn with(colours: bool, debug: bool) -> Self {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        Self {
            colours,
            renderer: renderer.term_width(terminal_width().unwrap_or(140)),
            debug,
        }
    }

    /// Everything there is to say about a failure; empty if nothing.
    pub(crate) fn failure(&self, failure: &Failure) -> String {
        match &failure.report {
            Report::Silent => String::new(),
            Report::Plain { error, hint, id } => self.plain_error(error, hint.as_deref(), *id),
            Report::Dockerfile { source, diagnostics } => self.diagnostics(source, diagnostics),
            Report::Step(step) => self.step(step),
        }
    }

    fn plain_error(&self, error: &anyhow::Error, hint: Option<&str>, id: Option<&str>) -> String {
        let id = id.map(|id| self.bold(&format!("[{id}]"))).unwrap_or_default();
        let mut text = format!("{}{id}: {}\n", self.word("error"), lines(&sentence(error)));
        if self.debug {
            let _ = writeln!(text, "{error:?}");
        }
        for hint in hint.into_iter().flat_map(str::lines) {
            let _ = writeln!(text, "{}: {}", self.word("hint"), sanitise(hint.as_bytes()));
        }
        text
    }

    /// What is wrong with a Dockerfile, the first of each kind.
    pub(crate) fn diagnostics(&self, source: &Source, diagnostics: &[Diagnostic]) -> String {
        let mut text = String::new();
        let (mut errors, mut warnings) = (0_usize, 0_usize);
        for diagnostic in diagnostics {
            let said = match diagnostic.severity {
                Severity::Error => &mut errors,
                Severity::Warning => &mut warnings,
            };
            *said += 1;
            if *said <= SHOWN {
                text.push_str(&self.diagnostic(source, diagnostic));
                text.push('\n');
            }
        }
        for (kind, said) in [("error", errors), ("warning", warnings)] {
            if said > SHOWN {
                let _ = writeln!(text, "{kind}: {} more {kind}s are not shown", said - SHOWN);
            }
        }
        text
    }

    fn diagnostic(&self, source: &Source, diagnostic: &Diagnostic) -> String {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut title = level.primary_title(diagnostic.message.as_str());
        if !diagnostic.code.is_empty() {
            title = title.id(diagnostic.code);
        }
        let (number, span) = source.place(diagnostic.span);
        let file = &source.files()[number];
        let span = on_characters(&file.text, span.start, span.end);
        let mut group = title.elements(place(file, span));
        for (name, line) in source.included_from(number) {
            group = group.element(Level::NOTE.message(format!("included from {name}:{line}")));
        }
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(lines(help)));
        }
        self.render(group)
    }

    /// What the linter found at a place of a file.
    pub(crate) fn finding(&self, file: &File, finding: &Finding) -> String {
        let level = match finding.severity {
            kiln_lint::Severity::Error => Level::ERROR,
            kiln_lint::Severity::Warning => Level::WARNING,
            kiln_lint::Severity::Info => Level::INFO,
            kiln_lint::Severity::Style => Level::NOTE.with_name("style"),
        };
        let title = level.primary_title(lines(&finding.message)).id(finding.code);
        let span = on_characters(&file.text, finding.span.start, finding.span.end);
        let mut group = title.elements(place(file, span));
        if let Some(also) = finding.also {
            group = group.element(Level::NOTE.message(format!("BuildKit's {also} is the same")));
        }
        if let Some(fix) = &finding.fix {
            let how = match fix.safety {
                Safety::Safe => "--fix",
                Safety::Unsafe => "--unsafe-fixes",
            };
            group = group.element(Level::HELP.message(format!("{} ({how})", lines(&fix.title))));
        }
        if let Some(cost) = finding.cost.as_ref().and_then(cost) {
            group = group.element(Level::NOTE.message(cost));
        }
        if let Some(why) = &finding.unfixed {
            group = group.element(Level::NOTE.message(format!("no fix: {}", lines(why))));
        }
        self.render(group)
    }

    /// What `BuildKit` shows: the last output, the lines of the Dockerfile, the error.
    fn step(&self, step: &FailedStep) -> String {
        let mut text = String::new();
        let name = sanitise(step.name.as_bytes());
        let name = terminal_width().map_or(name.clone(), |width| cut(&name, width.saturating_sub(4), '…'));
        let _ = writeln!(text, "------\n > {}:", self.bold(&name));
        for line in &step.tail {
            let _ = writeln!(text, "{}", sanitise(line.as_bytes()));
        }
        text.push_str("------\n");
        if let Some((first, last)) = step.lines {
            text.push_str(&self.lines(&step.source, first, last));
        }
        text.push_str(&self.plain_error(&step.error, step.hint.as_deref(), Some(step.id)));
        text
    }

    /// The lines of an instruction, and some around them, in the file that it stands in.
    pub(crate) fn lines(&self, source: &Source, first: u32, last: u32) -> String {
        const RULE: &str = "--------------------";
        let (number, (first, last)) = source.lines((first, last));
        let file = &source.files()[number];
        let mut text = format!("{}:{first}", file.name);
        for (name, line) in source.included_from(number) {
            let _ = write!(text, ", included from {name}:{line}");
        }
        let _ = writeln!(text, "\n{RULE}");
        let around = first.saturating_sub(AROUND).max(1)..=last.saturating_add(AROUND);
        let skipped = first.saturating_add(MARKED - 2)..last;
        for (number, line) in around.clone().zip(file.between(*around.start(), *around.end()).lines()) {
            if last - first >= MARKED && skipped.contains(&number) {
                if number == skipped.start {
                    text.push_str("     | >>> …\n");
                }
                continue;
            }
            let line = cut(&sanitise(line.as_bytes()), WIDEST, '…');
            let _ = if (first..=last).contains(&number) {
                writeln!(text, "{number:4} | {} {}", self.word(">>>"), self.bold(&line))
            } else {
                writeln!(text, "{}", format!("{number:4} |     {line}").trim_end())
            };
        }
        text.push_str(RULE);
        text.push('\n');
        text
    }

    fn bold(&self, text: &str) -> String {
        let style = anstyle::Style::new().bold();
        if self.colours {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn render(&self, group: Group<'_>) -> String {
        self.renderer.render(&[group])
    }

    /// A word in the colours of the renderer of excerpts: a hint in one, errors in the other.
    fn word(&self, word: &str) -> String {
        let colour = if word == "hint" {
            anstyle::AnsiColor::BrightCyan
        } else {
            anstyle::AnsiColor::BrightRed
        };
        let style = anstyle::Style::new().fg_color(Some(colour.into())).bold();
        if self.colours {
            format!("{style}{word}{style:#}")
        } else {
            word.to_owned()
        }
    }
}

/// An error and its causes in one line; a cause that its effect names already is not repeated, and the system's
/// numbers of errors say nothing that their words do not.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = without_numbers(&cause.to_string());
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// The text without ` (os error 2)`, which Rust's standard library adds.
fn without_numbers(text: &str) -> String {
    let mut pieces = text.split(" (os error ");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(')') {
            Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => shown.push_str(rest),
            _ => {
                shown.push_str(" (os error ");
                shown.push_str(piece);
            }
        }
    }
    shown
}

/// The place of something, and the line in which it is.
fn place(file: &File, span: std::ops::Range<usize>) -> Vec<Element<'_>> {
    // Only what is near is given: a Dockerfile may be large, and the renderer looks at all it gets.
    let start = file.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = file.text[span.end..]
        .find('\n')
        .map_or(file.text.len(), |at| span.end + at);
    let line = file.line(start);
    let snippet = |shown: std::ops::Range<usize>| {
        let mark = AnnotationKind::Primary.span(span.start - shown.start..span.end.min(shown.end) - shown.start);
        let snippet = Snippet::source(&file.text[shown]).line_start(line as usize);
        snippet.annotation(mark)
    };
    if end - start <= WIDEST {
        return vec![snippet(start..end).path(file.name.as_str()).into()];
    }
    // Of a file that is one line, each of many findings would take as long as the file is; the column is that of all of it.
    let column = file.text[start..span.start].chars().count() + 1;
    let origin = Origin::path(file.name.as_str()).line(line as usize).char_column(column);
    let from = start.max(span.start.saturating_sub(WIDEST / 2));
    let shown = on_characters(&file.text, from, end.min(from + WIDEST));
    vec![origin.into(), snippet(shown).into()]
}

/// Columns of the terminal that is written to.
fn terminal_width() -> Option<usize> {
    terminal::stderr_is_terminal().then(|| terminal::size().0)
}

/// The span, within the text and not in the middle of a character.
fn on_characters(text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let down = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = down(start);
    start..down(end).max(start)
}

#[cfg(test)]
mod tests {
    use kiln_dockerfile::ast::Span;

    use super::*;

    fn reporter() -> Reporter {
        Reporter {
            colours: false,
            renderer: Renderer::plain(),
            debug: false,
        }
    }

    fn source() -> Source {
        Source::new("Dockerfile", "FROM debian\n\nRUN a && \\\n    b\nRNU x\n".to_owned())
    }

    fn diagnostic(start: usize, end: usize) -> Diagnostic {
        Diagnostic {
            code: "UnknownInstruction",
            severity: Severity::Error,
            message: "unknown instruction `RNU`".to_owned(),
            span: Span { start, end },
            help: Some("did you mean `RUN\x1b[2J`?".to_owned()),
        }
    }

    #[test]
    fn shows_the_place_of_a_diagnostic() {
        let failure = Failure {
            code: 1,
            report: Report::Dockerfile {
                source: source(),
                diagnostics: vec![diagnostic(30, 33)],
            },
        };
        let expected = "\
error[UnknownInstruction]: unknown instruction `RNU`
 --> Dockerfile:5:1
  |
5 | RNU x
  | ^^^
  |
  = help: did you mean `RUN`?
";
        assert_eq!(reporter().failure(&failure), expected);
    }

    /// What is said of a whole file in one line, or in as many as it has, is not read anew for each of them.
    #[test]
    fn many_diagnostics_of_a_large_file() {
        for line in ["RNU x\n", "RNU x "] {
            let source = Source::new("d", line.repeat(1 << 15));
            let found = (0..1 << 15).map(|number| diagnostic(number * 6, number * 6 + 3));
            let text = reporter().diagnostics(&source, &found.collect::<Vec<_>>());
            assert_eq!(text.matches("error[UnknownInstruction]").count(), SHOWN);
            assert!(
                text.ends_with("error: 32748 more errors are not shown\n"),
                "{}",
                &text[text.len() - 60..]
            );
        }
    }

    /// Of a file that is one line, what is near is shown.
    #[test]
    fn a_long_line_is_shown_in_part() {
        let text = format!("{}RNU x{}", "漢".repeat(5000), "y".repeat(1 << 20));
        let failure = Failure {
            code: 1,
            report: Report::Dockerfile {
                source: Source::new("d", text),
                diagnostics: vec![diagnostic(15_000, 15_003)],
            },
        };
        let shown = reporter().failure(&failure);
        assert!(shown.contains("\n --> d:1:5001\n"), "{}", &shown[..200]);
        assert!(shown.contains("漢RNU xy") && shown.contains("^^^\n"), "{shown}");
        assert!(shown.len() < 5000, "{}", shown.len());
    }

    #[test]
    fn any_span_is_survived() {
        let odd = Source::new("d", "ä\n漢\n".to_owned());
        for start in 0..12 {
            for end in 0..12 {
                reporter().diagnostics(&odd, &[diagnostic(start, end)]);
            }
        }
        reporter().diagnostics(&Source::default(), &[diagnostic(0, 0)]);
    }

    #[test]
    fn shows_a_failed_step_with_its_output() {
        let step = FailedStep {
            source: source(),
            name: "[2/2] RUN a && b".to_owned(),
            lines: Some((3, 4)),
            error: anyhow::anyhow!("process \"/bin/sh -c a\x1b[2J\" did not complete successfully: exit code: 1"),
            left_files: true,
            tail: vec!["\x1b[31ma: no such thing".to_owned()],
            hint: Some("kiln logs shows all of its output".to_owned()),
            id: "StepFailed",
        };
        let failure = Failure {
            code: 1,
            report: Report::Step(Box::new(step)),
        };
        let text = reporter().failure(&failure);
        let expected = "\
------
 > [2/2] RUN a && b:
a: no such thing
------
Dockerfile:3
--------------------
   1 |     FROM debian
   2 |
   3 | >>> RUN a && \\
   4 | >>>     b
   5 |     RNU x
--------------------
error[StepFailed]: process \"/bin/sh -c a\" did not complete successfully: exit code: 1
hint: kiln logs shows all of its output
";
        assert_eq!(text, expected);
    }

    #[test]
    fn shows_the_ends_of_a_long_step() {
        let lines: Vec<String> = (1..=50).map(|number| format!("line {number}")).collect();
        let source = Source::new("d", lines.join("\n"));
        let text = reporter().lines(&source, 10, 40);
        assert!(
            text.starts_with("d:10\n--------------------\n   8 |     line 8\n"),
            "{text}"
        );
        assert!(
            text.contains("  19 | >>> line 19\n     | >>> …\n  40 | >>> line 40\n"),
            "{text}"
        );
        for (first, last) in [(1, 1), (50, 50), (49, 90), (1, 50), (u32::MAX, u32::MAX)] {
            reporter().lines(&source, first, last);
        }
    }

    #[test]
    fn causes_are_told_once() {
        let error = anyhow::anyhow!("no such file")
            .context("cannot read x: no such file")
            .context("loading");
        assert_eq!(sentence(&error), "loading: cannot read x: no such file");
        let full = std::io::Error::from_raw_os_error(28);
        let error =
            anyhow::anyhow!("No space left on device (os error 28)").context(format!("cannot write a: {full} (full)"));
        assert_eq!(sentence(&error), "cannot write a: No space left on device (full)");
        assert_eq!(without_numbers("a (os error x) b"), "a (os error x) b");
    }
}
