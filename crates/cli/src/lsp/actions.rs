//! What mends findings, and the one form.

use kiln_dockerfile::ast::Span;
use kiln_lint::{Fix, Safety};
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::Document;
use super::findings::{Found, Item};
use super::message::{Failed, params};
use super::position::Range;
use super::server::Server;

/// The kind of what mends one finding.
pub(super) const QUICK_FIX: &str = "quickfix";
/// The kind of what mends all that it can without changing what is built.
pub(super) const FIX_ALL: &str = "source.fixAll";

/// `textDocument/codeAction`
pub(super) fn actions(server: &Server<'_>, document: &Document, values: &Value) -> Result<Value, Failed> {
    #[derive(Deserialize)]
    struct Context {
        only: Option<Vec<String>>,
    }
    #[derive(Deserialize)]
    struct Asked {
        range: Range,
        context: Context,
    }
    let Asked { range, context } = params(values)?;
    let wanted = |kind: &str| {
        // A kind stands for all below it.
        let covers = |asked: &String| asked.is_empty() || kind == asked || kind.starts_with(&format!("{asked}."));
        context.only.as_ref().is_none_or(|only| only.iter().any(covers))
    };
    let empty = Found::default();
    let found = document.found.get().unwrap_or(&empty);
    let mut actions = Vec::new();
    if wanted(QUICK_FIX) {
        let near = found.0.iter().filter(|item| item.range.touches(&range));
        actions.extend(near.filter_map(|item| quick_fix(server, document, item)));
    }
    let safe = |item: &Item| item.fix.as_ref().is_some_and(|fix| fix.safety == Safety::Safe);
    if wanted(FIX_ALL) && found.0.iter().any(safe) {
        actions.extend(fix_all(server, document));
    }
    Ok(Value::Array(actions))
}

fn quick_fix(server: &Server<'_>, document: &Document, item: &Item) -> Option<Value> {
    let Fix { title, safety, edits } = item.fix.as_ref()?;
    let safe = *safety == Safety::Safe;
    let warning = if safe { "" } else { " (may change what is built)" };
    let edits: Vec<Value> = edits
        .iter()
        .map(|edit| text_edit(document, edit.span, &edit.text))
        .collect();
    Some(json!({
        "title": format!("{}: {title}{warning}", item.code),
        "kind": QUICK_FIX,
        "isPreferred": safe,
        "diagnostics": [item.diagnostic(server.client.shows)],
        "edit": {"changes": {&document.uri: edits}},
    }))
}

fn fix_all(server: &Server<'_>, document: &Document) -> Option<Value> {
    let (config, _) = server.workspace.rules(document.path.as_deref(), server.settings);
    let fixed = kiln_lint::fix(&document.text, &config, Safety::Safe);
    let edit = difference(document, &fixed.text)?;
    Some(json!({
        "title": format!("Fix all that cannot change what is built ({})", fixed.applied),
        "kind": FIX_ALL,
        "edit": {"changes": {&document.uri: [edit]}},
    }))
}

/// `textDocument/formatting`; a text with errors stays as it is.
pub(super) fn formatting(_: &Server<'_>, document: &Document, _: &Value) -> Result<Value, Failed> {
    if !document.is_small() {
        return Err(Failed::request_failed("the text is too large"));
    }
    let formatted = kiln_lint::format(&document.text);
    let edit = formatted.and_then(|text| difference(document, &text));
    Ok(edit.into_iter().collect())
}

fn text_edit(document: &Document, span: Span, text: &str) -> Value {
    json!({"range": document.range(span), "newText": text})
}

/// The edit that makes the document another text: of the lines between those that are the same at both ends, so that the
/// cursor stays where it is.
fn difference(document: &Document, new: &str) -> Option<Value> {
    let old = document.text.as_str();
    if old == new {
        return None;
    }
    let same = |(a, b): &(&str, &str)| a == b;
    let lines = |text| str::split_inclusive(text, '\n');
    let before = lines(old).zip(lines(new)).take_while(same);
    let start: usize = before.map(|(line, _)| line.len()).sum();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let after = lines(old_rest).rev().zip(lines(new_rest).rev()).take_while(same);
    let end: usize = after.map(|(line, _)| line.len()).sum();
    let span = Span {
        start,
        end: old.len() - end,
    };
    Some(text_edit(document, span, &new_rest[..new_rest.len() - end]))
}
