//! `kiln cache`

mod prune;

use clap::Subcommand;
use kiln_build::MovedMounts;
use kiln_build::request::{CacheExport, CacheMode, CachePlace, MountChoice, MountExport};
use kiln_store::{Item, Kind, MountId, Need};
use serde_json::json;

use crate::engine::{self, Engine};
use crate::failure::{Failure, Outcome};
use crate::format::{Format, rows};
use crate::progress::text::one_line;
use crate::progress::{Mode, Progress};
use crate::settings::{Environment, Settings};
use crate::signals::Interrupt;
use crate::values::cache::{self, CacheTo, NotTaken};
use crate::values::size;
use crate::{table, terminal, time};

/// What to do with caches.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// List cache mounts
    #[command(visible_alias = "list")]
    Ls(List),
    /// Remove cache mounts
    #[command(visible_alias = "remove")]
    Rm(Remove),
    /// Write cache mounts into a cache, as `kiln build --cache-to` does
    Export(Export),
    /// Bring cache mounts out of a cache; those that are here stay as they are
    Import(Import),
    /// Tidy a cache in a directory: remove what no build finds there any more
    Prune(prune::Args),
}

/// Arguments of `kiln cache ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// `table`, `json`, or a template like `{{.Id}}`
    #[arg(long)]
    format: Option<String>,
}

/// Arguments of `kiln cache rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    /// The `id`s of the mounts (where a Dockerfile gives none, the target), with all keys; or ID#KEY
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// Arguments of `kiln cache export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// The `id`s of the mounts, all if there are none; and where to: a directory, or what --cache-to takes
    #[arg(value_name = "[ID]... DEST", required = true)]
    words: Vec<String>,
    /// Leave out mounts that hold more
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    mount_max: Option<u64>,
    /// How to show progress
    #[arg(long, value_enum)]
    progress: Option<Mode>,
}

/// Arguments of `kiln cache import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// Where from: a directory, or what --cache-from takes
    #[arg(value_name = "SRC")]
    src: String,
    /// The `id`s of the mounts, all if there are none
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Leave out mounts that hold more
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    mount_max: Option<u64>,
    /// How to show progress
    #[arg(long, value_enum)]
    progress: Option<Mode>,
}

/// Does it.
pub(crate) fn run(action: &Action, settings: &Settings) -> Outcome {
    match action {
        Action::Ls(args) => list(args, settings),
        Action::Rm(args) => remove(args, settings),
        Action::Export(args) => export(args, settings),
        Action::Import(args) => import(args, settings),
        Action::Prune(args) => prune::run(args, settings),
    }
}

/// What people know a mount by.
fn shown(item: &Item) -> &str {
    item.description.as_deref().unwrap_or_default()
}

fn is_meant_by(item: &Item, text: &str) -> bool {
    item.mount.as_ref().is_some_and(|mount| mount.is_meant_by(text))
}

fn mounts(engine: &Engine) -> Result<Vec<Item>, Failure> {
    let mut items = engine.contents()?.items;
    items.retain(|item| item.kind == Kind::CacheMount);
    items.sort_by(|one, other| (&one.mount, &one.id).cmp(&(&other.mount, &other.id)));
    Ok(items)
}

fn list(args: &List, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    let mounts = mounts(&Engine::open(settings)?)?;
    let now = time::now();
    let cells = |item: &Item| {
        let used = time::ago(item.used / 1000, now);
        let MountId { id, key } = item.mount.clone().unwrap_or_default();
        [id, key, size::show(item.disk), used]
    };
    let value = |item: &Item| {
        json!({
            "Id": item.mount.as_ref().map(|mount| &mount.id),
            "Key": item.mount.as_ref().map(|mount| &mount.key),
            "Size": item.disk,
            "CreatedAt": time::show(item.created),
            "LastUsedAt": time::show(item.used / 1000),
            "InUse": item.need == Need::InUse,
        })
    };
    terminal::print(match format {
        Format::Table => table::render(
            ["ID", "KEY", "SIZE", "LAST USED"],
            &mounts.iter().map(cells).collect::<Vec<_>>(),
        ),
        format => rows(&format, &mounts.iter().map(value).collect::<Vec<_>>())?,
    })
}

fn remove(args: &Remove, settings: &Settings) -> Outcome {
    let engine = Engine::open(settings)?;
    let there = mounts(&engine)?;
    if let Some(unknown) = args
        .ids
        .iter()
        .find(|wanted| !there.iter().any(|item| is_meant_by(item, wanted)))
    {
        return Err(Failure::failed(anyhow::anyhow!("no such cache mount: {unknown}"))
            .hint("`kiln cache ls` lists those that are there"));
    }
    let chosen = |item: &Item| args.ids.iter().any(|wanted| is_meant_by(item, wanted));
    let removed = engine.remove_cache_mounts(chosen)?;
    for item in &removed.items {
        terminal::print_line(format_args!(
            "Deleted: {} ({})",
            one_line(shown(item)),
            size::show(item.disk)
        ))?;
    }
    match mounts(&engine)?.iter().find(|item| chosen(item)) {
        None => Ok(()),
        Some(item) => Err(
            Failure::failed(anyhow::anyhow!("cache mount {} is in use", shown(item)))
                .hint("remove it when the builds are done that use it"),
        ),
    }
}

