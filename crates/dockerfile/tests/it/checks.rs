//! BuildKit's warnings, section 2 of the reference.

use kiln_dockerfile::checks::Config;
use kiln_dockerfile::diagnostic::Severity;
use kiln_dockerfile::parse;

/// What a build shows whose user says nothing else.
fn check(source: &str, expected: &[&str]) {
    let (tree, mut found) = parse(source);
    Config::of(&tree).apply(&tree, &mut found);
    let shown = found.iter().filter(|each| each.severity == Severity::Warning);
    let shown: Vec<_> = shown
        .map(|each| format!("{}:{}", tree.line(each.span.start), each.code))
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
    check(
        "# check=skip=CMDs\nFROM a\n# check=skip=all\nCMD x\nENTRYPOINT x\n",
        &["5:JSONArgsRecommended"],
    );
}

#[test]
fn experimental() {
    let rule = "InvalidDefinitionDescription";
    let silent = "# what it is\nARG x\n# other\nFROM a AS b\n# also\nARG y z\n";
    check(silent, &[]);
    let loud = format!("# check=experimental={rule}\n{silent}");
    check(
        &loud,
        &[
            "3:InvalidDefinitionDescription",
            "5:InvalidDefinitionDescription",
            "7:InvalidDefinitionDescription",
        ],
    );
    let skipped = format!("# check=skip=all;experimental=all\n{silent}");
    check(
        &skipped,
        &[
            "3:InvalidDefinitionDescription",
            "5:InvalidDefinitionDescription",
            "7:InvalidDefinitionDescription",
        ],
    );
    check(
        "# check=experimental=all\n# x is it\nARG x\n# more\n# b builds\nFROM a AS B\n# none\n\nARG y\n# names none\nFROM c\n",
        &["6:StageNameCasing"],
    );
    let message = &parse("# what\nARG x\nFROM a\n").1[0].message;
    assert_eq!(message, "Comment for ARG should follow the format: `# x <description>`");
}

#[test]
fn descriptions() {
    let (tree, _) = parse("# no\n# x the first\n# x the second\nARG x\nFROM a\n");
    assert_eq!(tree.globals[0].description_of("x"), Some("the first"));
    assert_eq!(tree.globals[0].description_of("n"), None);
    assert_eq!(tree.globals[0].description_of(""), None);
}

#[test]
fn instructions_by_place() {
    let source = "ARG a\n# c\nFROM b\nRUN c <<E\nd\nE\n\nRUN e\nFROM f\n";
    let (tree, _) = parse(source);
    let at = |text: &str| tree.instruction_at(source.find(text).unwrap()).map(|found| found.lines);
    assert_eq!(at("ARG"), Some((1, 1)));
    assert_eq!(at("# c"), None);
    assert_eq!(at("b\n"), Some((3, 3)));
    assert_eq!(at("d\n"), Some((4, 6)));
    assert_eq!(at("\nRUN e"), None);
    assert_eq!(at("e\n"), Some((8, 8)));
    assert_eq!(at("f\n"), Some((9, 9)));
    assert_eq!(tree.instruction_at(source.len()), None);
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
