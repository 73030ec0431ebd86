//! Dependencies that are installed behind the sources, and the order that would keep them.

use kiln_dockerfile::ast::{Copy, Kind, SourcePath};

use super::copying::is_whole_context;
use super::{Found, place, weight};
use crate::cost::Measure;
use crate::finding::{Edit, Fix};
use crate::shell::Command;
use crate::view::{Item, RunScript, View};

/// What installs the dependencies that files of the project name.
struct Installer {
    name: &'static str,
    /// Words of which one is there when it does.
    actions: &'static [&'static str],
    /// The files that it cannot do without.
    needs: &'static [&'static str],
    /// Those that it reads if they are there.
    reads: &'static [&'static str],
    /// What would go over, or change, what was installed, were it copied behind it: without it in the context the order
    /// makes no difference.
    hinders: &'static [&'static str],
    /// Whether it looks at nothing else of the project.
    alone: fn(&Command) -> bool,
}

const INSTALLERS: &[Installer] = &[
    Installer {
        name: "npm",
        actions: &["ci", "install"],
        needs: &["package.json"],
        reads: &["package-lock.json", "npm-shrinkwrap.json", ".npmrc"],
        hinders: &["node_modules", "packages", "patches"],
        alone: installs_project,
    },
    Installer {
        name: "yarn",
        actions: &["install"],
        needs: &["package.json"],
        reads: &["yarn.lock", ".yarnrc", ".yarnrc.yml", ".npmrc"],
        hinders: &["node_modules", "packages", "patches", ".yarn", ".pnp.cjs"],
        alone: installs_project,
    },
    Installer {
        name: "pnpm",
        actions: &["install"],
        needs: &["package.json"],
        reads: &["pnpm-lock.yaml", ".npmrc", ".pnpmfile.cjs"],
        hinders: &["node_modules", "packages", "patches", "pnpm-workspace.yaml"],
        alone: installs_project,
    },
    PIP,
    Installer { name: "pip3", ..PIP },
    Installer {
        name: "poetry",
        actions: &["install"],
        needs: &["pyproject.toml"],
        reads: &["poetry.lock", "poetry.toml"],
        hinders: &[".venv"],
        alone: |command| command.has_flag(&["no-root"]),
    },
    Installer {
        name: "bundle",
        actions: &["install"],
        needs: &["Gemfile"],
        reads: &["Gemfile.lock", ".ruby-version"],
        hinders: &["vendor", ".bundle"],
        alone: |_| true,
    },
    // It writes what it finds of the project's own classes down, and runs the project's scripts.
    Installer {
        name: "composer",
        actions: &["install"],
        needs: &["composer.json"],
        reads: &["composer.lock"],
        hinders: &["vendor"],
        alone: |_| false,
    },
    // Of several modules each has a file.
    Installer {
        name: "mvn",
        actions: &["dependency:go-offline", "dependency:resolve"],
        needs: &["pom.xml"],
        reads: &[],
        hinders: &[],
        alone: |_| false,
    },
    Installer {
        name: "go",
        actions: &["download"],
        needs: &["go.mod"],
        reads: &["go.sum"],
        hinders: &["vendor", "go.work"],
        alone: |command| {
            command
                .plain()
                .iter()
                .all(|word| matches!(word.text.as_str(), "mod" | "download"))
        },
    },
];

const PIP: Installer = Installer {
    name: "pip",
    actions: &["-r"],
    needs: &[REQUIREMENTS],
    reads: &["constraints.txt"],
    hinders: &[],
    // No other file, and nothing of the project itself.
    alone: |command| {
        let known = |word: &&crate::shell::Word| matches!(word.text.as_str(), "install" | REQUIREMENTS);
        command.plain().iter().all(known) && command.has_arg(&[REQUIREMENTS]) && !command.has_flag(&["e", "editable"])
    },
};

const REQUIREMENTS: &str = "requirements.txt";

/// Whether no package is named, and none is installed for all projects.
fn installs_project(command: &Command) -> bool {
    command.plain().len() == 1 && !command.has_flag(&["g", "global", "prefix", "C", "cwd", "dir", "w", "workspace"])
}

/// The names that are looked for in contexts.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let names = |each: &Installer| [each.needs, each.reads, each.hinders].concat();
    INSTALLERS.iter().flat_map(names)
}

fn installer(command: &Command) -> Option<&'static Installer> {
    INSTALLERS
        .iter()
        .find(|each| command.name == each.name && command.has_arg(each.actions))
}

