//! What holds for every input.

use std::collections::BTreeMap;

use kiln_dockerfile::ast::{Instruction, Span};
use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::expand::{self, Effort, Mode};
use kiln_dockerfile::ignore::Ignore;
use kiln_dockerfile::mount::Mount;
use kiln_dockerfile::{Dockerfile, glob, parse, parse_bytes};
use proptest::prelude::*;

/// Text made of what the language is made of.
fn dockerfileish() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "FROM a",
        "from b as c",
        "RUN x",
        "COPY a b",
        "ADD",
        "ENV a=b",
        "ENV a b",
        "ONBUILD ",
        "HEALTHCHECK CMD x",
        "ARG x",
        "LABEL a=b",
        "EXPOSE 80",
        "VOLUME",
        "SHELL [\"a\"]",
        "# escape=`",
        "# syntax=x",
        "# c",
        "\n",
        "\n",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\\\n",
        "`\n",
        "\\",
        "<<E",
        "<<-'E'",
        "E\n",
        "\n\tE\n",
        "3<<E",
        "[\"a\", ",
        "\"]",
        "[1]",
        "--from=x ",
        "--mount=type=cache,target=/a ",
        "--x",
        "--",
        "=",
        "'",
        "\"",
        "$x",
        "${x:-y}",
        "ü",
        "\u{feff}",
        "\0",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

fn instructions(tree: &Dockerfile) -> Vec<&Instruction> {
    let stages = tree
        .stages
        .iter()
        .flat_map(|stage| std::iter::once(&stage.instruction).chain(&stage.instructions));
    tree.globals.iter().chain(stages).collect()
}

fn inside(span: Span, source: &str) -> bool {
    span.start <= span.end && source.get(span.range()).is_some()
}

fn check(tree: &Dockerfile, found: &[Diagnostic]) {
    let source = tree.source.as_str();
    let all = instructions(tree);
    for pair in all.windows(2) {
        assert!(pair[0].span.end <= pair[1].span.start && pair[0].lines.1 < pair[1].lines.0);
    }
    for each in &all {
        assert!(inside(each.span, source) && inside(each.keyword.span, source));
        assert_eq!(&source[each.keyword.span.range()], each.keyword.raw);
        assert_eq!(each.span.start, each.keyword.span.start);
        // Lines that hold nothing but a continuation may come before the keyword.
        assert!(tree.line(each.span.start) >= each.lines.0);
        assert!(each.comments.iter().all(|word| source[word.span.range()] == word.raw));
    }
    assert!(found.iter().all(|each| inside(each.span, source)));
    assert!(found.windows(2).all(|pair| pair[0].span.start <= pair[1].span.start));
    assert!(!tree.stages.is_empty() || !found.is_empty());
}

/// Wildcards, slowly: every way to divide the text.
mod reference {
    fn segment(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len())
                .take_while(|n| !text[..*n].contains(&'/'))
                .any(|n| segment(rest, &text[n..])),
            Some(('?', rest)) => text.first().is_some_and(|c| *c != '/') && segment(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && segment(rest, &text[1..]),
        }
    }

    pub(super) fn glob(pattern: &str, text: &str) -> bool {
        segment(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
    }

    /// Pattern and path by their parts; `**` is any number of them, but at the end at least one.
    fn parts(pattern: &[&str], path: &[&str]) -> bool {
        match pattern.split_first() {
            None => path.is_empty(),
            Some((&"**", [])) => !path.is_empty(),
            Some((&"**", rest)) => (0..=path.len()).any(|n| parts(rest, &path[n..])),
            Some((first, rest)) => path.first().is_some_and(|part| glob(first, part)) && parts(rest, &path[1..]),
        }
    }

    pub(super) fn excluded(lines: &[String], path: &str) -> bool {
        let path: Vec<_> = path.split('/').collect();
        let mut excluded = false;
        for line in lines {
            let (includes, pattern) = line
                .strip_prefix('!')
                .map_or((false, line.as_str()), |rest| (true, rest));
            let pattern: Vec<_> = pattern.split('/').collect();
            if (1..=path.len()).any(|n| parts(&pattern, &path[..n])) {
                excluded = !includes;
            }
        }
        excluded
    }
}

fn pattern_line() -> impl Strategy<Value = String> {
    let part = prop_oneof!["[ab]{1,2}", "[ab*?]{1,3}", Just("**".to_owned())];
    // `**` glued to something else has rules of its own, which tests/it/ignore.rs lists.
    let part = part.prop_map(|part| if part.contains("**") { "**".to_owned() } else { part });
    (any::<bool>(), prop::collection::vec(part, 1..4))
        .prop_map(|(includes, parts)| format!("{}{}", if includes { "!" } else { "" }, parts.join("/")))
}

