//! How many of an instruction there are, and in which order.

use std::collections::HashMap;

use kiln_dockerfile::ast::{Kind, Run};

use super::{Found, merge, place};
use crate::finding::Fix;
use crate::view::{Item, View};

/// Says it of all but the first of a stage.
fn only_one(view: &View<'_>, found: &mut Found<'_>, what: &str, is: fn(&Kind) -> bool) {
    let mut seen: HashMap<Option<usize>, &Item<'_>> = HashMap::new();
    for item in view.items().filter(|item| !item.onbuild && is(item.kind)) {
        if let Some(earlier) = seen.insert(item.stage, item) {
            let message = format!("only the last {what} of a stage counts, and this is not the first");
            *found.whole(item, message) = place::without(view, earlier)
                .map(|edit| Fix::safe(format!("leave the {what} before it out"), vec![edit]));
        }
    }
}

pub(super) fn one_healthcheck(view: &View<'_>, found: &mut Found<'_>) {
    only_one(view, found, "HEALTHCHECK", |kind| matches!(kind, Kind::Healthcheck(_)));
}

pub(super) fn one_cmd(view: &View<'_>, found: &mut Found<'_>) {
    only_one(view, found, "CMD", |kind| matches!(kind, Kind::Cmd(_)));
}

pub(super) fn one_entrypoint(view: &View<'_>, found: &mut Found<'_>) {
    only_one(view, found, "ENTRYPOINT", |kind| matches!(kind, Kind::Entrypoint(_)));
}

/// Few commands in each of two RUNs in a row, with the same flags.
pub(super) fn runs_in_a_row(view: &View<'_>, found: &mut Found<'_>) {
    let mut before: Option<(&Item<'_>, &Run, usize)> = None;
    for item in view.items() {
        let (Kind::Run(run), Some(script), false) = (item.kind, &item.script, item.onbuild) else {
            before = None;
            continue;
        };
        let count = script.script.commands.len();
        if let Some((earlier, earlier_run, earlier_count)) = before
            && same_flags(earlier_run, run)
            && earlier_count <= 1
            && count <= 1
        {
            let message = "this RUN and the one before could be one: each makes a layer";
            *found.whole(item, message) = merge::fix(view, earlier, item);
        }
        before = Some((item, run, count));
    }
}

fn same_flags(a: &Run, b: &Run) -> bool {
    let words = |run: &Run| {
        let all = run
            .mounts
            .iter()
            .chain(&run.devices)
            .chain(&run.network)
            .chain(&run.security);
        let parts = all.map(|word| {
            let mut parts: Vec<&str> = word.raw.split(',').collect();
            parts.sort_unstable();
            parts.join(",")
        });
        let mut words: Vec<String> = parts.collect();
        words.sort_unstable();
        words
    };
    words(a) == words(b)
}

/// No HEALTHCHECK, in a stage and those that it is built on, or that are built on it.
pub(super) fn no_healthcheck(view: &View<'_>, found: &mut Found<'_>) {
    let count = view.file.stages.len();
    let own = |stage: usize| {
        let mut items = view.stage(stage);
        items.any(|item| !item.onbuild && matches!(item.kind, Kind::Healthcheck(_)))
    };
    let mut has: Vec<bool> = (0..count).map(own).collect();
    for stage in 0..count {
        if let Some(parent) = view.parents[stage] {
            has[stage] |= has[parent];
        }
    }
    for stage in (0..count).rev() {
        if let Some(parent) = view.parents[stage] {
            has[parent] |= has[stage];
        }
    }
    let froms = view.items().filter(|item| matches!(item.kind, Kind::From(_)));
    let silent = froms.zip(has).filter(|(_, has)| !has);
    let silent: Vec<&Item<'_>> = silent.map(|(item, _)| item).collect();
    for item in silent {
        found.whole(item, "nothing says how to see that it works: there is no HEALTHCHECK");
    }
}
