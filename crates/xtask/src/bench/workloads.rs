//! All workloads, by theme.

mod caches;
mod exports;
mod files;
mod floors;
mod stages;
mod steps;

use anyhow::{Result, bail};

use super::options::{Options, Sizes};
use super::workload::{Difference, Workload};

/// What is to be measured, and what computed of it.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) workloads: Vec<Workload>,
    pub(super) differences: Vec<Difference>,
}

impl Chosen {
    /// All, or those of `--only` and what they are computed of.
    pub(super) fn new(options: &Options) -> Result<Self> {
        let mut chosen = Self::all(options.sizes());
        if options.quick {
            chosen.aim_at_nothing();
        }
        if options.without_peers {
            chosen.workloads.iter_mut().for_each(Workload::drop_peers);
        }
        if options.only.is_empty() {
            return Ok(chosen);
        }
        let names = chosen.names();
        if let Some(unknown) = options.only.iter().find(|name| !names.contains(&name.as_str())) {
            bail!("there is no workload {unknown}; there are: {}", names.join(", "));
        }
        let asked = |name: &str| options.only.iter().any(|only| only == name);
        chosen.differences.retain(|difference| asked(difference.name));
        let needed = |name: &str| chosen.differences.iter().any(|of| [of.more, of.less].contains(&name));
        chosen
            .workloads
            .retain(|workload| asked(workload.name) || needed(workload.name));
        Ok(chosen)
    }

    fn all(sizes: &Sizes) -> Self {
        Self {
            workloads: [
                steps::all(sizes),
                stages::all(sizes),
                files::all(sizes),
                exports::all(sizes),
                caches::all(sizes),
            ]
            .into_iter()
            .flatten()
            .collect(),
            differences: vec![steps::one_more(sizes), caches::import(sizes)],
        }
    }

    /// Aims are for full sizes.
    fn aim_at_nothing(&mut self) {
        let of_workloads = self.workloads.iter_mut().map(|workload| &mut workload.aims);
        let of_differences = self.differences.iter_mut().map(|difference| &mut difference.aims);
        of_workloads.chain(of_differences).for_each(Vec::clear);
    }

    fn names(&self) -> Vec<&'static str> {
        let measured = self.workloads.iter().map(|workload| workload.name);
        measured
            .chain(self.differences.iter().map(|difference| difference.name))
            .collect()
    }

    /// The base images of all.
    pub(super) fn bases(&self) -> Vec<&'static str> {
        let mut bases: Vec<&str> = self
            .workloads
            .iter()
            .flat_map(|workload| workload.bases.clone())
            .collect();
        bases.sort_unstable();
        bases.dedup();
        bases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> Result<Chosen> {
        Chosen::new(&Options::parse(&[&["--only"], names].concat()).unwrap())
    }

    #[test]
    fn some_and_what_they_are_computed_of() {
        let chosen = only(&["cached"]).unwrap();
        assert_eq!(chosen.names(), ["cached"]);
        let chosen = only(&["step"]).unwrap();
        assert_eq!(chosen.names(), ["none", "steps-image", "step"]);
        assert!(
            only(&["nothing"])
                .unwrap_err()
                .to_string()
                .contains("there are: none, ")
        );
    }

    #[test]
    fn names_are_used_once() {
        let mut names = Chosen::new(&Options::default()).unwrap().names();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn the_document_explains_each() {
        let path = crate::paths::workspace().join("docs/performance.md");
        let text = std::fs::read_to_string(path).unwrap();
        for name in Chosen::new(&Options::default()).unwrap().names() {
            assert!(text.contains(&format!("\n| `{name}` | ")), "no row explains {name}");
        }
    }

    #[test]
    fn differences_are_of_workloads() {
        let chosen = Chosen::new(&Options::default()).unwrap();
        for difference in &chosen.differences {
            for name in [difference.more, difference.less] {
                assert!(chosen.workloads.iter().any(|workload| workload.name == name), "{name}");
            }
        }
    }
}
