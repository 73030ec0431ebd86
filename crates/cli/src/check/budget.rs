//! Budgets and rules for images: from arguments and `[check]` in `kiln.toml`.

use kiln_inspect::policy::{Files, Limit, matching, setuid};
use kiln_inspect::start::Report;
use kiln_inspect::waste::{Dive, Waste};
use kiln_inspect::{Image, Tree};
use serde::Deserialize;

use super::Verdict;
use super::dive_ci::DiveRules;
use super::licenses::{Licenses, Unknown};
use super::not_covered::NotCovered;
use super::vulnerabilities::{Ignored, MaxSeverity, Policy};
use crate::layers;
use crate::values::size;

/// What an image may be. What is not said may be anything.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Budget {
    /// Bytes of all layers, unpacked.
    pub(crate) max_size: Option<Bytes>,
    /// Bytes of all layers, as they are transferred.
    pub(crate) max_compressed: Option<Bytes>,
    /// By how much it may be larger than the image that it is compared with, unpacked: bytes, or a share of that.
    pub(crate) max_growth: Option<Share>,
    /// How many layers.
    pub(crate) max_layers: Option<usize>,
    /// Dead bytes, or a share of all.
    pub(crate) max_waste: Option<Share>,
    /// dive's score at least.
    pub(crate) min_efficiency: Option<f64>,
    /// Commands and paths that must not be there.
    pub(crate) forbidden: Vec<String>,
    /// Labels that must be there.
    pub(crate) required_labels: Vec<String>,
    /// Whether the user must be another than root.
    pub(crate) non_root: bool,
    /// Whether there must be a health check.
    pub(crate) healthcheck: bool,
    /// The only files that may run with the rights of others.
    pub(crate) setuid: Option<Vec<String>>,
    /// Whether nothing outside of volumes may be made for the user to write.
    pub(crate) read_only: bool,
    /// Whether the images that it was built from must have been named by their digests.
    pub(crate) pinned_base: bool,
    /// Images that it may be made from.
    pub(crate) allowed_bases: Vec<String>,
    /// The only licenses that packages may have.
    pub(crate) allowed_licenses: Vec<String>,
    /// Licenses that no package may have.
    pub(crate) denied_licenses: Vec<String>,
    /// What becomes of packages whose license is not known; they pass unless it says otherwise.
    pub(crate) unknown_licenses: Option<Unknown>,
    /// How severe known vulnerabilities of packages may be.
    pub(crate) max_severity: Option<MaxSeverity>,
    /// Whether vulnerabilities do not count that nobody fixed yet.
    pub(crate) ignore_unfixed: bool,
    /// Vulnerabilities that do not count.
    pub(crate) ignored_vulnerabilities: Vec<Ignored>,
    /// What passes although nothing can be told of it.
    pub(crate) not_covered: Vec<NotCovered>,
    /// Checks that are not made.
    pub(crate) skip: Vec<String>,
}

/// Bytes, as `100MB`, `95MiB` or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub(crate) struct Bytes(pub(crate) u64);

/// Bytes, or `5%`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "Text")]
pub(crate) struct Share(pub(crate) Limit);

/// A number or a text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Text {
    Number(u64),
    Text(String),
}

impl TryFrom<Text> for Bytes {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, String> {
        match text {
            Text::Number(bytes) => Ok(Self(bytes)),
            Text::Text(text) => text.parse(),
        }
    }
}

impl TryFrom<Text> for Share {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, String> {
        match text {
            Text::Number(bytes) => Ok(Self(Limit::Bytes(bytes))),
            Text::Text(text) => text.parse(),
        }
    }
}

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        size::parse_shown(text).map(Self)
    }
}

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(percent) = text.trim().strip_suffix('%') else {
            return Ok(Self(Limit::Bytes(size::parse_shown(text)?)));
        };
        let number: f64 = percent
            .trim()
            .parse()
            .map_err(|_| format!("`{text}` is no share, like 5%"))?;
        if (0.0..=100.0).contains(&number) {
            Ok(Self(Limit::Share(number / 100.0)))
        } else {
            Err(format!("`{text}` is no share between 0% and 100%"))
        }
    }
}

