//! The JSON of Debian's security tracker: an object of source packages, each with its vulnerabilities, and for each of these
//! what is true of each release.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use super::wanted::version;
use super::{Hit, Search, Severity};
use crate::packages::{Ecosystem, compare};

#[derive(Debug, Deserialize)]
struct Issue {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    releases: BTreeMap<String, Release>,
}

#[derive(Debug, Deserialize)]
struct Release {
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: Option<String>,
}

/// Takes what it says of the packages that are looked for, one source package after the other.
pub(super) fn take(reader: impl Read, search: &mut Search<'_>) -> Result<(), serde_json::Error> {
    search.wanted.saw_debian();
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    deserializer.deserialize_map(Sources(search))?;
    deserializer.end()
}

struct Sources<'s, 'p>(&'s mut Search<'p>);

impl<'de> Visitor<'de> for Sources<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of source packages")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(source) = map.next_key::<String>()? {
            let found = self.0.wanted.of_debian(&source);
            let Some((release, packages)) = found.filter(|(_, packages)| !packages.is_empty()) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let release = release.to_owned();
            let issues: BTreeMap<String, Issue> = map.next_value()?;
            for (id, mut issue) in issues {
                if let Some(state) = issue.releases.remove(&release) {
                    let summary = issue.description.unwrap_or_default();
                    for number in &packages {
                        say(&id, &summary, &state, *number, self.0);
                    }
                }
            }
        }
        Ok(())
    }
}

/// What is true of one package.
fn say(id: &str, summary: &str, state: &Release, number: usize, search: &mut Search<'_>) {
    let installed = version(search.wanted.package(number));
    let is_fixed = |fixed: &str| compare(Ecosystem::Deb, installed, fixed).is_some_and(std::cmp::Ordering::is_ge);
    let fixed = match (state.status.as_str(), state.fixed_version.as_deref()) {
        ("resolved", Some(fixed)) if !is_fixed(fixed) => Some(fixed.to_owned()),
        ("open", _) => None,
        ("undetermined", _) => {
            search.undecided.insert((number, id.to_owned()));
            return;
        }
        _ => return,
    };
    let hit = Hit {
        names: vec![id.to_owned()],
        covers: Vec::new(),
        summary: summary.chars().take(super::osv::LONGEST_SUMMARY).collect(),
        severity: state.urgency.as_deref().map(Severity::named).unwrap_or_default(),
        fixed,
    };
    search.hit(number, hit);
}
