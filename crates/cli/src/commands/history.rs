//! `kiln history`

use kiln_build::Location;
use kiln_image::{Digest, Platform};
use serde_json::{Value, json};

use crate::engine::{Engine, HistoryRow};
use crate::failure::{Failure, Outcome};
use crate::format::{Format, rows};
use crate::progress::text::{cut, sanitise};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::values::size;
use crate::{layers, table, terminal, time};

/// The size of a layer that nobody looked into yet, as docker calls what it does not know.
const UNKNOWN: &str = "N/A";

/// Arguments of `kiln history`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image: a name of the store, docker://NAME, oci:DIRECTORY[:TAG], oci-archive: or docker-archive:FILE[:TAG], or a
    /// path
    image: String,
    /// `table`, `json`, or a template like `{{.CreatedBy}}`
    #[arg(long)]
    format: Option<String>,
    /// Sizes in decimal units; with =false in bytes
    #[arg(short = 'H', long, num_args = 0..=1, default_value_t = true, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    human: bool,
    /// Show whole commands
    #[arg(long)]
    no_trunc: bool,
    /// Show only IDs
    #[arg(short, long)]
    quiet: bool,
    /// Which image of several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

/// Shows how an image was made, last step first.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    let engine = Engine::open(settings)?;
    let (id, mut history) = args.find(&engine, settings)?;
    history.reverse();
    let id = if args.no_trunc { id.to_string() } else { id.short() };
    // As with docker: only the image itself has an ID, its history has none any more.
    let id_of = |at: usize| if at == 0 { id.as_str() } else { "<missing>" };
    if args.quiet {
        return terminal::print((0..history.len()).flat_map(|at| [id_of(at), "\n"]).collect::<String>());
    }
    let now = time::now();
    terminal::print(if format == Format::Table {
        let cells = |(at, row): (usize, &HistoryRow)| {
            let by = args.command(row);
            [
                id_of(at).to_owned(),
                time::ago(row.created, now),
                by,
                row.size.map_or_else(|| UNKNOWN.to_owned(), |bytes| args.size(bytes)),
                row.comment.clone(),
                row.compressed.map(|bytes| args.size(bytes)).unwrap_or_default(),
                row.maker.as_ref().map(layers::made_in).unwrap_or_default(),
            ]
        };
        let cells: Vec<_> = history.iter().enumerate().map(cells).collect();
        let header = [
            "IMAGE",
            "CREATED",
            "CREATED BY",
            "SIZE",
            "COMMENT",
            "COMPRESSED",
            "MADE IN",
        ];
        table::render(header, &cells)
    } else {
        let values: Vec<Value> = history
            .iter()
            .enumerate()
            .map(|(at, row)| args.json(id_of(at), row, now))
            .collect();
        rows(&format, &values)?
    })
}

impl Args {
    /// The image's ID and its history. Names are those of the store, as with docker; what is elsewhere says so.
    fn find(&self, engine: &Engine, settings: &Settings) -> Result<(Digest, Vec<HistoryRow>), Failure> {
        let platform = self.platform.as_ref();
        match engine.locate(&self.image)? {
            Location::Name(name) => {
                let image = engine.find(&name, platform)?;
                Ok((image.id, engine.history(&image)?))
            }
            elsewhere => {
                let source = engine.find_source(&elsewhere, platform, settings, &Interrupt::watch()?)?;
                Ok((source.id, engine.history_of(&source)?))
            }
        }
    }

    fn command(&self, row: &HistoryRow) -> String {
        let text = sanitise(row.created_by.replace(['\n', '\t'], " ").as_bytes());
        if self.no_trunc { text } else { cut(&text, 45, '…') }
    }

    fn size(&self, bytes: u64) -> String {
        if self.human {
            size::show(bytes)
        } else {
            bytes.to_string()
        }
    }

    fn json(&self, id: &str, row: &HistoryRow, now: i64) -> Value {
        json!({
            "ID": id,
            "CreatedAt": time::show(row.created),
            "CreatedSince": time::ago(row.created, now),
            "CreatedBy": row.created_by,
            "Size": row.size.map(|bytes| self.size(bytes)),
            "SizeBytes": row.size,
            "Comment": row.comment,
            "CompressedBytes": row.compressed,
            "Stage": row.maker.as_ref().and_then(layers::stage),
            "Lines": row.maker.as_ref().and_then(|maker| maker.lines),
            "Build": row.maker.as_ref().and_then(|maker| maker.build).map(|build| build.to_string()),
        })
    }
}
