//! What past builds say that findings of the linter cost.

use std::cell::OnceCell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use kiln_dockerfile::Dockerfile;
use kiln_inspect::LayerIndex;
use kiln_lint::{Amount, Cost, Finding, Measure, Measured, announced};
use kiln_plan::Lineage;
use kiln_store::{BuildId, Error, LayerId, Store, Took};

use super::known;
use crate::context;
use crate::settings::Settings;

/// Past builds, for who only asks in passing: the store is opened when something is to be looked up, and never made.
pub(crate) struct Costs<'a> {
    settings: &'a Settings,
    store: OnceCell<Option<Store>>,
}

impl<'a> Costs<'a> {
    /// Those of the store that settings name.
    pub(crate) const fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            store: OnceCell::new(),
        }
    }

    /// Puts into the findings of a file what builds of that file measured. Only what its steps took counts that say what
    /// they said then, and whose stage says up to there what it said: what was edited since was not measured yet.
    pub(crate) fn measure(&self, path: &Path, file: &Dockerfile, findings: &mut [Finding]) -> Result<(), Error> {
        let costs = findings.iter_mut();
        let mut costs = costs
            .filter_map(|finding| Some((finding.code, finding.cost.as_mut()?)))
            .peekable();
        if costs.peek().is_none() {
            return Ok(());
        }
        let (Some(path), Some(store)) = (context::absolute(path), self.store()?) else {
            return Ok(());
        };
        let mut builds = Builds {
            layers: Layers {
                store,
                announced: HashMap::new(),
            },
            lineages: kiln_plan::lineages(file, path.as_os_str().as_encoded_bytes()),
            steps: HashMap::new(),
        };
        costs.try_for_each(|(code, cost)| {
            cost.measured = builds.measured(code, cost)?;
            Ok(())
        })
    }

    /// The store, if there is one.
    fn store(&self) -> Result<Option<&Store>, Error> {
        if let Some(known) = self.store.get() {
            return Ok(known.as_ref());
        }
        let store = known::open(self.settings)?;
        Ok(self.store.get_or_init(|| store).as_ref())
    }
}

/// What one instruction took, by build and target.
type Steps = BTreeMap<(BuildId, Target), Step>;

/// What a step is made for, as its name has it in a build for several: `[linux/arm64 build 2/5] RUN make`, or
/// `[linux/amd64->arm64 build 2/5] RUN make` of one that runs elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    /// Where it runs; empty in a build for one.
    platform: String,
    /// Its processor, if that is another.
    other: Option<String>,
}

/// What all steps of an instruction took for one target.
#[derive(Debug, Clone, Default)]
struct Step {
    time: Duration,
    emulated: Option<Duration>,
    /// With their unpacked bytes.
    layers: Vec<(LayerId, u64)>,
    ran: bool,
}

struct Builds<'a> {
    layers: Layers<'a>,
    lineages: HashMap<u32, Lineage>,
    /// What was looked up, by line.
    steps: HashMap<u32, Steps>,
}

