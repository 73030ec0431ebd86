//! Stages: what they are called, what they are built on, what is carried from one to another.

use std::collections::{HashMap, HashSet};

use kiln_dockerfile::ast::{Command, Copy, Kind, SourcePath, Span};
use kiln_dockerfile::suggest;

use super::Found;
use super::from::from_of;
use crate::cost::Measure;
use crate::shell;
use crate::view::{Item, View};

/// Images that are meant when they are named, whatever a stage is called.
const WELL_KNOWN: &[&str] = &[
    "adminer",
    "almalinux",
    "alpine",
    "amazonlinux",
    "archlinux",
    "bash",
    "buildpack-deps",
    "busybox",
    "caddy",
    "centos",
    "composer",
    "debian",
    "docker",
    "elixir",
    "erlang",
    "fedora",
    "gcc",
    "golang",
    "gradle",
    "haproxy",
    "haskell",
    "httpd",
    "julia",
    "mariadb",
    "maven",
    "memcached",
    "mongo",
    "mysql",
    "nginx",
    "node",
    "openjdk",
    "perl",
    "php",
    "postgres",
    "python",
    "rabbitmq",
    "redis",
    "rockylinux",
    "ruby",
    "rust",
    "scratch",
    "swift",
    "tomcat",
    "traefik",
    "ubuntu",
];

/// `--from=biuld`: no stage has that name, so that an image of it is asked for.
pub(super) fn near_miss(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        let Some(stage) = item.stage else { continue };
        let named: Vec<(String, Span)> = match item.kind {
            Kind::From(from) => vec![(from.image.raw.clone(), from.image.span)],
            Kind::Copy(copy) => copy.from.iter().map(|from| (from.raw.clone(), from.span)).collect(),
            Kind::Run(run) => run.mounts.iter().filter_map(from_of).collect(),
            _ => Vec::new(),
        };
        for (name, span) in named {
            if let Some(message) = missed(view, &name, stage) {
                found.say(item, span, message);
            }
        }
    }
}

fn missed(view: &View<'_>, name: &str, stage: usize) -> Option<String> {
    let number = name.bytes().all(|byte| byte.is_ascii_digit());
    let image = name.contains([':', '/', '@', '.', '$']) || WELL_KNOWN.contains(&name);
    if number || image || view.is_given(name) || view.stage_by_name(name, stage).is_some() {
        return None;
    }
    if view.comes_later(name, stage + 1) {
        return Some(format!(
            "the stage `{name}` comes later: here it is the name of an image, which is pulled"
        ));
    }
    let before = view.file.stages.get(..stage).unwrap_or_default();
    let near = suggest::closest(name, before.iter().filter_map(|stage| stage.name.as_deref()))?;
    Some(format!(
        "no stage is called `{name}`, so that an image of that name is pulled: `{near}` is meant?"
    ))
}

/// Which C library the programs of a stage find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Libc {
    Glibc,
    Musl,
    /// There is none: only static programs run.
    Nothing,
}

/// Images with Debian's or another distribution's glibc, where their tag does not say something else.
const GLIBC: &[&str] = &[
    "almalinux",
    "amazonlinux",
    "buildpack-deps",
    "centos",
    "debian",
    "eclipse-temurin",
    "fedora",
    "gcc",
    "golang",
    "haskell",
    "node",
    "openjdk",
    "oraclelinux",
    "perl",
    "php",
    "python",
    "rockylinux",
    "ruby",
    "rust",
    "swift",
    "ubuntu",
];

/// The image at the bottom of a stage, without what is before its name.
fn bottom<'a>(view: &View<'a>, stage: usize) -> &'a str {
    let image = view
        .ancestors(stage)
        .last()
        .map_or("", |stage| stage.from.image.raw.as_str());
    image.rsplit('/').next().unwrap_or(image)
}

fn libc(view: &View<'_>, stage: usize) -> Option<Libc> {
    let image = bottom(view, stage);
    let name = image.split([':', '@']).next().unwrap_or_default();
    if image == "scratch" || name.starts_with("static-debian") {
        Some(Libc::Nothing)
    } else if image.contains("alpine") {
        Some(Libc::Musl)
    } else {
        (GLIBC.contains(&name) && !image.contains('$')).then_some(Libc::Glibc)
    }
}

