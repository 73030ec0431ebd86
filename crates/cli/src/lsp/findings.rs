//! What is found in a document, and what the editor is told of it.

use std::path::{Path, PathBuf};

use kiln_dockerfile::ast::Span;
use kiln_dockerfile::source::Source;
use kiln_dockerfile::{code, parse};
use kiln_lint::editor::related;
use kiln_lint::{Config, Finding, Fix, Severity};
use serde_json::{Value, json};

use super::document::{Document, LARGEST};
use super::position::{Encoding, Lines, Position, Range};
use super::uri;
use crate::commands::lint::included::Whole;
use crate::engine::Costs;
use crate::report;
use crate::settings::Settings;

/// What was found in a document.
#[derive(Debug, Default)]
pub(super) struct Found(pub(super) Vec<Item>);

/// A finding as the editor shows it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    pub(super) message: String,
    /// What it costs, where builds measured that.
    pub(super) cost: Option<String>,
    pub(super) range: Range,
    /// Other places: the URI, where in it, and what is there.
    related: Vec<(String, Range, String)>,
    /// What mends it, where all of that is in the document.
    pub(super) fix: Option<Fix>,
}

/// What the client can show of a diagnostic.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shows {
    pub(super) related: bool,
    pub(super) tags: bool,
}

/// Looks at a document; `context` is the directory that no INCLUDE leads out of.
pub(super) fn find(
    document: &Document,
    context: Option<&Path>,
    config: &Config,
    settings: &Settings,
    encoding: Encoding,
) -> Found {
    if !document.is_small() {
        return Found(vec![too_large()]);
    }
    let whole = Whole::read(&document.text, document.path.as_deref(), context);
    let source = &whole.source;
    if source.text().len() > LARGEST {
        return Found(vec![too_large()]);
    }
    let mut findings = whole.lint(config);
    let file = parse(source.text()).0;
    if let Some(path) = &document.path {
        // An editor asks at every key: what cannot be looked up now is there next time.
        let _said_by_lint = Costs::new(settings).measure(path, &file, &mut findings);
    }
    let places = Places {
        source,
        document,
        encoding,
    };
    let item = |finding: Finding| Item {
        code: finding.code,
        severity: finding.severity,
        range: places.in_document(finding.span),
        related: places.related(&finding, related(&file, &finding)),
        cost: finding.cost.as_ref().and_then(report::cost),
        message: finding.message,
        fix: finding.fix.and_then(|fix| places.fix(fix)),
    };
    let more = findings.len().saturating_sub(MOST);
    let mut items: Vec<Item> = findings.into_iter().take(MOST).map(item).collect();
    if more > 0 {
        items.push(note(format!("{more} more findings are not shown")));
    }
    Found(items)
}

/// How many findings an editor is told of.
const MOST: usize = 1_000;

fn too_large() -> Item {
    note(format!(
        "the text is larger than {} MiB and was not looked at",
        LARGEST >> 20
    ))
}

/// Something about the text as a whole.
fn note(message: String) -> Item {
    let start = Position { line: 0, character: 0 };
    Item {
        code: code::TOO_LONG,
        severity: Severity::Info,
        message,
        cost: None,
        range: Range { start, end: start },
        related: Vec::new(),
        fix: None,
    }
}

/// The way from places in the text with all that is included to those in files.
struct Places<'a> {
    source: &'a Source,
    document: &'a Document,
    encoding: Encoding,
}

impl Places<'_> {
    /// The place in the document; of what is in an included file, that of the INCLUDE.
    fn in_document(&self, span: Span) -> Range {
        let (number, span) = self.source.place(span);
        if number == 0 {
            return self.document.range(span);
        }
        let line = self.source.included_from(number).last().map_or(1, |(_, line)| line);
        let lines = &self.source.files()[0];
        let start = self.document.text.len() - lines.between(line, u32::MAX).len();
        let length = lines.between(line, line).trim_end().len();
        self.document.range(Span {
            start,
            end: start + length,
        })
    }

    /// A place wherever it is.
    fn anywhere(&self, span: Span) -> Option<(String, Range)> {
        let (number, inner) = self.source.place(span);
        if number == 0 {
            return Some((self.document.uri.clone(), self.document.range(inner)));
        }
        let file = &self.source.files()[number];
        let path = PathBuf::from(&file.name);
        let lines = Lines::new(&file.text, self.encoding);
        path.is_absolute()
            .then(|| (uri::of(&path), lines.range(&file.text, inner)))
    }

    fn related(&self, finding: &Finding, others: Vec<(Span, String)>) -> Vec<(String, Range, String)> {
        let elsewhere = self.source.place(finding.span).0 != 0;
        let own = elsewhere.then(|| (finding.span, finding.message.clone()));
        let all = own.into_iter().chain(others);
        all.filter_map(|(span, message)| {
            let (uri, range) = self.anywhere(span)?;
            Some((uri, range, message))
        })
        .collect()
    }

    /// The fix with its places in the document.
    fn fix(&self, mut fix: Fix) -> Option<Fix> {
        for edit in &mut fix.edits {
            let length = edit.span.end - edit.span.start;
            let (number, span) = self.source.place(edit.span);
            if number != 0 || span.end - span.start != length {
                return None;
            }
            edit.span = span;
        }
        Some(fix)
    }
}

impl Item {
    /// The diagnostic of the protocol.
    pub(super) fn diagnostic(&self, shows: Shows) -> Value {
        let severity = match self.severity {
            Severity::Error => 1,
            Severity::Warning => 2,
            Severity::Info => 3,
            Severity::Style => 4,
        };
        let cost = self.cost.as_ref().map(|cost| format!("\n{cost}")).unwrap_or_default();
        let mut value = json!({
            "range": self.range,
            "severity": severity,
            "code": self.code,
            "source": "kiln",
            "message": format!("{}{cost}", self.message),
        });
        if shows.related && !self.related.is_empty() {
            let related = self
                .related
                .iter()
                .map(|(uri, range, message)| json!({"location": {"uri": uri, "range": range}, "message": message}));
            value["relatedInformation"] = related.collect();
        }
        if let Some(tag) = self.tag().filter(|_| shows.tags) {
            value["tags"] = json!([tag]);
        }
        value
    }

    /// What editors grey out (1) or strike through (2).
    fn tag(&self) -> Option<u8> {
        match self.code {
            "K1003" => Some(1),
            code::MAINTAINER_DEPRECATED | code::LEGACY_KEY_VALUE_FORMAT | "DL4000" => Some(2),
            _ => None,
        }
    }
}
