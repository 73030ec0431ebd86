//! What package managers leave behind.

use std::collections::HashSet;

use kiln_dockerfile::ast::Word;

use super::ANNOUNCED;
use super::{Found, place};
use crate::cost::Measure;
use crate::finding::{Edit, Fix};
use crate::shell::{Command, Script};
use crate::view::{Item, RunScript, View};

/// Whether a mount keeps what is written below a directory out of the layer; for paths that begin with no `/`, below
/// any directory that ends so.
pub(super) fn is_cached(mounts: &[Word], wanted: &str) -> bool {
    mounts.iter().any(|mount| {
        let value = |names: &[&str]| {
            let mut parts = mount.raw.split(',').filter_map(|part| part.split_once('='));
            parts.find(|(key, _)| names.contains(key)).map(|(_, value)| value)
        };
        let kept = matches!(value(&["type"]), Some("cache" | "tmpfs"));
        let target = value(&["target", "dst", "destination"]).unwrap_or_default();
        let target = target.strip_suffix('/').unwrap_or(target);
        kept && if wanted.starts_with('/') {
            target == wanted
        } else {
            target.contains(wanted)
        }
    })
}

/// Whether a command removes one of these, alone or with `/*`.
fn removes(command: &Command, directories: &[&str]) -> bool {
    command.name == "rm"
        && command.args.iter().any(|arg| {
            let path = arg.text.strip_suffix("/*").unwrap_or(&arg.text);
            directories.contains(&path.strip_suffix('/').unwrap_or(path))
        })
}

const LISTS: &str = "/var/lib/apt/lists";

pub(super) fn apt_lists(view: &View<'_>, found: &mut Found<'_>) {
    let updates = |command: &&Command| command.is(&["apt", "apt-get", "aptitude"], &["update"]);
    let last_user = last_user_of_lists(view);
    for (item, run, script) in view.runs() {
        if !item.stage.is_some_and(|stage| view.is_built_on(stage)) {
            continue;
        }
        let Some(command) = script.script.commands.iter().find(updates) else {
            continue;
        };
        let mounted = is_cached(&run.mounts, LISTS)
            || is_cached(&run.mounts, "/var/lib/apt") && is_cached(&run.mounts, "/var/cache/apt");
        if mounted || script.script.commands.iter().any(|command| removes(command, &[LISTS])) {
            continue;
        }
        let useful = last_user > item.instruction.span.start;
        let message = "the package lists stay in the layer: end with `rm -rf /var/lib/apt/lists/*` in the same RUN";
        *found.word((item, script), command, None, message) = if useful || !has(&script.script, "install") {
            None
        } else {
            append(view, item, script, "rm -rf /var/lib/apt/lists/*")
        };
        found.costs(Measure::Announced, [item], ANNOUNCED);
    }
}

/// Whether one of apt's programs is told to do this.
fn has(script: &Script, action: &str) -> bool {
    const APT: &[&str] = &["apt", "apt-get", "aptitude"];
    script.commands.iter().any(|command| command.is(APT, &[action]))
}

/// The place of the last RUN that installs without fetching lists of its own: those of earlier ones are of use to it.
fn last_user_of_lists(view: &View<'_>) -> usize {
    let users = view
        .runs()
        .filter(|(.., run)| has(&run.script, "install") && !has(&run.script, "update"));
    users.last().map_or(0, |(item, ..)| item.instruction.span.start)
}

/// Ties a command to the end of a RUN by `&&`.
pub(super) fn append(view: &View<'_>, item: &Item<'_>, script: &RunScript, command: &str) -> Option<Fix> {
    let text = script.line()?.trim_end();
    let last = text.len().checked_sub(1)?;
    // A comment at the end hides what is appended, and a program that takes the shell's place never ends.
    let longer = Script::parse(&format!("{text} && {command}"));
    let known = &script.script.commands;
    let is_last = longer.commands.len() > known.len();
    let ends = known
        .iter()
        .any(|command| matches!(command.name.as_str(), "exit" | "exec"))
        || text.contains("exec ");
    if !longer.valid || !is_last || ends || !place::by_plain_shell(view, item) {
        return None;
    }
    let edit = Edit::insert(script.place(last..last + 1)?.end, format!(" && {command}"));
    Some(Fix::safe(format!("append `&& {command}`"), vec![edit]))
}

