//! A part of an image has what is wanted of it as all of the image has it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use kiln_layer::tar::{Entry, Kind, Writer};
use kiln_layer::{complete, unpack};
use proptest::prelude::*;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2, readlinkat};
use rustix::io::Errno;

use super::*;
use crate::error::StepError;

/// What an entry of a layer is; hard and symbolic links with what they lead to.
#[derive(Debug, Clone)]
enum What {
    File,
    Directory,
    Symlink(String),
    Link(String),
    Whiteout,
    Opaque,
}

use What::{Directory, File, Link, Opaque, Symlink, Whiteout};

/// A layer, and whether the store has it.
#[derive(Debug, Clone)]
struct Layer {
    entries: Vec<(String, What)>,
    is_kept: bool,
}

/// Entries say times long before it.
const TODAY: i64 = 1_000_000_000;

fn layer<const N: usize>(entries: [(&str, What); N]) -> Layer {
    Layer {
        entries: entries.map(|(path, what)| (path.to_owned(), what)).to_vec(),
        is_kept: false,
    }
}

fn kept<const N: usize>(entries: [(&str, What); N]) -> Layer {
    Layer {
        is_kept: true,
        ..layer(entries)
    }
}

fn goals(paths: &[&str]) -> Vec<Goal> {
    let goal = |path: &&str| Goal {
        path: path.into(),
        follow: true,
    };
    paths.iter().map(goal).collect()
}

impl Layer {
    /// All of what it says bears its number.
    fn tar(&self, number: usize) -> Vec<u8> {
        let mut tar = Writer::new(Vec::new());
        for (path, what) in &self.entries {
            let (above, name) = path
                .rsplit_once('/')
                .map_or(("", &**path), |(above, name)| (above, name));
            let (path, kind, link) = match what {
                File => (path.clone(), Kind::File, ""),
                Directory => (path.clone(), Kind::Directory, ""),
                Symlink(to) => (path.clone(), Kind::Symlink, &**to),
                Link(to) => (path.clone(), Kind::Link, &**to),
                Whiteout => (format!("{above}/.wh.{name}"), Kind::File, ""),
                Opaque => (format!("{path}/.wh..wh..opq"), Kind::File, ""),
            };
            let content = format!("{path} of {number}");
            let mut entry = Entry::new(path, kind, 0o700 + u32::try_from(number).unwrap());
            entry.link = link.into();
            entry.mtime = (1000 + i64::try_from(number).unwrap(), 0);
            if kind == Kind::File {
                entry.size = content.len() as u64;
            }
            tar.entry(&entry).unwrap();
            if kind == Kind::File {
                tar.data(content.as_bytes()).unwrap();
            }
        }
        tar.finish().unwrap()
    }
}

/// An image whose layers are tars in memory, and all of it.
struct Image {
    tars: Vec<Vec<u8>>,
    is_kept: Vec<bool>,
    /// The lowest first.
    whole: Vec<LayerDir>,
    empty: LayerDir,
    /// Where these are was asked.
    asked: RefCell<Vec<usize>>,
    /// These were unpacked, each as often as it is in here.
    unpacked: RefCell<Vec<usize>>,
}

impl Layers for Image {
    fn count(&self) -> usize {
        self.tars.len()
    }

    fn directory(&self, number: usize) -> StepResult<Option<PathBuf>> {
        self.asked.borrow_mut().push(number);
        Ok(self.is_kept[number].then(|| self.whole[number].fs()))
    }

    fn unpack(&self, number: usize, into: &Path, options: &UnpackOptions) -> StepResult<Unpacked> {
        self.unpacked.borrow_mut().push(number);
        Ok(unpack(&self.tars[number][..], None, into, options)?)
    }
}

