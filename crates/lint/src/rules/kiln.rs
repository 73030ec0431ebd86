//! Kiln's own rules.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

use kiln_dockerfile::ast::{Instruction, Kind, SourcePath, Span, Stage};

use super::Found;
use crate::cost::Measure;
use crate::shell::Command;
use crate::view::{Item, View};

/// `COPY a b # why`: the words become sources, and the last one the destination.
pub(super) fn comment_as_argument(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        let comment = match item.kind {
            Kind::Copy(copy) => mark(&copy.transfer.sources),
            Kind::Add(add) => mark(&add.transfer.sources),
            Kind::Expose(words) | Kind::Volume(words) => {
                words.iter().find(|word| word.raw == "#").map(|word| word.span)
            }
            Kind::Workdir(word) | Kind::User(word) | Kind::Stopsignal(word) => word.raw.find(" #").map(|at| Span {
                start: word.span.start + at + 1,
                end: word.span.start + at + 2,
            }),
            _ => None,
        };
        if let Some(span) = comment {
            let message = "a comment needs a line of its own: here it is part of the instruction";
            found.say(item, span, message);
        }
    }
}

fn mark(sources: &[SourcePath]) -> Option<Span> {
    sources.iter().find_map(|source| match source {
        SourcePath::Path(word) if word.raw == "#" => Some(word.span),
        _ => None,
    })
}

/// Longer alternatives are not looked at.
const MOST_LETTERS: usize = 1000;

/// `${A:+x}${A:-y}`: if A is set, this is `xA` and not `x`.
pub(super) fn glued_alternatives(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        let text = &view.file.source[item.instruction.span.range()];
        for (at, _) in text.match_indices("${") {
            let rest = &text[at + 2..];
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let (name, after) = rest.split_at(length.unwrap_or(rest.len()));
            let Some(alternative) = after.strip_prefix(":+") else {
                continue;
            };
            let short: String = alternative.chars().take(MOST_LETTERS).collect();
            let Some((_, next)) = short.split_once('}') else {
                continue;
            };
            let glued = next.strip_prefix("${").and_then(|next| next.strip_prefix(name));
            if glued.is_some_and(|next| next.starts_with(":-") || next.starts_with('-')) {
                let start = item.instruction.span.start + at;
                let span = Span {
                    start,
                    end: start + 2 + name.len(),
                };
                let message = format!(
                    "if `{name}` is set, both of these are taken, one behind the other: give `{name}` a default in ARG"
                );
                found.say(item, span, message);
            }
        }
    }
}

/// A stage that nothing uses and that has no name.
pub(super) fn unused_stage(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _) in unused(view).into_iter().filter(|(_, stage)| stage.name.is_none()) {
        found.whole(
            item,
            "no stage uses this one, and without a name it cannot be asked for: it is never built",
        );
    }
}

/// One that has a name: it may be a `--target`, and mostly is where it is called like one.
pub(super) fn unused_target(view: &View<'_>, found: &mut Found<'_>) {
    const TARGETS: [&str; 9] = ["ci", "cover", "debug", "dev", "doc", "export", "format", "lint", "test"];
    let mut named = HashMap::<&str, usize>::new();
    for name in view.file.stages.iter().filter_map(|stage| stage.name.as_deref()) {
        *named.entry(name).or_default() += 1;
    }
    for (item, stage) in unused(view) {
        // Of two with one name the other may be meant: another rule speaks of them.
        let Some(name) = stage.name.as_deref().filter(|name| named[name] == 1) else {
            continue;
        };
        if !TARGETS.iter().any(|target| name.contains(target)) {
            found.whole(
                item,
                format!("no stage uses `{name}`: it is built for `--target={name}` alone"),
            );
        }
    }
}

