//! Rules that BuildKit and hadolint both have.

use kiln_lint::{Config, lint};

fn codes(text: &str, config: &Config) -> Vec<(&'static str, Option<&'static str>)> {
    let findings = lint(text, config).into_iter();
    findings.map(|finding| (finding.code, finding.also)).collect()
}

#[test]
fn what_both_find_is_one_finding_with_both_names() {
    for (text, code, also) in [
        ("FROM a:1\nCMD a b\n", "DL3025", "JSONArgsRecommended"),
        ("FROM a:1\nMAINTAINER me\n", "DL4000", "MaintainerDeprecated"),
        ("FROM a:1\nWORKDIR x\n", "DL3000", "WorkdirRelativePath"),
        ("FROM a:1\nARG TOKEN\n", "DL3064", "SecretsUsedInArgOrEnv"),
        ("FROM a:1 AS x\nFROM b:1 AS x\n", "DL3024", "DuplicateStageName"),
        ("FROM a:1 AS scratch\n", "DL3063", "ReservedStageName"),
        (
            "FROM --platform=linux/amd64 a:1\n",
            "DL3029",
            "FromPlatformFlagConstDisallowed",
        ),
        (
            "FROM --platform=$TARGETPLATFORM a:1\n",
            "DL3065",
            "RedundantTargetPlatform",
        ),
    ] {
        assert_eq!(codes(text, &Config::default()), [(code, Some(also))], "{text}");
        // Either name silences it, wherever it is said.
        for name in [code, also] {
            let config = Config {
                ignored: [name.to_owned()].into(),
                ..Config::default()
            };
            assert_eq!(codes(text, &config), [], "{name}: {text}");
            let global = format!("# hadolint global ignore={name}\n{text}");
            assert_eq!(codes(&global, &Config::default()), [], "{global}");
        }
        let skipped = format!("# check=skip={also}\n{text}");
        assert_eq!(codes(&skipped, &Config::default()), [], "{skipped}");
        let skipped = format!("# check=skip=all\n{text}");
        assert_eq!(codes(&skipped, &Config::default()), [], "{skipped}");
    }
}

#[test]
fn what_one_finds_alone_stays() {
    let config = Config::default();
    assert_eq!(codes("FROM a:1\nHEALTHCHECK CMD a\n", &config), [("DL3025", None)]);
    // The second of them is relative to the first: BuildKit says nothing.
    assert_eq!(codes("FROM a:1\nWORKDIR /a\nWORKDIR b\n", &config), [("DL3000", None)]);
    let text = "FROM a:1\n# check=skip=JSONArgsRecommended\nCMD a\nENTRYPOINT b\n";
    assert_eq!(codes(text, &config), [("DL3025", Some("JSONArgsRecommended"))]);
    // All of BuildKit's are not all of hadolint's.
    assert_eq!(codes("# check=skip=all\nFROM a\n", &config), [("DL3006", None)]);
}
