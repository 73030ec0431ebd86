//! Variables: their order, their look-up, and words that use them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use kiln_dockerfile::ast::{Span, Word};
use kiln_dockerfile::code;
use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::expand::{self, Effort, Env, ExpandError};
use kiln_dockerfile::suggest;

use crate::report::{Report, error};

/// Variables in the order in which they were last set, names unique.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vars {
    /// Values by name, each with its place in the order.
    values: HashMap<String, (usize, String)>,
    /// Names by place.
    order: BTreeMap<usize, String>,
    /// The place of the next one.
    next: usize,
}

impl Vars {
    /// Sets a variable; it becomes the last.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let before = self.values.insert(name.to_owned(), (self.next, value.to_owned()));
        if let Some((place, _)) = before {
            self.order.remove(&place);
        }
        self.order.insert(self.next, name.to_owned());
        self.next += 1;
    }

    /// The names in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.values().map(String::as_str)
    }

    /// Names and values in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names().map(|name| (name, self.get(name).unwrap_or_default()))
    }

    /// Names and values in order.
    pub(crate) fn to_vec(&self) -> Vec<(String, String)> {
        self.iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

impl Env for Vars {
    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(_, value)| value.as_str())
    }
}

/// The ARGs of a stage in the order of their first declaration, names unique.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared {
    order: Vec<String>,
    values: HashMap<String, Option<String>>,
}

impl Declared {
    /// Declares an ARG, with its value if it has one; it keeps its place if it was declared before.
    pub(crate) fn declare(&mut self, name: &str, value: Option<String>) {
        if self.values.insert(name.to_owned(), value).is_none() {
            self.order.push(name.to_owned());
        }
    }

    /// Whether a name was declared.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Names and values in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let value = |name| self.values.get(name).and_then(Option::as_deref);
        self.order.iter().map(move |name| (name.as_str(), value(name)))
    }
}

/// The variables that a word uses and that have a value; none where it cannot be expanded.
pub(crate) fn used(word: &Word, vars: &Vars, escape: char, effort: &Effort) -> BTreeSet<String> {
    let seen = Seen {
        vars,
        used: RefCell::default(),
    };
    // Whoever needs the value reports what is wrong with it.
    let _value = expand::word(&word.raw, escape, &seen, effort);
    seen.used.into_inner()
}

/// Remembers what was looked up.
struct Seen<'a> {
    vars: &'a Vars,
    used: RefCell<BTreeSet<String>>,
}

impl Env for Seen<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.vars.get(name)?;
        self.used.borrow_mut().insert(name.to_owned());
        Some(value)
    }
}

/// Names that control the build and are never variables of it: no warning where they are not set.
const CONTROLS: &[&str] = &[
    "SOURCE_DATE_EPOCH",
    "BUILDKIT_SBOM_SCAN_CONTEXT",
    "BUILDKIT_SBOM_SCAN_STAGE",
];

/// Expands the words of one instruction and remembers which variables were missing.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    vars: &'a Vars,
    escape: char,
    effort: &'a Effort,
    undefined: Vec<String>,
    /// Bytes that the instruction's words may still come to.
    room: usize,
}

/// Bytes that all words of one instruction may come to: each may repeat what is large already.
const MOST_OF_AN_INSTRUCTION: usize = 64 << 20;

impl<'a> Words<'a> {
    /// Words that see `vars`.
    pub(crate) const fn new(vars: &'a Vars, escape: char, effort: &'a Effort) -> Self {
        Self {
            vars,
            escape,
            effort,
            undefined: Vec::new(),
            room: MOST_OF_AN_INSTRUCTION,
        }
    }

    fn take_room(&mut self, bytes: usize) -> Result<(), ExpandError> {
        self.room = self.room.checked_sub(bytes).ok_or(ExpandError::TooLong)?;
        Ok(())
    }

    /// The word, expanded.
    pub(crate) fn word(&mut self, word: &Word) -> Result<String, Diagnostic> {
        self.raw(&word.raw).map_err(|e| bad_word(&word.raw, word.span, &e))
    }

    /// The word if there is one, expanded.
    pub(crate) fn optional(&mut self, word: Option<&Word>) -> Result<Option<String>, Diagnostic> {
        word.map(|word| self.word(word)).transpose()
    }

    /// Text that stands nowhere by itself, expanded.
    pub(crate) fn raw(&mut self, raw: &str) -> Result<String, ExpandError> {
        let expanded = expand::word(raw, self.escape, self.vars, self.effort)?;
        self.take_room(expanded.value.len())?;
        self.undefined.extend(expanded.undefined);
        Ok(expanded.value)
    }

    /// The word, expanded and split on blanks.
    pub(crate) fn split(&mut self, word: &Word) -> Result<Vec<String>, Diagnostic> {
        let expanded = expand::words(&word.raw, self.escape, self.vars, self.effort);
        let sized = expanded.and_then(|expanded| {
            self.take_room(expanded.values.iter().map(String::len).sum())?;
            Ok(expanded)
        });
        let expanded = sized.map_err(|e| bad_word(&word.raw, word.span, &e))?;
        self.undefined.extend(expanded.undefined);
        Ok(expanded.values)
    }

    /// The body of a here-document, expanded.
    pub(crate) fn heredoc(&mut self, body: &str, span: Span) -> Result<String, Diagnostic> {
        let expanded = expand::heredoc(body, self.vars, self.effort);
        let sized = expanded.and_then(|expanded| {
            self.take_room(expanded.value.len())?;
            Ok(expanded)
        });
        let expanded = sized.map_err(|e| bad_word("<<", span, &e))?;
        self.undefined.extend(expanded.undefined);
        Ok(expanded.value)
    }

    /// The names that had no value.
    pub(crate) fn into_undefined(self) -> Vec<String> {
        self.undefined
    }
}

fn bad_word(raw: &str, span: Span, cause: &ExpandError) -> Diagnostic {
    let start: String = raw.chars().take(200).collect();
    let code = if *cause == ExpandError::TooCostly {
        TOO_COSTLY
    } else {
        "BadExpansion"
    };
    error(code, span, format!("failed to process \"{start}\": {cause}"))
}

/// The error if nothing more can be expanded.
pub(crate) fn effort_left(effort: &Effort, span: Span) -> Result<(), Diagnostic> {
    if effort.is_spent() {
        return Err(error(TOO_COSTLY, span, ExpandError::TooCostly.to_string()));
    }
    Ok(())
}

const TOO_COSTLY: &str = "ExpansionTooCostly";

/// Warns of variables that have no value and were never declared.
pub(crate) fn warn_undefined(
    report: &mut Report,
    span: Span,
    undefined: Vec<String>,
    vars: &Vars,
    declared: impl Fn(&str) -> bool,
) {
    for name in undefined {
        if declared(&name) || CONTROLS.contains(&name.as_str()) {
            continue;
        }
        let hint = suggest::closest(&name, vars.names());
        let hint = hint
            .map(|found| format!(" (did you mean ${found}?)"))
            .unwrap_or_default();
        report.warn(
            code::UNDEFINED_VAR,
            span,
            format!("Usage of undefined variable '${name}'{hint}"),
        );
    }
}
