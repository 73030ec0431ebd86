//! `kiln waste`

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kiln_image::Platform;
use kiln_inspect::waste::{Dive, Finding, FindingKind, Junk, Waste};
use kiln_inspect::{Cause, Image};
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::failure::Outcome;
use crate::format::{Format, rows};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::values::size;
use crate::{layers, table, terminal};

/// How much of a layer's instruction the table shows.
const WIDEST: usize = 34;

/// Arguments of `kiln waste`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image: a name of the store or a registry, docker://NAME, oci:DIRECTORY[:TAG], oci-archive: or
    /// docker-archive:FILE[:TAG], or a path
    image: String,
    /// `table`, `json`, or a template like `{{.Dead}}`
    #[arg(long)]
    format: Option<String>,
    /// How many findings the table shows; 0 for all
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    top: usize,
    /// Which image of several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

/// Shows which bytes of an image are wasted.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let looked = engine.look_into(&args.image, args.platform.as_ref(), settings, &interrupt)?;
    let waste = Waste::of(looked.image.indexes());
    terminal::print(match format {
        Format::Table => for_people(&looked.image, &waste, args.top),
        format => rows(&format, &[object(&looked.image, &waste)])?,
    })
}

fn for_people(image: &Image, waste: &Waste, top: usize) -> String {
    let mut text = format!(
        "{} in {} layers: {} live, {} dead ({})\n",
        size::show(waste.bytes),
        waste.layers.len(),
        size::show(waste.live),
        size::show(waste.dead),
        percent(waste.dead, waste.bytes),
    );
    if let Some(compressed @ 1..) = compressed(image, waste) {
        let _ = writeln!(
            text,
            "dead bytes are about {} of what is transferred",
            size::show(compressed)
        );
    }
    let _ = writeln!(text, "efficiency as dive counts: {}", dive(&Dive::of(image.indexes())));
    if waste.findings.is_empty() {
        text.push_str("nothing is wasted\n");
        return text;
    }
    let most = if top == 0 { usize::MAX } else { top };
    let shown = &waste.findings[..waste.findings.len().min(most)];
    let cells: Vec<_> = shown.iter().map(|finding| cells(image, finding)).collect();
    text.push('\n');
    text.push_str(&table::render(
        ["BYTES", "FILES", "WASTE", "WHERE", "ADDED BY", "THEN"],
        &cells,
    ));
    if let Some(more @ 1..) = waste.findings.len().checked_sub(most) {
        let _ = writeln!(text, "and {more} more: --top 0 shows all");
    }
    text.push('\n');
    let kinds: BTreeSet<FindingKind> = shown.iter().map(|finding| finding.kind).collect();
    for kind in kinds {
        let _ = writeln!(text, "{}: {}", what(kind), change(kind));
    }
    text
}

/// What bytes of a layer take when it is compressed: their share of it.
fn share(image: &Image, layer: usize, bytes: u64) -> Option<u64> {
    let known = image.layers.get(layer)?;
    let share = u128::from(known.compressed?) * u128::from(bytes) / u128::from(known.bytes.max(1));
    u64::try_from(share).ok()
}

/// What the dead bytes take when layers are compressed; `None` where that of a layer that has some is not known.
fn compressed(image: &Image, waste: &Waste) -> Option<u64> {
    let layers = waste.layers.iter().enumerate().filter(|(_, layer)| layer.dead > 0);
    layers.map(|(number, layer)| share(image, number, layer.dead)).sum()
}

fn dive(dive: &Dive) -> String {
    format!(
        "{:.2} %, {} wasted",
        dive.efficiency * 100.0,
        size::show(dive.wasted_bytes)
    )
}

#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    format!("{:.1} %", share * 100.0)
}

fn cells(image: &Image, finding: &Finding) -> [String; 6] {
    let place = place(finding);
    let also = finding.largest.first().and_then(|wasted| wasted.also.as_deref());
    let layer = |number: u32| layers::shown(image, number as usize, WIDEST);
    let then = match (finding.kind, finding.other) {
        (FindingKind::Duplicate, _) => also
            .map(|path| format!("as {}", layers::path(path)))
            .unwrap_or_default(),
        (_, Some(other)) => layer(other),
        (_, None) => String::new(),
    };
    [
        size::show(finding.bytes),
        finding.files.to_string(),
        what(finding.kind).to_owned(),
        place,
        layer(finding.added_by),
        then,
    ]
}

/// Where the bytes of a finding are.
pub(crate) fn place(finding: &Finding) -> String {
    match &finding.largest[..] {
        [only] if finding.files == 1 => layers::path(&only.path),
        _ => layers::path(&finding.directory),
    }
}

