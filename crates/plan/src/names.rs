//! What steps are called: `[build 2/5] RUN make`.

use std::collections::BTreeSet;

use kiln_dockerfile::ast::{Heredoc, Kind};
use kiln_dockerfile::expand::{self, Effort, Env};
use kiln_image::Platform;

use crate::graph::Unit;
use crate::vars::Vars;

/// Counts the steps of a stage.
#[derive(Debug, Default)]
pub(crate) struct Names {
    platform: Option<Platform>,
    stage: Option<String>,
    total: usize,
    done: usize,
}

impl Names {
    /// The steps of a stage: `external` is whether its FROM is one. A single stage without a name has none; the
    /// platform is only said where there are several.
    pub(crate) fn new(platform: Option<Platform>, stage: Option<String>, external: bool, units: &[Unit<'_>]) -> Self {
        let counted = units.iter().filter(|unit| {
            matches!(
                unit.instruction.kind,
                Kind::Run(_) | Kind::Copy(_) | Kind::Add(_) | Kind::Workdir(_)
            )
        });
        Self {
            platform,
            stage,
            total: usize::from(external) + counted.count(),
            done: 0,
        }
    }

    /// The name of the stage's FROM.
    pub(crate) fn of_from(&mut self, text: &str) -> String {
        self.next(text, &Vars::default())
    }

    /// The name of the next step, which has these variables.
    pub(crate) fn next(&mut self, text: &str, vars: &Vars) -> String {
        self.done += 1;
        self.current(text, vars)
    }

    /// The name of a further step of the same instruction.
    pub(crate) fn current(&self, text: &str, vars: &Vars) -> String {
        if self.total == 0 {
            return text.to_owned();
        }
        let platform = self.platform.as_ref().map(|own| format!("{own}{} ", cross(own, vars)));
        let platform = platform.unwrap_or_default();
        let stage = self.stage.as_ref().map(|stage| format!("{stage} ")).unwrap_or_default();
        let width = self.total.to_string().len();
        format!("[{platform}{stage}{:width$}/{}] {text}", self.done, self.total)
    }
}

/// `->arm64` where a stage knows that what it makes is for another platform than its own: where it has declared one of
/// the `TARGET` arguments.
fn cross(own: &Platform, vars: &Vars) -> String {
    let part = |name: &str, own: &String| {
        let value = vars.get(name).filter(|value| !value.is_empty());
        value.map_or_else(|| own.clone(), ToOwned::to_owned)
    };
    let whole = vars.get("TARGETPLATFORM").and_then(|text| text.parse().ok());
    let target = whole.unwrap_or_else(|| Platform {
        os: part("TARGETOS", &own.os),
        architecture: part("TARGETARCH", &own.architecture),
        variant: part("TARGETVARIANT", &own.variant),
        os_version: own.os_version.clone(),
    });
    let shown = target.to_string();
    match shown.strip_prefix(&format!("{}/", own.os)) {
        _ if target == *own => String::new(),
        Some(processor) => format!("->{processor}"),
        None => format!("->{shown}"),
    }
}

/// An instruction as shown: variables that have a value replaced, those of secrets (`masked`) by `****`.
pub(crate) fn show(
    unit: &Unit<'_>,
    escape: char,
    vars: &dyn Env,
    masked: &BTreeSet<String>,
    effort: &Effort,
) -> String {
    let masked = Masked { vars, masked };
    let text = &unit.instruction.text;
    let shown = expand::display(text, escape, &masked, effort);
    let shown = shown.map_or_else(|_| text.clone(), |expanded| expanded.value);
    let prefix = if unit.trigger.is_some() { "ONBUILD " } else { "" };
    format!("{prefix}{shown}")
}

/// The first line of a here-document, to be put behind the instruction.
pub(crate) fn summary(heredoc: &Heredoc) -> String {
    let mut lines = heredoc.content.trim().lines();
    let first = lines.next().unwrap_or_default();
    let more = if lines.next().is_some() { "..." } else { "" };
    format!(" ({first}{more})")
}

struct Masked<'a> {
    vars: &'a dyn Env,
    masked: &'a BTreeSet<String>,
}

impl Env for Masked<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        if self.masked.contains(name) {
            return Some("****");
        }
        self.vars.get(name)
    }
}
