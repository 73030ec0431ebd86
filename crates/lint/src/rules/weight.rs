//! What makes an image larger, or a build slower, than it need be.

use std::collections::HashSet;

use kiln_dockerfile::ast::Kind;

use super::copying::is_whole_context;
use super::stages::is_last;
use super::upkeep::is_cached;
use super::{ANNOUNCED, Found};
use crate::cost::Measure;
use crate::shell::{Command, Word};
use crate::view::{Item, View};

/// What the bytes of a step are that leaves more than it need.
const ITS_LAYER: &str = "its layer has {}";

/// Package managers: their names, what installs, and flags with a value that is no package.
const MANAGERS: &[(&[&str], &[&str], &[&str])] = &[
    (
        &["apt-get", "apt", "aptitude"],
        &["install"],
        &["t", "target-release", "o", "c"],
    ),
    (&["apk"], &["add"], &["t", "virtual", "repository", "X"]),
    (
        &["yum", "dnf", "microdnf"],
        &["install"],
        &["setopt", "enablerepo", "disablerepo"],
    ),
    (&["zypper"], &["install", "in"], &[]),
];

/// The packages that a command installs from a distribution.
pub(super) fn installed(command: &Command) -> Vec<&Word> {
    let manager = MANAGERS.iter().find(|(names, install, _)| command.is(names, install));
    let Some((_, install, values)) = manager else {
        return Vec::new();
    };
    let words = command.plain_without(values).into_iter();
    words
        .filter(|word| word.literal && !install.contains(&word.text.as_str()))
        .collect()
}

/// Packages that compile, or fetch others, and that nothing needs that runs.
const COMPILERS: &[&str] = &[
    "autoconf",
    "automake",
    "build-base",
    "build-essential",
    "cargo",
    "clang",
    "cmake",
    "composer",
    "default-jdk",
    "g++",
    "gcc",
    "gcc-c++",
    "golang",
    "gradle",
    "linux-headers",
    "maven",
    "musl-dev",
    "npm",
    "py3-pip",
    "python3-pip",
    "rust",
    "rustc",
    "yarn",
    "yarnpkg",
];

fn is_compiler(word: &Word) -> bool {
    let name = word.text.split(['=', '~', '<', '>', ':']).next().unwrap_or_default();
    COMPILERS.contains(&name)
}

/// Names of stages that are there to compile or to work in.
fn is_workshop(view: &View<'_>, item: &Item<'_>) -> bool {
    let stage = item.stage.and_then(|stage| view.file.stages.get(stage));
    let name = stage.and_then(|stage| stage.name.as_deref()).unwrap_or_default();
    ["build", "dev", "test", "ci", "tool", "sdk", "compile"]
        .iter()
        .any(|part| name.contains(part))
}

/// A compiler in the stage that is shipped, though there are others.
pub(super) fn compilers(view: &View<'_>, found: &mut Found<'_>) {
    if view.file.stages.len() < 2 {
        return;
    }
    for (item, _, run) in view.runs().filter(|(item, ..)| !item.onbuild && is_last(view, item)) {
        let removes = |command: &Command| command.has_arg(&["purge", "remove", "autoremove", "del", "erase"]);
        if is_workshop(view, item) || run.script.commands.iter().any(removes) {
            continue;
        }
        let tool = run.script.commands.iter().find_map(|command| {
            let tool = installed(command).into_iter().find(|word| is_compiler(word))?;
            Some((command, tool))
        });
        if let Some((command, tool)) = tool {
            let message = format!(
                "`{}` is in the image that is shipped: what it makes can come from another stage",
                tool.text
            );
            found.word((item, run), command, Some(tool), message);
            found.costs(Measure::Bytes, [item], ITS_LAYER);
        }
    }
}

/// What compiles a program whole, and needs nothing of what it used afterwards.
const BUILDS: &[(&[&str], &[&str])] = &[
    (&["go"], &["build", "install"]),
    (&["cargo"], &["build", "install"]),
    (&["mvn", "./mvnw", "mvnw"], &["package", "install", "verify"]),
    (
        &["gradle", "./gradlew", "gradlew"],
        &["build", "bootJar", "assemble", "shadowJar", "installDist"],
    ),
    (&["dotnet"], &["publish"]),
    (&["cmake"], &["--build"]),
];

fn builds(command: &Command) -> bool {
    BUILDS.iter().any(|(names, actions)| command.is(names, actions))
}