impl Image {
    /// Of those layers that can be: not every combination of entries is one.
    fn new(store: &Store, layers: &[Layer]) -> Self {
        let mut image = Self {
            tars: Vec::new(),
            is_kept: Vec::new(),
            whole: Vec::new(),
            empty: store.new_layer().unwrap(),
            asked: RefCell::default(),
            unpacked: RefCell::default(),
        };
        for layer in layers {
            let tar = layer.tar(image.count());
            match image.laid_on_top(store, &tar) {
                Ok(directory) => {
                    image.whole.push(directory);
                    image.tars.push(tar);
                    image.is_kept.push(layer.is_kept);
                }
                Err(StepError::Layer(error)) if is_of_entries(&error) => {}
                Err(error) => panic!("{error}: {layer:?}"),
            }
        }
        image
    }

    fn laid_on_top(&self, store: &Store, tar: &[u8]) -> StepResult<LayerDir> {
        let directory = store.new_layer()?;
        let unpacked = unpack(tar, None, &directory.fs(), &UnpackOptions::default())?;
        if !self.whole.is_empty() || !unpacked.missing_links.is_empty() {
            complete(&directory.fs(), self.tree().as_fd(), &unpacked)?;
        }
        Ok(directory)
    }

    fn tree(&self) -> OwnedFd {
        let directories = self.whole.iter().rev().map(LayerDir::fs).collect();
        tree(directories, self.empty.fs()).unwrap()
    }
}

/// Whether entries are at fault: they are refused, or what should be a directory is none.
fn is_of_entries(error: &kiln_layer::Error) -> bool {
    match error {
        kiln_layer::Error::Refused { .. } => true,
        kiln_layer::Error::Path { source, .. } => {
            let errno = Errno::from_io_error(source);
            matches!(errno, Some(Errno::NOTDIR | Errno::LOOP))
        }
        _ => false,
    }
}

/// What is found at a goal: what it is, and what is below it, by the names that lead there.
fn found(tree: &OwnedFd, goal: &Goal) -> Result<BTreeMap<PathBuf, String>, Errno> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if !goal.follow {
        flags |= OFlags::NOFOLLOW;
    }
    let path = Path::new("/").join(&goal.path);
    let file = loop {
        match openat2(tree, &path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            // Somebody renamed something somewhere.
            Err(Errno::AGAIN) => {}
            opened => break opened?,
        }
    };
    let mut found = BTreeMap::new();
    describe(&file, PathBuf::new(), &mut found);
    Ok(found)
}

fn describe(file: &OwnedFd, path: PathBuf, found: &mut BTreeMap<PathBuf, String>) {
    let at = PathBuf::from(format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(file)));
    let meta = std::fs::metadata(&at).unwrap();
    // Some time today is that of a root, or of what takes after it: no entry says it.
    let time = Some(meta.mtime()).filter(|time| *time < TODAY).unwrap_or_default();
    let mut says = format!("{:o} {time} ", meta.mode());
    if meta.is_dir() {
        for name in std::fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().file_name()) {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat2(file, &name, flags, Mode::empty(), ResolveFlags::empty()) {
                Ok(below) => describe(&below, path.join(name), found),
                // The kernel lists a whiteout where nothing is below it.
                Err(errno) => assert_eq!(errno, Errno::NOENT),
            }
        }
    } else if meta.is_file() {
        std::fs::File::open(&at).unwrap().read_to_string(&mut says).unwrap();
    } else {
        says += readlinkat(file, "", Vec::new()).unwrap().to_str().unwrap();
    }
    found.insert(path, says);
}

/// A store that goes with what it is in; `None` where there are no overlays, which are root's.
fn store() -> Option<(tempfile::TempDir, Store)> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: tests with overlays, which need root");
        assert!(std::env::var_os("CI").is_none(), "CI must have root");
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    Some((root, store))
}

/// Reads a part and compares it with all.
fn compare(store: &Store, image: &Image, goals: &[Goal]) -> Result<(), TestCaseError> {
    let before = image.unpacked.borrow().len();
    let part = Part::read(store, image, goals).unwrap();
    let (part, whole) = (part.tree(image.empty.fs()).unwrap(), image.tree());
    for goal in goals {
        prop_assert_eq!(found(&part, goal), found(&whole, goal), "{:?}", goal);
    }
    // In each pass a part of a layer, and all of it where that does not say everything; then all in one more.
    let most = image.count() * (2 * MOST_PASSES + 1);
    prop_assert!(image.unpacked.borrow().len() - before <= most, "{} times at most", most);
    Ok(())
}

