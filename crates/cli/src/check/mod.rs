//! What `kiln check` found: one verdict for each thing that was looked at.

pub(crate) mod base;
pub(crate) mod budget;
pub(crate) mod dive_ci;
pub(crate) mod formats;
pub(crate) mod licenses;
pub(crate) mod not_covered;
pub(crate) mod start;
pub(crate) mod vulnerabilities;

use std::path::PathBuf;

use kiln_inspect::packages::{Package, Packages};
use kiln_inspect::vulnerabilities::Vulnerabilities;
use kiln_inspect::waste::Waste;
use kiln_inspect::{Error, Image, Tree};
use serde_json::{Value, json};

use crate::check::dive_ci::DiveRules;
use crate::check::not_covered::{Answer, Day, NotCovered};
use crate::commands::packages;
use crate::engine::{Engine, Looked};
use crate::layers;
use crate::signals::Interrupt;

/// What is known besides the image itself, and who to ask.
pub(crate) struct Around<'a> {
    /// How the image is called where lists of packages are warned of that are not read; `None` where failures will do.
    pub(crate) name: Option<&'a str>,
    /// Asked for the build that made the image, and for other images.
    pub(crate) engine: &'a Engine,
    /// Stops what takes long.
    pub(crate) interrupt: &'a Interrupt,
    /// Layers of stages that are larger and that nobody looked into yet are not looked into for what the image lacks.
    pub(crate) most: u64,
    /// The limits of a `.dive-ci`.
    pub(crate) dive: Option<&'a DiveRules>,
    /// Where known vulnerabilities are; `None` where nobody wants to wait for them.
    pub(crate) databases: Option<&'a [PathBuf]>,
    /// Bytes of the image that it is compared with.
    pub(crate) before: Option<u64>,
}

/// Whether an image will start, and whether it keeps to the budget.
pub(crate) fn verdicts(
    looked: &Looked,
    tree: &Tree<'_>,
    waste: &Waste,
    budget: &budget::Budget,
    around: &Around<'_>,
) -> Result<Vec<Verdict>, Error> {
    let image = &looked.image;
    let report = start::look(image, tree, budget)?;
    let stages = |name: &[u8]| around.engine.stage_with(image, name, around.most);
    let mut verdicts = start::verdicts(image, &report, &stages, |check| budget.skips(check));
    verdicts.extend(budget.verdicts(image, tree, waste));
    verdicts.extend(budget.growth(waste, around.before));
    verdicts.extend(budget.read_only(&report));
    verdicts.extend(bases(looked, budget, around));
    verdicts.extend(of_packages(image, tree, budget, around)?);
    verdicts.extend(budget.dive(around.dive, image));
    verdicts.retain(|verdict| !budget.skips(verdict.check));
    Ok(verdicts)
}

/// Whether its packages may be in it. They are looked for where that depends on them.
fn of_packages(
    image: &Image,
    tree: &Tree<'_>,
    budget: &budget::Budget,
    around: &Around<'_>,
) -> Result<Vec<Verdict>, Error> {
    let licenses = budget.licenses();
    let known = budget.vulnerabilities().zip(around.databases);
    let (known, has_no_database) = match known {
        Some((_, [])) => (None, true),
        known => (known, false),
    };
    let mut verdicts = Vec::new();
    if licenses.is_some() || known.is_some() {
        let mut packages = Packages::of(image, tree)?;
        if let Some(name) = around.name {
            packages::warn_of_unread(name, &packages);
        }
        if let Some(licenses) = licenses {
            packages = packages.with_licenses(image, tree)?;
            verdicts.extend(licenses.verdicts(&packages));
        }
        if let Some((policy, databases)) = known {
            let found = Vulnerabilities::of(&packages, databases)?;
            verdicts.extend(policy.verdicts(&packages, &found));
        }
    }
    verdicts.extend(has_no_database.then(vulnerabilities::without_database));
    Ok(verdicts)
}