proptest! {
    #[test]
    fn any_bytes_parse(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (tree, found) = parse_bytes(&bytes);
        check(&tree, &found);
    }

    #[test]
    fn any_text_parses(text in "\\PC{0,300}") {
        let (tree, found) = parse(&text);
        check(&tree, &found);
    }

    #[test]
    fn anything_like_a_dockerfile_parses(text in dockerfileish()) {
        let (tree, found) = parse(&text);
        check(&tree, &found);
    }

    #[test]
    fn expansion_never_panics(
        text in "[a-c$\\{\\}:+?#%/'\"\\\\*@!0-9 -]{0,40}",
        values in prop::collection::vec("[a-c/*\\\\$]{0,8}", 3),
        raw_quotes: bool, raw_escapes: bool, keep_unset: bool, skip_quotes: bool,
    ) {
        let env: BTreeMap<_, _> = ["a", "b", "c"].map(str::to_owned).into_iter().zip(values).collect();
        let mode = Mode { raw_quotes, raw_escapes, keep_unset, skip_quotes };
        drop(expand::word_with(&text, '\\', &env, mode, &Effort::default()));
        drop(expand::words_with(&text, '`', &env, mode, &Effort::default()));
        drop(expand::heredoc(&text, &env, &Effort::default()));
    }

    #[test]
    fn text_without_signs_expands_to_itself(text in "[a-z0-9./:= \u{e4}-]{0,40}") {
        prop_assert_eq!(expand::word(&text, '\\', &BTreeMap::new(), &Effort::default()).unwrap().value, text);
    }

    #[test]
    fn prefixes_agree_with_the_slow_matcher(pattern in "[ab*?]{0,6}", value in "[ab]{0,8}") {
        let env: BTreeMap<_, _> = [("v".to_owned(), value.clone())].into();
        let ends: Vec<_> = (0..=value.len()).filter(|end| reference::glob(&pattern, &value[..*end])).collect();
        let expand = |modifier: &str| expand::word(&format!("${{v{modifier}{pattern}}}"), '\\', &env, &Effort::default()).unwrap().value;
        let shortest = ends.first().map_or(value.as_str(), |end| &value[*end..]);
        let longest = ends.last().map_or(value.as_str(), |end| &value[*end..]);
        prop_assert_eq!(expand("#"), shortest);
        prop_assert_eq!(expand("##"), longest);
        let starts: Vec<_> = (0..=value.len()).filter(|start| reference::glob(&pattern, &value[*start..])).collect();
        prop_assert_eq!(expand("%"), starts.last().map_or(value.as_str(), |start| &value[..*start]));
        prop_assert_eq!(expand("%%"), starts.first().map_or(value.as_str(), |start| &value[..*start]));
    }

    #[test]
    fn replacements_agree_with_the_slow_matcher(pattern in "[ab*?\n]{1,6}", value in "[ab\n]{0,8}") {
        let env: BTreeMap<_, _> = [("v".to_owned(), value.clone())].into();
        let names = [&pattern, &value].map(|text| text.replace('\n', "/"));
        let matches = |start: usize, end: usize| reference::glob(&names[0], &names[1][start..end]);
        let longest = |start: usize| (start..=value.len()).rfind(|end| matches(start, *end));
        let first = (0..=value.len()).find_map(|start| Some((start, longest(start)?)));
        let expected = first.map_or_else(|| value.clone(), |(start, end)| format!("{}X{}", &value[..start], &value[end..]));
        let text = format!("${{v/{pattern}/X}}");
        prop_assert_eq!(expand::word(&text, '\\', &env, &Effort::default()).unwrap().value, expected);
    }

    #[test]
    fn mounts_never_panic(csv in "[a-z=,\"$0-9]{0,40}") {
        drop(Mount::parse(&csv, &mut |value| Ok(value.to_owned())));
    }

    #[test]
    fn globs_agree_with_the_slow_matcher(pattern in "[ab/*?]{0,8}", name in "[ab/]{0,10}") {
        prop_assert_eq!(glob::matches(&pattern, &name).unwrap(), reference::glob(&pattern, &name));
    }

    #[test]
    fn ignore_agrees_with_the_slow_matcher(
        lines in prop::collection::vec(pattern_line(), 1..6),
        path in "[ab]{1,2}(/[ab]{1,2}){0,3}",
        below in "(/[ab]{1,2}){1,2}",
    ) {
        let ignore = Ignore::parse(&lines.join("\n")).unwrap();
        let decision = ignore.decide(&path);
        prop_assert_eq!(decision.excluded, reference::excluded(&lines, &path), "{:?} {}", lines, path);
        let child = format!("{path}{below}");
        if decision.excluded && !reference::excluded(&lines, &child) {
            prop_assert!(ignore.may_reinclude_below(&path), "{lines:?} {child}");
        }
    }

    #[test]
    fn ignore_never_panics(text in "[!#*?\\[\\]^\\\\./ab \n\r-]{0,60}", path in "[ab./\\[\\]*]{0,12}") {
        if let Ok(ignore) = Ignore::parse(&text) {
            ignore.decide(&path);
            ignore.may_reinclude_below(&path);
        }
    }
}
