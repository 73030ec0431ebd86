//! Settings: flags before the environment before the file, in hadolint's words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kiln_dockerfile::checks;
use kiln_lint::{Config, Finding, LabelKind, Severity, Threshold};
use serde::Deserialize;

use super::Args;
use crate::failure::{Context as _, Failure};
use crate::settings::{Environment, Settings};

/// Everything that was asked for.
pub(super) struct Gathered {
    pub(super) rules: Config,
    pub(super) format: Option<String>,
    /// Rules that make the run fail whatever the threshold.
    fatal: BTreeSet<String>,
}

impl Gathered {
    /// Whether a finding makes the run fail.
    pub(super) fn fails(&self, finding: &Finding) -> bool {
        let names = [Some(finding.code), finding.also];
        let fatal = names.into_iter().flatten().any(|name| self.fatal.contains(name));
        fatal || self.rules.threshold.fails(finding.severity)
    }
}

/// `.hadolint.yaml`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct File {
    #[serde(rename = "failure-threshold")]
    failure_threshold: Option<String>,
    format: Option<String>,
    ignored: Vec<String>,
    #[serde(rename = "label-schema")]
    label_schema: BTreeMap<String, String>,
    #[serde(rename = "no-fail")]
    no_fail: bool,
    #[serde(rename = "override")]
    severities: Severities,
    #[serde(rename = "strict-labels")]
    strict_labels: bool,
    #[serde(rename = "disable-ignore-pragma")]
    disable_ignore_pragma: bool,
    #[serde(rename = "trustedRegistries", alias = "trusted-registries")]
    trusted_registries: Vec<String>,
}

/// Rules by the severity that they are to have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Severities {
    error: Vec<String>,
    warning: Vec<String>,
    info: Vec<String>,
    style: Vec<String>,
}

/// Reads the file, the environment and the flags.
pub(super) fn gather(args: &Args, settings: &Settings) -> Result<Gathered, Failure> {
    let environment = &settings.environment;
    let file = file(args.config.clone(), Path::new(""), environment)?.unwrap_or_default();
    let mut rules = of_file(&file)?;
    of_environment(&mut rules, environment)?;
    of_flags(&mut rules, args)?;
    let threshold = args
        .failure_threshold
        .clone()
        .or_else(|| environment.filled("HADOLINT_FAILURE_THRESHOLD"))
        .or(file.failure_threshold);
    if let Some(text) = threshold {
        rules.threshold = Threshold::parse(&text)
            .ok_or_else(|| Failure::usage(format!("{text}: wanted error, warning, info, style, ignore or none")))?;
    }
    let mut fatal = BTreeSet::new();
    if !args.error_on.is_empty() {
        (rules.threshold, fatal) = error_on(&args.error_on)?;
    }
    if args.no_fail || is_yes(environment, "HADOLINT_NOFAIL") || file.no_fail {
        rules.threshold = Threshold::Never;
        fatal.clear();
    }
    let format = args
        .format
        .clone()
        .or_else(|| environment.filled("HADOLINT_FORMAT"))
        .or(file.format);
    Ok(Gathered { rules, format, fatal })
}

/// Severities and rules; of several severities the lowest counts.
fn error_on(words: &[String]) -> Result<(Threshold, BTreeSet<String>), Failure> {
    let mut lowest: Option<Severity> = None;
    let mut fatal = BTreeSet::new();
    for word in words {
        if let Some(severity) = Severity::parse(word) {
            lowest = Some(lowest.map_or(severity, |lowest| lowest.min(severity)));
        } else if kiln_lint::find(word).is_some() || checks::rule(word).is_some() {
            fatal.insert(word.clone());
        } else {
            let message = format!("--error-on {word}: wanted error, warning, info, style or a rule's code");
            return Err(Failure::usage(message));
        }
    }
    Ok((lowest.map_or(Threshold::Never, Threshold::From), fatal))
}

/// The settings that there are for the linter in files and the environment; `None` without a file.
pub(crate) fn found(environment: &Environment) -> Result<Option<Config>, Failure> {
    let Some(file) = file(None, Path::new(""), environment)? else {
        return Ok(None);
    };
    let mut rules = of_file(&file)?;
    of_environment(&mut rules, environment)?;
    Ok(Some(rules))
}

/// The settings that `kiln lint` has without flags in that directory, which is empty for the current one.
pub(crate) fn of(directory: &Path, environment: &Environment) -> Result<Config, Failure> {
    let file = file(None, directory, environment)?.unwrap_or_default();
    let mut rules = of_file(&file)?;
    of_environment(&mut rules, environment)?;
    Ok(rules)
}

/// The file that is named, or else the first that is there; none where there is none.
fn file(named: Option<PathBuf>, directory: &Path, environment: &Environment) -> Result<Option<File>, Failure> {
    let there = || places(directory, environment).into_iter().find(|path| path.is_file());
    let Some(path) = named.or_else(there) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path).or_failed(|| format!("cannot read {}", path.display()))?;
    parse(&text, &path).map(Some)
}

