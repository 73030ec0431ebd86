//! `kiln diff`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kiln_image::{ImageConfig, Platform};
use kiln_inspect::diff::{Difference, Look, by_directory, diff};
use kiln_inspect::packages::PackageChange;
use kiln_inspect::{Image, Kind, Tree};
use serde_json::{Value, json};

use super::packages;
use crate::engine::Engine;
use crate::failure::Outcome;
use crate::format::{Format, rows};
use crate::progress::text::{cut, one_line};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::values::size;
use crate::{layers, table, terminal};

/// How much of a value of the config is shown.
const WIDEST: usize = 60;

/// Arguments of `kiln diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An image: a name of the store or a registry, docker://NAME, oci:DIRECTORY[:TAG], oci-archive: or
    /// docker-archive:FILE[:TAG], or a path
    before: String,
    /// The image to compare it with
    after: String,
    /// `table`, `json`, or a template like `{{.Growth}}`
    #[arg(long)]
    format: Option<String>,
    /// Only packages
    #[arg(long)]
    packages: bool,
    /// How deep directories are told apart
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    depth: usize,
    /// How many files are shown, those whose size changed most; 0 for all
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    top: usize,
    /// Which images of several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

/// Shows what is different between two images.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let look = |image: &str| engine.look_into(image, args.platform.as_ref(), settings, &interrupt);
    let (before, after) = (look(&args.before)?, look(&args.after)?);
    let found = [packages::of(&before.image)?, packages::of(&after.image)?];
    packages::warn_of_unread(&args.before, &found[0]);
    packages::warn_of_unread(&args.after, &found[1]);
    let names = [args.before.as_str(), &args.after];
    let changed = kiln_inspect::packages::changes(&found[0].packages, &found[1].packages);
    if args.packages {
        return terminal::print(match format {
            Format::Table if changed.is_empty() => "the same packages\n".to_owned(),
            Format::Table => packages::changes_for_people(&changed),
            format => rows(&format, &[packages::changes(names, &changed)])?,
        });
    }
    let compared = Compared {
        names,
        images: [&before.image, &after.image],
        config: config_differences(&before.image.config, &after.image.config),
        packages: changed,
        files: diff(&Tree::of(before.image.indexes()), &Tree::of(after.image.indexes())),
    };
    terminal::print(match format {
        Format::Table => compared.for_people(args.depth, args.top),
        format => rows(&format, &[compared.object(args.depth)])?,
    })
}

