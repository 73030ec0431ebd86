//! COPY's engine.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use kiln_layer::{CopyOptions, CopyStats, Error, Filter, ModeChange, Times, copy_tree, write_file};

use crate::tree::{describe, is_root};

struct Trees {
    work: tempfile::TempDir,
}

impl Trees {
    fn new() -> Self {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir(work.path().join("from")).unwrap();
        fs::create_dir(work.path().join("to")).unwrap();
        Self { work }
    }

    fn from(&self, path: &str) -> std::path::PathBuf {
        self.work.path().join("from").join(path)
    }

    fn to(&self, path: &str) -> std::path::PathBuf {
        self.work.path().join("to").join(path)
    }

    fn copy(&self, from: &str, to: &str, options: &CopyOptions<'_>) -> Result<CopyStats, Error> {
        let (source, dest) = (File::open(self.from("")).unwrap(), File::open(self.to("")).unwrap());
        copy_tree(source.as_fd(), Path::new(from), dest.as_fd(), Path::new(to), options)
    }
}

#[test]
fn one_of_everything_arrives_as_it_was() {
    let trees = Trees::new();
    crate::pack::specimen(&trees.from(""));
    let _socket = UnixListener::bind(trees.from("socket")).unwrap();
    // On a mounted tree these would have another meaning.
    for name in ["usr/deleted", "null", "disk"] {
        if trees.from(name).exists() || name == "usr/deleted" {
            let _none = fs::remove_file(trees.from(name));
        }
    }
    let stats = trees.copy("/", "/", &CopyOptions::default()).unwrap();
    assert!(stats.files > 10 && stats.skipped_devices.is_empty());
    let (mut expected, mut found) = (describe(&trees.from("")), describe(&trees.to("")));
    for tree in [&mut expected, &mut found] {
        for what in tree.values_mut() {
            what.xattrs
                .retain(|name, _| !name.starts_with("user.overlay.") && !name.starts_with("trusted."));
        }
    }
    let socket = expected.get_mut(Path::new("socket")).unwrap();
    socket.kind = 'f';
    assert_eq!(expected, found);
}

#[test]
fn existing_directories() {
    let trees = Trees::new();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir_all(trees.from("d/inner")).unwrap();
    fs::write(trees.from("d/inner/new"), "new").unwrap();
    mode(&trees.from("d"), 0o700);
    mode(&trees.from("d/inner"), 0o750);
    fs::create_dir_all(trees.to("top/inner")).unwrap();
    fs::write(trees.to("top/inner/old"), "old").unwrap();
    mode(&trees.to("top"), 0o711);
    mode(&trees.to("top/inner"), 0o777);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    File::open(trees.to("top")).unwrap().set_modified(old).unwrap();
    trees.copy("d", "/top", &CopyOptions::default()).unwrap();
    let meta = |path| fs::metadata(trees.to(path)).unwrap();
    assert_eq!((meta("top").mode() & 0o7777, meta("top").mtime()), (0o711, 1000));
    assert_eq!(meta("top/inner").mode() & 0o7777, 0o750);
    assert_eq!(
        meta("top/inner").mtime(),
        fs::metadata(trees.from("d/inner")).unwrap().mtime()
    );
    assert!(trees.to("top/inner/old").exists() && trees.to("top/inner/new").exists());
    // A new one takes after the source.
    trees.copy("d", "/a/b", &CopyOptions::default()).unwrap();
    assert_eq!(meta("a/b").mode() & 0o7777, 0o700);
    assert_eq!(meta("a").mode() & 0o7777, 0o755);
}

