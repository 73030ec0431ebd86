//! Annotations of GitHub's actions.

use std::fmt::Write as _;

use kiln_lint::Severity;

use super::{each, place};
use crate::commands::lint::Linted;
use crate::format::encoding::{workflow_data, workflow_property};

/// A workflow command for each finding.
pub(super) fn show(linted: &[Linted]) -> String {
    let mut out = String::new();
    each(linted, |file, finding| {
        let level = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info | Severity::Style => "notice",
        };
        let (start, end) = place(file, finding);
        let _ = writeln!(
            out,
            "::{level} file={},line={},endLine={},col={},endColumn={},title={}::{}",
            workflow_property(&file.name),
            start.0,
            end.0,
            start.1,
            end.1,
            workflow_property(finding.code),
            workflow_data(&finding.message)
        );
    });
    out
}
