//! What is said and written when a build is over.

use std::collections::BTreeMap;
use std::path::Path;

use kiln_build::Built;
use kiln_build::Why;
use kiln_build::request::Request;
use kiln_image::Reference;
use serde_json::{Map, Value, json};

use crate::atomic;
use crate::failure::{Context as _, Failure, Outcome, Report};
use crate::progress::text::{cut, one_line};
use crate::report::sentence;
use crate::values::size;

use super::witness::Heaviest;
use crate::why;

/// Why steps ran, for people.
pub(crate) fn reasons(reasons: &[(String, Why)]) -> String {
    let line = |(name, why): &(String, Why)| {
        let name = one_line(name);
        format!("{}\n  {}\n", cut(&name, 80, '…'), why::sentence(why))
    };
    reasons.iter().map(line).collect()
}

/// What the heaviest step had, for people.
pub(crate) fn most_memory(heaviest: &Heaviest) -> String {
    let name = one_line(&heaviest.name);
    format!(
        "most memory: {}, by {}\n",
        size::show(heaviest.peak),
        cut(&name, 80, '…')
    )
}

/// What ran slower than it would elsewhere, for people; empty if nothing.
pub(crate) fn emulated(steps: &BTreeMap<String, usize>) -> String {
    let each: Vec<String> = steps
        .iter()
        .map(|(platform, count)| format!("{count} {} for {platform}", if *count == 1 { "step" } else { "steps" }))
        .collect();
    if each.is_empty() {
        return String::new();
    }
    format!("emulated: {}\n", each.join(", "))
}

/// The last line for people.
pub(crate) fn summary(built: &Built, request: &Request) -> String {
    let familiar: Vec<String> = request.names().iter().map(Reference::familiar).collect();
    let named = if familiar.is_empty() {
        String::new()
    } else {
        format!(" as {}", familiar.join(", "))
    };
    let id = built.id().map(|id| format!(" {id}")).unwrap_or_default();
    let platforms = match several(request) {
        Some(platforms) => format!(" for {}", platforms.join(", ")),
        None => String::new(),
    };
    format!("built{id}{named}{platforms}, {}\n", size::show(built.size))
}

/// The platforms, where an index stands for several.
fn several(request: &Request) -> Option<Vec<String>> {
    let options = &request.options;
    let platforms = || options.targets().iter().map(ToString::to_string).collect();
    options.several().then(platforms)
}

/// The last line for programs.
pub(crate) fn result_line(built: &Built, request: &Request, summary: Option<Value>) -> String {
    let names: Vec<String> = request.names().iter().map(ToString::to_string).collect();
    let mut line = Map::new();
    line.insert("type".to_owned(), json!("result"));
    if let Some(id) = built.id() {
        line.insert("id".to_owned(), json!(id));
    }
    line.insert("size".to_owned(), json!(built.size));
    line.insert("names".to_owned(), json!(names));
    if let Some(manifest) = &built.manifest {
        line.insert("manifest".to_owned(), json!(manifest.digest));
    }
    if let Some(platforms) = several(request) {
        line.insert("platforms".to_owned(), json!(platforms));
    }
    if let Some(summary) = summary {
        line.insert("summary".to_owned(), summary);
    }
    format!("{}\n", Value::Object(line))
}

/// The last line for programs of a build that failed.
pub(crate) fn error_line(failure: &Failure) -> String {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    set("type", json!("error"));
    set("code", json!(failure.code));
    match &failure.report {
        Report::Silent => {
            set("message", json!("canceled"));
        }
        Report::Plain { error, hint, id } => {
            set("message", json!(sentence(error)));
            hint.as_ref().map(|hint| set("hint", json!(hint)));
            id.map(|id| set("id", json!(id)));
        }
        Report::Dockerfile { source, diagnostics } => {
            set("message", json!("the Dockerfile cannot be built"));
            set("file", json!(source.name()));
            let one = |diagnostic: &kiln_dockerfile::diagnostic::Diagnostic| {
                let (file, span) = source.place(diagnostic.span);
                let span = [span.start, span.end];
                let mut value = json!({"code": diagnostic.code, "message": diagnostic.message, "span": span, "help": diagnostic.help});
                if file > 0 {
                    value["file"] = json!(source.files()[file].name);
                }
                value
            };
            set("diagnostics", diagnostics.iter().map(one).collect());
        }
        Report::Step(step) => {
            set("message", json!(sentence(&step.error)));
            let place = step.lines.map(|lines| step.source.lines(lines));
            let file = place.map_or(0, |(file, _)| file);
            set("file", json!(step.source.files()[file].name));
            set("step", json!(step.name));
            place.map(|(_, lines)| set("lines", json!(lines)));
            set("tail", json!(step.tail));
            step.hint.as_ref().map(|hint| set("hint", json!(hint)));
            set("id", json!(step.id));
        }
    }
    format!("{}\n", Value::Object(fields))
}

/// The content of `--metadata-file`, with the keys of buildx.
pub(crate) fn metadata(built: &Built, names: &[Reference]) -> Vec<u8> {
    let mut fields = Map::new();
    if let Some(config) = built.config {
        fields.insert("containerimage.config.digest".to_owned(), json!(config));
    }
    // An image that only the store has is not compressed and has no manifest: as with docker's own store its ID stands in.
    let digest = built.manifest.as_ref().map(|manifest| manifest.digest);
    if let Some(digest) = digest.or(built.config) {
        fields.insert("containerimage.digest".to_owned(), json!(digest));
    }
    if let Some(manifest) = &built.manifest {
        fields.insert("containerimage.descriptor".to_owned(), json!(manifest));
    }
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        fields.insert("image.name".to_owned(), json!(names.join(",")));
    }
    let mut text = serde_json::to_vec_pretty(&fields).expect("maps of strings are JSON");
    text.push(b'\n');
    text
}

/// Writes a result file, whole or not at all.
pub(crate) fn write(path: &Path, content: &[u8]) -> Outcome {
    atomic::write(path, content).or_failed(|| format!("cannot write {}", path.display()))
}