impl Budget {
    /// These where they say something, else those.
    pub(crate) fn or(self, other: Self) -> Self {
        fn list<T>(own: Vec<T>, other: Vec<T>) -> Vec<T> {
            if own.is_empty() { other } else { own }
        }
        Self {
            max_size: self.max_size.or(other.max_size),
            max_compressed: self.max_compressed.or(other.max_compressed),
            max_growth: self.max_growth.or(other.max_growth),
            max_layers: self.max_layers.or(other.max_layers),
            max_waste: self.max_waste.or(other.max_waste),
            min_efficiency: self.min_efficiency.or(other.min_efficiency),
            forbidden: list(self.forbidden, other.forbidden),
            required_labels: list(self.required_labels, other.required_labels),
            non_root: self.non_root || other.non_root,
            healthcheck: self.healthcheck || other.healthcheck,
            setuid: self.setuid.or(other.setuid),
            read_only: self.read_only || other.read_only,
            pinned_base: self.pinned_base || other.pinned_base,
            allowed_bases: list(self.allowed_bases, other.allowed_bases),
            allowed_licenses: list(self.allowed_licenses, other.allowed_licenses),
            denied_licenses: list(self.denied_licenses, other.denied_licenses),
            unknown_licenses: self.unknown_licenses.or(other.unknown_licenses),
            max_severity: self.max_severity.or(other.max_severity),
            ignore_unfixed: self.ignore_unfixed || other.ignore_unfixed,
            ignored_vulnerabilities: list(self.ignored_vulnerabilities, other.ignored_vulnerabilities),
            not_covered: list(self.not_covered, other.not_covered),
            skip: list(self.skip, other.skip),
        }
    }

    /// Whether it keeps to it.
    pub(crate) fn verdicts(&self, image: &Image, tree: &Tree<'_>, waste: &Waste) -> Vec<Verdict> {
        let mut verdicts = self.sizes(image, waste);
        verdicts.extend(self.files(image, tree));
        verdicts.extend(self.config(image));
        verdicts
    }

    /// Whether a check is not made: nothing is read, and nobody asked, for it.
    pub(crate) fn skips(&self, check: &str) -> bool {
        self.skip.iter().any(|skipped| skipped == check)
    }

    /// Whether it counts what the image was before.
    pub(crate) fn limits_growth(&self) -> bool {
        self.max_growth.is_some() && !self.skips("max-growth")
    }

