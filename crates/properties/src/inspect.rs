//! What images are looked into by.

use std::path::Path;

use kiln_inspect::LayerIndex;
use kiln_inspect::diff::diff;
use kiln_inspect::formats;
use kiln_inspect::packages::{Distribution, Ecosystem, Package, Packages};
use kiln_inspect::waste::Waste;
use kiln_inspect::{Tree, policy};

/// What is kept of a program is the same when it is read again.
pub fn elf(bytes: &[u8]) {
    if let Some(kept) = formats::elf(bytes) {
        assert_eq!(formats::elf_again(&kept), Some(kept));
    }
    // Whatever else is taken for it does no harm, and is stable after once.
    if let Some(again) = formats::elf_again(bytes) {
        assert_eq!(formats::elf_again(&again), Some(again));
    }
}

/// Names and paths are no more than the file has.
pub fn ld_so_cache(bytes: &[u8]) {
    for is_big in [false, true] {
        for (name, paths) in formats::ld_so_cache(bytes, is_big) {
            assert!(name.len() <= bytes.len() && paths.iter().all(|path| path.len() <= bytes.len()));
        }
    }
}

/// Packages of rpm's have names and versions that can be shown, whether a database or one header is damaged.
pub fn rpm(bytes: &[u8]) {
    let all = formats::rpmdb(bytes);
    for (name, version) in all.into_iter().chain(formats::rpm_header(bytes)) {
        assert!(!name.is_empty() && !version.is_empty());
        assert!(!name.chars().chain(version.chars()).any(char::is_control));
    }
}

/// What a database of vulnerabilities has is about packages that are there, and is bounded; and the same each time.
pub fn vulnerabilities(bytes: &[u8]) {
    let packages = Packages {
        packages: vec![
            Package::new(Ecosystem::Deb, "bash", "5.2.15-2"),
            Package::new(Ecosystem::Npm, "lodash", "4.17.15"),
        ],
        distribution: Some(Distribution {
            id: "debian".to_owned(),
            version: Some("12".to_owned()),
            codename: None,
        }),
        ..Packages::default()
    };
    let Ok(found) = formats::vulnerabilities(&packages, bytes) else {
        return;
    };
    for one in found.found.iter().chain(&found.undecided) {
        assert!(one.package < packages.packages.len());
        assert!(one.summary.chars().count() <= 200);
        assert!(one.is_called(&one.id));
    }
    assert!(found.uncovered.len() <= packages.packages.len());
    assert_eq!(formats::vulnerabilities(&packages, bytes).ok(), Some(found));
}

/// An index that is read is written as one that is read; what is no index is none.
pub fn layer_index(body: &[u8]) {
    let _damaged = LayerIndex::from_bytes(body);
    // With a digest that fits, as only Kiln itself writes it.
    let mut bytes = blake3::hash(body).as_bytes().to_vec();
    bytes.extend_from_slice(body);
    if let Some(index) = LayerIndex::from_bytes(&bytes) {
        let again = LayerIndex::from_bytes(&index.to_bytes());
        assert_eq!(again.as_ref(), Some(&index));
        let layers = [index];
        let tree = Tree::of(&layers);
        let _found = policy::setuid(&tree);
        assert!(diff(&tree, &tree).is_empty());
    }
}

/// A layer's tar: the bytes of its files live or are dead, alone, twice, and over nothing.
pub fn layer_tar(bytes: &[u8]) {
    let Ok(index) = LayerIndex::of_tar(bytes, Path::new("fuzzed")) else {
        return;
    };
    assert_eq!(LayerIndex::from_bytes(&index.to_bytes()).as_ref(), Some(&index));
    let layers = [index.clone(), index];
    for count in 1..=layers.len() {
        let waste = Waste::of(&layers[..count]);
        assert_eq!(waste.live + waste.dead, waste.bytes);
        let dead: u64 = waste.layers.iter().map(|layer| layer.dead).sum();
        assert_eq!(dead, waste.dead);
    }
}