/// `COPY . .`, and then an installation that every edit repeats.
pub(super) fn behind_sources(view: &View<'_>, found: &mut Found<'_>) {
    for stage in 0..view.file.stages.len() {
        let mut items = view.stage(stage).filter(|item| !item.onbuild);
        let Some((item, copy)) = items.find_map(|item| Some((item, everything(item)?))) else {
            continue;
        };
        let scripts: Vec<_> = items.filter_map(|item| Some((item, item.script.as_ref()?))).collect();
        let install = scripts.iter().find_map(|(item, run)| {
            let found = run.script.commands.iter().find_map(installer)?;
            Some((*item, *run, found))
        });
        let Some((install, run, tool)) = install else { continue };
        let files = files(view, tool);
        let message = format!(
            "any edit of the sources repeats `{}` in line {}: copy the files that name the dependencies first (`COPY {} \
             ./`), install, then copy the rest",
            tool.name,
            install.instruction.lines.0,
            files.join(" ")
        );
        *found.whole(item, message) = reorder(view, (item, copy), (install, run), tool, &files);
        // What a distribution's packages are does not depend on the sources either.
        let repeated = scripts
            .into_iter()
            .filter(|(_, run)| run.script.commands.iter().any(installs));
        let repeated: Vec<_> = repeated.collect();
        let alone = repeated.iter().all(|(_, run)| run.script.commands.iter().all(belongs));
        let what = if alone {
            "each edit of the sources repeats {} of installing"
        } else {
            "each edit of the sources repeats {} of installing and what the same RUN does"
        };
        found.costs(Measure::Time, repeated.into_iter().map(|(item, _)| item), what);
    }
}

fn installs(command: &Command) -> bool {
    installer(command).is_some() || !weight::installed(command).is_empty()
}

/// Whether a command installs, or goes before or behind that.
fn belongs(command: &Command) -> bool {
    const AROUND: &[&str] = &[
        "apk", "apt", "apt-get", "cd", "dnf", "microdnf", "rm", "set", "true", "yum", "zypper",
    ];
    installs(command) || AROUND.contains(&command.name.as_str()) || cleans(command)
}

/// Whether a command empties a cache.
fn cleans(command: &Command) -> bool {
    command.has_arg(&["cache"]) && command.has_arg(&["clean"])
}

fn everything<'a>(item: &Item<'a>) -> Option<&'a Copy> {
    match item.kind {
        Kind::Copy(copy) if is_whole_context(item.kind) => Some(copy),
        _ => None,
    }
}

/// The files that name the dependencies: those that are there, or where that is not known those that mostly are.
fn files(view: &View<'_>, tool: &Installer) -> Vec<&'static str> {
    let all = tool.needs.iter().chain(tool.reads).copied();
    match &view.config.context {
        Some(context) if tool.needs.iter().all(|name| context.has(name)) => {
            all.filter(|name| context.has(name)).collect()
        }
        _ => tool.needs.iter().chain(tool.reads.first()).copied().collect(),
    }
}

/// Copies the files alone, then installs, then copies the rest. `None` where something else of the sources may be read, or
/// what was installed would not stay what it was.
fn reorder(
    view: &View<'_>,
    (item, copy): (&Item<'_>, &Copy),
    (install, run): (&Item<'_>, &RunScript),
    tool: &Installer,
    files: &[&str],
) -> Option<Fix> {
    let context = view.config.context.as_ref()?;
    let there = tool.needs.iter().all(|name| context.has(name)) && !tool.hinders.iter().any(|name| context.has(name));
    let Kind::Run(flags) = install.kind else { return None };
    let plain_mounts = flags.mounts.iter().all(|mount| {
        ["type=cache", "type=secret", "type=ssh"]
            .iter()
            .any(|kind| mount.raw.contains(kind))
    });
    let follows = std::ptr::eq(place::next(view, item)?, install.kind);
    if !(there && follows && plain_mounts && reads_nothing_else(run, tool)) {
        return None;
    }
    let words = flags_and_target(view, item, copy)?;
    let text = view.file.source.get(install.instruction.span.range())?;
    if !install.instruction.comments.is_empty() {
        return None;
    }
    let newline = place::newline(view);
    let lines = format!("{}{} {}{newline}{text}{newline}", words.0, files.join(" "), words.1);
    let edits = vec![
        Edit::insert(item.instruction.span.start, lines),
        place::without(view, install)?,
    ];
    Some(Fix::careful("copy the files that name the dependencies first", edits))
}

/// Whether a RUN installs, perhaps cleans up, and does nothing else.
fn reads_nothing_else(run: &RunScript, tool: &Installer) -> bool {
    let plain =
        |command: &Command| installer(command).is_some_and(|each| each.name == tool.name) && (tool.alone)(command);
    let simple = run.line().is_some_and(|text| !text.contains(['<', '$', '`', '(']));
    simple
        && run.script.valid
        && run
            .script
            .commands
            .iter()
            .all(|command| plain(command) || command.name == tool.name && cleans(command))
}

/// What stands before the sources of a COPY of everything into the working directory, and where the files go then.
fn flags_and_target<'v>(view: &View<'v>, item: &Item<'_>, copy: &Copy) -> Option<(&'v str, String)> {
    let transfer = &copy.transfer;
    let [SourcePath::Path(source)] = &transfer.sources[..] else {
        return None;
    };
    let target = transfer.destination.raw.as_str();
    let path = target.trim_end_matches('/');
    let here = matches!(path, "." | "") || item.state.directory.as_deref() == Some(path);
    let root = target.starts_with('/') && path.is_empty() && item.state.directory.as_deref() != Some("/");
    let before = view.file.source.get(item.instruction.span.start..source.span.start)?;
    let plain = !before.contains(['[', '\n']) && copy.edits.is_empty() && !copy.parents && transfer.exclude.is_empty();
    (here && !root && plain).then(|| (before, format!("{path}/")))
}