    /// Which vulnerabilities may be there, if that is limited.
    pub(super) fn vulnerabilities(&self) -> Option<Policy<'_>> {
        Some(Policy {
            most: self.max_severity.filter(|_| !self.skips("max-severity"))?,
            ignores_unfixed: self.ignore_unfixed,
            ignored: &self.ignored_vulnerabilities,
            not_covered: &self.not_covered,
        })
    }

    /// Which licenses packages may have, if that is limited.
    pub(super) fn licenses(&self) -> Option<Licenses<'_>> {
        let licenses = Licenses {
            allowed: &self.allowed_licenses,
            denied: &self.denied_licenses,
            unknown: self.unknown_licenses.unwrap_or_default(),
            not_covered: &self.not_covered,
        };
        (licenses.limits() && !self.skips("licenses")).then_some(licenses)
    }

    fn sizes(&self, image: &Image, waste: &Waste) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if let Some(Bytes(most)) = self.max_size {
            let message = format!("{} of at most {}", size::show(waste.bytes), size::show(most));
            let verdict = Verdict::of("max-size", waste.bytes <= most, message);
            verdicts.push(with_mend(
                verdict,
                "`kiln waste` says what is wasted; a smaller base, another stage",
            ));
        }
        if let Some(Bytes(most)) = self.max_compressed {
            verdicts.push(compressed(image, most));
        }
        if let Some(most) = self.max_layers {
            let count = image.layers.len();
            let verdict = Verdict::of("max-layers", count <= most, format!("{count} of at most {most}"));
            verdicts.push(with_mend(verdict, "join RUN instructions, or COPY --from one stage"));
        }
        if let Some(Share(limit)) = self.max_waste {
            let most = limit.of(waste.bytes);
            let message = format!("{} of at most {} are dead", size::show(waste.dead), size::show(most));
            let verdict = Verdict::of("max-waste", waste.dead <= most, message);
            verdicts.push(with_mend(
                verdict,
                "`kiln waste` says which line brought them and which killed them",
            ));
        }
        verdicts
    }

    /// Whether dive's limits hold: its score, and what a `.dive-ci` says.
    pub(super) fn dive(&self, rules: Option<&DiveRules>, image: &Image) -> Vec<Verdict> {
        let least = self.min_efficiency.filter(|_| !self.skips("min-efficiency"));
        if least.is_none() && rules.is_none() {
            return Vec::new();
        }
        let dive = Dive::of(image.indexes());
        let score = |least: f64| {
            let efficiency = dive.efficiency;
            let message = format!("{efficiency:.4} of at least {least:.4}, as dive counts");
            Verdict::of("min-efficiency", efficiency >= least, message)
        };
        let mut verdicts: Vec<Verdict> = least.map(score).into_iter().collect();
        verdicts.extend(rules.iter().flat_map(|rules| self::dive(rules, &dive)));
        verdicts
    }

    /// Whether it grew by no more than it may since `before`.
    pub(super) fn growth(&self, waste: &Waste, before: Option<u64>) -> Option<Verdict> {
        let Share(limit) = self.max_growth?;
        let Some(before) = before else {
            let message = "nothing is known that it grew from: no build of its name before this one is remembered; --against names an image";
            return Some(Verdict::pass("max-growth", message));
        };
        let (growth, most) = (waste.bytes.saturating_sub(before), limit.of(before));
        let message = format!(
            "{} of at most {} more than {}",
            size::show(growth),
            size::show(most),
            size::show(before)
        );
        let verdict = Verdict::of("max-growth", growth <= most, message);
        Some(with_mend(verdict, "`kiln diff` says which files grew"))
    }

    /// Whether it can run with a root that cannot be written, as far as can be told without starting it.
    pub(super) fn read_only(&self, report: &Report) -> Vec<Verdict> {
        if !self.read_only {
            return Vec::new();
        }
        let check = "read-only";
        if report.is_root {
            let verdict = Verdict::fail(
                check,
                "the command runs as root, which may write anywhere: nothing can be told",
            );
            return vec![verdict.mend("add `USER`, and give that user what it is to write")];
        }
        let fail = |(path, layer): &(Vec<u8>, u32)| {
            let path_text = String::from_utf8_lossy(path);
            Verdict::fail(check, "is made for the user to write, and is no volume")
                .about(path, Some(*layer))
                .mend(format!("add `VOLUME /{path_text}`, or leave it to root"))
        };
        if report.writable.is_empty() {
            return vec![Verdict::pass(
                check,
                "the user may write to volumes, /tmp and /run alone",
            )];
        }
        report.writable.iter().map(fail).collect()
    }

    fn files(&self, image: &Image, tree: &Tree<'_>) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if !self.forbidden.is_empty() {
            let found = matching(image, tree, &self.forbidden);
            verdicts.extend(each(
                "forbidden",
                found,
                "is forbidden",
                "none of what is forbidden is there",
            ));
        }
        if let Some(allowed) = &self.setuid {
            let mut found = setuid(tree);
            found.retain(|(path, _)| !allowed.iter().any(|one| one.trim_start_matches('/').as_bytes() == path));
            verdicts.extend(each(
                "setuid",
                found,
                "runs with the rights of its owner or group",
                "nothing but what is allowed runs with the rights of others",
            ));
        }
        verdicts
    }

    fn config(&self, image: &Image) -> Vec<Verdict> {
        let config = &image.config.config;
        let mut verdicts = Vec::new();
        for label in &self.required_labels {
            let message = match config.labels.get(label) {
                Some(value) if !value.is_empty() => format!("{label} is `{value}`"),
                Some(_) => format!("{label} is empty"),
                None => format!("{label} is missing"),
            };
            let is_there = config.labels.get(label).is_some_and(|value| !value.is_empty());
            let verdict = Verdict::of("required-labels", is_there, message);
            verdicts.push(with_mend(verdict, format!("add `LABEL {label}=…`")));
        }
        if self.non_root {
            let user = config.user.split(':').next().unwrap_or_default();
            let is_root = matches!(user, "" | "root") || user.parse() == Ok(0_u32);
            let shown = if user.is_empty() {
                "root, since the image says none"
            } else {
                user
            };
            let verdict = Verdict::of("non-root", !is_root, format!("the user is {shown}"));
            verdicts.push(with_mend(verdict, "add `USER 65532:65532`, or a user of the image"));
        }
        if self.healthcheck {
            let test = config
                .healthcheck
                .as_ref()
                .map(|check| &check.test[..])
                .unwrap_or_default();
            let is_there = !matches!(test, [] | [_] if test.first().is_none_or(|word| word == "NONE"));
            let message = if is_there { "there is one" } else { "there is none" };
            let verdict = Verdict::of("healthcheck", is_there, message);
            verdicts.push(with_mend(verdict, "add `HEALTHCHECK CMD …`"));
        }
        verdicts
    }
}

