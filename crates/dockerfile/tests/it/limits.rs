//! Large and hostile inputs finish. They are sized so that anything quadratic would not within a test's patience.

use std::collections::BTreeMap;

use kiln_dockerfile::checks::Config;
use kiln_dockerfile::device::Device;
use kiln_dockerfile::expand::{self, Effort};
use kiln_dockerfile::ignore::Ignore;
use kiln_dockerfile::mount::{self, Mount};
use kiln_dockerfile::{glob, parse, suggest};

use super::include::read_in;

#[test]
fn many_instructions() {
    let source = format!("FROM a\n{}", "RUN a \\\n  b\n".repeat(49_999));
    let (tree, found) = parse(&source);
    assert_eq!(found.len(), 0);
    assert_eq!(tree.stages[0].instructions.len(), 49_999);
}

/// Reading ends where no image could be made of it any more.
#[test]
fn too_many_instructions() {
    let source = format!("FROM a\n{}", "RUN a\n".repeat(1_000_000));
    let (tree, found) = parse(&source);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "TooManyInstructions");
    assert_eq!(tree.line(found[0].span.start), 50_001);
    assert_eq!(tree.stages[0].instructions.len(), 50_000);
}

#[test]
fn many_stages_of_one_name() {
    let source = "FROM a AS x\n".repeat(50_000);
    assert_eq!(parse(&source).0.stages.len(), 50_000);
}

#[test]
fn one_instruction_of_many_lines() {
    let source = format!("FROM a\nENV {}x=1\n", "a=b \\\n".repeat(300_000));
    let (tree, found) = parse(&source);
    assert_eq!((tree.stages[0].instructions.len(), found.len()), (1, 0));
}

#[test]
fn ten_megabytes_of_heredoc() {
    let source = format!("FROM a\nCOPY <<E /x\n{}E\n", "some text\n".repeat(1 << 20));
    assert_eq!(parse(&source).1, []);
}

#[test]
fn many_heredocs_in_one_line() {
    let line = "<<A \\\n".repeat(20_000);
    let source = format!("FROM a\nCOPY {line} /x/\n{}", "A\n".repeat(20_000));
    assert_eq!(parse(&source).1, []);
}

#[test]
fn lines_of_a_megabyte() {
    for start in [
        "", "RUN ", "COPY ", "ENV a=", "COPY <<", "RUN [", "# ", "ONBUILD ", "FROM ",
    ] {
        for fill in ["x", "a ", "\\", "\"", "<<A ", "${", "[", "--x ", "'", "ONBUILD "] {
            let source = format!("FROM a\n{start}{}\n", fill.repeat((1 << 19) / fill.len()));
            assert!(!parse(&source).1.is_empty(), "{start} {fill}");
        }
    }
}

#[test]
fn many_words_joined_by_continuations() {
    for start in [
        "RUN ",
        "COPY ",
        "ENV a=",
        "RUN [",
        "ONBUILD RUN ",
        "ARG ",
        "EXPOSE ",
        "RUN --mount=a=b ",
    ] {
        for fill in [
            "x",
            "a ",
            "\\a",
            "\"",
            "<<A ",
            "${",
            "[",
            "--exclude=a ",
            "'",
            "ONBUILD ",
        ] {
            let line = format!("{} \\\n", fill.repeat(60_000 / fill.len()));
            let source = format!("FROM a\n{start}{}\n", line.repeat(8));
            let (tree, _) = parse(&source);
            assert_eq!(tree.stages.len(), 1);
        }
    }
}

#[test]
fn many_errors() {
    let source = format!("FROM a\n{}", "NONSENSE x\n".repeat(10_000));
    assert_eq!(parse(&source).1.len(), 10_000);
}

#[test]
fn patterns_that_backtrack() {
    let text = format!("{}b\n**/{}c\n", "*a".repeat(200), "**/*a".repeat(200));
    let ignore = Ignore::parse(&text).unwrap();
    let path = "a".repeat(4000);
    assert!(!ignore.decide(&path).excluded);
    assert!(!ignore.decide(&path.replace("aaaa", "aaa/")).excluded);
}

#[test]
fn classes_of_a_megabyte() {
    let class = format!("*[{}b-ac]", "x".repeat(1 << 20));
    let name = "a".repeat(100_000);
    assert_eq!(glob::matches(&class, &name), Ok(false));
    assert_eq!(glob::matches(&class, &(name + "c")), Ok(true));
}

/// The innermost text is handed through every level.
#[test]
fn a_megabyte_in_nested_substitutions() {
    let inner = "a ".repeat(1 << 20);
    let text = format!("{}{inner}{}", "${c:-".repeat(199), "}".repeat(199));
    let expanded = expand::words(&text, '\\', &BTreeMap::new(), &Effort::default()).unwrap();
    assert_eq!(expanded.values.len(), 1 << 20);
}