/// As [`compare`], of layers that all can be, of which those are read, and each is asked for once.
fn check(layers: &[Layer], paths: &[&str], read: &[usize]) {
    let Some((_root, store)) = store() else { return };
    let image = Image::new(&store, layers);
    assert_eq!(image.count(), layers.len());
    compare(&store, &image, &goals(paths)).unwrap();
    let asked = image.asked.borrow();
    assert!(asked.windows(2).all(|pair| pair[1] < pair[0]), "{asked:?}");
    let unpacked: BTreeSet<usize> = image.unpacked.borrow().iter().copied().collect();
    assert_eq!(Vec::from_iter(unpacked), read);
}

/// What one layer links to, upper layers may have anew: their files are wanted as well.
#[test]
fn what_a_hard_link_makes_wanted_is_wanted_of_all_layers() {
    let image = [
        layer([("y", File)]),
        layer([("x", Link("y".into())), ("l", Symlink("y".into()))]),
        layer([("y", File), ("d/other", File)]),
    ];
    check(&image, &["x", "l"], &[0, 1, 2]);
}

/// A name may be a hard link to a symbolic one.
#[test]
fn what_is_linked_to_may_lead_on() {
    let image = [
        kept([("s", Symlink("y".into())), ("y", File)]),
        layer([("y", File), ("d/other", File)]),
        layer([("x", Link("s".into()))]),
    ];
    check(&image, &["x"], &[1, 2]);
}

/// What a layer takes from those below it may be reached by links there.
#[test]
fn what_is_taken_from_below_may_be_behind_links() {
    let image = [
        kept([("real", Directory), ("real/y", File), ("way", Symlink("real".into()))]),
        layer([("real", Directory), ("real/y", File)]),
        layer([("x", Link("way/y".into()))]),
    ];
    check(&image, &["x"], &[1, 2]);
}

/// A link of a lower layer stays one, also where an upper layer links through it to a file that it has not itself.
#[test]
fn what_a_hard_link_is_reached_through_stays_a_link() {
    let image = [
        layer([
            ("real", Directory),
            ("real/y", File),
            ("real/other", File),
            ("way", Symlink("real".into())),
        ]),
        layer([("f", File), ("x", Link("way/y".into()))]),
    ];
    check(&image, &["way/other"], &[0, 1]);
    let Some((_root, store)) = store() else { return };
    let image = Image::new(&store, &image);
    let way = Goal {
        path: "way".into(),
        follow: false,
    };
    compare(&store, &image, std::slice::from_ref(&way)).unwrap();
    let whole = found(&image.tree(), &way).unwrap();
    assert!(whole[Path::new("")].ends_with("real"), "{whole:?}");
    // A lower layer has a directory where the upper one has the link.
    let image = [
        layer([("way/y", File), ("real/y", File)]),
        layer([("way", Symlink("real".into())), ("x", Link("way/y".into()))]),
    ];
    check(&image, &["x"], &[0, 1]);
    let image = Image::new(&store, &image);
    let [x, y] = [&goals(&["x"]), &goals(&["real/y"])].map(|goals| found(&image.tree(), &goals[0]).unwrap());
    assert_eq!(x, y);
    assert!(x[Path::new("")].ends_with("real/y of 0"), "{x:?}");
}

/// What lies behind a link goes elsewhere, also where the link is wanted itself.
#[test]
fn what_lies_behind_a_link_may_be_wanted_by_another_name() {
    let image = [layer([
        ("real", Directory),
        ("way", Symlink("real".into())),
        ("way/y", File),
    ])];
    check(&image, &["way/other", "real/y"], &[0]);
}