fn parse(text: &str, path: &Path) -> Result<File, Failure> {
    let nothing = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "---";
    if text.lines().all(nothing) {
        return Ok(File::default());
    }
    serde_saphyr::from_str(text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// Where hadolint looks that is started in that directory, in its order.
fn places(directory: &Path, environment: &Environment) -> Vec<PathBuf> {
    let home = environment.home();
    let below = |directory: &str| home.as_ref().map(|home| home.join(directory));
    let xdg = environment
        .raw("XDG_CONFIG_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    let candidates = [
        Some(directory.join(".hadolint")),
        xdg.map(|directory| directory.join("hadolint")),
        below(".config/hadolint"),
        below(".hadolint/hadolint"),
        below("hadolint/config"),
        below(".hadolint"),
    ];
    let named = |path: PathBuf| ["yaml", "yml"].map(|ending| PathBuf::from(format!("{}.{ending}", path.display())));
    candidates.into_iter().flatten().flat_map(named).collect()
}

fn of_file(file: &File) -> Result<Config, Failure> {
    let mut rules = Config {
        ignored: file.ignored.iter().cloned().collect(),
        trusted_registries: file.trusted_registries.clone(),
        strict_labels: file.strict_labels,
        disable_ignore_pragma: file.disable_ignore_pragma,
        ..Config::default()
    };
    for (name, kind) in &file.label_schema {
        rules.label_schema.insert(name.clone(), label_kind(kind)?);
    }
    let all = &file.severities;
    for (severity, codes) in [
        (Severity::Error, &all.error),
        (Severity::Warning, &all.warning),
        (Severity::Info, &all.info),
        (Severity::Style, &all.style),
    ] {
        rules
            .severities
            .extend(codes.iter().map(|code| (code.clone(), severity)));
    }
    Ok(rules)
}

fn label_kind(text: &str) -> Result<LabelKind, Failure> {
    LabelKind::parse(text).ok_or_else(|| {
        Failure::usage(format!(
            "{text}: wanted text, rfc3339, semver, url, hash, spdx or email"
        ))
    })
}

fn list(environment: &Environment, name: &str) -> Vec<String> {
    let text = environment.filled(name).unwrap_or_default();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn is_yes(environment: &Environment, name: &str) -> bool {
    let text = environment.filled(name).unwrap_or_default().to_ascii_lowercase();
    matches!(text.as_str(), "1" | "y" | "yes" | "true" | "on")
}

fn of_environment(rules: &mut Config, environment: &Environment) -> Result<(), Failure> {
    rules.ignored.extend(list(environment, "HADOLINT_IGNORE"));
    rules
        .trusted_registries
        .extend(list(environment, "HADOLINT_TRUSTED_REGISTRIES"));
    rules.strict_labels |= is_yes(environment, "HADOLINT_STRICT_LABELS");
    rules.disable_ignore_pragma |= is_yes(environment, "HADOLINT_DISABLE_IGNORE_PRAGMA");
    for label in list(environment, "HADOLINT_REQUIRE_LABELS") {
        require(rules, &label)?;
    }
    for (severity, name) in [
        (Severity::Error, "HADOLINT_OVERRIDE_ERROR"),
        (Severity::Warning, "HADOLINT_OVERRIDE_WARNING"),
        (Severity::Info, "HADOLINT_OVERRIDE_INFO"),
        (Severity::Style, "HADOLINT_OVERRIDE_STYLE"),
    ] {
        rules
            .severities
            .extend(list(environment, name).into_iter().map(|code| (code, severity)));
    }
    Ok(())
}

fn of_flags(rules: &mut Config, args: &Args) -> Result<(), Failure> {
    rules.ignored.extend(args.ignore.iter().cloned());
    rules.trusted_registries.extend(args.trusted_registry.iter().cloned());
    rules.strict_labels |= args.strict_labels;
    rules.disable_ignore_pragma |= args.disable_ignore_pragma;
    for label in &args.require_label {
        require(rules, label)?;
    }
    for (severity, codes) in [
        (Severity::Error, &args.error),
        (Severity::Warning, &args.warning),
        (Severity::Info, &args.info),
        (Severity::Style, &args.style),
    ] {
        rules
            .severities
            .extend(codes.iter().map(|code| (code.clone(), severity)));
    }
    Ok(())
}

fn require(rules: &mut Config, label: &str) -> Result<(), Failure> {
    let (name, kind) = label.rsplit_once(':').unwrap_or((label, "text"));
    rules.label_schema.insert(name.to_owned(), label_kind(kind)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hadolints_file() {
        let text = "
failure-threshold: warning
format: tty
ignored: [DL3008, DL3013]
override:
  error:
    - DL3001
  style: [DL3002]
label-schema:
  version: semver
  author: text
strict-labels: true
trustedRegistries:
  - docker.io
  - '*.example.com'
";
        let file = parse(text, Path::new("f")).unwrap();
        let rules = of_file(&file).unwrap();
        assert_eq!(rules.ignored.len(), 2);
        assert_eq!(rules.severities["DL3001"], Severity::Error);
        assert_eq!(rules.severities["DL3002"], Severity::Style);
        assert_eq!(rules.label_schema["version"], LabelKind::Semver);
        assert_eq!(rules.trusted_registries.len(), 2);
        assert!(rules.strict_labels);
        assert_eq!(file.failure_threshold.as_deref(), Some("warning"));
        assert_eq!(parse("# nothing\n", Path::new("f")).unwrap(), File::default());
        assert!(parse("ignored: {", Path::new("f")).is_err());
    }

    #[test]
    fn looks_where_hadolint_does() {
        let environment = Environment::of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]);
        let places = places(Path::new(""), &environment);
        let texts: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
        assert_eq!(texts[0], ".hadolint.yaml");
        assert!(texts.contains(&"/x/hadolint.yaml".to_owned()));
        assert!(texts.contains(&"/h/.config/hadolint.yml".to_owned()));
        assert_eq!(texts.last().map(String::as_str), Some("/h/.hadolint.yml"));
    }
}
