//! What past builds say that findings of the linter cost.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use kiln_dockerfile::Dockerfile;
use kiln_lint::{Amount, Cost, Finding, Measure, Measured};
use kiln_plan::Lineage;
use kiln_store::{BuildId, Store, Took};

use super::known;
use crate::context;
use crate::settings::Settings;

/// Puts into the findings of a file what builds of that file measured. Only what its steps took counts that say what they
/// said then, and whose stage says up to there what it said: what was edited since was not measured yet.
///
/// Nothing is made, and without such findings nothing is opened.
pub(crate) fn measure(
    settings: &Settings,
    path: &Path,
    file: &Dockerfile,
    findings: &mut [Finding],
) -> Result<(), kiln_store::Error> {
    let mut costs = findings
        .iter_mut()
        .filter_map(|finding| finding.cost.as_mut())
        .peekable();
    if costs.peek().is_none() {
        return Ok(());
    }
    let (Some(path), Some(store)) = (context::absolute(path), known::open(settings)?) else {
        return Ok(());
    };
    let mut builds = Builds {
        store,
        lineages: kiln_plan::lineages(file, path.as_os_str().as_encoded_bytes()),
        steps: HashMap::new(),
    };
    costs.try_for_each(|cost| {
        cost.measured = builds.measured(cost)?;
        Ok(())
    })
}

/// What one instruction took, by build and platform.
type Steps = BTreeMap<(BuildId, String), Step>;

/// What all steps of an instruction took for one platform.
#[derive(Debug, Clone, Default)]
struct Step {
    time: Duration,
    emulated: Option<Duration>,
    bytes: Option<u64>,
    ran: bool,
}

struct Builds {
    store: Store,
    lineages: HashMap<u32, Lineage>,
    /// What was looked up, by line.
    steps: HashMap<u32, Steps>,
}

impl Builds {
    /// The sum for the newest build that has all of the instructions; `None` where none has.
    fn measured(&mut self, cost: &Cost) -> Result<Option<Measured>, kiln_store::Error> {
        for line in &cost.lines {
            if !self.steps.contains_key(line) {
                let took = self.lineages.get(line).map(|lineage| self.store.took(lineage));
                self.steps.insert(*line, steps(took.transpose()?.unwrap_or_default()));
            }
        }
        let all: Vec<&Steps> = cost.lines.iter().map(|line| &self.steps[line]).collect();
        let Some(first) = all.first() else { return Ok(None) };
        let mut builds = HashSet::new();
        let mut ran = HashSet::new();
        let mut newest: Option<(BuildId, Amount)> = None;
        for (key, _) in first.iter().rev() {
            let Some(group) = all.iter().map(|steps| steps.get(key)).collect::<Option<Vec<_>>>() else {
                continue;
            };
            builds.insert(key.0);
            if group.iter().any(|step| step.ran) {
                ran.insert(key.0);
            }
            let amount = sum(cost.measure, &group);
            match (newest, amount) {
                (None, Some(amount)) => newest = Some((key.0, amount)),
                (Some((build, most)), Some(amount)) if build == key.0 => newest = Some((build, most.max(amount))),
                _ => {}
            }
        }
        Ok(newest.map(|(build, amount)| Measured {
            build: build.to_string(),
            amount,
            ran: ran.len(),
            of: builds.len(),
        }))
    }
}

/// Adds up; `None` where something is not known that is wanted.
fn sum(measure: Measure, steps: &[&Step]) -> Option<Amount> {
    match measure {
        Measure::Time => Some(Amount::Time(steps.iter().map(|step| step.time).sum())),
        Measure::EmulatedTime => {
            let times = steps.iter().filter_map(|step| step.emulated);
            times.reduce(|sum, time| sum + time).map(Amount::Time)
        }
        Measure::Bytes => steps
            .iter()
            .map(|step| step.bytes)
            .sum::<Option<u64>>()
            .map(Amount::Bytes),
    }
}

fn steps(took: Vec<Took>) -> Steps {
    let mut steps = Steps::new();
    for took in took {
        let step = steps.entry((took.build, platform(&took.step).to_owned())).or_default();
        step.time += took.duration;
        if took.emulated {
            *step.emulated.get_or_insert_default() += took.duration;
        }
        if let Some(bytes) = took.bytes {
            *step.bytes.get_or_insert_default() += bytes;
        }
        step.ran |= took.ran;
    }
    steps
}

/// The platform that a step's name has in a build for several: `[linux/arm64 build 2/5] RUN make`.
fn platform(name: &str) -> &str {
    let word = name.strip_prefix('[').and_then(|rest| rest.split(' ').next());
    let word = word.filter(|word| word.contains('/') && word.contains(|c: char| c.is_ascii_alphabetic()));
    // What a step makes for another platform costs where it runs.
    word.map_or("", |word| word.split("->").next().unwrap_or(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_of_steps() {
        for (name, wanted) in [
            ("[linux/arm64 build 2/5] RUN make", "linux/arm64"),
            ("[linux/amd64->arm64 2/5] RUN make", "linux/amd64"),
            ("[build 2/5] RUN make", ""),
            ("[2/5] RUN make", ""),
            ("[ 2/15] RUN a/b", ""),
            ("RUN a/b", ""),
        ] {
            assert_eq!(platform(name), wanted, "{name}");
        }
    }
}