#[test]
fn files_replace_files_and_nothing_replaces_directories() {
    let trees = Trees::new();
    fs::write(trees.from("f"), "new").unwrap();
    fs::create_dir_all(trees.from("d/x")).unwrap();
    fs::create_dir(trees.from("e")).unwrap();
    fs::write(trees.from("e/x"), "").unwrap();
    fs::create_dir_all(trees.to("dir/x")).unwrap();
    fs::write(trees.to("f"), "old, and longer").unwrap();
    fs::hard_link(trees.to("f"), trees.to("other")).unwrap();
    trees.copy("f", "f", &CopyOptions::default()).unwrap();
    assert_eq!(fs::read(trees.to("f")).unwrap(), b"new");
    assert_eq!(fs::read(trees.to("other")).unwrap(), b"old, and longer");
    assert!(matches!(
        trees.copy("f", "dir", &CopyOptions::default()),
        Err(Error::IsADirectory { .. })
    ));
    assert!(matches!(
        trees.copy("e", "dir", &CopyOptions::default()),
        Err(Error::IsADirectory { .. })
    ));
    assert!(matches!(
        trees.copy("d", "f", &CopyOptions::default()),
        Err(Error::NotADirectory { .. })
    ));
    fs::write(trees.to("x"), "").unwrap();
    assert!(matches!(
        trees.copy("d", "/", &CopyOptions::default()),
        Err(Error::NotADirectory { .. })
    ));
    assert!(
        trees
            .copy("missing", "y", &CopyOptions::default())
            .unwrap_err()
            .to_string()
            .contains("missing")
    );
}

#[test]
fn links_are_followed_inside_the_trees_only() {
    let trees = Trees::new();
    fs::write(trees.work.path().join("outside"), "secret").unwrap();
    fs::write(trees.from("f"), "file").unwrap();
    symlink("/f", trees.from("l")).unwrap();
    symlink("../../outside", trees.from("escape")).unwrap();
    symlink("/real", trees.to("link")).unwrap();
    symlink("../../../landed", trees.to("up")).unwrap();
    symlink("up", trees.to("chain")).unwrap();
    fs::create_dir(trees.to("real")).unwrap();
    trees.copy("l", "link/f", &CopyOptions::default()).unwrap();
    assert_eq!(fs::read(trees.to("real/f")).unwrap(), b"file");
    trees.copy("f", "chain", &CopyOptions::default()).unwrap();
    assert_eq!(fs::read(trees.to("landed")).unwrap(), b"file");
    assert!(trees.copy("escape", "x", &CopyOptions::default()).is_err());
    let as_it_is = CopyOptions {
        no_follow: true,
        ..CopyOptions::default()
    };
    trees.copy("escape", "x", &as_it_is).unwrap();
    assert_eq!(fs::read_link(trees.to("x")).unwrap(), Path::new("../../outside"));
    trees.copy("f", "x", &as_it_is).unwrap();
    assert_eq!(fs::read(trees.to("outside")).unwrap(), b"file");
    assert_eq!(fs::read(trees.work.path().join("outside")).unwrap(), b"secret");
    // Directories of the tree go through no link of the destination.
    fs::create_dir_all(trees.from("t/link")).unwrap();
    assert!(matches!(
        trees.copy("t", "/", &CopyOptions::default()),
        Err(Error::NotADirectory { .. })
    ));
}

#[test]
fn filters_owners_and_modes() {
    let trees = Trees::new();
    for path in ["d/keep/a", "d/drop/a", "d/some/deep/yes", "d/some/deep/no", "d/none/no"] {
        fs::create_dir_all(trees.from(path).parent().unwrap()).unwrap();
        fs::write(trees.from(path), path).unwrap();
    }
    fs::set_permissions(trees.from("d/some"), fs::Permissions::from_mode(0o701)).unwrap();
    let filter = |path: &Path, is_directory: bool| {
        assert_eq!(
            is_directory,
            fs::metadata(trees.from(path.to_str().unwrap())).unwrap().is_dir()
        );
        match path.to_str().unwrap() {
            "d/drop" => Filter::Exclude,
            "d/some" | "d/some/deep" | "d/none" => Filter::Descend,
            path if path.ends_with("/no") => Filter::Exclude,
            _ => Filter::Include,
        }
    };
    let owner = is_root().then_some((7, 8));
    let options = CopyOptions {
        owner,
        mode: ModeChange::parse("go-r").unwrap(),
        filter: Some(&filter),
        times: Times::AtMost(50),
        ..CopyOptions::default()
    };
    trees.copy("d", "out", &options).unwrap();
    let found = describe(&trees.to("out"));
    let names: Vec<_> = found.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(names, ["keep", "keep/a", "some", "some/deep", "some/deep/yes"]);
    assert_eq!(
        (found[Path::new("keep/a")].mode, found[Path::new("some")].mode),
        (0o600, 0o701)
    );
    for (path, what) in &found {
        assert_eq!(what.mtime, 50, "{}", path.display());
        assert!(owner.is_none_or(|owner| owner == what.owner), "{}", path.display());
    }
}

