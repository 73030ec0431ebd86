//! What may be written next.

use kiln_lint::editor::{Candidate, CandidateKind, complete};
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::Document;
use super::message::{Failed, params};
use super::paths;
use super::position::{Position, Range};
use super::server::Server;

/// `textDocument/completion`
pub(super) fn completion(server: &Server<'_>, document: &Document, values: &Value) -> Result<Value, Failed> {
    #[derive(Deserialize)]
    struct At {
        position: Position,
    }
    let At { position } = params(values)?;
    if !document.is_small() {
        return Ok(Value::Null);
    }
    let found = complete(document.file(), document.offset(position));
    let range = document.range(found.replace);
    let mut items: Vec<Value> = found.candidates.iter().map(|each| item(each, range)).collect();
    let mut all = true;
    if let (Some(query), Some(context)) = (&found.path, server.context_of(document)) {
        let (entries, every) = paths::find(&context, document.path.as_deref(), query);
        all = every;
        let directory = query.written.rsplit_once('/').map_or("", |(directory, _)| directory);
        let before = if query.written.contains('/') {
            format!("{directory}/")
        } else {
            String::new()
        };
        items.extend(entries.into_iter().map(|entry| {
            let (end, kind) = if entry.directory { ("/", 19) } else { ("", 17) };
            let label = format!("{}{end}", entry.name);
            let text = format!("{before}{label}");
            // Editors compare what is written with this.
            json!({
                "label": label,
                "kind": kind,
                "filterText": text,
                "textEdit": {"range": range, "newText": text},
            })
        }));
    }
    Ok(json!({"isIncomplete": !all, "items": items}))
}

fn item(candidate: &Candidate, range: Range) -> Value {
    let kind = match candidate.kind {
        CandidateKind::Keyword => 14,
        CandidateKind::Flag => 10,
        CandidateKind::Value => 12,
        CandidateKind::Stage => 7,
        CandidateKind::Variable => 6,
    };
    let mut value = json!({
        "label": candidate.text.trim_end_matches('}'),
        "kind": kind,
        "filterText": candidate.text,
        "textEdit": {"range": range, "newText": candidate.text},
    });
    if let Some(detail) = &candidate.detail {
        value["detail"] = json!(detail);
    }
    value
}
