//! Verdicts as programs want them.

use std::fmt::Write as _;

use kiln_inspect::Image;
use serde_json::{Value, json};

use super::{Verdict, budget};
use crate::format::encoding::{XML, sarif as sarif_of, uri, workflow_data, workflow_property, xml};
use crate::progress::text::{one_line, sanitise};

/// How much of a layer's instruction is shown.
const WIDEST: usize = 60;

/// One line each, and below failures what would mend them.
pub(crate) fn for_people(image: &Image, verdicts: &[Verdict]) -> String {
    let width = verdicts
        .iter()
        .map(|verdict| verdict.check.len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for verdict in verdicts {
        let outcome = if verdict.passed { "PASS" } else { "FAIL" };
        let message = sanitise(one_line(&verdict.text()).as_bytes());
        let _ = writeln!(text, "{outcome}  {:width$}  {message}", verdict.check);
        if let Some(layer) = budget::layer(image, verdict, WIDEST) {
            let _ = writeln!(text, "      {:width$}    from {layer}", "");
        }
        if let Some(mend) = &verdict.mend {
            let _ = writeln!(text, "      {:width$}    hint: {}", "", one_line(mend));
        }
    }
    text
}

/// One object.
pub(crate) fn json(image: &Image, verdicts: &[Verdict]) -> Value {
    json!({
        "Passed": verdicts.iter().all(|verdict| verdict.passed),
        "Failures": verdicts.iter().filter(|verdict| !verdict.passed).count(),
        "Checks": verdicts.iter().map(|verdict| verdict.object(image)).collect::<Vec<_>>(),
    })
}

/// A test suite, as `JUnit` writes it.
pub(crate) fn junit(name: &str, verdicts: &[Verdict]) -> String {
    let failures = verdicts.iter().filter(|verdict| !verdict.passed).count();
    let counts = format!("tests=\"{}\" failures=\"{failures}\"", verdicts.len());
    let mut text = XML.to_owned();
    let _ = writeln!(text, "<testsuites {counts}>");
    let _ = writeln!(text, "  <testsuite name=\"{}\" {counts}>", xml(name));
    for verdict in verdicts {
        let case = xml(verdict.subject().unwrap_or(verdict.check));
        let _ = write!(
            text,
            "    <testcase classname=\"{}\" name=\"{case}\"",
            xml(verdict.check)
        );
        if verdict.passed {
            text.push_str("/>\n");
        } else {
            let mend = verdict.mend.as_deref().unwrap_or_default();
            let message = xml(&verdict.message);
            let _ = writeln!(
                text,
                ">\n      <failure message=\"{message}\">{}</failure>\n    </testcase>",
                xml(mend)
            );
        }
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// Annotations of GitHub's workflows, one for each failure.
pub(crate) fn github(image: &Image, verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts.iter().filter(|verdict| !verdict.passed) {
        let line = line(image, verdict).map_or_else(String::new, |line| format!(",file=Dockerfile,line={line}"));
        let mend = verdict
            .mend
            .as_ref()
            .map_or_else(String::new, |mend| format!("\n{mend}"));
        let message = format!("{}{mend}", verdict.text());
        let message = workflow_data(&message);
        let _ = writeln!(
            text,
            "::error title=kiln check: {}{line}::{message}",
            workflow_property(verdict.check)
        );
    }
    text
}

/// SARIF 2.1.0: a result for each failure.
pub(crate) fn sarif(image: &Image, verdicts: &[Verdict]) -> Value {
    let failures = || verdicts.iter().filter(|verdict| !verdict.passed);
    let mut rules: Vec<&str> = failures().map(|verdict| verdict.check).collect();
    rules.sort_unstable();
    rules.dedup();
    let results = failures().map(|verdict| {
        let place = match (line(image, verdict), &verdict.path) {
            (Some(line), _) => {
                json!({"artifactLocation": {"uri": "Dockerfile"}, "region": {"startLine": line}})
            }
            (None, path) => {
                let uri = path.as_deref().map_or("Dockerfile".to_owned(), |path| uri(path.trim_start_matches('/')));
                json!({"artifactLocation": {"uri": uri}})
            }
        };
        let mend = verdict.mend.as_ref().map_or_else(String::new, |mend| format!(" ({mend})"));
        json!({
            "ruleId": verdict.check,
            "ruleIndex": rules.iter().position(|rule| *rule == verdict.check),
            "level": "error",
            "message": {"text": format!("{}{mend}", verdict.text())},
            "locations": [{"physicalLocation": place}],
            "partialFingerprints": {"kilnCheck/v1": format!("{} {}", verdict.check, verdict.subject().unwrap_or_default())},
        })
    });
    let results: Vec<Value> = results.collect();
    let rules: Vec<Value> = rules.iter().map(|rule| json!({"id": rule})).collect();
    sarif_of(&rules, &results)
}

/// The line of the Dockerfile that made the layer that a verdict is about, as far as that is known.
fn line(image: &Image, verdict: &Verdict) -> Option<u32> {
    let maker = image.layers.get(verdict.layer?)?.maker.as_ref()?;
    maker.lines.map(|(line, _)| line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_is_xml() {
        let verdicts = [
            Verdict::pass("command", "fine"),
            Verdict::fail("libraries", "needs <\"&\u{1}")
                .about(b"bin/a", Some(0))
                .mend("COPY"),
        ];
        let text = junit("a & b", &verdicts);
        assert!(text.contains("<testsuite name=\"a &amp; b\" tests=\"2\" failures=\"1\">"));
        assert!(text.contains("<failure message=\"needs &lt;&quot;&amp;\">COPY</failure>"));
        assert!(text.contains("<testcase classname=\"command\" name=\"command\"/>"));
    }
}
