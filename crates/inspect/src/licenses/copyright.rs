//! Debian's copyright files: those for machines (copyright format 1.0), and what others say in well-known phrases.

use std::collections::BTreeSet;

use super::named;
use super::names::gnu;

/// More licenses of one package are not told: many packages may share a file.
const MOST: usize = 1000;

/// The licenses that a copyright file names, all of which apply to something of the package, by name; and whether there are
/// more. What is not understood is left out.
pub(crate) fn licenses(text: &str) -> (Vec<String>, bool) {
    let found = if is_for_machines(text) {
        fields(text)
    } else {
        phrases(text)
    };
    let has_more = found.len() > MOST;
    (found.into_iter().take(MOST).collect(), has_more)
}

/// Whether it says that it has the format, in its first stanza.
fn is_for_machines(text: &str) -> bool {
    let mut first = text.lines().skip_while(|line| line.trim().is_empty());
    let is_format = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        let is_name = name.eq_ignore_ascii_case("Format") || name.eq_ignore_ascii_case("Format-Specification");
        is_name && !value.trim().is_empty()
    };
    first.by_ref().take_while(|line| !line.trim().is_empty()).any(is_format)
}

/// The first lines of the fields `License`: that of files says which license they have, one without files explains a name.
fn fields(text: &str) -> BTreeSet<String> {
    let mut of_files = BTreeSet::new();
    let mut explained = BTreeSet::new();
    let mut has_files = false;
    for line in text.lines() {
        if line.trim().is_empty() {
            has_files = false;
        }
        let Some((name, value)) = line.split_once(':').filter(|_| !line.starts_with([' ', '\t'])) else {
            continue;
        };
        if name.eq_ignore_ascii_case("Files") {
            has_files = true;
        } else if name.eq_ignore_ascii_case("License") {
            let known = if has_files { &mut of_files } else { &mut explained };
            known.extend(named(value));
        }
    }
    if of_files.is_empty() { explained } else { of_files }
}

/// A phrase of a license, and what its other words tell apart.
struct Phrase {
    text: &'static str,
    /// The first of which the words are there too, and the license that it is then.
    among: &'static [(&'static str, &'static str)],
    otherwise: Option<&'static str>,
}

/// In lower case, with one space between words.
const PHRASES: &[Phrase] = &[
    Phrase {
        text: "permission is hereby granted, free of charge, to any person obtaining a copy",
        among: &[
            ("the name of the x consortium shall not be used", "X11"),
            (
                "the above copyright notice and this permission notice shall be included",
                "MIT",
            ),
            (
                "the above copyright notice and this permission notice (including the next paragraph) shall be included",
                "MIT",
            ),
        ],
        otherwise: None,
    },
    Phrase {
        text: "redistribution and use in source and binary forms, with or without modification, are permitted provided",
        among: &[
            ("all advertising materials mentioning", "BSD-4-Clause"),
            ("be used to endorse or promote", "BSD-3-Clause"),
            ("redistributions in binary form must reproduce", "BSD-2-Clause"),
        ],
        otherwise: None,
    },
    Phrase {
        text: "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted",
        among: &[],
        otherwise: Some("ISC"),
    },
    Phrase {
        text: "permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted",
        among: &[],
        otherwise: Some("ISC"),
    },
    Phrase {
        text: "must not be misrepresented as being the original software",
        among: &[],
        otherwise: Some("Zlib"),
    },
    Phrase {
        text: "licensed under the apache license, version 2.0",
        among: &[],
        otherwise: Some("Apache-2.0"),
    },
    Phrase {
        text: "mozilla public license, v. 2.0",
        among: &[],
        otherwise: Some("MPL-2.0"),
    },
];

/// Where Debian has the texts of licenses that many packages have.
const COMMON: &str = "/usr/share/common-licenses/";

/// How far before the place of its text a license says which of its versions are meant, in bytes.
const AROUND: usize = 1500;

fn phrases(text: &str) -> BTreeSet<String> {
    let words = text.split_whitespace().map(str::to_ascii_lowercase);
    // Quotes of comments that were taken over with the text.
    let words: Vec<String> = words
        .filter(|word| !matches!(word.as_str(), "*" | "#" | "//" | ";" | "--"))
        .collect();
    let text = words.join(" ");
    let mut found = BTreeSet::new();
    for phrase in PHRASES {
        if !text.contains(phrase.text) {
            continue;
        }
        let told = phrase.among.iter().find(|(words, _)| text.contains(words));
        found.extend(told.map(|(_, name)| *name).or(phrase.otherwise).map(str::to_owned));
    }
    for (at, _) in text.match_indices(COMMON) {
        let name = &text[at + COMMON.len()..];
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '+'));
        let name = name[..end.unwrap_or(name.len())].trim_end_matches(['.', '-']);
        found.extend(common(name, before(&text, at)));
    }
    found
}