/// No layer is read for the sake of hard links that nobody wants; those of the layer itself count by their names there.
#[test]
fn links_that_nobody_wants_cost_nothing() {
    let image = [
        layer([("y", File), ("d", Directory)]),
        layer([
            ("unwanted", Link("y".into())),
            ("d/own", Link("y".into())),
            ("f", File),
            ("g", Link("f".into())),
        ]),
    ];
    check(&image, &["f"], &[1]);
    check(&image, &["g"], &[1]);
    check(&image, &["d/own"], &[0, 1]);
    // What is wanted is a link to one that is none by itself.
    let image = [
        layer([("y", File)]),
        layer([
            ("way", Symlink("d".into())),
            ("d/own", Link("y".into())),
            ("x", Link("way/own".into())),
        ]),
    ];
    check(&image, &["x"], &[0, 1]);
}

/// A link may take the place of the directory that it leads into.
#[test]
fn a_hard_link_hides_what_it_leads_to() {
    let image = [layer([("a/a", File)]), layer([("a", Link("a/a".into()))])];
    check(&image, &["a"], &[0, 1]);
}

/// However many links lead from one to the next.
#[test]
fn passes_are_few() {
    let Some((_root, store)) = store() else { return };
    let read = |layers: &[Layer], path: &str| {
        let image = Image::new(&store, layers);
        assert_eq!(image.count(), layers.len());
        compare(&store, &image, &goals(&[path])).unwrap();
        image.unpacked.take().len()
    };
    let mut links = layer([("link30", File)]);
    for number in 0..30 {
        let to = format!("link{}", number + 1);
        links.entries.push((format!("link{number}"), Symlink(to)));
    }
    assert!(read(&[links], "link0") <= MOST_PASSES + 1);
    // All that a layer takes from those below it becomes known at once.
    let (mut lower, mut upper) = (layer([]), layer([("way", Symlink("d0".into())), ("way/x", File)]));
    for number in 0..10 {
        lower
            .entries
            .push((format!("d{number}"), Symlink(format!("real{number}"))));
        lower.entries.push((format!("real{number}"), Directory));
        upper.entries.push((format!("d{number}/f"), File));
    }
    assert!(read(&[lower, upper], "d0/f") <= 12);
}

/// Few, so that layers have much to say of the same.
fn path() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    prop_oneof![
        2 => name().prop_map(str::to_owned),
        1 => (name(), name()).prop_map(|(above, name)| format!("{above}/{name}")),
    ]
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        path(),
        path().prop_map(|path| format!("/{path}")),
        path().prop_map(|path| format!("../{path}")),
        path().prop_map(|path| format!("{path}/..")),
    ]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        6 => Just(File),
        1 => Just(Directory),
        2 => target().prop_map(Symlink),
        4 => path().prop_map(Link),
        2 => Just(Whiteout),
        1 => Just(Opaque),
    ]
}

fn layers() -> impl Strategy<Value = Vec<Layer>> {
    let entries = prop::collection::vec((path(), what()), 1..4);
    let layer = (entries, prop::bool::weighted(0.2)).prop_map(|(entries, is_kept)| Layer { entries, is_kept });
    prop::collection::vec(layer, 2..6)
}

fn goal() -> impl Strategy<Value = Goal> {
    let path = target().prop_map(PathBuf::from);
    (path, any::<bool>()).prop_map(|(path, follow)| Goal { path, follow })
}

/// Whatever the layers are, of any paths, and of each alone whose file has another name.
#[test]
fn a_part_has_what_all_has() {
    let Some((_root, store)) = store() else { return };
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(layers in layers(), some in prop::collection::vec(goal(), 1..4))| {
        let image = Image::new(&store, &layers);
        compare(&store, &image, &some)?;
        let entries = layers.iter().flat_map(|layer| &layer.entries);
        let links = entries.filter(|(_, what)| matches!(what, Link(_)));
        for (path, _) in links {
            compare(&store, &image, &goals(&[path]))?;
        }
    });
}