fn export(args: &Export, settings: &Settings) -> Outcome {
    let Some((dest, ids)) = args.words.split_last() else {
        return Err(Failure::usage("where to?"));
    };
    let engine = Engine::open(settings)?;
    if mounts(&engine)?.iter().any(|item| is_meant_by(item, dest)) {
        return Err(Failure::usage(format!(
            "`{dest}` is a cache mount, and nothing says where to write it to"
        ))
        .hint(format!(
            "`kiln cache export {dest} DEST` does; into a directory of that name `type=local,dest={dest}`"
        )));
    }
    let mut to = destination(dest, &settings.environment)?;
    to.mode = CacheMode::Max;
    if !ids.is_empty() {
        to.mounts.choice = MountChoice::Only(ids.to_vec());
    }
    to.mounts.most = args.mount_max.unwrap_or(to.mounts.most);
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(args.progress, false, settings)?;
    let exported = engine.builder().export_mounts(&to, progress.sink(), &interrupt.cancel);
    progress.finish();
    let exported = exported.map_err(|error| engine::failure(error, &interrupt))?;
    for id in &exported.moved {
        terminal::print_line(format_args!("Exported: {}", one_line(&id.to_string())))?;
    }
    expect(ids, &exported, "the store")
}

fn import(args: &Import, settings: &Settings) -> Outcome {
    let from = source(&args.src, &settings.environment)?;
    let choice = match &args.ids[..] {
        [] => MountChoice::All,
        ids => MountChoice::Only(ids.to_vec()),
    };
    let most = args.mount_max.unwrap_or(MountExport::default().most);
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(args.progress, false, settings)?;
    let imported = engine
        .builder()
        .import_mounts(&from, &choice, most, progress.sink(), &interrupt.cancel);
    progress.finish();
    let imported = imported.map_err(|error| engine::failure(error, &interrupt))?;
    for id in &imported.moved {
        terminal::print_line(format_args!("Imported: {}", one_line(&id.to_string())))?;
    }
    for id in &imported.kept {
        terminal::warn(format_args!("the cache mount `{id}` is here and stays as it is"));
    }
    expect(&args.ids, &imported, &args.src)
}

/// All that was asked for by its id was there and was moved; of all that there is, something.
fn expect(ids: &[String], found: &MovedMounts, place: &str) -> Outcome {
    let MovedMounts { moved, kept, failed } = found;
    let all = || moved.iter().chain(kept).chain(failed);
    let is_there = |id: &String| all().any(|mount| mount.is_meant_by(id));
    if let Some(id) = ids.iter().find(|id| !is_there(id)) {
        return Err(Failure::failed(anyhow::anyhow!("{place} has no cache mount {id}")));
    }
    match failed.first() {
        Some(id) if !ids.is_empty() || moved.is_empty() && kept.is_empty() => {
            let message = anyhow::anyhow!("the cache mount {id} was left out");
            Err(Failure::failed(message).hint("the warning above says why"))
        }
        _ => Ok(()),
    }
}

/// What is no list of attributes and looks like a path is a directory.
fn directory(text: &str) -> Option<CachePlace> {
    let is_path = text.starts_with(['/', '.']) || std::path::Path::new(text).is_dir();
    (is_path && !text.starts_with("type=")).then(|| CachePlace::Local {
        directory: text.into(),
        tag: "latest".to_owned(),
        digest: None,
    })
}

fn not_taken(not_taken: NotTaken) -> Failure {
    match not_taken {
        NotTaken::Wrong(message) => Failure::usage(message),
        NotTaken::Ignored(reason) => Failure::usage(reason),
    }
}

fn destination(text: &str, environment: &Environment) -> Result<CacheExport, Failure> {
    if let Some(place) = directory(text) {
        return Ok(cache::at(place));
    }
    match &cache::parse_to(text, environment).map_err(not_taken)?[..] {
        [CacheTo::Place(export)] => Ok(export.clone()),
        _ => Err(Failure::usage(format!("`{text}` is no place for cache mounts"))),
    }
}

fn source(text: &str, environment: &Environment) -> Result<CachePlace, Failure> {
    if let Some(place) = directory(text) {
        return Ok(place);
    }
    match &cache::parse_from(text, environment).map_err(not_taken)?[..] {
        [place] => Ok(place.clone()),
        _ => Err(Failure::usage(format!("`{text}` is not one cache"))),
    }
}
