//! Packages of distributions: versions, questions, what is installed besides.

use std::collections::HashSet;

use super::ANNOUNCED;
use super::{Found, pins};
use crate::cost::Measure;
use crate::finding::{Edit, Fix};
use crate::known::Manager;
use crate::shell::{Command, Word};
use crate::view::{RunScript, View};

/// A package manager, as far as its installations are looked at.
struct Installer {
    names: &'static [&'static str],
    install: &'static [&'static str],
    /// Flags that take a value which is no package.
    values: &'static [&'static str],
    is_pinned: fn(&str) -> bool,
    manager: Manager,
    example: &'static str,
}

const APT: Installer = Installer {
    names: &["apt-get"],
    install: &["install"],
    values: &["t", "target-release"],
    is_pinned: |package| package.contains('=') || package.contains('/') || is_file(package, ".deb"),
    manager: Manager::Apt,
    example: "(`name=1.2`)",
};

const APK: Installer = Installer {
    names: &["apk"],
    install: &["add"],
    values: &["t", "virtual", "repository", "X"],
    is_pinned: |package| package.contains(['=', '~', '>', '<']) || is_file(package, ".apk"),
    manager: Manager::Apk,
    example: "(`name=1.2-r0`)",
};

const ZYPPER: Installer = Installer {
    names: &["zypper"],
    install: &["install", "in"],
    values: &[],
    is_pinned: |package| package.contains(['=', '>', '<']) || is_file(package, ".rpm"),
    manager: Manager::Zypper,
    example: "(`name=1.2`)",
};

/// Whether a package is given as a file; package managers know the ending in lower case alone.
fn is_file(package: &str, ending: &str) -> bool {
    package.ends_with(ending)
}

fn versions(view: &View<'_>, found: &mut Found<'_>, installer: &Installer) {
    for (item, _, run) in view.runs() {
        let commands = run.script.commands.iter();
        let installs = commands.filter(|command| command.is(installer.names, installer.install));
        let loose: Vec<pins::Loose<'_>> = installs
            .flat_map(|command| {
                let packages = command.plain_without(installer.values).into_iter();
                packages
                    .filter(|word| {
                        !installer.install.contains(&word.text.as_str()) && !(installer.is_pinned)(&word.text)
                    })
                    .map(move |word| (command, word))
            })
            .collect();
        pins::say(view, found, (item, run), &loose, installer.manager, installer.example);
    }
}

pub(super) fn apt_versions(view: &View<'_>, found: &mut Found<'_>) {
    versions(view, found, &APT);
}

pub(super) fn apk_versions(view: &View<'_>, found: &mut Found<'_>) {
    versions(view, found, &APK);
}

pub(super) fn zypper_versions(view: &View<'_>, found: &mut Found<'_>) {
    versions(view, found, &ZYPPER);
}

pub(super) fn yum_versions(view: &View<'_>, found: &mut Found<'_>) {
    rpm(view, found, &["yum"]);
}

pub(super) fn dnf_versions(view: &View<'_>, found: &mut Found<'_>) {
    rpm(view, found, &["dnf", "microdnf"]);
}

/// `name-version` of yum and dnf, where the version may be a variable that is known; `name:stream` of modules.
fn rpm(view: &View<'_>, found: &mut Found<'_>, names: &[&str]) {
    // What each stage declares, so far.
    let mut declared: Vec<HashSet<&str>> = vec![HashSet::new(); view.file.stages.len()];
    for item in view.items() {
        let Some(stage) = item.stage else { continue };
        if !item.onbuild {
            declared[stage].extend(item.variables());
        }
        let Some(run) = &item.script else { continue };
        let known = |name: &str| view.ancestors(stage).any(|stage| declared[stage.index].contains(name));
        let installs = run.script.named(names).filter(|command| command.has_arg(&["install"]));
        let loose: Vec<pins::Loose<'_>> = installs
            .flat_map(|command| {
                let module = command.has_arg(&["module"]);
                let packages = command.plain().into_iter();
                let packages = packages.filter(|word| !matches!(word.text.as_str(), "install" | "module"));
                let pinned = |word: &Word| {
                    if module {
                        word.text.contains(':')
                    } else {
                        is_rpm_version(&word.text, &known)
                    }
                };
                let loose: Vec<pins::Loose<'_>> = packages
                    .filter(|word| !pinned(word))
                    .map(|word| (command, word))
                    .collect();
                loose
            })
            .collect();
        pins::say(view, found, (item, run), &loose, Manager::Dnf, "(`name-1.2`)");
    }
}

/// Whether what follows the name is a version: pieces of its letters, one of which begins with a digit; or a variable
/// that somebody defines.
fn is_rpm_version(package: &str, known: &dyn Fn(&str) -> bool) -> bool {
    let variable = |piece: &str| {
        let name = piece.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        name.is_some_and(known)
    };
    let letters =
        |piece: &str| !piece.is_empty() && piece.chars().all(|c| c.is_ascii_alphanumeric() || ".~^_:+".contains(c));
    let mut pieces = package.split('-');
    pieces.next();
    let versions: Vec<&str> = pieces.collect();
    let first = versions
        .iter()
        .position(|piece| variable(piece) || piece.starts_with(|c: char| c.is_ascii_digit()));
    first.is_some_and(|first| versions[first..].iter().all(|piece| variable(piece) || letters(piece)))
}