/// Stages that neither the last one nor one that this needs uses; none where that depends on variables.
fn unused<'a, 'v>(view: &'v View<'a>) -> Vec<(&'v Item<'a>, &'a Stage)> {
    let count = view.file.stages.len();
    let mut needed = HashSet::new();
    let mut open: Vec<usize> = count.checked_sub(1).into_iter().collect();
    while let Some(stage) = open.pop() {
        if needed.insert(stage) {
            open.extend(uses(view, stage));
        }
    }
    let dynamic = view.file.stages.iter().any(|stage| stage.from.image.raw.contains('$'));
    if dynamic {
        return Vec::new();
    }
    let file = view.file;
    let stages = view.items().filter(|item| matches!(item.kind, Kind::From(_)));
    let unneeded = stages.filter_map(|item| Some((item, item.stage.filter(|stage| !needed.contains(stage))?)));
    unneeded.map(|(item, stage)| (item, &file.stages[stage])).collect()
}

/// The stages that a stage uses.
fn uses(view: &View<'_>, stage: usize) -> Vec<usize> {
    let own = &view.file.stages[stage];
    let mut found: Vec<usize> = view.parents[stage].into_iter().collect();
    for instruction in own.instructions.iter().map(inner) {
        match instruction {
            Kind::Copy(copy) => found.extend(copy.from.iter().filter_map(|from| by_name(view, &from.raw, stage))),
            Kind::Run(run) => {
                let parts = run.mounts.iter().flat_map(|mount| mount.raw.split(','));
                let names = parts.filter_map(|part| part.strip_prefix("from="));
                found.extend(names.filter_map(|name| by_name(view, name, stage)));
            }
            _ => {}
        }
    }
    found
}

fn inner(instruction: &Instruction) -> &Kind {
    match &instruction.kind {
        Kind::Onbuild(onbuild) => &onbuild.instruction.kind,
        kind => kind,
    }
}

fn by_name(view: &View<'_>, name: &str, before: usize) -> Option<usize> {
    view.stage_by_name(name, before)
        .or_else(|| name.parse().ok().filter(|number| *number < before))
}

