//! Packages of languages: pip, npm, gem, go.

use std::collections::HashSet;

use kiln_dockerfile::ast::{Kind, Pair};

use super::ANNOUNCED;
use super::upkeep::is_cached;
use super::{Found, pins};
use crate::cost::Measure;
use crate::finding::{Edit, Fix};
use crate::known::Manager;
use crate::shell::{Command, Word};
use crate::view::{Item, View};

/// pip's flags that take a value.
const PIP_VALUES: &[&str] = &[
    "abi",
    "b",
    "build",
    "e",
    "editable",
    "extra-index-url",
    "f",
    "find-links",
    "i",
    "index-url",
    "implementation",
    "no-binary",
    "only-binary",
    "platform",
    "prefix",
    "progress-bar",
    "proxy",
    "python-version",
    "root",
    "src",
    "t",
    "target",
    "trusted-host",
    "upgrade-strategy",
    "root-user-action",
    "python",
];

/// Whether it is pip, by whatever name.
fn is_pip_install(command: &Command) -> bool {
    let direct =
        command.name.starts_with("pip") && !command.name.starts_with("pipenv") && command.has_arg(&["install"]);
    let module = command.name.starts_with("python")
        && command
            .args
            .windows(2)
            .any(|words| words[0].text == "-m" && words[1].text == "pip")
        && command.has_arg(&["install"]);
    direct || module
}

pub(super) fn pip_versions(view: &View<'_>, found: &mut Found<'_>) {
    let example = "(`name==1.2`) or a file of requirements";
    each(view, found, Manager::Pip, example, |command| {
        let listed = command.has_flag(&["r", "c", "constraint"]) || command.has_arg(&["--requirement"]);
        if !is_pip_install(command) || listed {
            return Vec::new();
        }
        let packages = command.plain_without(PIP_VALUES);
        let start = packages.iter().position(|word| word.text == "install");
        let packages = packages.into_iter().skip(start.map_or(usize::MAX, |place| place + 1));
        packages.filter(|word| !is_pip_pinned(&word.text)).collect()
    });
}

fn is_pip_pinned(package: &str) -> bool {
    let versions = ["==", ">=", "<=", ">", "<", "!=", "~=", "==="];
    let vcs = ["git+", "hg+", "svn+", "bzr+"]
        .iter()
        .any(|prefix| package.starts_with(prefix));
    package == "."
        || versions.iter().any(|operator| package.contains(operator))
        || [".whl", ".tar.gz"].iter().any(|end| package.ends_with(end))
        || vcs && package.contains('@')
        || !vcs && package.contains('/')
}

pub(super) fn pip_cache(view: &View<'_>, found: &mut Found<'_>) {
    let mut off: HashSet<usize> = HashSet::new();
    // What ONBUILD sets counts for what ONBUILD runs.
    let mut off_later = false;
    for item in view.items() {
        let Some(stage) = item.stage else { continue };
        match item.kind {
            Kind::From(_) if view.parents[stage].is_some_and(|parent| off.contains(&parent)) => {
                off.insert(stage);
            }
            Kind::Env(pairs) if switches_off(pairs) && item.onbuild => off_later = true,
            Kind::Env(pairs) if switches_off(pairs) => {
                off.insert(stage);
            }
            Kind::Run(run) => {
                let silent = if item.onbuild { off_later } else { off.contains(&stage) };
                if !silent && !is_cached(&run.mounts, ".cache/pip") {
                    cached_install(item, found);
                }
            }
            _ => {}
        }
    }
}

fn switches_off(pairs: &[Pair]) -> bool {
    let mut wanted = pairs.iter().filter(|pair| pair.key.raw == "PIP_NO_CACHE_DIR");
    wanted.any(|pair| is_true(&pair.value.raw))
}

