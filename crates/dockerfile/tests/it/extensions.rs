//! What Kiln's language has beyond the reference frontend's, and the plain Dockerfile of it.

use kiln_dockerfile::ast::{Kind, SourcePath};
use kiln_dockerfile::diagnostic::Severity;
use kiln_dockerfile::{mount, parse};
use proptest::prelude::*;

use crate::{dump, include};

fn plain(source: &str) -> String {
    let (tree, found) = parse(source);
    let errors: Vec<_> = found.iter().filter(|each| each.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{source}{errors:?}");
    tree.to_plain()
}

#[test]
fn copy_if_exists_is_a_pattern_elsewhere() {
    for (written, expected) in [
        ("COPY --if-exists a b/ /to/", "COPY [a] [b]/ /to/"),
        ("copy   --if-exists\t a*  ./ x/y.z  /to/", "copy   a*  ./ x/y.[z]  /to/"),
        ("COPY --if-exists=false a /to", "COPY a /to"),
        ("COPY --if-exists=TRUE a /to", "COPY [a] /to"),
        (
            "COPY --link --if-exists --chown=1 a /to",
            "COPY --link --chown=1 [a] /to",
        ),
        ("COPY --link --\"if-exists\" a /to", "COPY --link [a] /to"),
        (
            "COPY --if-exists \\\n  # why\n  a \\\n  b /to/",
            "COPY \\\n  # why\n  [a] \\\n  [b] /to/",
        ),
        ("COPY --if-exists ab\\\ncd /to", "COPY abc[d] /to"),
        ("COPY --if-exists -- --x /to", "COPY -- --[x] /to"),
        (
            "COPY --if-exists [\"a b\", \"\\u0041\\\"c\", \"/to/\"]",
            "COPY [\"a [b]\", \"A\\\"[c]\", \"/to/\"]",
        ),
        (
            "COPY --if-exists <<E a /to/\nCOPY --if-exists x y\nE",
            "COPY <<E [a] /to/\nCOPY --if-exists x y\nE",
        ),
        (
            "COPY --if-exists ${D}/a ${D:-b}.c /to/",
            "COPY ${D}/[a] ${D:-b}.[c] /to/",
        ),
    ] {
        let written = format!("# syntax=x\n# kiln=if-exists\nFROM a\n{written}\n");
        let expected = format!("# syntax=x\nFROM a\n{expected}\n");
        assert_eq!(plain(&written), expected, "{written}");
    }
}

#[test]
fn keys_of_cache_mounts_are_taken_out() {
    for (written, expected) in [
        (
            "RUN --mount=type=cache,key=platform,target=/c x",
            "RUN --mount=type=cache,target=/c x",
        ),
        (
            "RUN --mount=KEY=a,type=cache,target=/c,key=$B \\\n --mount=target=/d --mount=key=e,type=cache,target=/f x",
            "RUN --mount=type=cache,target=/c \\\n --mount=target=/d --mount=type=cache,target=/f x",
        ),
        (
            "RUN --mount=type=cache,target=\"/a b\",key='c d' x",
            "RUN --mount=type=cache,target=/a\\ b x",
        ),
        (
            "RUN --mount='type=cache,\"target=/a,b\",\"key=file:a,b\"' x",
            "RUN --mount=type=cache,\\\"target=/a,b\\\" x",
        ),
        (
            "RUN --mount=type=cache,\\\nkey=a,target=/c x",
            "RUN --mount=type=cache,target=/c x",
        ),
    ] {
        let written = format!("# kiln=cache-key\nFROM a\n{written}\n");
        let expected = format!("FROM a\n{expected}\n");
        let text = plain(&written);
        assert_eq!(text, expected, "{written}");
        assert_eq!(plain(&text), text);
        assert_eq!(mounts(&text), without_keys(&mounts(&written)), "{written}");
    }
}

/// The mounts of the last RUN.
fn mounts(source: &str) -> Vec<String> {
    let (tree, _) = parse(source);
    let Some(Kind::Run(run)) = tree.stages[0].instructions.last().map(|last| &last.kind) else {
        panic!("no RUN");
    };
    run.mounts.iter().map(|mount| mount.raw.clone()).collect()
}

fn without_keys(mounts: &[String]) -> Vec<String> {
    let plain = |csv: &String| mount::without_keys(csv).unwrap().unwrap_or_else(|| csv.clone());
    mounts.iter().map(plain).collect()
}

#[test]
fn the_tree_is_a_plain_files() {
    let (tree, _) = parse("# kiln=if-exists\nFROM a\nCOPY --if-exists a b /to/\n");
    let Kind::Copy(copy) = &tree.stages[0].instructions[0].kind else {
        panic!("no COPY");
    };
    let raw = |source: &SourcePath| match source {
        SourcePath::Path(word) => word.raw.clone(),
        SourcePath::Heredoc(_) => String::new(),
    };
    assert_eq!(
        copy.transfer.sources.iter().map(raw).collect::<Vec<_>>(),
        ["[a]", "[b]"]
    );
    assert_eq!(tree.stages[0].instructions[0].text, "COPY --if-exists a b /to/");
}

#[test]
fn all_else_stays() {
    for (source, expected) in [
        (
            "\u{feff}  # kiln=include\r\n# c\r\nFROM a\r\n",
            "\u{feff}# c\r\nFROM a\r\n",
        ),
        (
            "# escape=`\n# kiln=if-exists\nFROM a\nRUN a `\n # c\n b",
            "# escape=`\nFROM a\nRUN a `\n # c\n b",
        ),
        ("# c\n# kiln=if-exists\nFROM a\n", "# c\n# kiln=if-exists\nFROM a\n"),
        ("# kiln=if-exists\n\n\nFROM a\n", "\n\nFROM a\n"),
    ] {
        assert_eq!(plain(source), expected);
    }
}

/// Text made of what extensions are made of.
fn extended() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "FROM a",
        "from b as c",
        "RUN x",
        "COPY --if-exists a b",
        "COPY --if-exists --link ",
        "COPY --from=x --if-exists ",
        "COPY --if-exists [\"a\", \"b c\"]",
        "COPY --if-exists <<E x y/\nb\nE",
        "RUN x <<E\nINCLUDE f\nE",
        "# c",
        "# syntax=x",
        "# escape=`",
        "# kiln=include",
        "INCLUDE f",
        "INCLUDE g f",
        "ARG x=y",
        "",
    ]);
    let words = prop::sample::select(vec![
        "",
        "",
        "",
        "",
        " x y",
        " $x/y z",
        " \"a b\" c",
        " [1] /",
        "]",
        "\\",
        "`",
        "\r",
        "\t",
        "/z",
        " ü/ ä",
        "\u{feff}",
    ]);
    let lines = prop::collection::vec((line, words), 0..8);
    let text = lines.prop_map(|lines| {
        let lines = lines.iter().map(|(line, words)| format!("{line}{words}\n"));
        lines.collect::<Vec<_>>().concat()
    });
    (text, any::<bool>()).prop_map(|(text, whole)| {
        if whole {
            text
        } else {
            text.trim_end_matches('\n').to_owned()
        }
    })
}

