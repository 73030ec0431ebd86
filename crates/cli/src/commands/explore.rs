//! `kiln explore`

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};

use kiln_image::Platform;
use kiln_inspect::waste::Waste;
use kiln_inspect::{Image, LayerIndex, Moments, Piece, Place, extract};

use super::diff::signed;
use super::waste;
use crate::engine::Engine;
use crate::explore::model::{Explorer, MomentRow, Outside, Subject, WasteRow, Wasted};
use crate::explore::preview::{MOST, Preview};
use crate::explore::tree::TreeView;
use crate::failure::{Context as _, Failure, Outcome};
use crate::progress::Style;
use crate::progress::text::one_line;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::values::size;
use crate::{explore, layers};

/// Arguments of `kiln explore`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "? in the explorer shows its keys: Tab goes from the layers to the files, / searches, f filters, q leaves."
)]
pub(crate) struct Args {
    /// The image: a name of the store or a registry, docker://NAME, oci:DIRECTORY[:TAG], oci-archive: or
    /// docker-archive:FILE[:TAG], or a path
    image: String,
    /// Show what is different in this image; c goes from one to the other
    #[arg(long, value_name = "IMAGE")]
    compare: Option<String>,
    /// The Dockerfile whose lines d shows [default: the instructions that the image remembers]
    #[arg(long, short, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Which image of several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

/// Lets the user look around in an image.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    explore::check()?;
    let file = args.file.as_deref().map(dockerfile).transpose()?;
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let look = |image: &str| engine.look_into(image, args.platform.as_ref(), settings, &interrupt);
    let first = look(&args.image)?;
    let second = args.compare.as_deref().map(look).transpose()?;
    let mut subjects = vec![subject(&args.image, &first.image)];
    let mut images = vec![&first.image];
    if let (Some(name), Some(second)) = (&args.compare, &second) {
        subjects.push(subject(name, &second.image));
        subjects.push(comparison([&args.image, name], [&first.image, &second.image]));
        images.push(&second.image);
    }
    let shown = subjects.len() - 1;
    let indexes: Vec<_> = images.iter().map(|image| image.indexes()).collect();
    let mut world = World { images, file };
    let explorer = Explorer::new(subjects, shown);
    let indexes = &indexes;
    std::thread::scope(|scope| {
        // Once this is left nobody hears any more, and the thread ends with the image that it looks at.
        let (found, late) = mpsc::channel();
        let thread = std::thread::Builder::new().name("waste".to_owned());
        thread
            .spawn_scoped(scope, move || look_for_waste(indexes, &found))
            .or_internal(|| "cannot start a thread".to_owned())?;
        explore::run(explorer, Style::new(settings), &mut world, &interrupt, &late)
    })
}

/// Tells what is wasted of each image, until nobody wants to know it any more.
fn look_for_waste(images: &[&[LayerIndex]], found: &Sender<(usize, Wasted)>) {
    for (number, layers) in images.iter().enumerate() {
        if found.send((number, wasted(layers))).is_err() {
            return;
        }
    }
}

/// The name and the beginning of a Dockerfile.
fn dockerfile(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    use std::io::Read as _;
    let cannot = || format!("cannot read {}", path.display());
    let mut text = Vec::new();
    let file = std::fs::File::open(path).or_failed(cannot)?;
    file.take(MOST).read_to_end(&mut text).or_failed(cannot)?;
    Ok((path.display().to_string(), text))
}

fn subject<'a>(name: &str, image: &'a Image) -> Subject<'a> {
    let layers = image.layers.len();
    let bytes = image.indexes().iter().map(LayerIndex::bytes).sum();
    let summary = format!("{} in {layers} layers", size::show(bytes));
    let rows = image.layers.iter().enumerate().map(|(number, layer)| {
        let mut details = vec![("size", size::show(layer.bytes))];
        details.extend(layer.compressed.map(|bytes| ("compressed", size::show(bytes))));
        details.push(("files", image.indexes()[number].files().to_string()));
        let made_in = layer.maker.as_ref().map(layers::made_in);
        details.extend(
            made_in
                .filter(|place| !place.is_empty())
                .map(|place| ("made in", place)),
        );
        let diff_id = image.config.rootfs.diff_ids.get(number);
        details.extend(diff_id.map(|id| ("diff ID", one_line(&id.to_string()))));
        MomentRow {
            bytes: layer.bytes,
            text: layers::instruction(image, number),
            details,
        }
    });
    let rows = rows.collect();
    Subject::new(name.to_owned(), summary, rows, Moments::of_layers(image.indexes()))
}

fn wasted(layers: &[LayerIndex]) -> Wasted {
    let waste = Waste::of(layers);
    let details = waste.layers.iter().map(|wasted| {
        let dead = (wasted.dead > 0).then(|| ("dead", format!("{} of it, by layers above", size::show(wasted.dead))));
        let kills = (wasted.killed > 0).then(|| ("kills", format!("{} of layers below", size::show(wasted.killed))));
        dead.into_iter().chain(kills).collect()
    });
    let details = details.collect();
    let findings = waste.findings.into_iter().map(|finding| WasteRow {
        bytes: finding.bytes,
        what: waste::what(finding.kind),
        change: waste::change(finding.kind),
        layer: finding.added_by,
        place: waste::place(&finding),
        path: finding
            .largest
            .into_iter()
            .next()
            .map(|wasted| wasted.path)
            .unwrap_or_default(),
    });
    Wasted {
        summary: format!(
            ", {} dead ({})",
            size::show(waste.dead),
            waste::percent(waste.dead, waste.bytes)
        ),
        details,
        rows: findings.collect(),
    }
}