/// A program that was linked with glibc, where there is none.
pub(super) fn other_libc(view: &View<'_>, found: &mut Found<'_>) {
    let mut linkers: HashMap<usize, Linker> = HashMap::new();
    let mut known = HashMap::new();
    for item in view.items().filter(|item| !item.onbuild) {
        let (Kind::Copy(copy), Some(stage)) = (item.kind, item.stage) else {
            continue;
        };
        let Some(from) = &copy.from else { continue };
        let there = match libc(view, stage) {
            Some(Libc::Nothing) => "this stage has no C library",
            Some(Libc::Musl) => "this stage has musl",
            _ => continue,
        };
        let Some(source) = view.stage_by_name(&from.raw, stage) else {
            continue;
        };
        if libc(view, source) != Some(Libc::Glibc) || is_data(copy) {
            continue;
        }
        let linker = *linkers
            .entry(source)
            .or_insert_with(|| linker(view, source, &mut known));
        if let Some((tool, remedy)) = linker.filter(|(tool, _)| may_be_made_by(tool, copy)) {
            let message = format!(
                "what `{tool}` makes in `{}` needs glibc, and {there}: {remedy}",
                from.raw
            );
            found.say(item, from.span, message);
        }
    }
}

pub(super) fn paths(copy: &Copy) -> impl Iterator<Item = &str> {
    copy.transfer.sources.iter().filter_map(|source| match source {
        SourcePath::Path(word) => Some(word.raw.as_str()),
        SourcePath::Heredoc(_) => None,
    })
}

/// Whether what is copied is certainly no program.
fn is_data(copy: &Copy) -> bool {
    let data = |path: &str| {
        let endings = [
            ".crt", ".pem", ".html", ".json", ".txt", ".js", ".css", "/passwd", "/group", "/dist", "/public",
        ];
        path.starts_with("/etc/") || path.starts_with("/usr/share/") || endings.iter().any(|end| path.ends_with(end))
    };
    paths(copy).all(data)
}

/// What links with glibc in a stage: a tool, and how its programs become static.
type Linker = Option<(&'static str, &'static str)>;

/// What is done in a stage, as far as it says what is linked with.
#[derive(Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is said, or not, by another instruction"
)]
struct Linking {
    go: bool,
    cargo: bool,
    pip: bool,
    statically: bool,
    without_c: bool,
    wasm: bool,
}

impl Linking {
    fn of(view: &View<'_>, stage: usize) -> Self {
        let mut all = Self::default();
        for item in view.stage(stage) {
            let says = |words: &[&str]| words.iter().any(|word| item.instruction.text.contains(word));
            all.statically |= says(&["-static", "musl", "crt-static"]);
            all.without_c |= says(&["CGO_ENABLED"]);
            all.wasm |= says(&["wasm"]);
            let Some(run) = &item.script else { continue };
            let does = |name: &str, actions: &[&str]| {
                let mut commands = run.script.commands.iter();
                commands.any(|command| (name.is_empty() || command.name == name) && command.has_arg(actions))
            };
            all.go |= does("go", &["build", "install"]);
            all.cargo |= does("cargo", &["build", "install"]);
            all.pip |= does("", &["install"]);
        }
        all
    }
}

fn linker(view: &View<'_>, stage: usize, known: &mut HashMap<usize, Linking>) -> Linker {
    let mut all = Linking::default();
    for each in view.ancestors(stage) {
        let own = known.entry(each.index).or_insert_with(|| Linking::of(view, each.index));
        all.go |= own.go;
        all.cargo |= own.cargo;
        all.statically |= own.statically;
        all.without_c |= own.without_c;
        all.wasm |= own.wasm;
        all.pip |= each.index == stage && own.pip;
    }
    if all.statically {
        return None;
    }
    if all.go && !all.without_c {
        return Some(("go build", "set CGO_ENABLED=0"));
    }
    if all.cargo && !all.wasm {
        return Some((
            "cargo build",
            "build for a musl target, or take a Debian image for this stage",
        ));
    }
    let pip = libc_is_python(view, stage) && all.pip;
    pip.then_some((PIP, "take Alpine for both stages, or Debian"))
}

const PIP: &str = "pip";

/// Whether what is copied may be what a tool made.
fn may_be_made_by(tool: &str, copy: &Copy) -> bool {
    let packages = |path: &str| {
        let parts = ["site-packages", "venv", "/install", "/.local", "/wheels"];
        parts.iter().any(|part| path.contains(part))
    };
    tool != PIP || paths(copy).any(packages)
}

fn libc_is_python(view: &View<'_>, stage: usize) -> bool {
    bottom(view, stage).starts_with("python:")
}

