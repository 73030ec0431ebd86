//! Licenses: as SPDX has them, whatever words packages use.
//!
//! What says nothing that is understood gives nothing: nobody is told that a license is known when it is guessed.

mod copyright;
mod expression;
mod names;

pub use expression::{Expression, parse};

pub(crate) use copyright::licenses as of_copyright;
pub(crate) use names::of_classifiers;

/// A text of a package that names its license, as an SPDX expression if it is one or means one, else as it is; `None` if it
/// says nothing.
pub(crate) fn named(text: &str) -> Option<String> {
    /// Texts that say that there is something, and not what.
    const NOTHING: &[&str] = &[
        "unknown",
        "none",
        "other",
        "dual license",
        "custom",
        "license",
        "noassertion",
    ];
    /// Longer texts are licenses themselves, and no names of them.
    const LONGEST: usize = 256;
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let says_nothing = text.is_empty()
        || text.len() > LONGEST
        || text.chars().any(char::is_control)
        || NOTHING.contains(&lower.as_str())
        || lower.starts_with("see license in")
        || lower.starts_with("license-file")
        || lower.starts_with("file ");
    (!says_nothing).then(|| parse(text).map_or_else(|| text.to_owned(), |expression| expression.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_packages_use() {
        for (text, expected) in [
            ("MIT", Some("MIT")),
            (" MIT License ", Some("MIT")),
            ("Apache License, Version 2.0", Some("Apache-2.0")),
            ("(MIT OR Apache-2.0)", Some("MIT OR Apache-2.0")),
            ("GPLv3+", Some("GPL-3.0-or-later")),
            (
                "GNU Affero General Public License v3 or later (AGPLv3+)",
                Some("AGPL-3.0-or-later"),
            ),
            ("BSD", Some("BSD")),
            ("Something of our own", Some("Something of our own")),
            ("SEE LICENSE IN LICENSE.md", None),
            ("UNKNOWN", None),
            ("", None),
            ("a\nb", None),
        ] {
            assert_eq!(named(text).as_deref(), expected, "{text:?}");
        }
    }
}
