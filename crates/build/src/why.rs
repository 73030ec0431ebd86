//! Why a step ran: what is different from the nearest earlier run.

use std::collections::HashMap;

use kiln_store::{BuildId, Run, Store};
use serde::Serialize;

use crate::builder::Builder;
use crate::error::{Error, StepError, StepResult};
pub use crate::inputs::Look;
use crate::inputs::{FILES, Input, Inputs, Listing, parse_hex};

/// How many differences are told one by one.
const TOLD: usize = 20;

/// Why a step ran, or did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It did not: its result was there.
    Cached {
        /// The build that made it.
        build: BuildId,
        /// When, in seconds since 1970.
        made: i64,
    },
    /// It was to run in any case (`--no-cache`).
    NoCache,
    /// Nothing like it ran before.
    First,
    /// It ran before with the same inputs, and what it made is no longer there.
    Gone {
        /// The build that it ran in.
        build: BuildId,
        /// When, in seconds since 1970.
        made: i64,
    },
    /// Something is different from the nearest earlier run.
    Changed {
        /// The build that the earlier run was in.
        build: BuildId,
        /// When, in seconds since 1970.
        made: i64,
        /// What, the cause first. Not all of them, if there are many.
        differences: Vec<Difference>,
        /// How many there are.
        count: usize,
    },
}

/// What is not the same in two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of what kind: `command`, `variable`, `base`, `file` and so on.
    pub kind: String,
    /// Which of that kind: the variable's name, the file's path; empty where there is only one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it was; `None` if it was not there.
    pub old: Option<Value>,
    /// What it is; `None` if it is not there any more.
    pub new: Option<Value>,
}

/// What an input is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A text.
    Text(String),
    /// A file.
    File(Look),
}

impl Builder {
    /// Why a step of a build ran; `None` where nothing is known of it: it was cached, or it makes no layer.
    pub fn why(&self, build: BuildId, step: usize) -> Result<Option<Why>, Error> {
        let run = self.store.run(build, step).map_err(StepError::from)?;
        Ok(run
            .map(|past| of_run(&self.store, past.number, &past.run))
            .transpose()?
            .flatten())
    }
}

/// Why the run of that number ran; `None` if another version of the program noted it.
pub(crate) fn of_run(store: &Store, number: i64, run: &Run) -> StepResult<Option<Why>> {
    let Some(inputs) = Inputs::from_bytes(&run.inputs) else {
        return Ok(None);
    };
    if inputs.no_cache {
        return Ok(Some(Why::NoCache));
    }
    let earlier = store.earlier_runs(number, run)?;
    let earlier = earlier.into_iter().filter_map(|past| {
        let old = Inputs::from_bytes(&past.run.inputs)?;
        old.are_like(&inputs).then_some((past, old))
    });
    let Some((past, old)) = earlier.min_by_key(|(past, old)| (distance(old, &inputs), -past.number)) else {
        return Ok(Some(Why::First));
    };
    let (differences, count) = differences(store, &old, &inputs)?;
    let (build, made) = (past.run.build, past.started);
    Ok(Some(if count == 0 {
        Why::Gone { build, made }
    } else {
        Why::Changed {
            build,
            made,
            differences,
            count,
        }
    }))
}

/// Kind, name, and which of those that have the same: a command has several words.
type Place<'a> = (&'a str, &'a str, usize);

fn places(inputs: &Inputs) -> Vec<(Place<'_>, &Input)> {
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    let mut all = Vec::with_capacity(inputs.all.len());
    for input in &inputs.all {
        let (kind, name) = (input.kind.as_str(), input.name.as_str());
        let seen = seen.entry((kind, name)).or_default();
        *seen += 1;
        all.push(((kind, name, *seen), input));
    }
    all
}

/// The inputs that are not the same: those of `new` in order, then those that `old` alone has.
fn unequal<'a>(old: &'a Inputs, new: &'a Inputs) -> Vec<(Option<&'a Input>, Option<&'a Input>)> {
    let in_order = places(old);
    let mut left: HashMap<Place<'_>, &Input> = in_order.iter().copied().collect();
    let mut found = Vec::new();
    for (place, input) in places(new) {
        match left.remove(&place) {
            Some(before) if before.value == input.value => {}
            before => found.push((before, Some(input))),
        }
    }
    let gone = in_order.into_iter().filter(|(place, _)| left.contains_key(place));
    found.extend(gone.map(|(_, input)| (Some(input), None)));
    found
}

fn distance(old: &Inputs, new: &Inputs) -> usize {
    unequal(old, new).len()
}

fn differences(store: &Store, old: &Inputs, new: &Inputs) -> StepResult<(Vec<Difference>, usize)> {
    let mut told = Vec::new();
    let mut count = 0;
    for (old, new) in unequal(old, new) {
        if let (Some(old), Some(new)) = (old, new)
            && new.kind == FILES
            && let Some((old, new)) = listing(store, old)?.zip(listing(store, new)?)
        {
            let (files, changed) = old.compare(&new, TOLD.saturating_sub(told.len()));
            count += changed;
            told.extend(files.into_iter().map(|file| Difference {
                kind: "file".to_owned(),
                name: file.path.into_owned(),
                old: file.old.map(Value::File),
                new: file.new.map(Value::File),
            }));
            if changed > 0 {
                continue;
            }
        }
        count += 1;
        if told.len() < TOLD {
            told.extend(difference(old, new));
        }
    }
    Ok((told, count))
}

fn difference(old: Option<&Input>, new: Option<&Input>) -> Option<Difference> {
    let input = new.or(old)?;
    let value = |input: &Input| Value::Text(input.shown().to_owned());
    Some(Difference {
        kind: input.kind.clone(),
        name: input.name.clone(),
        old: old.map(value),
        new: new.map(value),
    })
}

fn listing(store: &Store, input: &Input) -> StepResult<Option<Listing>> {
    let Some(digest) = parse_hex(&input.value) else {
        return Ok(None);
    };
    Ok(store.listing(&digest)?.as_deref().and_then(Listing::decompress))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(kind: &str, name: &str, value: &str) -> Input {
        Input {
            kind: kind.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
            shown: None,
        }
    }

    fn inputs(all: &[(&str, &str, &str)]) -> Inputs {
        Inputs {
            no_cache: false,
            all: all.iter().map(|(kind, name, value)| input(kind, name, value)).collect(),
        }
    }

    #[test]
    fn inputs_are_compared_by_kind_name_and_place() {
        let old = inputs(&[
            ("command", "", "sh"),
            ("command", "", "make"),
            ("variable", "A", "1"),
            ("variable", "B", "2"),
            ("base", "", "x"),
        ]);
        let new = inputs(&[
            ("command", "", "sh"),
            ("command", "", "make all"),
            ("variable", "B", "3"),
            ("variable", "C", "4"),
            ("base", "", "x"),
        ]);
        let found = unequal(&old, &new);
        let shown: Vec<_> = found
            .iter()
            .map(|(old, new)| (old.map(|old| &*old.value), new.map(|new| &*new.value)))
            .collect();
        assert_eq!(
            shown,
            [
                (Some("make"), Some("make all")),
                (Some("2"), Some("3")),
                (None, Some("4")),
                (Some("1"), None),
            ]
        );
        assert_eq!(distance(&new, &new), 0);
    }
}