/// Two images, compared.
pub(super) struct Compared<'a> {
    pub(super) names: [&'a str; 2],
    pub(super) images: [&'a Image; 2],
    pub(super) config: Vec<Setting>,
    pub(super) packages: Vec<PackageChange>,
    pub(super) files: Vec<Difference>,
}

/// A part of the config that is not the same.
pub(super) struct Setting {
    /// `User`; `Env NAME` and `Labels NAME` for each of these.
    pub(super) name: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Compared<'_> {
    /// Tables, with directories to a depth and that many files.
    pub(super) fn for_people(&self, depth: usize, top: usize) -> String {
        let mut text = String::new();
        let rows = [0, 1].map(|at| {
            let [alone, shared] = self.layers(at);
            [
                one_line(self.names[at]),
                size::show(alone + shared),
                self.images[at].layers.len().to_string(),
                size::show(shared),
                size::show(alone),
            ]
        });
        text.push_str(&table::render(
            ["IMAGE", "SIZE", "LAYERS", "IN BOTH", "ONLY HERE"],
            &rows,
        ));
        if self.config.is_empty() && self.files.is_empty() {
            text.push_str("\nthe same files and the same config\n");
            return text;
        }
        if !self.config.is_empty() {
            let cells: Vec<_> = self.config.iter().map(Setting::cells).collect();
            text.push('\n');
            text.push_str(&table::render(["CONFIG", "BEFORE", "AFTER"], &cells));
        }
        if !self.packages.is_empty() {
            text.push('\n');
            text.push_str(&packages::changes_for_people(&self.packages));
        }
        if !self.files.is_empty() {
            text.push_str(&self.directories(depth));
            text.push_str(&self.largest(top));
        }
        text
    }

    /// Bytes of the layers that only this image has, and of those that both have.
    fn layers(&self, at: usize) -> [u64; 2] {
        let other = &self.images[1 - at].config.rootfs.diff_ids;
        let image = self.images[at];
        let mut sums = [0; 2];
        for (layer, diff_id) in image.layers.iter().zip(&image.config.rootfs.diff_ids) {
            sums[usize::from(other.contains(diff_id))] += layer.bytes;
        }
        sums
    }

    fn directories(&self, depth: usize) -> String {
        let mut cells = Vec::new();
        for (path, sum) in by_directory(&self.files, depth) {
            cells.push([
                layers::path(&path),
                sum.added.to_string(),
                sum.removed.to_string(),
                sum.changed.to_string(),
                signed(sum.growth),
            ]);
        }
        let header = ["DIRECTORY", "ADDED", "REMOVED", "CHANGED", "GROWTH"];
        format!("\n{}", table::render(header, &cells))
    }

    fn largest(&self, top: usize) -> String {
        let most = if top == 0 { usize::MAX } else { top };
        let is_file = |difference: &&Difference| {
            let is_directory = |look: &Look| look.kind == Kind::Directory;
            !(difference.before.as_ref().is_none_or(is_directory) && difference.after.as_ref().is_none_or(is_directory))
                || (difference.before.is_some() && difference.after.is_some())
        };
        let mut files: Vec<&Difference> = self.files.iter().filter(is_file).collect();
        files.sort_by_key(|difference| std::cmp::Reverse(difference.growth().unsigned_abs()));
        let shown = &files[..files.len().min(most)];
        let cells: Vec<_> = shown.iter().map(|difference| cells(difference)).collect();
        let mut text = format!("\n{}", table::render(["FILE", "", "GROWTH", "CHANGE"], &cells));
        if let Some(more @ 1..) = files.len().checked_sub(most) {
            let _ = writeln!(text, "and {more} more: --top 0 shows all");
        }
        text
    }

    fn object(&self, depth: usize) -> Value {
        let images = [0, 1].map(|at| {
            let [alone, shared] = self.layers(at);
            let image = self.images[at];
            let all = 0..image.layers.len();
            json!({
                "Name": self.names[at],
                "Bytes": alone + shared,
                "OnlyHere": alone,
                "Layers": all.map(|layer| layers::object(image, layer)).collect::<Vec<_>>(),
            })
        });
        let [before, after] = images;
        let config = self.config.iter();
        let directories = by_directory(&self.files, depth).into_iter().map(|(path, sum)| {
            json!({
                "Path": text(&path),
                "Added": sum.added,
                "Removed": sum.removed,
                "Changed": sum.changed,
                "Growth": sum.growth,
            })
        });
        let files = self.files.iter().map(|file| {
            json!({
                "Path": text(&file.path),
                "Change": letter(file),
                "Growth": file.growth(),
                "Before": file.before.as_ref().map(look),
                "After": file.after.as_ref().map(look),
            })
        });
        json!({
            "Before": before,
            "After": after,
            "Growth": self.files.iter().map(Difference::growth).sum::<i64>(),
            "Config": config
                .map(|setting| json!({"Name": setting.name, "Before": setting.before, "After": setting.after}))
                .collect::<Vec<_>>(),
            "Packages": self.packages.iter().map(packages::change).collect::<Vec<_>>(),
            "Directories": directories.collect::<Vec<_>>(),
            "Files": files.collect::<Vec<_>>(),
        })
    }
}

fn text(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

/// As `docker diff` has them: added, changed, deleted.
const fn letter(difference: &Difference) -> &'static str {
    match (&difference.before, &difference.after) {
        (None, _) => "A",
        (_, None) => "D",
        _ => "C",
    }
}

fn look(look: &Look) -> Value {
    json!({
        "Kind": kind(look.kind),
        "Mode": format!("{:04o}", look.mode),
        "Owner": format!("{}:{}", look.owner.0, look.owner.1),
        "Size": look.size,
        "Target": (look.kind == Kind::Symlink).then(|| String::from_utf8_lossy(&look.target)),
    })
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Directory => "directory",
        Kind::File => "file",
        Kind::Symlink => "link",
        Kind::Char | Kind::Block => "device",
        Kind::Fifo => "pipe",
        Kind::Whiteout => "whiteout",
    }
}