/// Commands for a shell in a stage that starts from nothing and brings none.
pub(super) fn no_shell(view: &View<'_>, found: &mut Found<'_>) {
    for stage in view
        .file
        .stages
        .iter()
        .filter(|stage| stage.from.image.raw == "scratch")
    {
        let mut copied: Vec<&str> = Vec::new();
        let mut anything = false;
        for item in view.stage(stage.index).filter(|item| !item.onbuild) {
            match item.kind {
                Kind::Add(_) => anything = true,
                Kind::Copy(copy) => {
                    copied.extend(
                        paths(copy)
                            .chain([copy.transfer.destination.raw.as_str()])
                            .map(last_part),
                    );
                }
                Kind::Run(run) if copied.is_empty() && !anything && run.mounts.is_empty() => {
                    if let Command::Shell(text) = &run.command {
                        found.say(
                            item,
                            text.span,
                            "`scratch` has no shell: nothing runs before something is copied",
                        );
                    }
                }
                Kind::Cmd(Command::Shell(text)) | Kind::Entrypoint(Command::Shell(text)) if !anything => {
                    let program = text.raw.split_ascii_whitespace().next().map_or("", last_part);
                    let shell = copied
                        .iter()
                        .any(|name| ["sh", "bash", "busybox", "bin", "", "."].contains(name));
                    if copied.contains(&program) && !shell {
                        let message = "this stage has no shell to read it: give the command as a JSON array";
                        found.say(item, text.span, message);
                    }
                }
                _ => {}
            }
        }
    }
}

pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What compiles for whatever target there is, and is made for the machine that builds (github.com/tonistiigi/xx).
const CROSS: &[&str] = &["xx-go", "xx-cargo"];

/// Programs for the target that are compiled on it, under emulation, though their compiler needs none. Of Rust's that is only
/// sure where the wrapper for it is called: `cargo --target` also chooses a C library.
pub(super) fn emulated(view: &View<'_>, found: &mut Found<'_>) {
    let mut said = HashSet::new();
    for (item, _, run) in view.runs().filter(|(item, ..)| !item.onbuild) {
        let Some(stage) = item.stage else { continue };
        if view.ancestors(stage).any(|stage| stage.from.platform.is_some()) {
            continue;
        }
        let set = |word: &shell::Word| word.text.contains("TARGETARCH");
        let goes = |command: &&shell::Command| command.is(&["go"], &["build", "install"]);
        let exported = |text: &str| text.contains("GOARCH=$TARGETARCH") || text.contains("GOARCH=${TARGETARCH}");
        let mut compiles = run.script.commands.iter().filter(goes).peekable();
        let all = compiles.peek().is_some() && run.text().is_some_and(exported);
        let go = compiles.find(|command| all || command.assignments.iter().any(set));
        let wrapped = |command: &&shell::Command| command.is(CROSS, &["build", "install"]);
        let command = go.or_else(|| run.script.commands.iter().find(wrapped));
        if let Some(command) = command {
            let message = "this compiles for any platform, but runs on the target's, emulated: FROM \
                           --platform=$BUILDPLATFORM lets it run on this machine's";
            found.word((item, run), command, None, message);
            // The time of the stage is that of its first finding.
            if said.insert(stage) {
                found.costs(Measure::EmulatedTime, view.steps(stage), "emulated, this stage took {}");
            }
        }
    }
}

/// The same packages in two stages on the same image.
pub(super) fn common_base(view: &View<'_>, found: &mut Found<'_>) {
    // For each image the first stage that installs something on it, and what.
    let mut first: HashMap<&str, (usize, HashSet<String>)> = HashMap::new();
    for (item, _, run) in view.runs().filter(|(item, ..)| !item.onbuild) {
        let Some(stage) = item.stage.filter(|stage| view.parents[*stage].is_none()) else {
            continue;
        };
        let image = view.file.stages[stage].from.image.raw.as_str();
        for command in &run.script.commands {
            let packages = super::weight::installed(command);
            if packages.is_empty() {
                continue;
            }
            let (other, before) = first.entry(image).or_insert_with(|| (stage, HashSet::new()));
            if *other == stage {
                before.extend(packages.iter().map(|word| word.text.clone()));
            } else if packages.iter().filter(|word| before.contains(&word.text)).count() > 1 {
                let line = view.file.line(view.file.stages[*other].instruction.span.start);
                let message = format!(
                    "the stage of line {line} installs the same on the same image: a stage that both are built on does it once"
                );
                found.word((item, run), command, None, message);
                found.costs(Measure::Time, [item], "doing it again took {}");
            }
        }
    }
}

/// Whether an item is in the last stage.
pub(super) fn is_last(view: &View<'_>, item: &Item<'_>) -> bool {
    item.stage.is_some_and(|stage| stage + 1 == view.file.stages.len())
}
