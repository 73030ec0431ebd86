//! The layer between two trees, laid over the old one by the kernel, is the new one.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use kiln_layer::{Change, Compare, changes, difference, overrides};
use proptest::prelude::*;
use rustix::fs::FileType;

use crate::tree::{describe, is_root, node, set_xattr};

#[derive(Debug, Clone)]
enum What {
    Directory,
    File(&'static str),
    Symlink(&'static str),
    Link(usize),
    Fifo,
}

/// Few names and few values, so that two trees have much in common.
#[derive(Debug, Clone)]
struct Item {
    path: &'static str,
    what: What,
    mode: u32,
    owner: u32,
    mtime: u64,
    xattr: bool,
}

const PATHS: [&str; 12] = [
    "a", "a/b", "a/b/c", "a/d", "e", "e/b", "e/f", "g", "h", "i", "a/g", "e/f/i",
];

fn item() -> impl Strategy<Value = Item> {
    let what = prop_oneof![
        4 => Just(What::Directory),
        4 => prop::sample::select(&["", "x", "y", "longer"][..]).prop_map(What::File),
        1 => prop::sample::select(&["a", "/e", "../../out"][..]).prop_map(What::Symlink),
        4 => (0..4_usize).prop_map(What::Link),
        1 => Just(What::Fifo),
    ];
    let path = prop::sample::select(&PATHS[..]);
    let often = |value: u32, other: u32| prop_oneof![4 => Just(value), 1 => Just(other)];
    (
        path,
        what,
        often(0o755, 0o640),
        often(0, 7),
        often(10, 20),
        any::<bool>(),
    )
        .prop_map(|(path, what, mode, owner, mtime, xattr)| Item {
            path,
            what,
            mode,
            owner,
            mtime: mtime.into(),
            xattr,
        })
}

fn build(root: &Path, items: &[Item]) {
    let (mut made, mut files): (Vec<(PathBuf, &Item)>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    for item in items {
        let path = root.join(item.path);
        if fs::symlink_metadata(&path).is_ok()
            || !fs::symlink_metadata(path.parent().unwrap()).is_ok_and(|it| it.is_dir())
        {
            continue;
        }
        match item.what {
            What::Directory => fs::create_dir(&path).unwrap(),
            What::File(content) => {
                fs::write(&path, content).unwrap();
                files.push(path.clone());
            }
            What::Symlink(target) => symlink(target, &path).unwrap(),
            What::Link(back) if !files.is_empty() => {
                fs::hard_link(&files[back % files.len()], &path).unwrap();
                continue;
            }
            What::Link(_) => continue,
            What::Fifo => node(&path, FileType::Fifo, (0, 0)).unwrap(),
        }
        made.push((path, item));
    }
    for (path, item) in made.iter().rev() {
        std::os::unix::fs::lchown(path, Some(item.owner), Some(item.owner)).unwrap();
        if let What::Directory | What::File(_) = item.what {
            if item.xattr {
                set_xattr(path, "user.kiln", b"x");
            }
            fs::set_permissions(path, fs::Permissions::from_mode(item.mode)).unwrap();
            set_time(path, item.mtime);
        } else {
            let status = Command::new("touch")
                .arg("-hd")
                .arg(format!("@{}", item.mtime))
                .arg(path)
                .status();
            assert!(status.unwrap().success());
        }
    }
}

fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::open(path).unwrap().set_modified(time).unwrap();
}

/// What the kernel shows of the layer over the old tree, copied.
fn overlaid(layer: &Path, old: &Path, out: &Path) {
    let script = r#"mount -t overlay overlay -o "userxattr,lowerdir=$1:$2" "$3" && cp -a "$3/." "$4""#;
    let mount = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-ec", script, "sh"])
        .args([layer, old, mount.path(), out]);
    assert!(command.status().unwrap().success());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_difference_over_the_old_tree_is_the_new_one(
        old_items in prop::collection::vec(item(), 0..25),
        new_items in prop::collection::vec(item(), 0..25),
        common in 0..25_usize,
    ) {
        if !is_root() {
            return Ok(());
        }
        let [old, new, layer, out] = [(); 4].map(|()| tempfile::tempdir().unwrap());
        let kept = &old_items[..common.min(old_items.len())];
        build(old.path(), &old_items);
        build(new.path(), &[kept, &new_items[..]].concat());
        let (from, to) = (File::open(old.path()).unwrap(), File::open(new.path()).unwrap());
        let found = difference(from.as_fd(), to.as_fd(), layer.path()).unwrap();
        overlaid(layer.path(), old.path(), out.path());
        prop_assert_eq!(describe(new.path()), describe(out.path()));
        let done = File::open(out.path()).unwrap();
        prop_assert!(changes(done.as_fd(), to.as_fd(), Compare::All).unwrap().is_empty());
        prop_assert_eq!(found.is_empty(), describe(layer.path()).is_empty());
    }
}

/// Makes a tree of files, each with its path as content, and opens it.
fn tree(files: &[&str]) -> (tempfile::TempDir, File) {
    let directory = tempfile::tempdir().unwrap();
    for file in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, file).unwrap();
        set_time(&path, 1);
        set_time(path.parent().unwrap(), 1);
    }
    let opened = File::open(directory.path()).unwrap();
    (directory, opened)
}