/// One stage that compiles and is shipped with all that this took.
pub(super) fn one_stage(view: &View<'_>, found: &mut Found<'_>) {
    let [stage] = &view.file.stages[..] else { return };
    let runs = |item: &Item<'_>| matches!(item.kind, Kind::Cmd(_) | Kind::Entrypoint(_));
    if !view.stage(stage.index).any(|item| !item.onbuild && runs(item)) {
        return;
    }
    for (item, _, run) in view
        .runs()
        .filter(|(item, ..)| !item.onbuild && !is_workshop(view, item))
    {
        // A script that cleans up behind itself knows what it does.
        let cleans = run.script.commands.iter().any(|command| {
            command.has_arg(&["purge", "del", "autoremove", "remove"]) || command.is(&["go", "cargo"], &["clean"])
        });
        if let Some(command) = run
            .script
            .commands
            .iter()
            .find(|command| builds(command))
            .filter(|_| !cleans)
        {
            let message = "the compiler, the sources and all caches are in the image that is shipped: compile in a \
                           stage of its own, and copy what runs";
            found.word((item, run), command, None, message);
            found.costs(
                Measure::Bytes,
                view.steps(stage.index),
                "all its steps together added {}",
            );
            return;
        }
    }
}

/// Compilers, and where they keep what they made.
const CACHES: &[(&[&str], &[&str], &str)] = &[
    (&["go"], &["build", "install", "test"], "/root/.cache/go-build"),
    (&["cargo"], &["build", "install", "test"], "/usr/local/cargo/registry"),
    (
        &["mvn", "./mvnw", "mvnw"],
        &["package", "install", "verify", "compile"],
        "/root/.m2",
    ),
    (
        &["gradle", "./gradlew", "gradlew"],
        &["build", "bootJar", "assemble", "shadowJar"],
        "/root/.gradle",
    ),
];

/// Installers, and where they keep what they fetched.
const DOWNLOADS: &[(&[&str], &[&str], &str)] = &[
    (&["npm"], &["ci", "install"], "/root/.npm"),
    (&["pip", "pip3"], &["install"], "/root/.cache/pip"),
    (&["uv"], &["sync", "install"], "/root/.cache/uv"),
    (&["poetry"], &["install"], "/root/.cache/pypoetry"),
    (&["bundle"], &["install"], "/usr/local/bundle/cache"),
    (&["composer"], &["install"], "/tmp/cache"),
    (&["go"], &["download"], "/go/pkg/mod"),
    (&["apt-get", "apt"], &["install"], "/var/cache/apt"),
    (&["apk"], &["add"], "/var/cache/apk"),
    (&["dnf"], &["install"], "/var/cache/libdnf5"),
];

pub(super) fn compiled_again(view: &View<'_>, found: &mut Found<'_>) {
    no_mount(view, found, CACHES, "compiles everything anew after each edit");
}

pub(super) fn fetched_again(view: &View<'_>, found: &mut Found<'_>) {
    no_mount(view, found, DOWNLOADS, "fetches everything anew after each edit");
}

fn no_mount(view: &View<'_>, found: &mut Found<'_>, tools: &[(&[&str], &[&str], &str)], what: &str) {
    for (item, run, script) in view.runs().filter(|(item, ..)| !item.onbuild) {
        if run.mounts.iter().any(|mount| mount.raw.contains("type=cache")) {
            continue;
        }
        let tool = script.script.commands.iter().find_map(|command| {
            let (.., directory) = tools.iter().find(|(names, actions, _)| command.is(names, actions))?;
            Some((command, directory))
        });
        if let Some((command, directory)) = tool {
            let message = format!(
                "`{}` {what}: `--mount=type=cache,target={directory}` keeps what can be kept",
                command.name
            );
            found.word((item, script), command, None, message);
            found.costs(Measure::Time, [item], "it took {}");
        }
    }
}

/// What npm fetched, in the image that is shipped.
pub(super) fn npm_cache(view: &View<'_>, found: &mut Found<'_>) {
    let source = &view.file.source;
    if source.contains("npm_config_cache") || source.contains("NPM_CONFIG_CACHE") {
        return;
    }
    for (item, run, script) in view.runs().filter(|(item, ..)| !item.onbuild && is_last(view, item)) {
        let first = |command: &Command, words: &[&str]| {
            command
                .args
                .first()
                .is_some_and(|word| words.contains(&word.text.as_str()))
        };
        let installs = |command: &&Command| first(command, &["ci", "install", "i"]) && !command.has_flag(&["cache"]);
        let removes = |command: &Command| {
            let cache = |word: &Word| word.text.contains(".npm") || word.text.contains("_cacache");
            command.name == "npm" && first(command, &["cache"])
                || command.name == "rm" && command.args.iter().any(cache)
        };
        if is_cached(&run.mounts, ".npm") || script.script.commands.iter().any(removes) {
            continue;
        }
        if let Some(command) = script.script.named(&["npm"]).find(installs) {
            let message =
                "npm keeps what it fetched in /root/.npm: end with `npm cache clean --force`, or mount a cache there";
            found.word((item, script), command, None, message);
            found.costs(Measure::Announced, [item], ANNOUNCED);
        }
    }
}

/// Endings of archives.
const ARCHIVES: &[&str] = &[
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip",
];