/// The installations of a RUN that fill pip's cache.
fn cached_install(item: &Item<'_>, found: &mut Found<'_>) {
    let Some(script) = &item.script else { return };
    let off = |word: &Word| word.text.strip_prefix("PIP_NO_CACHE_DIR=").is_some_and(is_true);
    if script
        .script
        .named(&["export"])
        .any(|command| command.args.iter().any(off))
    {
        return;
    }
    let loose = |command: &&Command| {
        is_pip_install(command)
            && !command.name.starts_with("pipx")
            && !command.has_flag(&["no-cache-dir"])
            && !command.assignments.iter().any(off)
    };
    let mut commands = script.script.commands.iter().filter(loose);
    let Some(command) = commands.next() else { return };
    let message = "pip's cache stays in the layer: add `--no-cache-dir`, or a cache mount";
    let edit = |command: &Command| {
        let span = script.span(command, &command.arg("install")?.range)?;
        Some(Edit::insert(span.end, " --no-cache-dir"))
    };
    let edits: Option<Vec<Edit>> = script.script.commands.iter().filter(loose).map(edit).collect();
    *found.word((item, script), command, None, message) = edits.map(|edits| Fix::safe("add `--no-cache-dir`", edits));
    found.costs(Measure::Announced, [item], ANNOUNCED);
}

fn is_true(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']).to_ascii_lowercase();
    matches!(value.as_str(), "1" | "true" | "on" | "yes" | "t" | "y")
}

/// Gives what each command installs without a version a version.
fn each(
    view: &View<'_>,
    found: &mut Found<'_>,
    manager: Manager,
    example: &str,
    loose: impl Fn(&Command) -> Vec<&Word>,
) {
    for (item, _, run) in view.runs() {
        let commands = run.script.commands.iter();
        let loose: Vec<pins::Loose<'_>> = commands
            .flat_map(|command| loose(command).into_iter().map(move |word| (command, word)))
            .collect();
        pins::say(view, found, (item, run), &loose, manager, example);
    }
}

pub(super) fn npm_versions(view: &View<'_>, found: &mut Found<'_>) {
    each(view, found, Manager::Npm, "(`name@1.2`)", |command| {
        let mut words = command.plain_without(&["loglevel", "registry"]).into_iter();
        if command.name != "npm" || words.next().is_none_or(|first| first.text != "install") {
            return Vec::new();
        }
        words.filter(|word| !is_npm_pinned(&word.text)).collect()
    });
}

fn is_npm_pinned(package: &str) -> bool {
    let git = ["git://", "git+ssh://", "git+http://", "git+https://", "git+file://"];
    if git.iter().any(|prefix| package.starts_with(prefix)) {
        return package.contains('#');
    }
    let archive = [".tar", ".tar.gz", ".tgz"].iter().any(|end| package.ends_with(end));
    let path = ["/", "./", "../", "~/"].iter().any(|start| package.starts_with(start));
    let name = package.strip_prefix('@').unwrap_or(package);
    archive || path || name.contains('@')
}

pub(super) fn gem_versions(view: &View<'_>, found: &mut Found<'_>) {
    each(view, found, Manager::Gem, "(`name:1.2`)", |command| {
        let is_version =
            |arg: &Word| matches!(arg.text.as_str(), "-v" | "--version") || arg.text.starts_with("--version=");
        if command.name != "gem" || !command.has_arg(&["install", "i"]) || command.args.iter().any(is_version) {
            return Vec::new();
        }
        // What follows a flag may be its value.
        let values: Vec<usize> = command.flags().map(|(_, place)| place + 1).collect();
        let words = command
            .args
            .iter()
            .enumerate()
            .take_while(|(_, word)| word.text != "--");
        words
            .filter(|(place, word)| !word.text.starts_with('-') && !values.contains(place))
            .map(|(_, word)| word)
            .filter(|word| !matches!(word.text.as_str(), "install" | "i") && !word.text.contains(':'))
            .collect()
    });
}

pub(super) fn go_versions(view: &View<'_>, found: &mut Found<'_>) {
    each(view, found, Manager::Go, "(`name@v1.2.3`)", |command| {
        let words = command.plain();
        let Some((action, packages)) = words.split_first().filter(|_| command.name == "go") else {
            return Vec::new();
        };
        let count = match action.text.as_str() {
            "install" | "get" => packages.len(),
            "run" => 1,
            _ => 0,
        };
        let packages = packages.iter().take(count).copied();
        packages.filter(|word| !is_go_pinned(&word.text)).collect()
    });
}

fn is_go_pinned(package: &str) -> bool {
    if package.starts_with(['.', '/']) {
        return true;
    }
    package
        .rsplit_once('@')
        .is_some_and(|(_, version)| !matches!(version, "latest" | "none"))
}
