//! `kiln images`

use serde_json::{Value, json};

use crate::engine::{Engine, ImageRow};
use crate::failure::{Failure, Outcome};
use crate::format::{Format, rows};
use crate::settings::Settings;
use crate::values::size;
use crate::{table, terminal, time};

/// Arguments of `kiln images`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "every flag is one")]
pub(crate) struct Args {
    /// Only images of this name, or of this name and tag; `*` and `?` match
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
    /// Show images without a name too
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Only images that match: dangling=true|false, reference=PATTERN, label=KEY[=VALUE], before=IMAGE, since=IMAGE
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `table`, `json`, or a template like `{{.Repository}}:{{.Tag}}`
    #[arg(long)]
    format: Option<String>,
    /// Show whole IDs
    #[arg(long)]
    no_trunc: bool,
    /// Show only IDs
    #[arg(short, long)]
    quiet: bool,
}

/// What `--filter` wants.
#[derive(Debug, Default)]
struct Filters {
    dangling: Option<bool>,
    references: Vec<String>,
    labels: Vec<String>,
    before: Option<i64>,
    since: Option<i64>,
}

/// Lists images, newest first.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    let engine = Engine::open(settings)?;
    let filters = Filters::read(&args.filter, &engine)?;
    let mut images = engine.images()?;
    images.retain(|image| args.wants(image) && filters.want(image));
    images.sort_by(|a, b| (b.created, &a.repository, &a.tag).cmp(&(a.created, &b.repository, &b.tag)));
    if args.quiet {
        let mut ids: Vec<String> = images.iter().map(|image| args.id(image)).collect();
        ids.dedup();
        return terminal::print(ids.into_iter().map(|id| id + "\n").collect::<String>());
    }
    let now = time::now();
    terminal::print(match format {
        Format::Table => args.table(&images, now),
        format => rows(
            &format,
            &images.iter().map(|image| args.json(image, now)).collect::<Vec<_>>(),
        )?,
    })
}

impl Args {
    fn wants(&self, image: &ImageRow) -> bool {
        let dangling_wanted = self.all || self.filter.iter().any(|filter| filter.starts_with("dangling"));
        match &self.name {
            None => dangling_wanted || image.repository.is_some(),
            Some(name) => image.matches(name),
        }
    }

    fn id(&self, image: &ImageRow) -> String {
        if self.no_trunc {
            image.id.to_string()
        } else {
            image.id.short()
        }
    }

    fn table(&self, images: &[ImageRow], now: i64) -> String {
        let none = || "<none>".to_owned();
        let digest = |image: &ImageRow| image.manifest.map_or_else(none, |digest| digest.to_string());
        let cells = |image: &ImageRow| {
            let repository = image.repository.clone().unwrap_or_else(none);
            let tag = image.tag.clone().unwrap_or_else(none);
            [
                repository,
                tag,
                self.id(image),
                time::ago(image.created, now),
                size::show(image.size),
            ]
        };
        if !self.digests {
            return table::render(
                ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"],
                &images.iter().map(cells).collect::<Vec<_>>(),
            );
        }
        let with_digests = images.iter().map(|image| {
            let [repository, tag, id, created, size] = cells(image);
            [repository, tag, digest(image), id, created, size]
        });
        table::render(
            ["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"],
            &with_digests.collect::<Vec<_>>(),
        )
    }

    /// With docker's names.
    fn json(&self, image: &ImageRow, now: i64) -> Value {
        let none = "<none>";
        json!({
            "ID": self.id(image),
            "Repository": image.repository.as_deref().unwrap_or(none),
            "Tag": image.tag.as_deref().unwrap_or(none),
            "Digest": image.manifest.map_or_else(|| none.to_owned(), |digest| digest.to_string()),
            "CreatedAt": time::show(image.created),
            "CreatedSince": time::ago(image.created, now),
            "Size": size::show(image.size),
            "SizeBytes": image.size,
            "Platform": image.platform,
        })
    }
}

impl Filters {
    fn read(texts: &[String], engine: &Engine) -> Result<Self, Failure> {
        let mut all = Self::default();
        for text in texts {
            let wrong = || {
                Failure::usage(format!(
                    "--filter {text}: wanted dangling, reference, label, before or since"
                ))
            };
            let (key, value) = text.split_once('=').ok_or_else(wrong)?;
            let created = || Ok::<_, Failure>(Some(engine.find(value, None)?.created));
            match key {
                "dangling" => {
                    let dangling = crate::values::csv::boolean("dangling", Some(value)).map_err(Failure::usage)?;
                    all.dangling = Some(dangling);
                }
                "reference" => all.references.push(value.to_owned()),
                "label" => all.labels.push(value.to_owned()),
                "before" => all.before = created()?,
                "since" => all.since = created()?,
                _ => return Err(wrong()),
            }
        }
        Ok(all)
    }

    fn want(&self, image: &ImageRow) -> bool {
        let label = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => image.labels.get(key).is_some_and(|has| has == value),
            None => image.labels.contains_key(wanted.as_str()),
        };
        self.dangling
            .is_none_or(|dangling| dangling == image.repository.is_none())
            && (self.references.is_empty() || self.references.iter().any(|pattern| image.matches(pattern)))
            && self.labels.iter().all(label)
            && self.before.is_none_or(|time| image.created < time)
            && self.since.is_none_or(|time| image.created > time)
    }
}