fn changes_of(old: &File, new: &File, compare: Compare) -> Vec<(String, Change)> {
    let found = changes(old.as_fd(), new.as_fd(), compare).unwrap();
    let text = |(path, change)| (String::from_utf8(path).unwrap(), change);
    found.into_iter().map(text).collect()
}

#[test]
fn a_name_of_a_file_that_is_replaced_leaves_the_others_alone() {
    let (old, from) = tree(&["a"]);
    fs::hard_link(old.path().join("a"), old.path().join("b")).unwrap();
    fs::hard_link(old.path().join("a"), old.path().join("c")).unwrap();
    let (new, to) = tree(&["a"]);
    fs::rename(new.path().join("a"), new.path().join("b")).unwrap();
    fs::hard_link(new.path().join("b"), new.path().join("c")).unwrap();
    fs::write(new.path().join("a"), "another").unwrap();
    assert_eq!(
        changes_of(&from, &to, Compare::All),
        [("a".to_owned(), Change::Changed)]
    );
    // One more name: the layer has to have all of them.
    fs::hard_link(new.path().join("b"), new.path().join("d")).unwrap();
    let found = changes_of(&from, &to, Compare::All);
    let changed = |path: &str| (path.to_owned(), Change::Changed);
    assert_eq!(
        found,
        [
            changed("a"),
            changed("b"),
            changed("c"),
            ("d".to_owned(), Change::Added)
        ]
    );
}

#[test]
fn links_lead_nowhere() {
    let (old, from) = tree(&["real/x"]);
    symlink("real", old.path().join("way")).unwrap();
    let (_new, to) = tree(&["real/x", "way/x"]);
    let found = changes_of(&from, &to, Compare::Content);
    assert_eq!(
        found,
        [("way".to_owned(), Change::Changed), ("way/x".to_owned(), Change::Added)]
    );
    assert_eq!(
        changes_of(&to, &from, Compare::Content),
        [("way".to_owned(), Change::Changed)]
    );
}

#[test]
fn times_are_no_content() {
    let (old, from) = tree(&["a/x"]);
    let (_new, to) = tree(&["a/x"]);
    set_time(&old.path().join("a/x"), 5);
    assert!(changes_of(&from, &to, Compare::Content).is_empty());
    assert_eq!(
        changes_of(&from, &to, Compare::All),
        [("a/x".to_owned(), Change::Changed)]
    );
}

#[test]
fn a_layer_overrides_what_it_brings_and_what_it_hides() {
    let (_old, from) = tree(&[
        "same",
        "file",
        "dir/x",
        "dir/y",
        "dir/sub/z",
        "opaque/x",
        "opaque/y",
        "untouched",
    ]);
    let (_new, to) = tree(&["same", "dir/y", "dir/w"]);
    let changes = changes(from.as_fd(), to.as_fd(), Compare::Content).unwrap();
    let (layer, _) = tree(&["same", "file", "dir/x", "opaque/other", "opaque/y"]);
    if rustix::fs::setxattr(
        layer.path().join("opaque"),
        "user.overlay.opaque",
        b"y",
        rustix::fs::XattrFlags::empty(),
    )
    .is_err()
    {
        eprintln!("SKIPPED: this file system has no attributes");
        return;
    }
    let found = overrides(layer.path(), from.as_fd(), &changes).unwrap();
    // What was below `opaque`, which is gone as a whole, and not what is the layer's own.
    assert_eq!(found, [&b"dir/x"[..], b"file", b"opaque/y"]);
}