fn file_name(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// An archive that was fetched and unpacked, and stays.
pub(super) fn archive_stays(view: &View<'_>, found: &mut Found<'_>) {
    for (item, run, script) in view.runs().filter(|(item, ..)| !item.onbuild) {
        let commands = &script.script.commands;
        let mounted = run
            .mounts
            .iter()
            .any(|mount| mount.raw.contains("type=tmpfs") || mount.raw.contains("type=cache"));
        let removes = commands
            .iter()
            .any(|command| matches!(command.name.as_str(), "rm" | "mv" | "unlink"));
        if mounted || removes || !item.stage.is_some_and(|stage| view.is_built_on(stage)) {
            continue;
        }
        let unpack = |command: &&Command| matches!(command.name.as_str(), "tar" | "unzip" | "bsdtar");
        let unpacked = commands.iter().filter(unpack).flat_map(|command| &command.args);
        let unpacked: HashSet<&str> = unpacked.map(|word| file_name(&word.text)).collect();
        let kept = commands.iter().find_map(|fetch| {
            let name = fetched(fetch).filter(|name| unpacked.contains(name))?;
            Some((fetch, name))
        });
        if let Some((command, name)) = kept {
            let message =
                format!("`{name}` stays in the layer beside what was in it: remove it in the same RUN, or use ADD");
            found.word((item, script), command, None, message);
            found.costs(Measure::Bytes, [item], ITS_LAYER);
        }
    }
}

/// The archive that a command writes into the working directory or elsewhere.
fn fetched(command: &Command) -> Option<&str> {
    let output = match command.name.as_str() {
        "curl" => &["o", "output"][..],
        "wget" => &["O", "output-document"][..],
        _ => return None,
    };
    let names = |word: &Word| ARCHIVES.iter().any(|end| word.text.ends_with(end));
    if let Some((_, place)) = command.flags().find(|(flag, _)| output.contains(&flag.as_str())) {
        let value = command.args.get(place + 1)?;
        return names(value).then(|| file_name(&value.text));
    }
    if command.name == "curl" && !command.has_flag(&["O", "remote-name"]) {
        return None;
    }
    let address = command
        .args
        .iter()
        .find(|word| word.text.contains("://") && names(word))?;
    Some(file_name(&address.text))
}

/// A RUN that only takes away what layers below it hold.
pub(super) fn only_removes(view: &View<'_>, found: &mut Found<'_>) {
    // Those with an earlier RUN, which brought something that could be meant.
    let mut begun = HashSet::new();
    for (item, run, script) in view.runs() {
        let before = !begun.insert(item.stage);
        if item.onbuild {
            continue;
        }
        let stays = item.stage.is_some_and(|stage| view.is_built_on(stage));
        let commands = &script.script.commands;
        let does = |command: &&Command| !matches!(command.name.as_str(), "true" | ":" | "set");
        let Some(first) = commands.iter().find(does) else {
            continue;
        };
        if stays && run.mounts.is_empty() && commands.iter().filter(does).all(cleans) && before {
            let message =
                "this frees nothing: what it removes is in the layers before it. Do it in the RUN that brings it";
            found.word((item, script), first, None, message);
        }
    }
}

/// Whether a command does nothing but clean up.
fn cleans(command: &Command) -> bool {
    let cache = |word: &Word| {
        let path = word.text.as_str();
        [
            "/var/lib/apt/lists",
            "/var/cache/",
            "/tmp/",
            "/root/.cache",
            "/root/.npm",
            "/usr/share/doc",
            "/usr/share/man",
        ]
        .iter()
        .any(|directory| path.starts_with(directory))
    };
    match command.name.as_str() {
        "rm" => !command.plain().is_empty() && command.plain().into_iter().all(cache),
        "apt-get" | "apt" | "yum" | "dnf" | "microdnf" | "zypper" => {
            command.has_arg(&["clean", "autoclean", "autoremove", "purge", "remove", "cc", "erase"])
        }
        "apk" => command.has_arg(&["del"]),
        "npm" | "yarn" => command.has_arg(&["cache"]) && command.has_arg(&["clean"]),
        _ => false,
    }
}

/// Directories of a context that nobody wants in an image.
const UNWANTED: &[(&str, &str)] = &[
    (
        ".git",
        "the whole history is sent, and each commit makes the step run again",
    ),
    (
        "node_modules",
        "what was installed for this machine goes over what the image needs",
    ),
    (".env", "what it tells is in the image for everybody to read"),
    ("target", "what the compiler made for this machine is sent"),
    (".venv", "an environment of this machine does not run elsewhere"),
];

/// Their names.
pub(super) fn unwanted() -> impl Iterator<Item = &'static str> {
    UNWANTED.iter().map(|(name, _)| *name)
}

/// `COPY . .` of a context that has such things, and no `.dockerignore` that leaves them out.
pub(super) fn not_ignored(view: &View<'_>, found: &mut Found<'_>) {
    let Some(context) = &view.config.context else { return };
    let all = view.items().find(|item| is_whole_context(item.kind));
    let Some(item) = all else { return };
    for (name, why) in UNWANTED {
        if context.names.contains(name) && !context.leaves_out(name) {
            found.whole(
                item,
                format!("the context has `{name}`, which no .dockerignore leaves out: {why}"),
            );
        }
    }
}
