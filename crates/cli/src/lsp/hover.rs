//! What there is to say of a place.

use std::fmt::Write as _;

use kiln_dockerfile::ast::{Span, Stage};
use kiln_dockerfile::checks;
use kiln_lint::editor::{AUTOMATIC, Known, Occurrence, Role, Symbol, Value as Variable, help_at, step_names, value};
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::Document;
use super::message::{Failed, params};
use super::position::{Position, Range};
use super::server::Server;
use crate::engine::{self, KnownImage, Weight};
use crate::settings::Settings;
use crate::values::size;

/// `textDocument/hover`
pub(super) fn hover(server: &Server<'_>, document: &Document, values: &Value) -> Result<Value, Failed> {
    #[derive(Deserialize)]
    struct At {
        position: Position,
    }
    let At { position } = params(values)?;
    let place = document.offset(position);
    let mut texts = Vec::new();
    let mut span = None;
    if let Some((about, text)) = word(server, document, place) {
        texts.push(text);
        span = Some(about);
    }
    texts.extend(rules(document, position));
    if texts.is_empty() {
        return Ok(Value::Null);
    }
    let kind = if server.client.markdown {
        "markdown"
    } else {
        "plaintext"
    };
    let mut hover = json!({"contents": {"kind": kind, "value": texts.join("\n\n---\n\n")}});
    if let Some(span) = span {
        hover["range"] = json!(document.range(span));
    }
    Ok(hover)
}

/// What the word at a place is.
fn word(server: &Server<'_>, document: &Document, place: usize) -> Option<(Span, String)> {
    let file = document.file();
    let occurrence = document.names().at(place);
    if let Some(occurrence) = occurrence {
        let text = match occurrence.symbol {
            Symbol::Stage(number) => stage(server.settings, document, file.stages.get(number)?),
            Symbol::Variable(_) => variable(server.settings, document, occurrence),
        };
        return Some((occurrence.span, text));
    }
    if let Some(help) = help_at(file, place) {
        return Some((help.span, format!("`{}`\n\n{}", help.form, help.text)));
    }
    let stage = file
        .stages
        .iter()
        .find(|stage| (stage.from.image.span.start..=stage.from.image.span.end).contains(&place))?;
    let image = engine::known_image(server.settings, &image_of(document, stage))?;
    Some((stage.from.image.span, of_image(&image)))
}

/// The image that a stage names, with the variables before the first FROM put in.
fn image_of(document: &Document, stage: &Stage) -> String {
    let file = document.file();
    let place = stage.instruction.span.start;
    let mut image = stage.from.image.raw.clone();
    for (name, variable) in kiln_lint::editor::environment(file, place, &|_| Vec::new()) {
        if let Known::Value(value) = variable.known {
            image = image
                .replace(&format!("${{{name}}}"), &value)
                .replace(&format!("${name}"), &value);
        }
    }
    image
}

fn of_image(image: &KnownImage) -> String {
    let weight = match image.weight {
        Weight::Unpacked(bytes) => size::show(bytes),
        Weight::Compressed(bytes) => format!("{} compressed", size::show(bytes)),
    };
    format!("`{}`: {weight}, {}", image.name, image.platform)
}

/// What a stage is, and what is known of its base image.
fn stage(settings: &Settings, document: &Document, stage: &Stage) -> String {
    let file = document.file();
    let name = stage.name.as_deref().unwrap_or("without a name");
    let mut text = format!("stage `{name}` (number {}): `{}`", stage.index, stage.instruction.text);
    if let Some(description) = stage
        .name
        .as_deref()
        .and_then(|name| stage.instruction.description_of(name))
    {
        let _infallible = write!(text, "\n\n{description}");
    }
    let uses = document.names().of(Symbol::Stage(stage.index));
    let uses = uses.filter(|each| each.role != Role::Definition).count();
    let last = stage.index + 1 == file.stages.len();
    let target = if last { "; it is the image that is built" } else { "" };
    let _infallible = write!(
        text,
        "\n\n{} and used in {}{target}",
        counted(stage.instructions.len(), "instruction"),
        counted(uses, "place")
    );
    let steps = step_names(file, stage.index);
    if let Some(bytes) = engine::known_weight(settings, &steps).filter(|_| !steps.is_empty()) {
        let _infallible = write!(text, "\n\nin its last build here its steps added {}", size::show(bytes));
    }
    if let Some(image) = engine::known_image(settings, &image_of(document, stage)) {
        let _infallible = write!(text, "\n\nbase image {}", of_image(&image));
    }
    text
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn variable(settings: &Settings, document: &Document, occurrence: &Occurrence) -> String {
    let base = |image: &str| engine::known_image(settings, image).map_or(Vec::new(), |image| image.environment);
    let file = document.file();
    // A definition is in effect right behind its instruction.
    let place = match occurrence.role {
        Role::Definition => file
            .instruction_at(occurrence.span.start)
            .map_or(occurrence.span.end, |instruction| instruction.span.end),
        Role::Use | Role::Number => occurrence.span.start,
    };
    let name = &occurrence.name;
    let automatic = AUTOMATIC.iter().find(|(known, _)| known == name);
    match value(file, place, name, &base) {
        None => format!("`{name}` is not set here, unless the base image or the shell sets it"),
        Some(found) => {
            let line = found.set.map(|span| file.line(span.start));
            let mut text = known(name, &found, automatic.map(|(_, what)| *what));
            if let Some(line) = line {
                let _infallible = write!(text, ", from line {line}");
            } else if automatic.is_none() {
                text.push_str(", from the base image");
            }
            if found.argument && automatic.is_none() {
                let _infallible = write!(text, "; `--build-arg {name}=…` sets it");
            }
            text
        }
    }
}

fn known(name: &str, found: &Variable, automatic: Option<&str>) -> String {
    match (&found.known, automatic) {
        (Known::Value(value), _) => format!("`{name}={}`", value.replace('`', "'")),
        (Known::Given, Some(what)) => format!("`{name}` is {what}"),
        (Known::Given, None) => format!("`{name}` has no default"),
    }
}

/// The pages of the rules that found something at a place.
fn rules(document: &Document, position: Position) -> Vec<String> {
    let here = Range {
        start: position,
        end: position,
    };
    let found = document.found.get();
    let items = found.into_iter().flat_map(|found| &found.0);
    let mut codes: Vec<&str> = items
        .filter(|item| item.range.touches(&here))
        .map(|item| item.code)
        .collect();
    codes.dedup();
    let page = |code: &str| {
        let of_linter = kiln_lint::page(code).map(|page| format!("{code}: {}\n\n{}", page.summary, page.why));
        of_linter.or_else(|| checks::rule(code).map(|rule| format!("{code}: {}", rule.description)))
    };
    codes.into_iter().filter_map(page).collect()
}
