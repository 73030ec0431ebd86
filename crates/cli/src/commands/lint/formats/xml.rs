//! Checkstyle's XML and `JUnit`'s.

use std::fmt::Write as _;

use kiln_lint::Severity;

use super::place;
use crate::commands::lint::Linted;

const HEADER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// An `error` for each finding, by file.
pub(super) fn checkstyle(linted: &[Linted]) -> String {
    let mut out = format!("{HEADER}<checkstyle version=\"4.3\">\n");
    for file in linted {
        let _ = writeln!(out, "  <file name=\"{}\">", escaped(&file.name));
        for finding in &file.findings {
            let (start, _) = place(file, finding);
            let severity = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info | Severity::Style => "info",
            };
            let _ = writeln!(
                out,
                "    <error line=\"{}\" column=\"{}\" severity=\"{severity}\" message=\"{}\" source=\"{}\"/>",
                start.0,
                start.1,
                escaped(&finding.message),
                escaped(finding.code)
            );
        }
        out.push_str("  </file>\n");
    }
    out.push_str("</checkstyle>\n");
    out
}

/// A suite for each file, a failed case for each finding; a file without findings is a case that passed.
pub(super) fn junit(linted: &[Linted]) -> String {
    let total: usize = linted.iter().map(|file| file.findings.len()).sum();
    let tests: usize = linted.iter().map(|file| file.findings.len().max(1)).sum();
    let mut out = format!("{HEADER}<testsuites name=\"kiln lint\" tests=\"{tests}\" failures=\"{total}\">\n");
    for file in linted {
        let name = escaped(&file.name);
        let (count, failures) = (file.findings.len().max(1), file.findings.len());
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{count}\" failures=\"{failures}\" errors=\"0\">"
        );
        if failures == 0 {
            let _ = writeln!(out, "    <testcase classname=\"{name}\" name=\"kiln lint\"/>");
        }
        for finding in &file.findings {
            let (start, _) = place(file, finding);
            let _ = writeln!(
                out,
                "    <testcase classname=\"{name}\" name=\"{} at {}:{}\">\n      <failure type=\"{}\" \
                 message=\"{}\">{name}:{}:{}</failure>\n    </testcase>",
                escaped(finding.code),
                start.0,
                start.1,
                finding.severity.name(),
                escaped(&finding.message),
                start.0,
                start.1
            );
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// A text in an attribute or between tags; what XML cannot say is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