/// What a kind of waste is called.
pub(crate) const fn what(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Dead(Cause::Deleted) => "deleted later",
        FindingKind::Dead(Cause::Hidden) => "directory made anew",
        FindingKind::Dead(Cause::Replaced) => "replaced later",
        FindingKind::Dead(Cause::Restored {
            mode: true,
            owner: true,
        }) => "stored again: mode, owner",
        FindingKind::Dead(Cause::Restored { mode: true, .. }) => "stored again: mode",
        FindingKind::Dead(Cause::Restored { owner: true, .. }) => "stored again: owner",
        FindingKind::Dead(Cause::Restored { .. }) => "stored again, unchanged",
        FindingKind::Dead(Cause::Moved) => "stored again: moved",
        FindingKind::Duplicate => "duplicate",
        FindingKind::Junk(junk) => match junk {
            Junk::PackageLists => "package lists",
            Junk::Caches => "caches",
            Junk::Documentation => "documentation",
            Junk::BuildTools => "build tools",
            Junk::VersionControl => "version control",
            Junk::Tests => "tests of packages",
            Junk::SourceMaps => "source maps",
        },
    }
}

/// What to change about it.
pub(crate) const fn change(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Dead(Cause::Deleted) => {
            "a layer cannot take away what is below it; delete in the RUN that makes the files, or build in a stage of \
             its own and COPY --from what is needed"
        }
        FindingKind::Dead(Cause::Hidden) => "remove the directory in the step that fills it first, or fill it once",
        FindingKind::Dead(Cause::Replaced) => "write the file once, with its final content",
        FindingKind::Dead(Cause::Restored {
            mode: true,
            owner: true,
        }) => "set both where the files come in: COPY --chown=… --chmod=…",
        FindingKind::Dead(Cause::Restored { mode: true, .. }) => {
            "set the permissions where the files come in: COPY --chmod=…, or chmod in the RUN that makes them"
        }
        FindingKind::Dead(Cause::Restored { owner: true, .. }) => {
            "set the owner where the files come in: COPY --chown=…, or chown in the RUN that makes them"
        }
        FindingKind::Dead(Cause::Restored { .. }) => {
            "the step writes what is there already (touch, setcap, chmod or chown that change nothing, a second COPY): leave \
             it out, or do it where the files come in"
        }
        FindingKind::Dead(Cause::Moved) => {
            "put the files where they belong at once, or move them in the RUN that makes them"
        }
        FindingKind::Duplicate => "keep one copy and link the others (ln), or COPY only one",
        FindingKind::Junk(junk) => match junk {
            Junk::PackageLists => {
                "delete them in the same RUN (rm -rf /var/lib/apt/lists/*), or RUN --mount=type=cache over them"
            }
            Junk::Caches => {
                "RUN --mount=type=cache over the cache's directory, or tell the package manager to keep none \
                 (--no-cache, --no-cache-dir)"
            }
            Junk::Documentation => "do not install it (dpkg's path-exclude, --nodocs), or delete it in the same RUN",
            Junk::BuildTools => "build in a stage of its own and COPY --from the result",
            Junk::VersionControl => "name it in .dockerignore",
            Junk::Tests => "delete them in the RUN that installs the packages, or install without them",
            Junk::SourceMaps => "do not ship them to browsers: leave them out of the build or of the COPY",
        },
    }
}

fn object(image: &Image, waste: &Waste) -> Value {
    let dive = Dive::of(image.indexes());
    let layers = waste.layers.iter().enumerate().map(|(number, layer)| {
        let mut object = layers::object(image, number);
        object["Dead"] = json!(layer.dead);
        object["Killed"] = json!(layer.killed);
        object["DeadCompressed"] = json!(share(image, number, layer.dead));
        object
    });
    json!({
        "Bytes": waste.bytes,
        "Live": waste.live,
        "Dead": waste.dead,
        "DeadCompressed": compressed(image, waste),
        "Layers": layers.collect::<Vec<_>>(),
        "Findings": waste.findings.iter().map(|one| finding(image, one)).collect::<Vec<_>>(),
        "Dive": {
            "Efficiency": dive.efficiency,
            "WastedBytes": dive.wasted_bytes,
            "SizeBytes": dive.size_bytes,
            "UserSizeBytes": dive.user_size_bytes,
            "WastedUserShare": dive.wasted_user_share(),
        },
    })
}

fn finding(image: &Image, finding: &Finding) -> Value {
    let path = |path: &[u8]| format!("/{}", String::from_utf8_lossy(path));
    let largest = finding.largest.iter().map(
        |wasted| json!({"Path": path(&wasted.path), "Bytes": wasted.bytes, "Also": wasted.also.as_deref().map(path)}),
    );
    let is_dead = finding.kind.is_dead();
    json!({
        "Kind": finding.kind.name(),
        "IsDead": is_dead,
        "Bytes": finding.bytes,
        "Compressed": share(image, finding.added_by as usize, finding.bytes),
        "Files": finding.files,
        "AddedBy": finding.added_by,
        "KilledBy": finding.other.filter(|_| is_dead),
        "CopyOf": finding.other.filter(|_| !is_dead),
        "Directory": path(&finding.directory),
        "Largest": largest.collect::<Vec<_>>(),
        "Change": change(finding.kind),
    })
}
