//! Where names come from, where they are used, and other names for stages.

use std::collections::HashSet;

use kiln_lint::editor::{Occurrence, Role, Symbol, check_stage_name};
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::Document;
use super::message::{Failed, params};
use super::position::Position;
use super::server::Server;

/// The place that a request is about.
#[derive(Debug, Deserialize)]
struct At {
    position: Position,
}

/// What is named at the place that a request is about.
fn named<'a>(document: &'a Document, values: &Value) -> Result<Option<&'a Occurrence>, Failed> {
    let At { position } = params(values)?;
    Ok(document.names().at(document.offset(position)))
}

/// `textDocument/definition`
pub(super) fn definition(_: &Server<'_>, document: &Document, values: &Value) -> Result<Value, Failed> {
    let origin = named(document, values)?.and_then(|occurrence| occurrence.origin);
    Ok(origin.map_or(
        Value::Null,
        |span| json!({"uri": document.uri, "range": document.range(span)}),
    ))
}

/// `textDocument/references`
pub(super) fn references(_: &Server<'_>, document: &Document, values: &Value) -> Result<Value, Failed> {
    let definitions = values
        .pointer("/context/includeDeclaration")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    let Some(occurrence) = named(document, values)? else {
        return Ok(Value::Null);
    };
    let all = document.names().of(occurrence.symbol);
    let wanted = all.filter(|each| definitions || each.role != Role::Definition);
    let locations = wanted.map(|each| json!({"uri": document.uri, "range": document.range(each.span)}));
    Ok(locations.collect())
}

/// `textDocument/documentHighlight`
pub(super) fn highlights(_: &Server<'_>, document: &Document, values: &Value) -> Result<Value, Failed> {
    let Some(occurrence) = named(document, values)? else {
        return Ok(Value::Null);
    };
    let highlight = |each: &Occurrence| {
        let kind = if each.role == Role::Definition { 3 } else { 2 };
        json!({"range": document.range(each.span), "kind": kind})
    };
    Ok(document.names().of(occurrence.symbol).map(highlight).collect())
}

/// The stage that is named at a place, and where; none by a number, which stays.
fn stage<'a>(document: &'a Document, values: &Value) -> Result<Option<(usize, &'a Occurrence)>, Failed> {
    Ok(named(document, values)?.and_then(|occurrence| match occurrence.symbol {
        Symbol::Stage(stage) if occurrence.role != Role::Number => Some((stage, occurrence)),
        _ => None,
    }))
}

/// `textDocument/prepareRename`
pub(super) fn prepare_rename(_: &Server<'_>, document: &Document, values: &Value) -> Result<Value, Failed> {
    let found = stage(document, values)?;
    Ok(found.map_or(
        Value::Null,
        |(_, occurrence)| json!({"range": document.range(occurrence.span), "placeholder": occurrence.name}),
    ))
}

/// `textDocument/rename`
pub(super) fn rename(_: &Server<'_>, document: &Document, values: &Value) -> Result<Value, Failed> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wanted {
        new_name: String,
    }
    let Wanted { new_name } = params(values)?;
    let Some((number, occurrence)) = stage(document, values)? else {
        return Err(Failed::request_failed("there is no name of a stage here"));
    };
    check_stage_name(document.file(), number, &new_name).map_err(Failed::request_failed)?;
    let all = document.names().of(occurrence.symbol);
    let named = all.filter(|each| each.role != Role::Number);
    // A stage without a name is called by its image nowhere.
    let mut seen = HashSet::new();
    let edits = named
        .filter(|each| seen.insert(each.span))
        .map(|each| json!({"range": document.range(each.span), "newText": new_name}));
    let edits: Vec<Value> = edits.collect();
    Ok(json!({"changes": {&document.uri: edits}}))
}
