//! `.dockerignore`, section 1.10 of the reference.

use kiln_dockerfile::ignore::{Decision, Ignore, Patterns};

fn excluded(text: &str, path: &str) -> bool {
    Ignore::parse(text).unwrap().decide(path).excluded
}

#[test]
fn single_patterns() {
    let cases: [(&str, &[&str], &[&str]); 30] = [
        ("a", &["a", "a/b", "a/b/c"], &["b", "ab", "b/a"]),
        ("/a", &["a", "a/b"], &["b/a"]),
        ("a/", &["a", "a/b"], &["b/a"]),
        ("./a/../b", &["b"], &["a"]),
        ("a/b", &["a/b", "a/b/c"], &["a", "a/c", "x/a/b"]),
        ("*", &["a", "a/b", ".a"], &[]),
        ("*.md", &["a.md", ".md", "a.md/b"], &["a/b.md", "md"]),
        ("*/*.md", &["a/b.md", "a/b.md/c"], &["a.md", "a/b/c.md"]),
        ("a?", &["ab", "ab/c"], &["a", "abc", "a/"]),
        ("**", &["a", "a/b"], &[]),
        ("**/a", &["a", "b/a", "b/c/a", "b/a/c"], &["xa", "b/xa", "ab"]),
        ("**/*.go", &["a.go", "b/a.go", "b/c/.go"], &["a.goo", "go"]),
        ("**.go", &["a.go", "b/a.go", "b/a.go/c"], &["a.goo"]),
        ("**a", &["a", "xa", "b/xa"], &["ab"]),
        ("a/**", &["a/b", "a/b/c"], &["a", "ab"]),
        ("a**", &["a", "ab", "a/b", "abc/d"], &["b"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b", "a/b/z"], &["a", "a/xb", "b"]),
        ("a/**/*.b", &["a/c.b", "a/x/c.b"], &["c.b", "x/a/c.b"]),
        ("a/**.b", &["a/.b", "a/x/.b"], &["a/x.b"]),
        ("**/a/**", &["a/b", "x/a/b"], &["a", "x/a"]),
        ("**/a/b", &["a/b", "x/a/b", "x/a/b/c"], &["x/xa/b", "a"]),
        ("[ab]", &["a", "b/c"], &["c", "ab"]),
        ("[^a]", &["b"], &["a"]),
        ("a[b-d]e", &["ace"], &["aee"]),
        ("\\*", &["*", "*/a"], &["a"]),
        ("a\\b", &["ab"], &["a\\b"]),
        ("a.b", &["a.b"], &["axb"]),
        ("a+(b)|{c}$^", &["a+(b)|{c}$^"], &["aa"]),
        ("ä?", &["äö"], &["ä"]),
        (".", &[], &["a", "."]),
    ];
    for (pattern, yes, no) in cases {
        for path in yes {
            assert!(excluded(pattern, path), "{pattern} excludes {path}");
        }
        for path in no {
            assert!(!excluded(pattern, path), "{pattern} does not exclude {path}");
        }
    }
}

#[test]
fn the_last_match_decides_and_says_its_line() {
    let text = "\u{feff}# c\n*\n !src \n\nsrc/*.tmp\r\n!src/keep.tmp\n  # no comment\n";
    let ignore = Ignore::parse(text).unwrap();
    let decide = |path| {
        let Decision { excluded, line } = ignore.decide(path);
        (excluded, line)
    };
    assert_eq!(decide("a"), (true, Some(2)));
    assert_eq!(decide("src"), (false, Some(3)));
    assert_eq!(decide("src/a/b"), (false, Some(3)));
    assert_eq!(decide("src/a.tmp"), (true, Some(5)));
    assert_eq!(decide("src/keep.tmp"), (false, Some(6)));
    assert_eq!(decide("# no comment"), (true, Some(7)));
    assert_eq!(decide(""), (false, None));
    assert_eq!(decide("./src/a.tmp"), (true, Some(5)));
    assert_eq!(Ignore::parse("a\n").unwrap().decide("b"), Decision::default());
}

#[test]
fn below_excluded_directories() {
    let cases = [
        ("*\n!a/b", "a", true),
        ("*\n!a/b", "b", false),
        ("*\n!a/b", "a/b", true),
        ("*\n!a/b\na", "a", false),
        ("!a/b\n*", "a", false),
        ("*\n!**/x", "a/b/c", true),
        ("*\n!*/x", "a", true),
        ("*\n!*/x", "a/b", false),
        ("*\n!a*", "b", false),
        ("*\n!a/**/x", "a/b/c", true),
        ("*\n!a/**/x", "b", false),
        ("*\n!ab/c", "a", false),
        ("node_modules", "node_modules", false),
        ("*\n!*.md", "docs", false),
        ("*\n!docs", "docs", true),
        ("a", "b", true),
    ];
    for (text, directory, expected) in cases {
        assert_eq!(
            Ignore::parse(text).unwrap().may_reinclude_below(directory),
            expected,
            "{text:?} {directory}"
        );
    }
}

#[test]
fn bad_patterns_name_their_line() {
    for (text, line, message) in [
        ("a\n!\n", 2, "line 2: illegal exclusion pattern: \"!\""),
        ("# x\n\n[a\n", 3, "line 3: syntax error in pattern `[a`"),
        ("a\\\n", 1, "line 1: syntax error in pattern `a\\`"),
    ] {
        let error = Ignore::parse(text).unwrap_err();
        assert_eq!((error.line, error.to_string().as_str()), (line, message));
    }
}

#[test]
fn lists_of_patterns() {
    let patterns = Patterns::from_patterns(&["*.txt", "!keep.txt", " ", "b/../c"]).unwrap();
    assert!(patterns.decide("a.txt").excluded);
    assert!(!patterns.decide("keep.txt").excluded);
    assert!(patterns.decide("c/d").excluded);
    assert!(!patterns.is_empty());
    assert!(Patterns::from_patterns::<&str>(&[]).unwrap().is_empty());
    assert!(Ignore::parse("# only\n\n").unwrap().is_empty());
}