#[test]
fn large_and_sparse_files() {
    let trees = Trees::new();
    let sparse = File::create(trees.from("sparse")).unwrap();
    sparse.set_len(200 << 20).unwrap();
    sparse.write_all_at(&vec![9; 70_000], 100 << 20).unwrap();
    fs::write(trees.from("large"), vec![5; 3_000_001]).unwrap();
    let stats = trees.copy("/", "/", &CopyOptions::default()).unwrap();
    assert_eq!((stats.files, stats.bytes), (2, (200 << 20) + 3_000_001));
    assert!(fs::metadata(trees.to("sparse")).unwrap().blocks() < 4096);
    for name in ["sparse", "large"] {
        assert!(
            fs::read(trees.from(name)).unwrap() == fs::read(trees.to(name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn written_files() {
    let trees = Trees::new();
    symlink("/real", trees.to("link")).unwrap();
    let root = File::open(trees.to("")).unwrap();
    let owner = fs::metadata(trees.to("")).map(|meta| (meta.uid(), meta.gid())).unwrap();
    for content in ["first, longer", "second"] {
        write_file(
            root.as_fd(),
            Path::new("/link"),
            content.as_bytes(),
            0o644,
            &ModeChange::parse("u+x").unwrap(),
            owner,
            false,
        )
        .unwrap();
        assert_eq!(fs::read_to_string(trees.to("real")).unwrap(), content);
        assert_eq!(fs::metadata(trees.to("real")).unwrap().mode() & 0o7777, 0o744);
    }
    write_file(
        root.as_fd(),
        Path::new("link"),
        b"new",
        0o600,
        &ModeChange::Keep,
        owner,
        true,
    )
    .unwrap();
    assert!(fs::symlink_metadata(trees.to("link")).unwrap().is_file());
    assert_eq!(fs::read_to_string(trees.to("real")).unwrap(), "second");
    write_file(
        root.as_fd(),
        Path::new("a/b/c"),
        b"",
        0o600,
        &ModeChange::Keep,
        owner,
        false,
    )
    .unwrap();
    assert!(
        write_file(
            root.as_fd(),
            Path::new("a/b"),
            b"",
            0o600,
            &ModeChange::Keep,
            owner,
            false
        )
        .is_err()
    );
    assert!(
        write_file(
            root.as_fd(),
            Path::new("/"),
            b"",
            0o600,
            &ModeChange::Keep,
            owner,
            false
        )
        .is_err()
    );
}

/// Two layers made by `lower` and `upper`, and the upper one copied onto the lower one.
fn merged(lower: impl Fn(&Path), upper: impl Fn(&Path)) -> Trees {
    let trees = Trees::new();
    lower(&trees.to(""));
    upper(&trees.from(""));
    let options = CopyOptions {
        layer: true,
        ..CopyOptions::default()
    };
    trees.copy("/", "/", &options).unwrap();
    trees
}

fn whiteout(path: &Path) {
    crate::tree::node(path, rustix::fs::FileType::CharacterDevice, (0, 0)).unwrap();
}

fn opaque(path: &Path) {
    crate::tree::set_xattr(path, "user.overlay.opaque", b"y");
}

fn is_opaque(path: &Path) -> bool {
    crate::tree::xattrs(path)
        .get("user.overlay.opaque")
        .is_some_and(|value| value == b"y")
}

fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.mode() & 0o170_000 == 0o020_000 && found.rdev() == 0)
}

// What is expected follows from "Layering" and "whiteouts and opaque directories" of the kernel's overlayfs.rst.
#[test]
fn a_layer_on_a_layer_replaces_what_is_in_its_way() {
    if !is_root() {
        return;
    }
    let directory_with_file = |at: &Path| {
        fs::create_dir(at.join("x")).unwrap();
        fs::write(at.join("x/lower"), "lower").unwrap();
    };
    let file = |at: &Path| fs::write(at.join("x"), "file").unwrap();

    let trees = merged(directory_with_file, file);
    assert_eq!(fs::read(trees.to("x")).unwrap(), b"file");

    let trees = merged(directory_with_file, |at| whiteout(&at.join("x")));
    assert!(is_whiteout(&trees.to("x")));

    let trees = merged(directory_with_file, |at| symlink("/elsewhere", at.join("x")).unwrap());
    assert_eq!(fs::read_link(trees.to("x")).unwrap(), Path::new("/elsewhere"));

    // A directory over anything but a directory has nothing to do with what lies further down.
    for lower in [&file as &dyn Fn(&Path), &|at| whiteout(&at.join("x")), &|at| {
        symlink("/tmp", at.join("x")).unwrap();
    }] {
        let trees = merged(lower, |at| {
            fs::create_dir(at.join("x")).unwrap();
            fs::write(at.join("x/upper"), "upper").unwrap();
        });
        assert_eq!(fs::read(trees.to("x/upper")).unwrap(), b"upper");
        assert!(is_opaque(&trees.to("x")));
    }

    let trees = merged(directory_with_file, |at| {
        fs::create_dir(at.join("x")).unwrap();
        opaque(&at.join("x"));
        fs::write(at.join("x/upper"), "upper").unwrap();
    });
    assert!(is_opaque(&trees.to("x")) && trees.to("x/upper").exists() && !trees.to("x/lower").exists());
}

#[test]
fn directories_of_two_layers_become_one() {
    if !is_root() {
        return;
    }
    let trees = merged(
        |at| {
            fs::create_dir(at.join("x")).unwrap();
            fs::write(at.join("x/lower"), "lower").unwrap();
            fs::write(at.join("x/both"), "lower").unwrap();
            fs::write(at.join("x/gone"), "lower").unwrap();
            opaque(&at.join("x"));
            crate::tree::set_xattr(&at.join("x"), "user.lower", b"1");
            crate::tree::set_xattr(at, "user.lower", b"1");
        },
        |at| {
            fs::create_dir(at.join("x")).unwrap();
            fs::write(at.join("x/both"), "upper").unwrap();
            fs::hard_link(at.join("x/both"), at.join("x/second")).unwrap();
            whiteout(&at.join("x/gone"));
            let _socket = UnixListener::bind(at.join("x/socket")).unwrap();
            crate::tree::set_xattr(&at.join("x"), "user.upper", b"1");
            fs::set_permissions(at.join("x"), fs::Permissions::from_mode(0o2711)).unwrap();
            fs::set_permissions(at, fs::Permissions::from_mode(0o751)).unwrap();
            rustix::fs::chown(at.join("x").as_path(), Some(rustix::fs::Uid::from_raw(7)), None).unwrap();
        },
    );
    assert_eq!(fs::read(trees.to("x/lower")).unwrap(), b"lower");
    assert_eq!(fs::read(trees.to("x/both")).unwrap(), b"upper");
    let (both, second) = (
        fs::metadata(trees.to("x/both")).unwrap(),
        fs::metadata(trees.to("x/second")).unwrap(),
    );
    assert_eq!(both.ino(), second.ino());
    assert!(is_whiteout(&trees.to("x/gone")));
    assert_eq!(
        fs::symlink_metadata(trees.to("x/socket")).unwrap().mode() & 0o170_000,
        0o140_000
    );
    // The lower one's mark still hides what lies further down; its other attributes are the upper one's.
    assert!(is_opaque(&trees.to("x")));
    let names: Vec<String> = crate::tree::xattrs(&trees.to("x")).into_keys().collect();
    assert_eq!(names, ["user.overlay.opaque", "user.upper"]);
    assert!(crate::tree::xattrs(&trees.to("")).is_empty());
    let x = fs::metadata(trees.to("x")).unwrap();
    assert_eq!((x.mode() & 0o7777, x.uid()), (0o2711, 7));
    assert_eq!(fs::metadata(trees.to("")).unwrap().mode() & 0o7777, 0o751);
    assert_eq!(x.mtime_nsec(), fs::metadata(trees.from("x")).unwrap().mtime_nsec());
}

#[test]
fn whiteouts_that_hide_nothing_are_removed() {
    if !is_root() {
        return;
    }
    let trees = Trees::new();
    // The lower tree has x/there, x/opaque/there and, where the layer has a directory, a link.
    fs::create_dir_all(trees.from("x/opaque")).unwrap();
    fs::write(trees.from("x/there"), "").unwrap();
    fs::write(trees.from("x/opaque/there"), "").unwrap();
    symlink("x", trees.from("link")).unwrap();
    for name in ["x/opaque", "link", "own"] {
        fs::create_dir_all(trees.to(name)).unwrap();
    }
    opaque(&trees.to("x/opaque"));
    for name in [
        "x/there",
        "x/nothing",
        "x/opaque/there",
        "link/there",
        "own/there",
        "gone",
    ] {
        whiteout(&trees.to(name));
    }
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    File::open(trees.to("x")).unwrap().set_modified(old).unwrap();
    let (layer, lower) = (File::open(trees.to("")).unwrap(), File::open(trees.from("")).unwrap());
    kiln_layer::remove_idle_whiteouts(layer.as_fd(), Some(lower.as_fd())).unwrap();
    let left: Vec<_> = describe(&trees.to("")).into_keys().collect();
    assert_eq!(
        left,
        ["link", "own", "x", "x/opaque", "x/there"].map(std::path::PathBuf::from)
    );
    assert_eq!(fs::metadata(trees.to("x")).unwrap().modified().unwrap(), old);

    kiln_layer::remove_idle_whiteouts(layer.as_fd(), None).unwrap();
    assert!(!trees.to("x/there").exists() && !is_whiteout(&trees.to("x/there")));
}

/// Directories in directories, with so many files that several threads copy them.
fn many_files(trees: &Trees) {
    for number in 0..1500 {
        let above = match number % 7 {
            0 => "top".to_owned(),
            1 => format!("top/{}", number % 11),
            2 => format!("top/alone/{number}"),
            _ => format!("top/{}/deep/{}", number % 5, number % 13),
        };
        fs::create_dir_all(trees.from(&above)).unwrap();
        let path = format!("{above}/f{number}");
        fs::write(trees.from(&path), format!("{number}\n").repeat(number % 900)).unwrap();
        let mode = [0o644, 0o444, 0o4755, 0o2750][number % 4];
        fs::set_permissions(trees.from(&path), fs::Permissions::from_mode(mode)).unwrap();
        if number % 10 == 0 {
            // Names of one file in far directories, and a link.
            fs::hard_link(trees.from(&path), trees.from(&format!("top/z{}", 3000 - number))).unwrap();
            symlink("nowhere", trees.from(&format!("{path}-link"))).unwrap();
        }
    }
}

#[test]
fn many_files_are_copied_by_several_hands() {
    let trees = Trees::new();
    many_files(&trees);
    let set = |path: &Path, seconds| {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::open(path).unwrap().set_modified(time).unwrap();
    };
    for (seconds, path) in [
        (1000, "top"),
        (2000, "top/3/deep"),
        (3000, "top/alone"),
        (4000, "top/1"),
    ] {
        fs::set_permissions(trees.from(path), fs::Permissions::from_mode(0o555)).unwrap();
        set(&trees.from(path), seconds);
    }
    let stats = trees.copy("/", "/", &CopyOptions::default()).unwrap();
    assert_eq!(stats.files, 1500 + 150 + 150);
    assert_eq!(describe(&trees.from("")), describe(&trees.to("")));
    for number in (0..1500).step_by(10) {
        let meta = fs::metadata(trees.to(&format!("top/z{}", 3000 - number))).unwrap();
        assert_eq!(meta.nlink(), 2, "{number}");
    }
}

#[test]
fn the_first_of_what_fails_is_told() {
    for round in 0..3 {
        let trees = Trees::new();
        many_files(&trees);
        for name in ["top/0/deep/12", "top/3/deep/1", "top/4/deep/9"] {
            let files = fs::read_dir(trees.from(name)).unwrap();
            let mut files: Vec<_> = files
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            for file in &files[files.len() / 2..] {
                fs::create_dir_all(trees.to(&format!("{name}/{file}"))).unwrap();
            }
        }
        let error = trees.copy("/", "/", &CopyOptions::default()).unwrap_err().to_string();
        assert!(error.contains("top/0/deep/12/"), "{round}: {error}");
    }
}
