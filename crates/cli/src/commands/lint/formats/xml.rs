//! Checkstyle's XML and `JUnit`'s.

use std::fmt::Write as _;

use kiln_lint::Severity;

use super::place;
use crate::commands::lint::Linted;
use crate::format::encoding::{XML, xml};

/// An `error` for each finding, by file.
pub(super) fn checkstyle(linted: &[Linted]) -> String {
    let mut out = format!("{XML}<checkstyle version=\"4.3\">\n");
    for file in linted {
        let _ = writeln!(out, "  <file name=\"{}\">", xml(&file.name));
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
                xml(&finding.message),
                xml(finding.code)
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
    let mut out = format!("{XML}<testsuites name=\"kiln lint\" tests=\"{tests}\" failures=\"{total}\">\n");
    for file in linted {
        let name = xml(&file.name);
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
                xml(finding.code),
                start.0,
                start.1,
                finding.severity.name(),
                xml(&finding.message),
                start.0,
                start.1
            );
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}