/// What stands before a place, up to the place of another license's text.
fn before(text: &str, at: usize) -> &str {
    let mut start = at.saturating_sub(AROUND);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let text = &text[start..at];
    text.rfind(COMMON).map_or(text, |other| &text[other + COMMON.len()..])
}

/// A license by the file that has its text. GNU's files are of a version, and what refers to them says whether later ones
/// will do; a file without a version is whichever is the newest, and so says nothing if what refers to it does not.
fn common(file: &str, before: &str) -> Option<String> {
    let is_gnu = ["gpl", "lgpl", "gfdl"].iter().any(|family| file.starts_with(family));
    if !is_gnu {
        return match file {
            "bsd" => Some("BSD-3-Clause".to_owned()),
            "artistic" => Some("Artistic-1.0".to_owned()),
            "apache-2.0" => Some("Apache-2.0".to_owned()),
            "cc0-1.0" => Some("CC0-1.0".to_owned()),
            "mpl-1.1" => Some("MPL-1.1".to_owned()),
            "mpl-2.0" => Some("MPL-2.0".to_owned()),
            _ => None,
        };
    }
    let is_later = ["any later version", "or later", "or newer"]
        .iter()
        .any(|words| before.contains(words));
    let name = match file.split_once('-') {
        Some(_) => file.to_owned(),
        None => format!("{file}-{}", version_before(before)?),
    };
    let suffix = if is_later { "+" } else { "" };
    gnu(&format!("{name}{suffix}"))
}

/// The last `version 2` that stands there.
fn version_before(text: &str) -> Option<&str> {
    text.rmatch_indices("version ").find_map(|(at, word)| {
        let rest = &text[at + word.len()..];
        let digits = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
            .count();
        let version = rest[..digits].trim_end_matches('.');
        (!version.is_empty()).then_some(version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let (found, has_more) = licenses(text);
        assert_eq!(found, expected, "{text}");
        assert!(!has_more, "{text}");
    }

    /// After the examples of the format's own page.
    #[test]
    fn for_machines() {
        check(
            "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: X Solitaire

Files: *
Copyright: Copyright 1998 John Doe <jdoe@example.com>
License: GPL-2+
 This program is free software; you can redistribute it
 License: of nothing
 .
 On Debian systems, see /usr/share/common-licenses/GPL-2

Files: debian/*
Copyright: Copyright 1998 Jane Smith
License: GPL-2+ or Artistic

files: other
LICENSE: Expat

License: BSD-3-clause
 text
",
            &["GPL-2.0-or-later", "GPL-2.0-or-later OR Artistic-1.0", "MIT"],
        );
        let many = |count: usize| {
            let licenses: Vec<String> = (0..count).map(|number| format!("License: L-{number}\n")).collect();
            format!("Format: x\n\n{}", licenses.concat())
        };
        for (count, has_more) in [(MOST, false), (MOST + 1, true)] {
            let (found, more) = licenses(&many(count));
            assert_eq!((found.len(), more), (MOST, has_more));
        }
        check("\nFormat: x\n\nLicense: ISC\n", &["ISC"]);
        check("Format: x\n\nFiles: *\nLicense:\n", &[]);
        check("Format: x\nLicense: \u{1b}[2J\n", &[]);
    }

    #[test]
    fn in_phrases() {
        check("Nothing is said. Format: of what?\n", &[]);
        check(
            "This is free software; you can redistribute it under the terms of the GNU General Public License as published \
             by the Free Software Foundation; either version 2, or (at your option)\n  any later version.\n\
             See /usr/share/common-licenses/GPL-2'. The manual is under the GFDL, Version 1.3; see \
             /usr/share/common-licenses/GFDL-1.3.",
            &["GFDL-1.3-only", "GPL-2.0-or-later"],
        );
        check(
            "GNU General Public License version 3 or later: /usr/share/common-licenses/GPL",
            &["GPL-3.0-or-later"],
        );
        check(
            "Runtime Library Exception, version 3.1: see /usr/share/common-licenses/GPL",
            &[],
        );
        check("see the GPL in /usr/share/common-licenses/GPL.", &[]);
        check(
            "Permission is hereby granted, free of charge, to any person obtaining a copy of this\n * software … The above \
             copyright notice and this permission\n * notice shall be included in all copies",
            &["MIT"],
        );
        check(
            "Redistribution and use in source and binary forms, with or without\nmodification, are permitted provided that: \
             Redistributions in binary form must reproduce the above. Neither the name of the X nor the names of its \
             contributors may be used to endorse or promote products",
            &["BSD-3-Clause"],
        );
        check("/usr/share/common-licenses/", &[]);
        check("/usr/share/common-licenses/Artistic ä", &["Artistic-1.0"]);
    }
}
