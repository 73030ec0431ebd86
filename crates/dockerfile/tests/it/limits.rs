//! Large and hostile inputs finish. They are sized so that anything quadratic would not within a test's patience.

use std::collections::BTreeMap;

use kiln_dockerfile::expand::{self, Effort};
use kiln_dockerfile::ignore::Ignore;
use kiln_dockerfile::{glob, parse, suggest};

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
    let name = "a".repeat(4000);
    assert_eq!(glob::matches(&class, &name), Ok(false));
    assert_eq!(glob::matches(&class, &(name + "c")), Ok(true));
}

/// The innermost text is handed through every level.
#[test]
fn a_megabyte_in_nested_substitutions() {
    let inner = "a ".repeat(1 << 19);
    let text = format!("{}{inner}{}", "${c:-".repeat(199), "}".repeat(199));
    let expanded = expand::words(&text, '\\', &BTreeMap::new(), &Effort::default()).unwrap();
    assert_eq!(expanded.values.len(), 1 << 19);
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
