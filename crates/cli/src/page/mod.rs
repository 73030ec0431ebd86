//! A page about an image: one file, that needs no network.
//!
//! What is known of the image is in it as JSON, and a script shows it. Names of files and texts of the image are others':
//! they reach the page as data only, never as markup, and the page allows no script but its own.

mod tree;

use base64::Engine as _;
use kiln_image::Digest;
use kiln_inspect::packages::Packages;
use kiln_inspect::vulnerabilities::{Vulnerabilities, Vulnerability};
use kiln_inspect::waste::{Dive, Waste};
use kiln_inspect::{Image, Moments};
use serde_json::{Value, json};

use crate::check::Verdict;
use crate::commands::{packages, waste};
use crate::layers;
use crate::progress::text::{cut, one_line};
use crate::vulnerabilities;

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How many names of files a page has of an image, and as many again of its layers.
const NAMES: usize = 12_000;

/// How many packages, findings and steps a page has.
const ROWS: usize = 3000;

/// How much of a text of others' a page has.
const LONGEST: usize = 400;

/// What a page is about.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// As the user named it.
    pub(crate) name: &'a str,
    pub(crate) image: &'a Image,
    pub(crate) packages: &'a Packages,
    /// What a database knows of them, if there is one.
    pub(crate) vulnerabilities: Option<&'a Vulnerabilities>,
    pub(crate) verdicts: &'a [Verdict],
    /// When it is, in seconds since 1970.
    pub(crate) now: i64,
    /// The build that made it, if one is remembered: see [`Build`].
    pub(crate) build: Option<Build>,
    /// What the builds that are remembered came to under this name, oldest first.
    pub(crate) trend: Vec<Point>,
}

/// A build, and what it did.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) id: String,
    pub(crate) started: i64,
    pub(crate) steps: Vec<Step>,
    /// The newest build that made the same image, if that is another.
    pub(crate) later: Option<String>,
}

/// A step of a build. Times are in seconds.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) outcome: String,
    pub(crate) began: f64,
    pub(crate) took: f64,
}

/// What a build came to.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) build: String,
    pub(crate) started: i64,
    pub(crate) bytes: u64,
}

/// The page.
pub(crate) fn render(subject: &Subject<'_>) -> String {
    let data = in_script(&data(subject).to_string());
    let policy = format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '{}'; script-src '{}'",
        hash(STYLE),
        hash(SCRIPT)
    );
    // One pass: what is put in is not looked through again.
    let mut page = String::with_capacity(HTML.len() + STYLE.len() + SCRIPT.len() + data.len());
    for piece in HTML.split("<!--") {
        let (slot, rest) = match piece.split_once("-->") {
            Some((slot, rest)) => (slot, rest),
            None => ("", piece),
        };
        page.push_str(match slot {
            "policy" => &policy,
            "style" => STYLE,
            "script" => SCRIPT,
            "data" => &data,
            _ => "",
        });
        if slot == "title" {
            page.push_str(&in_text(subject.name));
        }
        page.push_str(rest);
    }
    page
}

/// What a policy for contents calls a script or a style.
fn hash(text: &str) -> String {
    let digest = Digest::of(text.as_bytes()).to_string();
    let hex = digest.rsplit(':').next().unwrap_or_default();
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .filter_map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).ok())
        .collect();
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// JSON that nothing in it ends the element it stands in, or begins another.
fn in_script(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            c => text.push(c),
        }
    }
    text
}

