//! What `--progress=plain` says of steps: BuildKit's form, `#5 [2/3] RUN make`, `#5 CACHED`, `#5 DONE 0.3s`.

use std::collections::BTreeMap;

/// How each step went, by its name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Names, and whether the result was taken from the cache.
    pub cached: BTreeMap<String, bool>,
    /// Names, and why it ran.
    pub why: BTreeMap<String, String>,
}

/// Reads the log.
pub fn parse(log: &str) -> Steps {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut steps = Steps::default();
    for line in log.lines() {
        let Some((number, rest)) = line.strip_prefix('#').and_then(|line| line.split_once(' ')) else {
            continue;
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let name = *names.entry(number).or_insert(rest);
        let cached = steps.cached.entry(name.to_owned()).or_insert(false);
        *cached |= rest == "CACHED";
        if let Some(why) = rest.strip_prefix("why: ") {
            steps.why.insert(name.to_owned(), why.to_owned());
        }
    }
    steps
}

impl Steps {
    /// Whether the step whose name contains `part` was taken from the cache; `None` if there is none.
    pub fn was_cached(&self, part: &str) -> Option<bool> {
        self.cached
            .iter()
            .find(|(name, _)| name.contains(part))
            .map(|(_, &cached)| cached)
    }

    /// Why the step whose name contains `part` ran.
    pub fn why(&self, part: &str) -> Option<&str> {
        let found = self.why.iter().find(|(name, _)| name.contains(part));
        found.map(|(_, why)| why.as_str())
    }
}
