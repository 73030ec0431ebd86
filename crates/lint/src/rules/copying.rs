//! COPY and ADD.

use std::collections::{BTreeMap, HashMap, HashSet};

use kiln_dockerfile::ast::{Kind, SourcePath, Transfer, Word};

use super::{Found, place, unquoted};
use crate::finding::{Edit, Fix};
use crate::view::{Item, View};

/// Endings of archives.
const ARCHIVES: &[&str] = &[
    ".tar", ".Z", ".bz2", ".gz", ".lz", ".lzma", ".tZ", ".tb2", ".tbz", ".tbz2", ".tgz", ".tlz", ".tpz", ".txz", ".xz",
];

fn is_archive(path: &str) -> bool {
    let path = unquoted(path);
    ARCHIVES.iter().any(|end| path.ends_with(end))
}

/// Whether it copies all of the context: `COPY . .`, however that is written.
pub(super) fn is_whole_context(kind: &Kind) -> bool {
    let transfer = match kind {
        Kind::Copy(copy) if copy.from.is_none() => &copy.transfer,
        Kind::Add(add) => &add.transfer,
        _ => return false,
    };
    let whole = |source: &SourcePath| match source {
        SourcePath::Path(word) => {
            let mut parts = unquoted(&word.raw).split('/').filter(|part| !matches!(*part, "" | "."));
            !word.raw.is_empty() && parts.next().is_none_or(|part| part == "*") && parts.next().is_none()
        }
        SourcePath::Heredoc(_) => false,
    };
    transfer.sources.iter().any(whole)
}

pub(super) fn add_for_files(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let Kind::Add(add) = item.kind else { continue };
        let plain = |source: &SourcePath| match source {
            SourcePath::Path(word) => {
                let path = unquoted(&word.raw);
                !(is_archive(path) || path.starts_with("http://") || path.starts_with("https://"))
            }
            SourcePath::Heredoc(_) => true,
        };
        if !add.transfer.sources.iter().any(plain) {
            continue;
        }
        let message = "ADD also unpacks and downloads: COPY says that files are copied as they are";
        *found.whole(item, message) = copy_instead(item, add);
    }
}

/// COPY does the same for paths of the context, where nothing is unpacked or downloaded.
fn copy_instead(item: &Item<'_>, add: &kiln_dockerfile::ast::Add) -> Option<Fix> {
    let only_files = add.transfer.sources.iter().all(|source| match source {
        SourcePath::Path(word) => {
            let path = word.raw.as_str();
            let remote = path.contains("://") || path.starts_with("git@") || path.contains('$');
            let packed = [".zst", ".tzst"].iter().any(|end| path.ends_with(end));
            !(remote || packed || is_archive(path))
        }
        SourcePath::Heredoc(_) => true,
    });
    let own_flags = add.checksum.is_some() || add.keep_git_dir.is_some() || add.unpack.is_some();
    if !only_files || own_flags {
        return None;
    }
    let keyword = &item.instruction.keyword;
    let copy = if keyword.raw.starts_with('a') { "copy" } else { "COPY" };
    let edit = Edit::replace(keyword.span, copy);
    // A pattern or a name without an ending may be an archive after all.
    let certain = add.transfer.sources.iter().all(|source| match source {
        SourcePath::Path(word) => word
            .raw
            .rsplit('/')
            .next()
            .is_some_and(|name| name.contains('.') && !name.contains('*')),
        SourcePath::Heredoc(_) => true,
    });
    let title = "use COPY";
    Some(if certain {
        Fix::safe(title, vec![edit])
    } else {
        Fix::careful(title, vec![edit])
    })
}

pub(super) fn directory(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let Kind::Copy(copy) = item.kind else { continue };
        let to = &copy.transfer.destination;
        if copy.edits.is_empty() && copy.transfer.sources.len() > 1 && !unquoted(&to.raw).ends_with('/') {
            let written = view.file.source.get(to.span.range()).unwrap_or_default();
            let quoted = usize::from(written.ends_with(['"', '\'']));
            let plain = !unquoted(written).contains(['"', '\'', '\\', '\n']);
            let message = "several sources need a directory to go to: end it with `/`";
            *found.say(item, to.span, message) =
                plain.then(|| Fix::careful("end it with `/`", vec![Edit::insert(to.span.end - quoted, "/")]));
        }
    }
}

pub(super) fn unknown_stage(view: &View<'_>, found: &mut Found<'_>) {
    // The stages up to the one that is looked at, as they are written.
    let mut names: HashSet<&str> = HashSet::new();
    for item in view.items().filter(|item| !item.onbuild) {
        let (copy, stage) = match (item.kind, item.stage) {
            (Kind::From(from), _) => {
                names.extend(from.name.iter().map(|name| name.raw.as_str()));
                continue;
            }
            (Kind::Copy(copy), Some(stage)) => (copy, stage),
            _ => continue,
        };
        let Some(from) = &copy.from else { continue };
        let number = from.raw.parse::<usize>().is_ok_and(|number| number <= stage);
        let given = view.is_given(&from.raw);
        if !names.contains(from.raw.as_str()) && !number && !from.raw.contains(':') && !given {
            let message = format!(
                "no earlier stage is called `{}`: an image of that name will be pulled",
                from.raw
            );
            found.say(item, from.span, message);
        }
    }
}

