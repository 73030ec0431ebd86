//! Random trees survive the way into a tar and back.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use kiln_image::Digest;
use kiln_layer::{PackOptions, UnpackOptions, diff_id, pack, unpack};
use proptest::prelude::*;
use rustix::fs::FileType;

use crate::tree::{describe, is_root, node, set_xattr};

#[derive(Debug, Clone)]
enum What {
    Directory {
        opaque: bool,
    },
    File(Vec<u8>),
    Symlink(String),
    /// Of the file made this many before.
    Link(usize),
    Fifo,
    Device(u32, u32),
    Whiteout,
}

#[derive(Debug, Clone)]
struct Item {
    /// Index of the directory it is in, among those made so far.
    parent: usize,
    name: String,
    what: What,
    mode: u32,
    owner: (u32, u32),
    mtime: i64,
    xattr: Option<(String, Vec<u8>)>,
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => any::<bool>().prop_map(|opaque| What::Directory { opaque }),
        6 => prop::collection::vec(any::<u8>(), 0..2000).prop_map(What::File),
        2 => "[a-zé/.]{1,150}".prop_map(What::Symlink),
        2 => (0..10_usize).prop_map(What::Link),
        1 => Just(What::Fifo),
        1 => (1..4000_u32, 0..1_000_000_u32).prop_map(|(major, minor)| What::Device(major, minor)),
        1 => Just(What::Whiteout),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    let name = prop_oneof!["[a-z]{1,3}", "[a-zü .\\-\n]{1,120}x", "\\.wx[a-z]{0,3}"];
    let xattr = prop::option::of(("[a-z.]{1,40}", prop::collection::vec(any::<u8>(), 0..100)));
    let id = prop_oneof![Just(0_u32), 0..70_000_u32, 2_000_000..4_000_000_000_u32];
    let owner = (id.clone(), id);
    (
        0..8_usize,
        name,
        what(),
        0..0o10000_u32,
        owner,
        -100_000_000..20_000_000_000_i64,
        xattr,
    )
        .prop_map(|(parent, name, what, mode, owner, mtime, xattr)| Item {
            parent,
            name,
            what,
            mode,
            owner,
            mtime,
            xattr,
        })
}

/// Makes what can be made of it.
fn build(root: &Path, items: &[Item]) {
    let mut directories = vec![root.to_owned()];
    let mut files = Vec::new();
    let mut made = Vec::new();
    for item in items {
        let path = directories[item.parent % directories.len()].join(item.name.trim_matches('.').to_owned() + "_");
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        match &item.what {
            What::Directory { .. } => {
                fs::create_dir(&path).unwrap();
                directories.push(path.clone());
            }
            What::File(content) => {
                fs::write(&path, content).unwrap();
                files.push(path.clone());
            }
            What::Symlink(target) => symlink(target, &path).unwrap(),
            What::Link(_) if files.is_empty() => continue,
            What::Link(back) => fs::hard_link(&files[files.len() - 1 - back % files.len()], &path).unwrap(),
            What::Fifo => node(&path, FileType::Fifo, (0, 0)).unwrap(),
            What::Device(major, minor) if is_root() => node(&path, FileType::BlockDevice, (*major, *minor)).unwrap(),
            What::Whiteout if is_root() => node(&path, FileType::CharacterDevice, (0, 0)).unwrap(),
            What::Device(..) | What::Whiteout => continue,
        }
        made.push((path, item));
    }
    for (path, item) in made.iter().rev() {
        decorate(path, item);
    }
}

fn decorate(path: &Path, item: &Item) {
    let is_symlink = matches!(item.what, What::Symlink(_));
    if matches!(item.what, What::Whiteout) {
        return;
    }
    if is_root() {
        std::os::unix::fs::lchown(path, Some(item.owner.0), Some(item.owner.1)).unwrap();
    }
    if matches!(item.what, What::Directory { .. } | What::File(_)) {
        if let Some((name, value)) = &item.xattr {
            set_xattr(path, &format!("user.x{name}"), value);
        }
        if let What::Directory { opaque: true } = item.what {
            set_xattr(path, "user.overlay.opaque", b"y");
        }
        let time = if item.mtime < 0 {
            SystemTime::UNIX_EPOCH - Duration::from_secs(item.mtime.unsigned_abs())
        } else {
            // File systems' times end at different places; ext4's in 2446.
            SystemTime::UNIX_EPOCH + Duration::from_secs(item.mtime.unsigned_abs() % 15_000_000_000)
        };
        let mode = if is_root() { item.mode } else { item.mode | 0o700 };
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        File::open(path).unwrap().set_modified(time).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    } else if !is_symlink {
        fs::set_permissions(path, fs::Permissions::from_mode(item.mode)).unwrap();
    }
    let _ = chown::<&Path>;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pack_and_unpack_are_inverse(items in prop::collection::vec(item(), 0..40)) {
        if !is_root() {
            return Ok(());
        }
        let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        build(source.path(), &items);
        let mut tar = Vec::new();
        let options = PackOptions::default();
        pack(source.path(), &options, &mut tar).unwrap();
        let unpacked = unpack(tar.as_slice(), None, out.path(), &UnpackOptions::default()).unwrap();
        prop_assert_eq!(unpacked.diff_id, Digest::of(&tar));
        prop_assert!(!unpacked.is_incomplete());
        prop_assert_eq!(describe(source.path()), describe(out.path()));
        prop_assert_eq!(diff_id(out.path(), &options).unwrap().0, unpacked.diff_id);
    }

    #[test]
    fn any_bytes_are_an_archive_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let out = tempfile::tempdir().unwrap();
        let _either = unpack(bytes.as_slice(), None, out.path(), &UnpackOptions::default());
    }
}