fn in_text(text: &str) -> String {
    let text = one_line(text).replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// A text of others', fit to be shown.
fn text(text: &str) -> String {
    cut(&one_line(text), LONGEST, '…')
}

fn data(subject: &Subject<'_>) -> Value {
    let image = subject.image;
    let wasted = Waste::of(image.indexes());
    let config = &image.config.config;
    let words = |words: &[String]| words.iter().map(|word| text(word)).collect::<Vec<_>>();
    json!({
        "name": text(subject.name),
        "platform": image.config.platform().to_string(),
        "created": image.config.created.as_deref().map(text),
        "reported": subject.now,
        "system": subject.packages.system.as_deref().map(text),
        "user": text(&config.user),
        "entrypoint": config.entrypoint.as_deref().map(words),
        "command": config.cmd.as_deref().map(words),
        "bytes": wasted.bytes,
        "live": wasted.live,
        "dead": wasted.dead,
        "compressed": image.layers.iter().map(|layer| layer.compressed).sum::<Option<u64>>(),
        "efficiency": Dive::of(image.indexes()).efficiency,
        "files": tree::tree(&Moments::of_layers(image.indexes()), "/", NAMES),
        "layers": layer_rows(image, &wasted),
        "waste": waste_rows(&wasted),
        "packages": rows(&subject.packages.packages, |package| json!([
            package.ecosystem.name(),
            text(&package.name),
            text(&package.version),
            package.bytes,
            package.layer,
            text(&packages::licenses(package)),
        ])),
        "vulnerabilities": subject.vulnerabilities.map(|known| vulnerability_rows(known, subject.packages)),
        "unread": subject.packages.unread.iter().map(|(path, why)| format!("{}: {why}", layers::path(path))).collect::<Vec<_>>(),
        "checks": rows(subject.verdicts, |verdict| json!([
            verdict.check,
            verdict.passed,
            text(&verdict.text()),
            verdict.mend.as_deref().map(text),
        ])),
        "build": subject.build.as_ref().map(|build| json!({
            "id": build.id,
            "started": build.started,
            "later": build.later,
            "steps": rows(&build.steps, |step| json!([text(&step.name), step.outcome, step.began, step.took])),
        })),
        "trend": rows(&subject.trend, |point| json!([point.build, point.started, point.bytes])),
    })
}

/// What is known of packages, and what is not.
fn vulnerability_rows(known: &Vulnerabilities, packages: &Packages) -> Value {
    let list = |all: &[Vulnerability]| {
        rows(all, |one| {
            let package = &packages.packages[one.package];
            json!([
                text(&one.id),
                vulnerabilities::severity(one.severity),
                text(&package.name),
                text(&package.version),
                one.fixed.as_deref().map(text),
                package.layer,
                text(&one.summary),
            ])
        })
    };
    let uncovered = known.uncovered_names().into_iter().map(text);
    json!({
        "found": list(&known.found),
        "undecided": list(&known.undecided),
        "uncovered": uncovered.collect::<Vec<_>>(),
    })
}

/// The first of some rows, and how many there are.
fn rows<T>(all: &[T], row: impl Fn(&T) -> Value) -> Value {
    json!({"count": all.len(), "rows": all.iter().take(ROWS).map(row).collect::<Vec<_>>()})
}

fn layer_rows(image: &Image, wasted: &Waste) -> Vec<Value> {
    let names = (NAMES / image.layers.len().max(1)).max(40);
    let layers = image.layers.iter().zip(image.indexes()).zip(&wasted.layers).enumerate();
    let row = |(number, ((layer, index), wasted))| {
        let layer: &kiln_inspect::Layer = layer;
        let wasted: &kiln_inspect::waste::LayerWaste = wasted;
        let moments = Moments::of_layers(std::slice::from_ref(index));
        json!({
            "bytes": layer.bytes,
            "dead": wasted.dead,
            "killed": wasted.killed,
            "compressed": layer.compressed,
            "text": text(&layers::instruction(image, number)),
            "made": layer.maker.as_ref().map(layers::made_in),
            "files": tree::tree(&moments, &format!("layer {number}"), names),
        })
    };
    layers.map(row).collect()
}

fn waste_rows(wasted: &Waste) -> Value {
    rows(&wasted.findings, |finding| {
        json!({
            "what": waste::what(finding.kind),
            "change": waste::change(finding.kind),
            "dead": finding.kind.is_dead(),
            "bytes": finding.bytes,
            "files": finding.files,
            "place": text(&waste::place(finding)),
            "layer": finding.added_by,
            "other": finding.other.filter(|_| finding.kind.is_dead()),
            "largest": finding.largest.iter().map(|file| json!([text(&layers::path(&file.path)), file.bytes])).collect::<Vec<_>>(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_no_markup() {
        let json = json!({"a": "</script><script>alert(1)</script><!-- & \u{2028}"}).to_string();
        let written = in_script(&json);
        assert!(!written.contains(['<', '>', '&', '\u{2028}']), "{written}");
        assert_eq!(
            serde_json::from_str::<Value>(&written).unwrap(),
            serde_json::from_str::<Value>(&json).unwrap()
        );
        assert_eq!(in_text("<a>&\n"), "&lt;a&gt;&amp; ");
    }

    /// From the specification of policies: the hash of an example.
    #[test]
    fn hashes() {
        assert_eq!(
            hash("alert('Hello, world.');"),
            "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="
        );
    }
}