/// Lists of packages that were not read: of what they list nothing can be told.
fn unread<'a>(
    check: &'static str,
    packages: &'a Packages,
    accepted: &'a [NotCovered],
    today: Day,
) -> impl Iterator<Item = Verdict> + 'a {
    let unread = packages.unread.iter();
    unread.filter_map(move |(path, why)| match not_covered::of_path(path, accepted, today) {
        Answer::Passes => None,
        Answer::Fails(over) => {
            let verdict = Verdict::fail(check, format!("cannot tell: {why}{over}")).about(path, None);
            Some(verdict.mend("`[[check.not-covered]]` with its `path` and the reason accepts it"))
        }
    })
}

/// What it was built from.
fn bases(looked: &Looked, budget: &budget::Budget, around: &Around<'_>) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if budget.pinned_base && !budget.skips("pinned-base") {
        verdicts.extend(base::pinned(&around.engine.sources_of(looked)));
    }
    if !budget.allowed_bases.is_empty() && !budget.skips("allowed-bases") {
        let platform = looked.image.config.platform();
        let layers_of = |name: &str| around.engine.layers_of(name, &platform, around.interrupt);
        verdicts.push(base::allowed(&looked.image, &budget.allowed_bases, &layers_of));
    }
    verdicts
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What was looked at, for people and programs: `libraries`, `max-size`.
    pub(crate) check: &'static str,
    /// Whether it is as it should be.
    pub(crate) passed: bool,
    /// What was found.
    pub(crate) message: String,
    /// What would mend it.
    pub(crate) mend: Option<String>,
    /// The file of the image that it is about, with a slash before it.
    pub(crate) path: Option<String>,
    /// The package that it is about, with its version.
    pub(crate) package: Option<String>,
    /// The layer that has the file.
    pub(crate) layer: Option<usize>,
    /// Whether the command that the image starts cannot do without it.
    pub(crate) is_of_command: bool,
}

impl Verdict {
    /// All is well.
    pub(crate) fn pass(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            passed: true,
            message: message.into(),
            mend: None,
            path: None,
            package: None,
            layer: None,
            is_of_command: false,
        }
    }

    /// It is not as it should be.
    pub(crate) fn fail(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            passed: false,
            ..Self::pass(check, message)
        }
    }

    /// Adds what would mend it.
    #[must_use]
    pub(crate) fn mend(self, mend: impl Into<String>) -> Self {
        Self {
            mend: Some(mend.into()),
            ..self
        }
    }

    /// Adds the file that it is about.
    #[must_use]
    pub(crate) fn about(self, path: &[u8], layer: Option<u32>) -> Self {
        Self {
            path: Some(format!("/{}", String::from_utf8_lossy(path))),
            layer: layer.map(|layer| layer as usize),
            ..self
        }
    }

    /// Adds the package that it is about.
    #[must_use]
    pub(crate) fn of_package(self, package: &Package) -> Self {
        Self {
            package: Some(format!("{} {}", package.name, package.version).trim_end().to_owned()),
            layer: Some(package.layer as usize),
            ..self
        }
    }

    /// What of the image it is about, if that is no more than a part of it.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.path.as_deref().or(self.package.as_deref())
    }

    /// The same if `passed`, else a failure.
    pub(crate) fn of(check: &'static str, passed: bool, message: impl Into<String>) -> Self {
        Self {
            passed,
            ..Self::pass(check, message)
        }
    }

    /// The message with what it is about before it.
    pub(crate) fn text(&self) -> String {
        match self.subject() {
            Some(subject) => format!("{subject}: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// Whether it is about what starts, and not about a budget.
    pub(crate) fn is_about_start(&self) -> bool {
        start::CHECKS.contains(&self.check)
    }

    /// For programs.
    pub(crate) fn object(&self, image: &Image) -> Value {
        json!({
            "Check": self.check,
            "Passed": self.passed,
            "Message": self.message,
            "Mend": self.mend,
            "Path": self.path,
            "Package": self.package,
            "OfCommand": self.is_of_command,
            "Layer": self.layer.map(|layer| layers::object(image, layer)),
        })
    }
}