/// What is installed and not cleaned up afterwards.
struct Leftover {
    names: &'static [&'static str],
    installs: fn(&Command) -> bool,
    cleans: fn(&Command, &Command) -> bool,
    caches: &'static [&'static str],
    message: &'static str,
    /// What cleans up, behind the program's name.
    clean: &'static str,
}

/// The first command that installs something, behind which nothing cleans up.
fn leaves<'a>(script: &'a Script, what: &Leftover) -> Option<&'a Command> {
    let of_name = |name: &&str| {
        let commands = &script.commands;
        let installs = |command: &&Command| command.name == *name && (what.installs)(command);
        let first = commands.iter().find(installs)?;
        let cleaned = commands.iter().rposition(|later| (what.cleans)(first, later));
        commands[cleaned.map_or(0, |place| place + 1)..].iter().find(installs)
    };
    what.names.iter().find_map(of_name)
}

fn leftovers(view: &View<'_>, found: &mut Found<'_>, what: &Leftover) {
    for (item, run, script) in view.runs() {
        if what.caches.iter().any(|cache| is_cached(&run.mounts, cache)) {
            continue;
        }
        if let Some(command) = leaves(&script.script, what) {
            let clean = format!("{} {}", command.name, what.clean);
            *found.word((item, script), command, None, what.message) = append(view, item, script, &clean);
            found.costs(Measure::Announced, [item], ANNOUNCED);
        }
    }
}

pub(super) fn yum_clean(view: &View<'_>, found: &mut Found<'_>) {
    let what = Leftover {
        names: &["yum"],
        installs: |command| command.has_arg(&["install"]),
        cleans: |_, later| {
            later.is(&["yum"], &["clean"]) && later.has_arg(&["all"]) || removes(later, &["/var/cache/yum"])
        },
        caches: &[],
        message: "yum's cache stays in the layer: end with `yum clean all` in the same RUN",
        clean: "clean all",
    };
    leftovers(view, found, &what);
}

pub(super) fn dnf_clean(view: &View<'_>, found: &mut Found<'_>) {
    let what = Leftover {
        names: &["dnf", "microdnf"],
        installs: |command| {
            command.has_arg(&[
                "install",
                "in",
                "upgrade",
                "up",
                "upgrade-minimal",
                "up-min",
                "reinstall",
                "rei",
            ])
        },
        cleans: |command, later| {
            later.name == command.name && later.has_arg(&["clean"]) && later.has_arg(&["all"])
                || later.name == "rm" && later.args.iter().any(|arg| is_dnf_cache(&arg.text))
        },
        caches: &["/var/cache/libdnf5", ".cache/libdnf5"],
        message: "dnf's cache stays in the layer: end with `dnf clean all` in the same RUN",
        clean: "clean all",
    };
    leftovers(view, found, &what);
}

fn is_dnf_cache(path: &str) -> bool {
    path.starts_with("/var/cache/libdnf5") || path.starts_with("/var/cache/dnf")
}

pub(super) fn zypper_clean(view: &View<'_>, found: &mut Found<'_>) {
    let what = Leftover {
        names: &["zypper"],
        installs: |command| command.has_arg(&["install", "in"]),
        cleans: |_, later| later.is(&["zypper"], &["clean", "cc"]),
        caches: &["/var/cache/zypp"],
        message: "zypper's cache stays in the layer: end with `zypper clean` in the same RUN",
        clean: "clean",
    };
    leftovers(view, found, &what);
}

pub(super) fn yarn_clean(view: &View<'_>, found: &mut Found<'_>) {
    let what = Leftover {
        names: &["yarn"],
        installs: |command| command.has_arg(&["install"]),
        cleans: |_, later| later.is(&["yarn"], &["cache"]) && later.has_arg(&["clean"]),
        caches: &[".cache/yarn"],
        message: "yarn's cache stays in the layer: end with `yarn cache clean` in the same RUN",
        clean: "cache clean",
    };
    let mut kept = HashSet::new();
    kept.extend((0..view.file.stages.len()).filter(|stage| view.is_built_on(*stage)));
    for (item, run, script) in view.runs() {
        let counts = item.stage.is_some_and(|stage| kept.contains(&stage));
        if !counts || is_cached(&run.mounts, ".cache/yarn") {
            continue;
        }
        if let Some(command) = leaves(&script.script, &what) {
            *found.word((item, script), command, None, what.message) = append(view, item, script, "yarn cache clean");
            found.costs(Measure::Announced, [item], ANNOUNCED);
        }
    }
}
