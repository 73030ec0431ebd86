//! What a step is made of, by name: what its run is remembered by, so that the next one can say what is different.

mod listing;

pub use listing::Look;
pub(crate) use listing::{Listing, Seen};

use kiln_plan::{Op, Source, Step};
use serde::{Deserialize, Serialize};

/// Longer values count by their digest, and are shown cut off.
const LONGEST: usize = 4096;

/// One thing that a step is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Input {
    /// What it is: `command`, `variable`, `files`.
    pub(crate) kind: String,
    /// Which of that kind; empty where there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// What counts.
    pub(crate) value: String,
    /// What people are shown instead, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shown: Option<String>,
}

/// All that a step is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// It was to run in any case (`--no-cache`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) no_cache: bool,
    /// In order.
    pub(crate) all: Vec<Input>,
}

/// The kinds of inputs that are no part of what the step does, but what it does it to.
pub(crate) const BASE: &str = "base";
pub(crate) const FILES: &str = "files";
pub(crate) const TREE: &str = "tree";

impl Inputs {
    /// What the step does.
    pub(crate) fn of(step: &Step) -> Self {
        let ingredients = kiln_plan::definition::ingredients(&step.op);
        let input = |each: kiln_plan::definition::Ingredient| {
            let secret = each.kind == "variable" && kiln_plan::sounds_secret(&each.name);
            Input::new(each.kind, each.name, each.value, secret)
        };
        Self {
            no_cache: step.no_cache,
            all: ingredients.into_iter().map(input).collect(),
        }
    }

    /// Whether both are of the same operation, so that it makes sense to compare them.
    pub(crate) fn are_like(&self, other: &Self) -> bool {
        let operation = |inputs: &Self| inputs.all.first().map(|first| (first.kind.clone(), first.name.clone()));
        operation(self) == operation(other)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts are JSON")
    }

    /// `None` for what another version of the program wrote, in a form that this one does not know.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl Input {
    fn new(kind: &str, name: String, value: String, secret: bool) -> Self {
        let short = value.len() <= LONGEST && !secret;
        let shown = (!short).then(|| {
            if secret {
                return "(not shown)".to_owned();
            }
            let end = (0..=LONGEST).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
            format!("{}… ({} bytes)", &value[..end], value.len())
        });
        Self {
            kind: kind.to_owned(),
            name,
            value: if short {
                value
            } else {
                hex(blake3::hash(value.as_bytes()).as_bytes())
            },
            shown,
        }
    }

    /// The file tree that a step makes or stands for: `kind` says what it is to whom it is an input.
    pub(crate) fn tree(kind: &str, name: &str, identity: &[u8; 32], made_by: &Step) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            value: hex(identity),
            shown: Some(described(made_by)),
        }
    }

    /// Files that are read, by the digest of their [`Listing`].
    pub(crate) fn files(name: String, listing: &[u8; 32]) -> Self {
        Self {
            kind: FILES.to_owned(),
            name,
            value: hex(listing),
            shown: None,
        }
    }

    /// What people are shown.
    pub(crate) fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.value)
    }
}

/// An image by name and digest, everything else by the step's name.
fn described(step: &Step) -> String {
    match &step.op {
        Op::Source(Source::Image {
            reference, manifest, ..
        }) => {
            format!("{} ({})", reference.familiar(), manifest)
        }
        _ => step.name.clone(),
    }
}

/// A digest as text.
pub(crate) fn hex(bytes: &[u8; 32]) -> String {
    kiln_image::Digest::from_bytes(*bytes).hex()
}

/// The digest that a text is of.
pub(crate) fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digest: kiln_image::Digest = format!("sha256:{text}").parse().ok()?;
    Some(*digest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_count_whole_and_are_shown_cut_off() {
        let value = |end: char| format!("{}{end}", "ä".repeat(LONGEST));
        let input = |end| Input::new("command", String::new(), value(end), false);
        assert_ne!(input('a').value, input('b').value);
        assert_eq!(input('a').shown(), input('b').shown());
        assert!(input('a').shown().ends_with("… (8193 bytes)"));
    }

    #[test]
    fn what_sounds_secret_is_kept_as_a_digest() {
        let input = |value: &str| Input::new("variable", "TOKEN".to_owned(), value.to_owned(), true);
        assert_ne!(input("a").value, input("b").value);
        let text = String::from_utf8(
            Inputs {
                no_cache: false,
                all: vec![input("hunter2")],
            }
            .to_bytes(),
        )
        .unwrap();
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn inputs_come_back() {
        let all = vec![
            Input::new("command", String::new(), "make".to_owned(), false),
            Input::files("from context".to_owned(), &[7; 32]),
        ];
        let inputs = Inputs { no_cache: true, all };
        assert_eq!(Inputs::from_bytes(&inputs.to_bytes()), Some(inputs));
        assert_eq!(Inputs::from_bytes(b"{"), None);
        assert_eq!(parse_hex(&hex(&[7; 32])), Some([7; 32]));
    }
}
