//! LABEL: names, and the labels that a configuration asks for.

use std::collections::HashSet;

use kiln_dockerfile::ast::{Kind, Pair};

use super::{Found, unquoted};
use crate::config::LabelKind;
use crate::finding::{Edit, Fix};
use crate::values;
use crate::view::{Item, View};

fn labels<'v, 'a>(view: &'v View<'a>) -> impl Iterator<Item = (&'v Item<'a>, &'a [Pair])> {
    view.items()
        .filter(|item| !item.onbuild)
        .filter_map(|item| match item.kind {
            Kind::Label(pairs) => Some((item, pairs.as_slice())),
            _ => None,
        })
}

pub(super) fn keys(view: &View<'_>, found: &mut Found<'_>) {
    for (item, pairs) in labels(view) {
        if let Some(pair) = pairs.iter().find(|pair| !is_good_key(unquoted(&pair.key.raw))) {
            let message = format!(
                "`{}` is no good key: lower case letters, digits, and single `.` or `-` between",
                pair.key.raw
            );
            *found.say(item, pair.key.span, message) = lower_keys(view, pairs);
        }
    }
}

/// Keys in lower case, where that is all that is wrong with them. Whoever asks for them asks for another name then.
fn lower_keys(view: &View<'_>, pairs: &[Pair]) -> Option<Fix> {
    let wrong = pairs.iter().filter(|pair| !is_good_key(unquoted(&pair.key.raw)));
    let edits = wrong.filter_map(|pair| {
        let written = view.file.source.get(pair.key.span.range())?;
        let lower = written.to_ascii_lowercase();
        is_good_key(unquoted(&lower)).then(|| Edit::replace(pair.key.span, lower))
    });
    let edits: Vec<Edit> = edits.collect();
    (!edits.is_empty()).then(|| Fix::careful("write keys in lower case", edits))
}

fn is_good_key(key: &str) -> bool {
    const RESERVED: [&str; 3] = ["com.docker.", "io.docker.", "org.dockerproject."];
    let letters = key
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._/-".contains(c));
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    letters
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.ends_with(end)
        && !key.contains("..")
        && !key.contains("--")
        && !RESERVED.iter().any(|reserved| key.starts_with(reserved))
}

/// Labels that are asked for, in each stage or what it is built on. What is only copied from needs none.
pub(super) fn missing(view: &View<'_>, found: &mut Found<'_>) {
    let wanted = &view.config.label_schema;
    if wanted.is_empty() {
        return;
    }
    let copied = copied_from(view);
    let parents: HashSet<usize> = view.parents.iter().flatten().copied().collect();
    let mut labelled: Vec<HashSet<&str>> = Vec::new();
    for item in view.items().filter(|item| matches!(item.kind, Kind::From(_))) {
        let Some(stage) = item.stage else { continue };
        let mut there = view.parents[stage]
            .map(|parent| labelled[parent].clone())
            .unwrap_or_default();
        let own = view
            .stage(stage)
            .filter(|item| !item.onbuild)
            .filter_map(|item| match item.kind {
                Kind::Label(pairs) => Some(pairs),
                _ => None,
            });
        let names = own.flatten().map(|pair| unquoted(&pair.key.raw));
        there.extend(names.filter(|name| wanted.contains_key(*name)));
        let silent = copied.contains(&stage) && !parents.contains(&stage);
        for name in wanted.keys().filter(|name| !silent && !there.contains(name.as_str())) {
            found.whole(item, format!("the label `{name}` is missing"));
        }
        labelled.push(there);
    }
}

/// The stages that a COPY names.
fn copied_from(view: &View<'_>) -> HashSet<usize> {
    let copies = view.items().filter_map(|item| match (item.kind, item.stage) {
        (Kind::Copy(copy), Some(stage)) => Some((copy.from.as_ref()?, stage)),
        _ => None,
    });
    copies
        .filter_map(|(from, stage)| view.stage_by_name(&from.raw, stage))
        .collect()
}

pub(super) fn superfluous(view: &View<'_>, found: &mut Found<'_>) {
    if !view.config.strict_labels {
        return;
    }
    for (item, pairs) in labels(view) {
        let unknown = |pair: &&Pair| !view.config.label_schema.contains_key(unquoted(&pair.key.raw));
        if let Some(pair) = pairs.iter().find(unknown) {
            found.say(
                item,
                pair.key.span,
                format!("the label `{}` is not asked for", pair.key.raw),
            );
        }
    }
}

pub(super) fn empty(view: &View<'_>, found: &mut Found<'_>) {
    for (item, pairs) in labels(view) {
        let wrong = |pair: &&Pair| {
            view.config.label_schema.contains_key(unquoted(&pair.key.raw)) && unquoted(&pair.value.raw).is_empty()
        };
        if let Some(pair) = pairs.iter().find(wrong) {
            found.say(item, pair.key.span, format!("the label `{}` is empty", pair.key.raw));
        }
    }
}

fn kind(view: &View<'_>, found: &mut Found<'_>, kind: LabelKind, what: &str, is: fn(&str) -> bool) {
    for (item, pairs) in labels(view) {
        let wrong = |pair: &&Pair| {
            let wanted = view.config.label_schema.get(unquoted(&pair.key.raw));
            wanted == Some(&kind) && !is(unquoted(&pair.value.raw))
        };
        if let Some(pair) = pairs.iter().find(wrong) {
            found.say(
                item,
                pair.value.span,
                format!("the label `{}` is no {what}", pair.key.raw),
            );
        }
    }
}

pub(super) fn url(view: &View<'_>, found: &mut Found<'_>) {
    kind(view, found, LabelKind::Url, "URL", values::is_url);
}

pub(super) fn rfc3339(view: &View<'_>, found: &mut Found<'_>) {
    kind(
        view,
        found,
        LabelKind::Rfc3339,
        "date and time (RFC 3339)",
        values::is_time,
    );
}

pub(super) fn spdx(view: &View<'_>, found: &mut Found<'_>) {
    kind(
        view,
        found,
        LabelKind::Spdx,
        "licence of SPDX's list",
        values::is_licence,
    );
}

pub(super) fn hash(view: &View<'_>, found: &mut Found<'_>) {
    kind(view, found, LabelKind::Hash, "git commit", values::is_commit);
}

pub(super) fn semver(view: &View<'_>, found: &mut Found<'_>) {
    kind(view, found, LabelKind::Semver, "version (semver)", values::is_version);
}

pub(super) fn email(view: &View<'_>, found: &mut Found<'_>) {
    kind(view, found, LabelKind::Email, "address of mail", values::is_mail);
}