/// Where a pattern may be found at every place, and at each be compared with half of the value.
#[test]
fn patterns_as_long_as_their_values() {
    let half = "a".repeat(1 << 18);
    let env: BTreeMap<_, _> = [("v".to_owned(), half.repeat(2))].into();
    for (modifier, length) in [
        ("#*", 1 << 19),
        ("##*", 1 << 19),
        ("%*", 1 << 19),
        ("%%*", 1 << 19),
        ("/", 1 << 19),
        ("//", 1 << 19),
    ] {
        let end = if modifier.starts_with('/') { "/x" } else { "" };
        for (before, after) in [("", "b"), ("b", ""), ("", "*b"), ("b*", "")] {
            let text = format!("${{v{modifier}{before}{half}{after}{end}}}");
            let expanded = expand::word(&text, '\\', &env, &Effort::default()).unwrap();
            assert_eq!(expanded.value.len(), length, "{modifier} {before} {after}");
        }
    }
}

#[test]
fn long_patterns_for_long_paths() {
    let (long, deep) = ("a".repeat(1 << 15), "a/".repeat(1 << 14) + "a");
    for pattern in [
        format!("*{}b", "?*".repeat(1 << 14)),
        format!("**/{}b", "*/".repeat(1 << 14)),
        format!("*{}b*", "a".repeat(1 << 14)),
        format!("**/{}b/**", "a/".repeat(1 << 13)),
    ] {
        let ignore = Ignore::parse(&format!("*\n!{pattern}")).unwrap();
        for path in [&long, &deep] {
            assert!(ignore.decide(path).excluded, "{}", &pattern[..9]);
            assert_eq!(glob::matches(&pattern, path), Ok(false), "{}", &pattern[..9]);
        }
    }
}

/// Each parent of a path is looked up, without reading the path from its start for it.
#[test]
fn plain_patterns_and_a_deep_path() {
    let deep = "a/".repeat(1 << 17);
    let ignore = Ignore::parse(&format!("{deep}b\n**/c\n{deep}a\n!{deep}")).unwrap();
    assert_eq!(ignore.decide(&format!("{deep}b")).line, Some(4));
    assert_eq!(ignore.decide(&deep[2..]).line, None);
    assert_eq!(ignore.decide(&format!("c/{deep}")).line, Some(2));
}

/// Values that have a form of their own.
#[test]
fn long_values() {
    for fill in [
        "1", "1h", ".", "-", "m", "1.", ",", "\"", "\"\",", "a=", "=", "[", "\\u00", "a/", "a ",
    ] {
        let value = fill.repeat((1 << 17) / fill.len());
        for start in [
            "",
            "type=tmpfs,target=/a,size=",
            "type=bind,",
            "type=secret,id=",
            "vendor.com/class=",
        ] {
            drop(Mount::parse(
                &format!("{start}{value}"),
                &mut |text| Ok(text.to_owned()),
            ));
            drop(mount::from_of(&format!("{start}{value}")));
            drop(Device::parse(&format!("{start}{value}")));
        }
        // A logical line may be as long as one likes.
        let line = value
            .as_bytes()
            .chunks(60_000)
            .map(String::from_utf8_lossy)
            .collect::<Vec<_>>()
            .join("\\\n");
        for start in [
            "HEALTHCHECK --interval=",
            "RUN --mount=type=tmpfs,size=",
            "CMD [\"",
            "EXPOSE ",
            "INCLUDE ",
            "COPY --if-exists ",
            "SHELL [",
            "STOPSIGNAL ",
        ] {
            let (_, found) = parse(&format!("# kiln=include,if-exists\nFROM a\n{start}{line} x\n"));
            assert!(found.iter().all(|each| !each.message.is_empty()));
        }
        drop(parse(&format!(
            "# escape={value}\n# check={value}\nFROM a\n# check=skip={value}\nRUN x\n"
        )));
    }
}

/// All that is said of a file is looked for among all that is to be left out.
#[test]
fn many_warnings_and_rules_to_skip() {
    let rules: Vec<_> = (0..10_000).map(|number| format!("R{number}")).collect();
    let text = format!(
        "# check=skip={}\nFROM a AS b\n{}",
        rules.join(","),
        "MAINTAINER x\n".repeat(40_000)
    );
    let (tree, mut found) = parse(&text);
    let before = found.len();
    Config::of(&tree).apply(&tree, &mut found);
    assert!(before >= 40_000 && found.len() == before, "{before}");
}

#[test]
fn many_wrong_includes() {
    let text = format!("# kiln=include\n{}", "INCLUDE ../x\n".repeat(40_000));
    let failed = read_in(&text, &[]).unwrap_err();
    assert_eq!(failed.diagnostics.len(), 40_000);
    let last = failed.diagnostics.last().unwrap();
    assert_eq!(failed.source.text()[last.span.range()].trim_end(), "../x");
    assert_eq!(failed.source.place(last.span).1, last.span);
}

#[test]
fn many_paths_and_patterns() {
    let patterns: Vec<_> = (0..25).map(|n| format!("dir{n}/sub\n**/*.x{n}")).collect();
    let ignore = Ignore::parse(&patterns.join("\n")).unwrap();
    let excluded = (0..20_000)
        .filter(|n| {
            ignore
                .decide(&format!("dir{}/a/b/file{n}.x{}", n % 40, n % 50))
                .excluded
        })
        .count();
    assert_eq!(excluded, 10_000);
}

#[test]
fn suggestions_for_long_words() {
    let long = "x".repeat(1 << 20);
    assert_eq!(suggest::closest(&long, ["run"]), None);
}
