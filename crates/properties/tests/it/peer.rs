//! The parser and `parse-dockerfile`, which others wrote from the same documentation: what they say of a Dockerfile is
//! the same, but for what [`KNOWN`] lists.

mod ours;
mod random;
mod theirs;

use std::ops::Range;

use proptest::prelude::*;

use crate::inputs::dockerfiles;

/// An instruction as both can say it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    keyword: Range<usize>,
    /// Names and values, sorted: ours are typed, so that their order is gone.
    flags: Vec<(String, String)>,
    arguments: Vec<String>,
    /// Contents, and whether variables are expanded.
    documents: Vec<(String, bool)>,
}

/// Something that they say otherwise.
struct Known {
    why: &'static str,
    /// Makes what we say of an instruction what they say.
    translate: fn(Said, &str) -> Said,
}

/// In each of them BuildKit is with us.
const KNOWN: &[Known] = &[
    Known {
        why: "they count bytes behind a byte order mark, we those of the file",
        translate: |said, text| {
            let mark = if text.starts_with('\u{feff}') {
                '\u{feff}'.len_utf8()
            } else {
                0
            };
            Said {
                keyword: said.keyword.start - mark..said.keyword.end - mark,
                ..said
            }
        },
    },
    Known {
        why: "they take operators of here-documents at the start away from the command; the shell gets them",
        translate: |mut said, _| {
            if !said.documents.is_empty()
                && let [form, text] = said.arguments.as_mut_slice()
                && form == "shell"
            {
                *text = without_operators(text).to_owned();
            }
            said
        },
    },
];

/// What they refuse, by their words, and why it is none of our errors.
const REFUSED: &[(&str, &str)] = &[
    ("duplicate stage name", "BuildKit takes the last one, and warns"),
    (
        "ENTRYPOINT instruction requires at least one argument",
        "`ENTRYPOINT []` takes away what the base has",
    ),
];

/// What we refuse, by our words, and they do not.
const ACCEPTED: &[(&str, &str)] = &[
    ("can't find = in", "they leave the pairs of ENV and LABEL unread"),
    ("isn't allowed as an ONBUILD trigger", "they know no such rule"),
];

/// They read here-documents of RUN only where the operator comes first; BuildKit finds it anywhere in the line.
fn has_late_operator(text: &str) -> bool {
    text.contains("RUN cat <<") || text.contains("run cat <<")
}

fn without_operators(text: &str) -> &str {
    match text.strip_prefix("<<") {
        Some(rest) => without_operators(&rest[rest.find(char::is_whitespace).unwrap_or(rest.len())..]),
        None => text,
    }
}

/// What differs beyond what is known; nothing where they refuse what they are known to refuse.
fn difference(text: &str) -> Result<(), String> {
    let (ours, theirs) = (ours::said(text), theirs::said(text));
    match (ours, theirs) {
        (Err(_), Err(_)) => Ok(()),
        (Err(ours), Ok(_)) if ACCEPTED.iter().any(|(words, _)| ours.contains(words)) => Ok(()),
        (Err(ours), Ok(_)) => Err(format!("we refuse it: {ours}")),
        (Ok(_), Err(theirs)) if REFUSED.iter().any(|(words, _)| theirs.contains(words)) => Ok(()),
        (Ok(_), Err(theirs)) => Err(format!("they refuse it: {theirs}")),
        (Ok(ours), Ok(theirs)) if ours.len() == theirs.len() => {
            let translate = |said: Said| KNOWN.iter().fold(said, |said, known| (known.translate)(said, text));
            let mut pairs = ours.into_iter().map(translate).zip(theirs);
            match pairs.find(|(ours, theirs)| ours != theirs) {
                Some((ours, theirs)) => Err(format!("we say  {ours:?}\nthey say {theirs:?}")),
                None => Ok(()),
            }
        }
        (Ok(ours), Ok(theirs)) => Err(format!("we see {} instructions, they {}", ours.len(), theirs.len())),
    }
}

#[test]
fn all_dockerfiles_are_read_alike() {
    for (path, text) in dockerfiles() {
        let Ok(text) = String::from_utf8(text) else { continue };
        if let Err(difference) = difference(&text) {
            panic!("{}: {difference}", path.display());
        }
    }
}

/// What is listed must be there, or the list hides what comes after it.
#[test]
fn what_is_known_to_differ_does() {
    let texts: Vec<_> = dockerfiles()
        .into_iter()
        .filter_map(|(_, text)| String::from_utf8(text).ok())
        .collect();
    for known in KNOWN {
        let differs = |text: &String| {
            let said = ours::said(text).unwrap_or_default();
            said.into_iter()
                .any(|said| (known.translate)(said.clone(), text) != said)
        };
        assert!(texts.iter().any(differs), "never seen: {}", known.why);
    }
    for (words, why) in REFUSED {
        let refused = |text: &String| theirs::said(text).is_err_and(|error| error.contains(words));
        assert!(texts.iter().any(refused), "never seen: {words} ({why})");
    }
}

proptest! {
    #[test]
    fn random_dockerfiles_are_read_alike(text in random::dockerfile()) {
        prop_assume!(!has_late_operator(&text));
        if let Err(difference) = difference(&text) {
            return Err(TestCaseError::fail(format!("{text}\n{difference}")));
        }
    }
}
