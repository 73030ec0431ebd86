//! Other places that a finding is about.

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Kind, Span};
use kiln_dockerfile::code;

use crate::finding::Finding;

/// The places that a finding is about besides its own, each with what it is.
pub fn related(file: &Dockerfile, finding: &Finding) -> Vec<(Span, String)> {
    match finding.code {
        code::DUPLICATE_STAGE_NAME | "DL3024" => same_name(file, finding.span),
        code::MULTIPLE_INSTRUCTIONS | "DL3012" | "DL4003" | "DL4004" => same_instruction(file, finding.span),
        _ => Vec::new(),
    }
}

/// The first stage that is called as the one at that place.
fn same_name(file: &Dockerfile, span: Span) -> Vec<(Span, String)> {
    let at = |stage: &&kiln_dockerfile::ast::Stage| stage.instruction.span.range().contains(&span.start);
    let Some(own) = file.stages.iter().find(at) else {
        return Vec::new();
    };
    let mut earlier = file.stages[..own.index].iter();
    let first = earlier.find(|stage| stage.name.is_some() && stage.name == own.name);
    let named = first.and_then(|stage| stage.from.name.as_ref());
    named
        .map(|name| (name.span, format!("{} is first here", name.raw)))
        .into_iter()
        .collect()
}

/// The other instructions of that kind in the stage.
fn same_instruction(file: &Dockerfile, span: Span) -> Vec<(Span, String)> {
    let started = file
        .stages
        .partition_point(|stage| stage.instruction.span.start <= span.start);
    let Some(stage) = started.checked_sub(1).and_then(|index| file.stages.get(index)) else {
        return Vec::new();
    };
    let Some(own) = file.instruction_at(span.start) else {
        return Vec::new();
    };
    let alike = |kind: &Kind| std::mem::discriminant(kind) == std::mem::discriminant(&own.kind);
    let others = stage
        .instructions
        .iter()
        .filter(|each| alike(&each.kind) && each.span != own.span);
    let shown = others.map(|each| {
        (
            each.keyword.span,
            format!("another {}", each.keyword.raw.to_uppercase()),
        )
    });
    shown.take(MOST).collect()
}

/// More than these nobody looks at.
const MOST: usize = 10;

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::run::lint;

    use super::*;

    #[test]
    fn other_places_are_named() {
        let text = "FROM a:1 AS x\nFROM b:1 AS x\nCMD [\"a\"]\nCMD [\"b\"]\n";
        let file = kiln_dockerfile::parse(text).0;
        let found = lint(text, &Config::default());
        let lines = |code: &str| -> Vec<u32> {
            let finding = found.iter().find(|each| each.code == code);
            let places = related(&file, finding.unwrap_or_else(|| panic!("no {code}: {found:?}")));
            places.iter().map(|(span, _)| file.line(span.start)).collect()
        };
        assert_eq!(lines("DL3024"), [1]);
        assert_eq!(lines("MultipleInstructionsDisallowed").len(), 1);
        assert_eq!(lines("DL4003").len(), 1);
    }
}