impl Builds<'_> {
    /// The sum for the newest build that has all of the instructions; `None` where none has.
    fn measured(&mut self, code: &'static str, cost: &Cost) -> Result<Option<Measured>, Error> {
        for line in &cost.lines {
            if !self.steps.contains_key(line) {
                let took = self.lineages.get(line).map(|lineage| self.layers.store.took(lineage));
                self.steps.insert(*line, steps(took.transpose()?.unwrap_or_default()));
            }
        }
        let all: Vec<&Steps> = cost.lines.iter().map(|line| &self.steps[line]).collect();
        let keys: BTreeSet<_> = all.iter().flat_map(|steps| steps.keys()).collect();
        let mut builds = HashSet::new();
        let mut ran = HashSet::new();
        let mut newest: Option<(BuildId, Amount)> = None;
        for key in keys.into_iter().rev() {
            let Some(group) = all.iter().map(|steps| find(steps, key)).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let build = key.0;
            builds.insert(build);
            if group.iter().any(|step| step.ran) {
                ran.insert(build);
            }
            // Of the newest the target counts that has most.
            if newest.is_none_or(|(newest, _)| newest == build)
                && let Some(amount) = self.layers.sum(code, cost.measure, &group)?
            {
                let most = newest.map_or(amount, |(_, most)| most.max(amount));
                newest = Some((build, most));
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

/// What is in layers, as far as somebody looked into them.
struct Layers<'a> {
    store: &'a Store,
    /// Bytes that the fixes of a rule take away, where that is known.
    announced: HashMap<(&'static str, LayerId), Option<u64>>,
}

impl Layers<'_> {
    /// Adds up; `None` where something is not known that is wanted.
    fn sum(&mut self, code: &'static str, measure: Measure, steps: &[&Step]) -> Result<Option<Amount>, Error> {
        // Each instruction has a layer, unless that is gone.
        let whole = steps.iter().all(|step| !step.layers.is_empty());
        let mut layers = steps.iter().flat_map(|step| &step.layers);
        Ok(match measure {
            Measure::Time => Some(Amount::Time(steps.iter().map(|step| step.time).sum())),
            Measure::EmulatedTime => {
                let times = steps.iter().filter_map(|step| step.emulated);
                times.reduce(|sum, time| sum + time).map(Amount::Time)
            }
            Measure::Bytes | Measure::Announced if !whole => None,
            Measure::Bytes => Some(Amount::Bytes(layers.map(|(_, bytes)| bytes).sum())),
            Measure::Announced => {
                let bytes = layers.try_fold(Some(0_u64), |sum, (layer, _)| {
                    let bytes = self.announced(code, layer)?;
                    Ok::<_, Error>(sum.zip(bytes).map(|(sum, bytes)| sum + bytes))
                });
                bytes?.map(Amount::Bytes)
            }
        })
    }

    /// The bytes of a layer's files that the fixes of a rule take away; `None` where nobody looked into the layer yet.
    fn announced(&mut self, code: &'static str, layer: &LayerId) -> Result<Option<u64>, Error> {
        let unknown = match self.announced.entry((code, layer.clone())) {
            Entry::Occupied(known) => return Ok(*known.get()),
            Entry::Vacant(unknown) => unknown,
        };
        let index = LayerIndex::known(self.store, layer)?;
        Ok(*unknown.insert(index.map(|index| {
            let announced = announced(code);
            let files = (0..).zip(index.entries()).filter(|(_, entry)| entry.size > 0);
            let theirs = files.filter(|(number, _)| announced.has_file(&index.path(*number)));
            theirs.map(|(_, entry)| entry.size).sum()
        })))
    }
}

fn steps(took: Vec<Took>) -> Steps {
    let mut steps = Steps::new();
    for took in took {
        let step = steps.entry((took.build, Target::of(&took.step))).or_default();
        step.time += took.duration;
        if took.emulated {
            *step.emulated.get_or_insert_default() += took.duration;
        }
        step.layers.extend(took.layer);
        step.ran |= took.ran;
    }
    steps
}

/// The step for a target. Those above the ARG that tells a stage of its target are the same for all targets.
fn find<'s>(steps: &'s Steps, key: &(BuildId, Target)) -> Option<&'s Step> {
    let shared = || {
        let platform = key.1.platform.clone();
        (key.0, Target { platform, other: None })
    };
    steps.get(key).or_else(|| steps.get(&shared()))
}

impl Target {
    fn of(name: &str) -> Self {
        let word = name.strip_prefix('[').and_then(|rest| rest.split(' ').next());
        let word = word.filter(|word| word.contains('/') && word.contains(|c: char| c.is_ascii_alphabetic()));
        let word = word.unwrap_or_default();
        let (platform, other) = word.split_once("->").unzip();
        Self {
            platform: platform.unwrap_or(word).to_owned(),
            other: other.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_steps() {
        for (name, platform, other) in [
            ("[linux/arm64 build 2/5] RUN make", "linux/arm64", None),
            ("[linux/amd64->arm64 2/5] RUN make", "linux/amd64", Some("arm64")),
            (
                "[linux/amd64->windows/arm64 2/5] RUN make",
                "linux/amd64",
                Some("windows/arm64"),
            ),
            ("[build 2/5] RUN make", "", None),
            ("[2/5] RUN make", "", None),
            ("[ 2/15] RUN a/b", "", None),
            ("RUN a/b", "", None),
        ] {
            let target = Target::of(name);
            assert_eq!(
                (target.platform.as_str(), target.other.as_deref()),
                (platform, other),
                "{name}"
            );
        }
    }

    #[test]
    fn targets_are_not_added_up_and_share_what_is_above_their_argument() {
        let took = |step: &str, seconds| Took {
            build: BuildId::ELSEWHERE,
            step: step.to_owned(),
            duration: Duration::from_secs(seconds),
            layer: None,
            emulated: false,
            ran: true,
        };
        let shared = steps(vec![took("[linux/amd64 1/2] RUN a", 1)]);
        let own = steps(vec![
            took("[linux/amd64 2/2] RUN b", 2),
            took("[linux/amd64->arm64 2/2] RUN b", 5),
        ]);
        let times = |steps: &Steps, key| find(steps, key).map(|step| step.time.as_secs());
        let sums: Vec<_> = own.keys().map(|key| (times(&shared, key), times(&own, key))).collect();
        assert_eq!(sums, [(Some(1), Some(2)), (Some(1), Some(5))]);
    }
}