/// Whether the layers are no larger than that as they are transferred.
fn compressed(image: &Image, most: u64) -> Verdict {
    let check = "max-compressed";
    let unknown = image.layers.iter().filter(|layer| layer.compressed.is_none()).count();
    if unknown > 0 {
        let message = format!(
            "the compressed size of {unknown} of {} layers is not known",
            image.layers.len()
        );
        return Verdict::fail(check, message).mend("push the image first, or check it where it is: `docker://NAME`");
    }
    let bytes = image.layers.iter().filter_map(|layer| layer.compressed).sum();
    let verdict = Verdict::of(
        check,
        bytes <= most,
        format!("{} of at most {}", size::show(bytes), size::show(most)),
    );
    with_mend(
        verdict,
        "a smaller base, another stage; `--output compression=zstd` packs more tightly",
    )
}

/// Says what would mend a failure.
fn with_mend(verdict: Verdict, mend: impl Into<String>) -> Verdict {
    if verdict.passed { verdict } else { verdict.mend(mend) }
}

/// One failure for each file.
fn each(check: &'static str, found: Files, message: &str, well: &str) -> Vec<Verdict> {
    if found.is_empty() {
        return vec![Verdict::pass(check, well)];
    }
    let fail = |(path, layer): (Vec<u8>, u32)| Verdict::fail(check, message).about(&path, Some(layer));
    found.into_iter().map(fail).collect()
}

/// Whether it keeps to what a `.dive-ci` says.
fn dive(rules: &DiveRules, dive: &Dive) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if let Some(least) = rules.lowest_efficiency {
        let message = format!("{:.4} of at least {least}", dive.efficiency);
        verdicts.push(Verdict::of("dive-efficiency", dive.efficiency >= least, message));
    }
    if let Some(most) = rules.highest_wasted_bytes {
        let wasted = dive.wasted_bytes;
        let message = format!("{} of at most {}, as dive counts", size::show(wasted), size::show(most));
        verdicts.push(Verdict::of("dive-wasted-bytes", wasted <= most, message));
    }
    if let Some(most) = rules.highest_user_wasted_percent {
        let share = dive.wasted_user_share();
        let message = format!("{share:.4} of at most {most}, as dive counts");
        verdicts.push(Verdict::of("dive-user-wasted-percent", share <= most, message));
    }
    verdicts
}

/// A verdict's layer, for people.
pub(crate) fn layer(image: &Image, verdict: &Verdict, width: usize) -> Option<String> {
    verdict.layer.map(|layer| layers::shown(image, layer, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_limits() {
        let read = |text: &str| toml::from_str::<Budget>(text);
        let budget =
            read("max-size = \"100MB\"\nmax-waste = \"2.5%\"\nmin-efficiency = 0.9\nforbidden = [\"gcc\"]").unwrap();
        assert_eq!(budget.max_size, Some(Bytes(100_000_000)));
        assert_eq!(budget.max_waste, Some(Share(Limit::Share(0.025))));
        assert_eq!(read("max-size = 5").unwrap().max_size, Some(Bytes(5)));
        for text in [
            "max-size = \"big\"",
            "max-waste = \"101%\"",
            "max-waste = \"%\"",
            "maximum = 1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arguments_come_before_files() {
        let own = Budget {
            max_layers: Some(1),
            ..Budget::default()
        };
        let file = Budget {
            max_layers: Some(2),
            non_root: true,
            ..Budget::default()
        };
        let both = own.or(file);
        assert_eq!((both.max_layers, both.non_root), (Some(1), true));
    }
}