/// The tree without the directive and without lines' numbers, which the directive's line shifts.
fn shape(source: &str) -> Option<Vec<String>> {
    let (tree, found) = parse(source);
    if found.iter().any(|each| each.severity == Severity::Error) {
        return None;
    }
    let dump = dump::dockerfile(&tree);
    let lines = dump.lines().filter(|line| !line.starts_with("# kiln="));
    Some(
        lines
            .map(|line| {
                line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ' || c == '-')
                    .to_owned()
            })
            .collect(),
    )
}

proptest! {
    #[test]
    fn keys_count_in_any_place_and_order(
        fields in Just(vec!["type=cache", "target=/c", "key=platform", "key=file:a", "KEY=b c", "sharing=locked", "key=b c"]).prop_shuffle(),
        quoted in prop::option::of(0..7_usize),
    ) {
        let mut fields: Vec<_> = fields.into_iter().map(str::to_owned).collect();
        let read = |csv: &str| mount::Mount::parse(csv, &mut |value| Ok(value.to_owned())).unwrap();
        let parsed = read(&fields.join(","));
        let keys = [mount::CacheKey::Platform, mount::CacheKey::File("a".to_owned()), mount::CacheKey::Text("b c".to_owned())];
        prop_assert_eq!(&parsed.key[..], keys);
        if let Some(place) = quoted {
            fields[place] = format!("\"{}\"", fields[place]);
        }
        let csv = fields.join(",");
        prop_assert_eq!(&read(&csv), &parsed);
        let text = plain(&format!("# kiln=cache-key\nFROM a\nRUN --mount='{csv}' x\n"));
        let mut expected = parsed;
        expected.key.clear();
        prop_assert_eq!(read(&mounts(&text)[0]), expected);
    }

    #[test]
    fn a_plain_file_stays(text in extended()) {
        let text = format!("# no directive\n{text}");
        prop_assert_eq!(parse(&text).0.to_plain(), text);
    }

    #[test]
    fn plain_and_extended_mean_the_same(text in extended(), f in extended(), g in extended(), head in 0..2_usize) {
        let head = ["# kiln=include,if-exists\n", "# escape=`\n# kiln=if-exists,include\n"][head];
        let files = [("f", f.as_str()), ("g", g.as_str())];
        let Ok(source) = include::read_in(&format!("{head}FROM a\n{text}"), &files) else { return Ok(()) };
        let (tree, _) = parse(source.text());
        let Some(expected) = shape(source.text()) else { return Ok(()) };
        let plain = tree.to_plain();
        prop_assert_eq!(shape(&plain), Some(expected), "{}", plain);
        prop_assert_eq!(parse(&plain).0.to_plain(), plain.as_str());
    }
}
