//! What is in a document: stages with their instructions, and what can be folded.

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Instruction, Kind, Span, Stage};
use kiln_lint::editor::heredocs;
use serde_json::{Value, json};

use super::document::Document;
use super::server::Server;

/// The protocol's kinds of symbols that there are.
const FILE: u8 = 1;
const CLASS: u8 = 5;
const PROPERTY: u8 = 7;
const FUNCTION: u8 = 12;
const VARIABLE: u8 = 13;
const EVENT: u8 = 24;

/// How many characters of an instruction are shown.
const SHOWN: usize = 80;

/// A symbol of an instruction, or of a stage.
struct Symbol<'a> {
    name: String,
    detail: String,
    kind: u8,
    whole: Span,
    /// What is selected where it is chosen.
    name_span: Span,
    within: &'a [Instruction],
}

/// `textDocument/documentSymbol`
pub(super) fn symbols(server: &Server<'_>, document: &Document) -> Value {
    let file = document.file();
    let globals = file.globals.iter().map(of_instruction);
    let all = globals.chain(file.stages.iter().map(of_stage));
    if server.client.tree {
        return all.map(|symbol| symbol.tree(document)).collect();
    }
    let mut flat = Vec::new();
    for symbol in all {
        flat.push(symbol.flat(document, None));
        let within = symbol.within.iter().map(of_instruction);
        flat.extend(within.map(|inner| inner.flat(document, Some(&symbol.name))));
    }
    Value::Array(flat)
}

impl Symbol<'_> {
    fn tree(&self, document: &Document) -> Value {
        let within: Vec<Value> = self
            .within
            .iter()
            .map(|inner| of_instruction(inner).tree(document))
            .collect();
        json!({
            "name": self.name,
            "detail": self.detail,
            "kind": self.kind,
            "range": document.range(self.whole),
            "selectionRange": document.range(self.name_span),
            "children": within,
        })
    }

    fn flat(&self, document: &Document, container: Option<&str>) -> Value {
        let mut value = json!({
            "name": self.name,
            "kind": self.kind,
            "location": {"uri": document.uri, "range": document.range(self.whole)},
        });
        if let Some(container) = container {
            value["containerName"] = json!(container);
        }
        value
    }
}

fn of_stage(stage: &Stage) -> Symbol<'_> {
    let own = &stage.instruction;
    let end = stage.instructions.last().map_or(own.span.end, |last| last.span.end);
    let name = stage.from.name.as_ref();
    Symbol {
        name: name.map_or_else(|| stage.from.image.raw.clone(), |name| name.raw.clone()),
        detail: shortened(&own.text),
        kind: CLASS,
        whole: Span {
            start: own.span.start,
            end,
        },
        name_span: name.map_or(stage.from.image.span, |name| name.span),
        within: &stage.instructions,
    }
}

fn of_instruction(instruction: &Instruction) -> Symbol<'_> {
    let keyword = instruction.keyword.raw.to_ascii_uppercase();
    let rest = instruction.text.get(keyword.len()..).unwrap_or_default().trim();
    Symbol {
        detail: shortened(rest),
        kind: match &instruction.kind {
            Kind::Arg(_) | Kind::Env(_) => VARIABLE,
            Kind::Add(_) | Kind::Copy(_) => FILE,
            Kind::Run(_) => FUNCTION,
            Kind::Cmd(_) | Kind::Entrypoint(_) => EVENT,
            _ => PROPERTY,
        },
        whole: instruction.span,
        name_span: instruction.keyword.span,
        within: &[],
        name: keyword,
    }
}

fn shortened(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// `textDocument/foldingRange`: stages, instructions of several lines, here-documents.
pub(super) fn folds(document: &Document) -> Value {
    let file = document.file();
    let mut spans = Vec::new();
    for stage in &file.stages {
        spans.push(of_stage(stage).whole);
        let all = std::iter::once(&stage.instruction).chain(&stage.instructions);
        all.for_each(|each| of_lines(file, each, &mut spans));
    }
    file.globals.iter().for_each(|each| of_lines(file, each, &mut spans));
    let fold = |span: Span| {
        let range = document.range(span);
        let (first, last) = (range.start.line, range.end.line);
        (first < last).then(|| json!({"startLine": first, "endLine": last}))
    };
    spans.into_iter().filter_map(fold).collect()
}

/// The instruction, and each here-document from the line above it on: that is the instruction's, if there is one alone.
fn of_lines(file: &Dockerfile, instruction: &Instruction, spans: &mut Vec<Span>) {
    spans.push(without_end(file, instruction.span));
    let documents = heredocs(&instruction.kind);
    if documents.len() > 1 {
        spans.extend(documents.iter().map(|document| without_end(file, document.body)));
    }
}

/// A span without the line ends that it ends with.
fn without_end(file: &Dockerfile, span: Span) -> Span {
    let text = file.source.get(span.range()).unwrap_or_default();
    Span {
        start: span.start,
        end: span.start + text.trim_end_matches(['\r', '\n']).len(),
    }
}
