//! FROM: tags, platforms, names, registries.

use std::collections::HashSet;

use kiln_dockerfile::ast::{Kind, Span, Stage, Word};

use super::Found;
use crate::finding::{Edit, Fix};
use crate::view::{Item, View};

/// What a FROM names, in its parts.
struct Image<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: bool,
}

impl<'a> Image<'a> {
    fn read(text: &'a str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, _)) => (rest, true),
            None => (text, false),
        };
        // What is behind the first part that has a dot or a port is no tag, unless nothing follows it.
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last..].find(':') {
            Some(colon) => (&rest[..last + colon], Some(&rest[last + colon + 1..])),
            None => (rest, None),
        };
        Self { name, tag, digest }
    }
}

/// Each FROM with its item, and whether it names an earlier stage, or a context that is given beside the files.
fn froms<'v, 'a>(view: &'v View<'a>) -> impl Iterator<Item = (&'v Item<'a>, &'a Stage, bool)> {
    let mut names: HashSet<&str> = HashSet::new();
    let items = view.items().filter(|item| matches!(item.kind, Kind::From(_)));
    items.zip(&view.file.stages).map(move |(item, stage)| {
        let image = stage.from.image.raw.as_str();
        let known = names.contains(image) || view.is_given(image);
        names.extend(stage.from.name.iter().map(|name| name.raw.as_str()));
        (item, stage, known)
    })
}

pub(super) fn no_tag(view: &View<'_>, found: &mut Found<'_>) {
    for (item, stage, known) in froms(view) {
        let text = stage.from.image.raw.as_str();
        let image = Image::read(text);
        if known || text == "scratch" || text.starts_with('$') || image.digest || image.tag.is_some() {
            continue;
        }
        let message = format!("`{text}` may be any version: the image's tag says which");
        *found.say(item, stage.from.image.span, message) = pinned(view, &stage.from.image);
    }
}

/// The image with its tag or digest, where that is known.
fn pinned(view: &View<'_>, image: &Word) -> Option<Fix> {
    let pinned = view.config.known.bases.get(&image.raw)?.pinned.as_ref()?;
    let same = view.file.source.get(image.span.range()) == Some(&image.raw);
    let edit = Edit::replace(image.span, pinned.clone());
    same.then(|| Fix::careful(format!("use `{pinned}`"), vec![edit]))
}

pub(super) fn latest(view: &View<'_>, found: &mut Found<'_>) {
    for (item, stage, _) in froms(view) {
        let image = Image::read(&stage.from.image.raw);
        if image.tag == Some("latest") && !image.digest {
            let message = format!("`{}:latest` is another image next month: name a version", image.name);
            *found.say(item, stage.from.image.span, message) = pinned(view, &stage.from.image);
        }
    }
}

pub(super) fn platform(view: &View<'_>, found: &mut Found<'_>) {
    for (item, stage, _) in froms(view) {
        if let Some(platform) = &stage.from.platform
            && !platform.raw.contains("BUILDPLATFORM")
            && !platform.raw.contains("TARGETPLATFORM")
        {
            let message = "this stage is always for the same platform, whatever is built for";
            let constant = !platform.raw.contains('$');
            let fix = without_flag(view, item, platform).filter(|_| constant);
            *found.say(item, platform.span, message) = fix.map(|fix| Fix::careful(fix.title, fix.edits));
        }
    }
}

pub(super) fn target_platform(view: &View<'_>, found: &mut Found<'_>) {
    for (item, stage, _) in froms(view) {
        if let Some(platform) = &stage.from.platform
            && matches!(platform.raw.as_str(), "$TARGETPLATFORM" | "${TARGETPLATFORM}")
        {
            let message = "`--platform=$TARGETPLATFORM` is what FROM does anyway";
            let fix = without_flag(view, item, platform);
            *found.say(item, platform.span, message) = fix;
        }
    }
}

/// Takes `--platform=…` and the blank behind it away.
fn without_flag(view: &View<'_>, item: &Item<'_>, platform: &Word) -> Option<Fix> {
    let start = item.instruction.keyword.span.end;
    let before = view.file.source.get(start..platform.span.start)?;
    let at = start + before.find("--platform=")?;
    let rest = view.file.source.get(platform.span.end..)?;
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let span = Span {
        start: at,
        end: platform.span.end + blanks,
    };
    (blanks > 0).then(|| Fix::safe("leave `--platform` out", vec![Edit::replace(span, "")]))
}

pub(super) fn duplicate_name(view: &View<'_>, found: &mut Found<'_>) {
    let mut seen = HashSet::new();
    for (item, stage, _) in froms(view) {
        if let Some(name) = &stage.from.name
            && !seen.insert(name.raw.as_str())
        {
            found.say(
                item,
                name.span,
                format!("an earlier stage is called `{}` too", name.raw),
            );
        }
    }
}

pub(super) fn reserved_name(view: &View<'_>, found: &mut Found<'_>) {
    for (item, stage, _) in froms(view) {
        if let Some(name) = &stage.from.name
            && matches!(name.raw.as_str(), "scratch" | "context")
        {
            let message = format!("`{}` means something else than a stage: give it another name", name.raw);
            found.say(item, name.span, message);
        }
    }
}

/// Images of FROM, COPY --from and mounts.
pub(super) fn registries(view: &View<'_>, found: &mut Found<'_>) {
    let trusted = &view.config.trusted_registries;
    if trusted.is_empty() {
        return;
    }
    let mut names: HashSet<&str> = HashSet::new();
    for item in view.items() {
        let images: Vec<(String, Span)> = match item.kind {
            Kind::From(from) => vec![(from.image.raw.clone(), from.image.span)],
            Kind::Copy(copy) => copy.from.iter().map(|from| (from.raw.clone(), from.span)).collect(),
            Kind::Run(run) => run.mounts.iter().filter_map(from_of).collect(),
            _ => Vec::new(),
        };
        for (image, span) in images {
            let stage = names.contains(image.as_str()) || image.bytes().all(|byte| byte.is_ascii_digit());
            if !stage && image != "scratch" && !trusted.iter().any(|pattern| is_from(&image, pattern)) {
                let message = format!("`{image}` comes from a registry that is not trusted");
                found.say(item, span, message);
            }
        }
        if let Kind::From(from) = item.kind {
            names.extend(from.name.iter().map(|name| name.raw.as_str()));
        }
    }
}

pub(super) fn from_of(mount: &Word) -> Option<(String, Span)> {
    let mut parts = mount.raw.split(',').filter_map(|part| part.split_once('='));
    parts
        .find(|(key, _)| *key == "from")
        .map(|(_, value)| (value.to_owned(), mount.span))
}

fn is_from(image: &str, pattern: &str) -> bool {
    let first = image.split('/').next().unwrap_or_default();
    let has_registry = image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let fits = |registry: &str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        _ if pattern == "*" => true,
        (Some(end), None) => registry.ends_with(end),
        (None, Some(start)) => registry.starts_with(start),
        _ => registry == pattern,
    };
    if has_registry {
        fits(first)
    } else {
        fits("docker.io") || fits("hub.docker.com")
    }
}
