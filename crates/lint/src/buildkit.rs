//! Fixes for BuildKit's checks.

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Instruction, Kind, Pair, Span};
use kiln_dockerfile::code;

use crate::finding::{Edit, Finding, Fix};

/// What mends what one of BuildKit's checks found.
pub(crate) fn fix(file: &Dockerfile, finding: &Finding) -> Option<Fix> {
    let text = file.source.get(finding.span.range())?;
    match finding.code {
        code::STAGE_NAME_CASING => stage_name(file, finding.span),
        code::FROM_AS_CASING => {
            let instruction = file.instruction_at(finding.span.start)?;
            let upper = instruction.keyword.raw.starts_with('F');
            let word = if upper { "AS" } else { "as" };
            Some(Fix::safe(
                format!("write `{word}`"),
                vec![Edit::replace(finding.span, word)],
            ))
        }
        code::INSTRUCTION_CASING => {
            let upper = finding.message.contains("uppercase");
            let word = if upper {
                text.to_ascii_uppercase()
            } else {
                text.to_ascii_lowercase()
            };
            Some(Fix::safe(
                format!("write `{word}`"),
                vec![Edit::replace(finding.span, word)],
            ))
        }
        code::NO_EMPTY_CONTINUATION => Some(blank_line(file, finding.span)),
        code::EXPOSE_PROTO_CASING if !text.contains('$') => {
            let word = text.to_ascii_lowercase();
            Some(Fix::safe(
                format!("write `{word}`"),
                vec![Edit::replace(finding.span, word)],
            ))
        }
        code::LEGACY_KEY_VALUE_FORMAT => legacy(file, file.instruction_at(finding.span.start)?),
        _ => None,
    }
}

/// The name in lower case, there and wherever FROM names the stage as it is written; elsewhere case does not count.
fn stage_name(file: &Dockerfile, span: Span) -> Option<Fix> {
    let written = file.source.get(span.range())?;
    // What FROM calls by exactly that name is an image: names of stages are in lower case there.
    let used = file.stages.iter().any(|stage| stage.from.image.raw == written);
    let edit = Edit::replace(span, written.to_lowercase());
    (!used).then(|| Fix::safe("write it in lower case", vec![edit]))
}

/// Takes blank lines from this one on away.
fn blank_line(file: &Dockerfile, span: Span) -> Fix {
    let start = file.line_start(file.line(span.start));
    let mut end = start;
    for line in file.source[start..].split_inclusive('\n') {
        if !line.trim().is_empty() {
            break;
        }
        end += line.len();
    }
    Fix::safe("remove the blank line", vec![Edit::replace(Span { start, end }, "")])
}

/// `ENV KEY value` as `ENV KEY="value"`.
fn legacy(file: &Dockerfile, instruction: &Instruction) -> Option<Fix> {
    let (Kind::Env(pairs) | Kind::Label(pairs)) = &instruction.kind else {
        return None;
    };
    let [
        Pair {
            key,
            value,
            legacy: true,
        },
    ] = &pairs[..]
    else {
        return None;
    };
    let written = file.source.get(value.span.range())?;
    let quotes = written.contains(['"', '\'', '\\', '`']) || written != value.raw;
    let blank = written.contains([' ', '\t']);
    if quotes && blank {
        return None;
    }
    let text = if blank {
        format!("=\"{written}\"")
    } else {
        format!("={written}")
    };
    let span = key.span.to(value.span);
    let edit = Edit::replace(
        Span {
            start: key.span.end,
            end: span.end,
        },
        text,
    );
    Some(Fix::safe("use `=`", vec![edit]))
}
