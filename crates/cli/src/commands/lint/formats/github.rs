//! Annotations of GitHub's actions.

use std::fmt::Write as _;

use kiln_lint::Severity;

use super::{each, place};
use crate::commands::lint::Linted;

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
            property(&file.name),
            start.0,
            end.0,
            start.1,
            end.1,
            property(finding.code),
            data(&finding.message)
        );
    });
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