/// A question that nobody answers, unless a flag does.
fn questions(
    view: &View<'_>,
    found: &mut Found<'_>,
    names: &[&str],
    actions: &[&str],
    answered: fn(&Command) -> bool,
    flag: &str,
) {
    for (item, _, run) in view.runs() {
        let mut commands = run.script.commands.iter();
        let Some(command) = commands.find(|command| command.is(names, actions) && !answered(command)) else {
            continue;
        };
        let message = format!(
            "`{}` asks before it goes on, and nobody answers: add `{flag}`",
            command.name
        );
        let all = run
            .script
            .commands
            .iter()
            .filter(|command| command.is(names, actions) && !answered(command));
        let edits = insert_after(run, all, actions, flag);
        *found.word((item, run), command, None, message) = edits.map(|edits| Fix::safe(format!("add `{flag}`"), edits));
    }
}

/// Inserts a flag behind the words that say what to do, in each of these commands; `None` if a place is not known.
fn insert_after<'a>(
    run: &RunScript,
    commands: impl Iterator<Item = &'a Command>,
    actions: &[&str],
    flag: &str,
) -> Option<Vec<Edit>> {
    let edit = |command: &Command| {
        let action = command.args.iter().find(|word| actions.contains(&word.text.as_str()))?;
        let span = run.span(command, &action.range)?;
        Some(Edit::insert(span.end, format!(" {flag}")))
    };
    commands.map(edit).collect()
}

pub(super) fn apt_yes(view: &View<'_>, found: &mut Found<'_>) {
    let answered = |command: &Command| {
        command.has_flag(&["y", "yes", "qq", "assume-yes"])
            || command.count_flag("q") == 2
            || command.count_flag("quiet") == 2
            || command.has_arg(&["-q=2"])
    };
    questions(view, found, &["apt-get"], &["install"], answered, "-y");
}

pub(super) fn yum_yes(view: &View<'_>, found: &mut Found<'_>) {
    let actions = ["install", "groupinstall", "localinstall"];
    let answered = |command: &Command| command.has_flag(&["y", "assumeyes"]);
    questions(view, found, &["yum"], &actions, answered, "-y");
}

pub(super) fn dnf_yes(view: &View<'_>, found: &mut Found<'_>) {
    let actions = ["install", "groupinstall", "localinstall"];
    let answered = |command: &Command| command.has_flag(&["y", "assumeyes"]);
    questions(view, found, &["dnf", "microdnf"], &actions, answered, "-y");
}

pub(super) fn zypper_yes(view: &View<'_>, found: &mut Found<'_>) {
    let actions = ["install", "in", "remove", "rm", "source-install", "si", "patch"];
    let answered = |command: &Command| command.has_flag(&["non-interactive", "n", "no-confirm", "y"]);
    questions(view, found, &["zypper"], &actions, answered, "-y");
}

pub(super) fn apt_recommends(view: &View<'_>, found: &mut Found<'_>) {
    const FLAG: &str = "--no-install-recommends";
    let loose = |command: &&Command| {
        command.is(&["apt-get"], &["install"])
            && !command.has_flag(&["no-install-recommends"])
            && !command
                .args
                .iter()
                .any(|arg| arg.text.contains("APT::Install-Recommends=false"))
    };
    for (item, _, run) in view.runs() {
        let Some(command) = run.script.commands.iter().find(loose) else {
            continue;
        };
        let message = "packages that are only recommended are installed too: add `--no-install-recommends`";
        let edits = insert_after(run, run.script.commands.iter().filter(loose), &["install"], FLAG);
        *found.word((item, run), command, None, message) =
            edits.map(|edits| Fix::careful(format!("add `{FLAG}`"), edits));
    }
}

pub(super) fn apk_cache(view: &View<'_>, found: &mut Found<'_>) {
    let loose = |command: &&Command| command.is(&["apk"], &["add"]) && !command.has_flag(&["no-cache"]);
    for (item, mounts, run) in view.runs() {
        if super::upkeep::is_cached(&mounts.mounts, "/var/cache/apk") {
            continue;
        }
        let Some(command) = run.script.commands.iter().find(loose) else {
            continue;
        };
        let message = "the package index stays in the layer: add `--no-cache`";
        let edits = insert_after(run, run.script.commands.iter().filter(loose), &["add"], "--no-cache");
        *found.word((item, run), command, None, message) = edits.map(|edits| Fix::safe("add `--no-cache`", edits));
        found.costs(Measure::Announced, [item], ANNOUNCED);
    }
}

pub(super) fn zypper_upgrade(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs() {
        let mut commands = run.script.commands.iter();
        if let Some(command) = commands.find(|command| command.is(&["zypper"], &["dist-upgrade", "dup"])) {
            let message = "`zypper dist-upgrade` makes another distribution of the base image: take a newer base";
            found.word((item, run), command, None, message);
        }
    }
}

pub(super) fn apt_for_people(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs() {
        let Some(command) = run.script.named(&["apt"]).next() else {
            continue;
        };
        let edits: Option<Vec<Edit>> = run
            .script
            .named(&["apt"])
            .map(|command| apt_get(run, command))
            .collect();
        *found.word(
            (item, run),
            command,
            None,
            "`apt` is made for terminals and may change: use `apt-get`",
        ) = edits.map(|edits| Fix::safe("use `apt-get` or `apt-cache`", edits));
    }
}

/// What does the same with a stable interface.
fn apt_get(run: &RunScript, command: &Command) -> Option<Edit> {
    let span = run.span(command, &command.first)?;
    let action = command.plain().first().map(|word: &&Word| word.text.clone())?;
    let name = match action.as_str() {
        "update" | "install" | "remove" | "purge" | "upgrade" | "autoremove" | "clean" | "autoclean" | "download"
        | "source" | "build-dep" | "reinstall" => "apt-get",
        "search" | "show" | "policy" | "depends" | "rdepends" => "apt-cache",
        _ => return None,
    };
    // `autopurge`, `list` and `full-upgrade` have other names or none.
    Some(Edit::replace(span, name))
}
