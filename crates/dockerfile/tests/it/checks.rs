//! BuildKit's warnings, section 2 of the reference.

use kiln_dockerfile::checks::Config;
use kiln_dockerfile::diagnostic::Severity;
use kiln_dockerfile::parse;

/// What a build shows whose user says nothing else.
fn check(source: &str, expected: &[&str]) {
    let (tree, found) = parse(source);
    let settings = Config::of(&tree);
    let shown = found
        .iter()
        .filter(|each| each.severity == Severity::Warning && !settings.skips(each.code));
    let shown: Vec<_> = shown
        .map(|each| format!("{}:{}", tree.line_column(each.span.start).0, each.code))
        .collect();
    assert_eq!(shown, expected, "{source}");
}

#[test]
fn each_rule() {
    let cases: [(&str, &[&str]); 21] = [
        ("FROM a AS Base\n", &["1:StageNameCasing"]),
        ("FROM a as b\n", &["1:FromAsCasing"]),
        ("from a AS b\n", &["1:FromAsCasing"]),
        ("from a as b\n", &[]),
        (
            "FROM a AS b\nFROM c AS B\n",
            &["2:StageNameCasing", "2:DuplicateStageName"],
        ),
        (
            "FROM a AS scratch\nFROM a AS context\n",
            &["1:ReservedStageName", "2:ReservedStageName"],
        ),
        ("FROM a\nRUN a \\\n\n\n  b\n", &["3:NoEmptyContinuation"]),
        ("FROM a\nMAINTAINER b\n", &["2:MaintainerDeprecated"]),
        (
            "FROM a\nENV b c\nLABEL d e\nENV f=g\n",
            &["2:LegacyKeyValueFormat", "3:LegacyKeyValueFormat"],
        ),
        ("FROM a\nCMD b\n", &["2:JSONArgsRecommended"]),
        ("FROM a\nENTRYPOINT b\n", &["2:JSONArgsRecommended"]),
        ("FROM a\nSHELL [\"x\"]\nCMD b\n", &[]),
        ("FROM a AS b\nSHELL [\"x\"]\nFROM b\nCMD c\n", &[]),
        ("FROM a\nCMD [\"b\"]\n", &[]),
        (
            "FROM a\nCMD [\"b\"]\nCMD [\"c\"]\n",
            &["2:MultipleInstructionsDisallowed"],
        ),
        (
            "FROM a\nHEALTHCHECK NONE\nHEALTHCHECK CMD x\n",
            &["2:MultipleInstructionsDisallowed"],
        ),
        ("FROM a\nCMD [\"b\"]\nFROM a\nCMD [\"b\"]\n", &[]),
        (
            "FROM a\nRUN a\nrun b\nRun c\n",
            &["3:ConsistentInstructionCasing", "4:ConsistentInstructionCasing"],
        ),
        ("from a\nrun a\nRUN b\n", &["3:ConsistentInstructionCasing"]),
        ("FROM a\nEXPOSE 80/TCP 81/udp $P/TCP\n", &["2:ExposeProtoCasing"]),
        (
            "FROM a\nEXPOSE 127.0.0.1:80:80 80:80 80-90\n",
            &["2:ExposeInvalidFormat", "2:ExposeInvalidFormat"],
        ),
    ];
    for (source, expected) in cases {
        check(source, expected);
    }
}

#[test]
fn silenced() {
    check("# check=skip=all\nFROM a as B\nCMD x \\\n\n y\n", &[]);
    check(
        "# check=skip=FromAsCasing,NoEmptyContinuation\nFROM a as B\nRUN x \\\n\n y\n",
        &["2:StageNameCasing"],
    );
    check(
        "FROM a\n# check=skip=JSONArgsRecommended\nCMD x\nENTRYPOINT x\n",
        &["4:JSONArgsRecommended"],
    );
    check("FROM a\n# check=skip=NoEmptyContinuation\nRUN x \\\n\n y\n", &[]);
}

#[test]
fn settings() {
    let config = Config::parse("skip=A, B;error=true;experimental=all").unwrap();
    assert!(config.skips("A") && config.skips("B") && !config.skips("C"));
    assert!(config.error && config.experimental_all && !config.skip_all);
    assert!(Config::parse("skip").is_err());
    assert!(Config::parse("skp=all").is_err());
    assert!(Config::parse("error=maybe").is_err());
    assert_eq!(
        parse("# check=skp=all\nFROM a\n").1[0].message,
        "invalid check option \"skp=all\""
    );
}