/// `chmod -R`, `chown -R` of what a COPY of the same stage brought.
pub(super) fn recursive_change(view: &View<'_>, found: &mut Found<'_>) {
    for stage in 0..view.file.stages.len() {
        let mut copied = Copied::default();
        for item in view.stage(stage).filter(|item| !item.onbuild) {
            match item.kind {
                Kind::Copy(copy) => copied.add(&copy.transfer.destination.raw, item),
                Kind::Run(_) => {
                    let Some(run) = &item.script else { continue };
                    let changes = |command: &Command| matches!(command.name.as_str(), "chmod" | "chown");
                    let again = run
                        .script
                        .commands
                        .iter()
                        .filter(|command| changes(command))
                        .find(|command| {
                            let mut paths = command.plain().into_iter().skip(1);
                            command.has_flag(&["R", "recursive"]) && paths.any(|path| copied.is_below(&path.text))
                        });
                    if let Some(command) = again {
                        let message = format!(
                            "`{} -R` stores every file again that a COPY brought: use COPY --{}",
                            command.name, command.name
                        );
                        found.word((item, run), command, None, message);
                        let alone = run.script.commands.iter().all(changes);
                        let what = if alone {
                            "it stores {} again"
                        } else {
                            "its layer has {}"
                        };
                        found.costs(Measure::Bytes, [item], what);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Where a stage copied something to, and what did.
#[derive(Default)]
struct Copied<'a, 'v>(BTreeMap<&'a str, Vec<&'v Item<'a>>>);

impl<'a, 'v> Copied<'a, 'v> {
    fn add(&mut self, destination: &'a str, item: &'v Item<'a>) {
        if destination.starts_with('/') {
            self.0.entry(destination.trim_end_matches('/')).or_default().push(item);
        }
    }

    /// Whether a path is one of these, or has one below it.
    fn is_below(&self, path: &str) -> bool {
        self.below(path).next().is_some()
    }

    /// What brought what is at a path or below it, which is no longer there then.
    fn remove(&mut self, path: &str) -> Vec<&'v Item<'a>> {
        let gone: Vec<&str> = self.below(path).collect();
        gone.into_iter()
            .filter_map(|place| self.0.remove(place))
            .flatten()
            .collect()
    }

    fn below(&self, path: &str) -> impl Iterator<Item = &'a str> {
        let path = path.trim_end_matches('/');
        let inside = format!("{path}/");
        let own = self.0.get_key_value(path).map(|(place, _)| *place);
        let range = (Bound::Included(inside.as_str()), Bound::Unbounded);
        let from = self.0.range::<str, _>(range).map(|(place, _)| *place);
        // The root itself is nobody's to name.
        let within = from.take_while(move |place| inside != "/" && place.starts_with(&inside));
        own.filter(|place| !place.is_empty()).into_iter().chain(within)
    }
}

/// `rm` of what an earlier layer holds.
pub(super) fn removed_later(view: &View<'_>, found: &mut Found<'_>) {
    for stage in (0..view.file.stages.len()).filter(|stage| view.is_built_on(*stage)) {
        let mut copied = Copied::default();
        for item in view.stage(stage).filter(|item| !item.onbuild) {
            match item.kind {
                Kind::Copy(copy) => copied.add(&copy.transfer.destination.raw, item),
                Kind::Add(add) => copied.add(&add.transfer.destination.raw, item),
                Kind::Run(_) => {
                    let Some(run) = &item.script else { continue };
                    let removes = run.script.named(&["rm"]).find_map(|command| {
                        command.plain().into_iter().find_map(|path| {
                            let brought = copied.remove(&path.text);
                            (!brought.is_empty()).then_some((command, path, brought))
                        })
                    });
                    if let Some((command, path, brought)) = removes {
                        let message = format!(
                            "`{}` stays in the layer of the COPY or ADD that brought it: mount it for this RUN, or \
                             use a stage of its own",
                            path.text
                        );
                        found.word((item, run), command, Some(path), message);
                        let what = "what brought it has {}, which everybody who pulls the image gets";
                        found.costs(Measure::Bytes, brought, what);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Flags that switch the check of certificates or signatures off, by command.
const UNCHECKED: &[(&[&str], &[&str])] = &[
    (&["curl"], &["k", "insecure"]),
    (&["wget"], &["no-check-certificate"]),
    (&["pip", "pip3"], &["trusted-host"]),
    (&["apk"], &["allow-untrusted"]),
    (&["apt-get", "apt"], &["allow-unauthenticated", "force-yes"]),
    (&["yum", "dnf", "microdnf"], &["nogpgcheck"]),
    (&["rpm"], &["nosignature", "nodigest"]),
    (&["zypper"], &["no-gpg-checks"]),
];

/// Variables that do the same.
const UNCHECKED_VARIABLES: &[(&str, &[&str])] = &[
    ("NODE_TLS_REJECT_UNAUTHORIZED", &["0"]),
    ("PYTHONHTTPSVERIFY", &["0"]),
    ("GIT_SSL_NO_VERIFY", &["1", "true"]),
    ("NPM_CONFIG_STRICT_SSL", &["false"]),
];

/// Downloads that believe whoever answers.
pub(super) fn no_verification(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        match (item.kind, &item.script) {
            (Kind::Env(pairs), _) => {
                let value = |text: &str| text.trim_matches(['"', '\'']).to_ascii_lowercase();
                let off = pairs.iter().find(|pair| {
                    UNCHECKED_VARIABLES.iter().any(|(name, values)| {
                        pair.key.raw.eq_ignore_ascii_case(name) && values.contains(&value(&pair.value.raw).as_str())
                    })
                });
                if let Some(pair) = off {
                    let message = format!("`{}` switches the check of certificates off", pair.key.raw);
                    found.say(item, pair.key.span, message);
                }
            }
            (Kind::Run(_), Some(run)) => {
                let off = run.script.commands.iter().find_map(|command| {
                    let flags = UNCHECKED
                        .iter()
                        .find(|(names, _)| names.contains(&command.name.as_str()))?
                        .1;
                    let (_, place) = command.flags().find(|(flag, _)| flags.contains(&flag.as_str()))?;
                    Some((command, command.args.get(place)?))
                });
                if let Some((command, flag)) = off {
                    let message = format!(
                        "`{} {}` believes whoever answers: nothing checks where this comes from",
                        command.name, flag.text
                    );
                    found.word((item, run), command, Some(flag), message);
                }
            }
            _ => {}
        }
    }
}