fn comparison<'a>(names: [&str; 2], images: [&'a Image; 2]) -> Subject<'a> {
    let moments = Moments::of_images(images[0].indexes(), images[1].indexes());
    let [before, after] = [0, 1].map(|moment| moments.bytes(0, moment));
    let growth = signed(after.cast_signed() - before.cast_signed());
    let rows = [(names[0], images[0]), (names[1], images[1])].map(|(name, image)| {
        let other = if std::ptr::eq(image, images[0]) {
            images[1]
        } else {
            images[0]
        };
        let shared = image.layers.iter().zip(&image.config.rootfs.diff_ids);
        let shared = shared.filter(|(_, id)| other.config.rootfs.diff_ids.contains(id));
        MomentRow {
            bytes: image.layers.iter().map(|layer| layer.bytes).sum(),
            text: one_line(name),
            details: vec![
                ("layers", image.layers.len().to_string()),
                ("in both", size::show(shared.map(|(layer, _)| layer.bytes).sum())),
                ("platform", image.config.platform().to_string()),
            ],
        }
    });
    let name = format!("{} → {}", names[0], names[1]);
    let mut subject = Subject::new(name, format!("files {growth}"), rows.into(), moments);
    subject.is_comparison = true;
    subject.waste = Some(Vec::new());
    subject
}

/// The images that are explored, and this machine.
struct World<'a> {
    images: Vec<&'a Image>,
    file: Option<(String, Vec<u8>)>,
}

impl World<'_> {
    /// The image and the layer of it that a place of a subject means.
    fn find(&self, subject: usize, place: Place) -> (&Image, Place) {
        let first = self.images[0];
        let layers = u32::try_from(first.layers.len()).unwrap_or(u32::MAX);
        match self.images.get(subject) {
            Some(image) => (image, place),
            // A comparison: layers of the second image come behind those of the first.
            None if place.layer < layers => (first, place),
            None => {
                let layer = place.layer - layers;
                (self.images[1], Place { layer, ..place })
            }
        }
    }
}

impl Outside for World<'_> {
    fn read(&mut self, subject: usize, place: Place, limit: u64) -> Result<Vec<u8>, String> {
        let (image, place) = self.find(subject, place);
        let mut bytes = Vec::new();
        let read = image.read_files(&[place], limit, &mut |_, piece| match piece {
            Piece::Begin => bytes.clear(),
            Piece::Bytes(piece) => bytes.extend_from_slice(piece),
        });
        read.map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    fn extract(&mut self, subject: usize, view: &TreeView<'_>, node: u32, directory: &str) -> Result<String, String> {
        // Of a comparison a part may be of one image, and a part of the other.
        let contents = |places: &[Place], take: &mut (dyn FnMut(usize, Piece<'_>) + Send)| {
            self.images.iter().try_for_each(|image| {
                let found = places.iter().map(|place| self.find(subject, *place)).enumerate();
                let own = found.filter(|(_, (other, _))| std::ptr::eq(*other, *image));
                let (numbers, places): (Vec<usize>, Vec<Place>) =
                    own.map(|(number, (_, place))| (number, place)).unzip();
                image.read_files(&places, u64::MAX, &mut |number, piece| take(numbers[number], piece))
            })
        };
        let written = extract(&view.moments, view.moment(node), node, &contents, Path::new(directory));
        let written = written.map_err(|error| error.to_string())?;
        let skipped = match written.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} devices and the like left out"),
        };
        let bytes = size::show(written.bytes);
        Ok(format!(
            "wrote {}: {} files, {bytes}{skipped}",
            written.path.display(),
            written.files
        ))
    }

    fn dockerfile(&mut self, subject: usize, layer: u32) -> Result<Preview, String> {
        let (image, place) = self.find(subject, Place { layer, entry: 0 });
        let layer = place.layer as usize;
        let known = image.layers.get(layer).ok_or("there is no such layer")?;
        if let Some((name, text)) = &self.file {
            let lines = known.maker.as_ref().and_then(|maker| maker.lines);
            let (first, last) = lines.ok_or("no build that is remembered made this layer: its line is not known")?;
            return Ok(Preview::new(name.clone(), text.clone(), text.len() as u64).at_lines(first, last));
        }
        if image.config.history.is_empty() {
            return Err("the image does not say how it was made".to_owned());
        }
        let instructions: Vec<String> = image
            .config
            .history
            .iter()
            .map(|entry| one_line(&entry.created_by))
            .collect();
        let text = instructions.join("\n").into_bytes();
        let made_in = known.maker.as_ref().map(layers::made_in).unwrap_or_default();
        let title = format!("what the image says of how it was made {made_in}");
        let size = text.len() as u64;
        let preview = Preview::new(title.trim_end().to_owned(), text, size);
        Ok(match known.history.and_then(|at| u32::try_from(at + 1).ok()) {
            Some(line) => preview.at_lines(line, line),
            None => preview,
        })
    }
}