pub(crate) fn signed(bytes: i64) -> String {
    let sign = match bytes {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", size::show(bytes.unsigned_abs()))
}

fn cells(difference: &Difference) -> [String; 4] {
    let change = match (&difference.before, &difference.after) {
        (Some(before), Some(after)) => changes(before, after),
        _ => String::new(),
    };
    [
        layers::path(&difference.path),
        letter(difference).to_owned(),
        signed(difference.growth()),
        change,
    ]
}

/// What changed of a file.
fn changes(before: &Look, after: &Look) -> String {
    let mut changes = Vec::new();
    if before.kind != after.kind {
        changes.push(format!("{} → {}", kind(before.kind), kind(after.kind)));
    } else if before.digest != after.digest {
        changes.push("content".to_owned());
    }
    if before.target != after.target && before.kind == after.kind {
        changes.push("target".to_owned());
    }
    if before.mode != after.mode {
        changes.push(format!("mode {:04o} → {:04o}", before.mode, after.mode));
    }
    if before.owner != after.owner {
        let [old, new] = [before.owner, after.owner].map(|(user, group)| format!("{user}:{group}"));
        changes.push(format!("owner {old} → {new}"));
    }
    changes.join(", ")
}

impl Setting {
    fn cells(&self) -> [String; 3] {
        let value = |value: &Option<Value>| match value {
            None => String::new(),
            Some(Value::String(text)) => cut(&one_line(text), WIDEST, '…'),
            Some(other) => cut(&one_line(&other.to_string()), WIDEST, '…'),
        };
        [one_line(&self.name), value(&self.before), value(&self.after)]
    }
}

/// What is different between two configs: variables and labels by their names, all else whole. When and how the images
/// were made does not count.
pub(super) fn config_differences(before: &ImageConfig, after: &ImageConfig) -> Vec<Setting> {
    let [before, after] = [before, after].map(settings);
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let setting = |name: &String| Setting {
        name: name.clone(),
        before: before.get(name).cloned(),
        after: after.get(name).cloned(),
    };
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(setting)
        .collect()
}

fn settings(config: &ImageConfig) -> BTreeMap<String, Value> {
    let mut settings = BTreeMap::new();
    settings.insert("Platform".to_owned(), json!(config.platform().to_string()));
    if let Ok(Value::Object(fields)) = serde_json::to_value(&config.config) {
        for (name, value) in fields {
            match value {
                Value::Object(inner) if name != "Healthcheck" => {
                    settings.extend(inner.into_iter().map(|(key, value)| (format!("{name} {key}"), value)));
                }
                Value::Array(_) if name == "Env" => {}
                value => {
                    settings.insert(name, value);
                }
            }
        }
    }
    for variable in &config.config.env {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        settings.insert(format!("Env {name}"), json!(value));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_are_compared_by_name() {
        let config = |text: &str| -> ImageConfig { serde_json::from_str(text).unwrap() };
        let before = config(
            r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"created":"2020-01-01T00:00:00Z",
                "config":{"Env":["A=1","B=2"],"Labels":{"x":"1"},"Cmd":["a"],"User":"me"}}"#,
        );
        let after = config(
            r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
                "config":{"Env":["B=3","A=1"],"Labels":{"x":"1","y":"2"},"Cmd":["a"],"ExposedPorts":{"80/tcp":{}}}}"#,
        );
        let found: Vec<_> = config_differences(&before, &after)
            .into_iter()
            .map(|setting| (setting.name, setting.before, setting.after))
            .collect();
        let row = |name: &str, before: Option<Value>, after: Option<Value>| (name.to_owned(), before, after);
        assert_eq!(
            found,
            [
                row("Env B", Some(json!("2")), Some(json!("3"))),
                row("ExposedPorts 80/tcp", None, Some(json!({}))),
                row("Labels y", None, Some(json!("2"))),
                row("User", Some(json!("me")), None),
            ]
        );
    }

    #[test]
    fn growth_has_a_sign() {
        assert_eq!([signed(0), signed(1500), signed(-1500)], ["0B", "+1.5kB", "-1.5kB"]);
    }
}
