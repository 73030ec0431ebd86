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