pub(super) fn own_stage(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let (Kind::Copy(copy), Some(stage)) = (item.kind, item.stage) else {
            continue;
        };
        let own = view.file.stages[stage].from.name.as_ref();
        if let (Some(from), Some(own)) = (&copy.from, own)
            && from.raw == own.raw
        {
            found.say(item, from.span, "a stage cannot copy from itself");
        }
    }
}

pub(super) fn everything(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let Kind::Copy(copy) = item.kind else { continue };
        let root = |source: &SourcePath| matches!(source, SourcePath::Path(word) if unquoted(&word.raw) == "/");
        if copy.from.is_some()
            && copy.transfer.sources.iter().any(root)
            && unquoted(&copy.transfer.destination.raw) == "/"
        {
            let message = "this stores every file of another stage again: FROM it, or copy what is needed";
            found.whole(item, message);
        }
    }
}

pub(super) fn relative(view: &View<'_>, found: &mut Found<'_>) {
    let mut with_workdir = vec![false; view.file.stages.len()];
    for item in view.items() {
        let Some(stage) = item.stage else { continue };
        match item.kind {
            Kind::From(_) => with_workdir[stage] = view.parents[stage].is_some_and(|parent| with_workdir[parent]),
            Kind::Workdir(_) if !item.onbuild => with_workdir[stage] = true,
            Kind::Copy(copy) if !item.onbuild && !with_workdir[stage] => {
                let to = &copy.transfer.destination;
                let path = unquoted(&to.raw);
                if !(path.starts_with(['/', '$']) || path.chars().nth(1) == Some(':')) {
                    let message = "where this goes depends on the base image: there is no WORKDIR before it";
                    *found.say(item, to.span, message) = absolute(view, item, to);
                }
            }
            _ => {}
        }
    }
}

/// The destination from the root on. What it is relative to is known of some base images; that of most is the root.
fn absolute(view: &View<'_>, item: &Item<'_>, to: &Word) -> Option<Fix> {
    let known = item.state.directory.as_deref();
    let edit = place::below_directory(view, to, known.unwrap_or("/"))?;
    let title = format!("copy to `{}`", unquoted(&edit.text));
    Some(if known.is_some() {
        Fix::safe(title, vec![edit])
    } else {
        Fix::careful(title, vec![edit])
    })
}

fn base_name(path: &str) -> &str {
    let path = unquoted(path);
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Archives that are copied and then unpacked in the same stage.
pub(super) fn unpacked(view: &View<'_>, found: &mut Found<'_>) {
    for stage in 0..view.file.stages.len() {
        let mut copied: HashMap<&str, Vec<&Item<'_>>> = HashMap::new();
        let mut said: BTreeMap<usize, &Item<'_>> = BTreeMap::new();
        for item in view.stage(stage).filter(|item| !item.onbuild) {
            match (item.kind, &item.script) {
                (Kind::Copy(copy), _) if copy.from.is_none() => {
                    for name in archives(&copy.transfer) {
                        copied.entry(name).or_default().push(item);
                    }
                }
                (Kind::Run(_), Some(run)) => {
                    let tools = run.script.commands.iter().filter(|command| unpacks(command));
                    for arg in tools.flat_map(|command| &command.args) {
                        let items = copied.remove(base_name(&arg.text)).unwrap_or_default();
                        said.extend(items.into_iter().map(|item| (item.instruction.span.start, item)));
                    }
                }
                _ => {}
            }
        }
        for item in said.into_values() {
            let message = "an archive is copied and then unpacked: it weighs twice; ADD unpacks what it copies";
            found.whole(item, message);
        }
    }
}

fn archives(transfer: &Transfer) -> Vec<&str> {
    let to = transfer.destination.raw.as_str();
    if is_archive(to) {
        return vec![base_name(to)];
    }
    let sources = transfer.sources.iter().filter_map(|source| match source {
        SourcePath::Path(word) if is_archive(&word.raw) => Some(base_name(&word.raw)),
        _ => None,
    });
    sources.collect()
}

fn unpacks(command: &crate::shell::Command) -> bool {
    const TOOLS: &[&str] = &[
        "unzip",
        "gunzip",
        "bunzip2",
        "unlzma",
        "unxz",
        "zgz",
        "uncompress",
        "zcat",
        "gzcat",
    ];
    let tar = command.name == "tar" && command.has_flag(&["x", "extract", "get"]);
    tar || TOOLS.contains(&command.name.as_str())
}
