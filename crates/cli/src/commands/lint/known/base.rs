//! What a base image of the store says of itself.

use kiln_inspect::packages::{Ecosystem, Packages};
use kiln_inspect::{Image, Tree};
use kiln_lint::{Base, Manager};

use super::indexes::{self, Newest};
use crate::commands::packages;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::signals::Interrupt;

/// A larger file is not read: Debian's whole index is about 50 MB.
const LARGEST: u64 = 128 << 20;

/// Looks into an image of the store; `None` if there is none of that name.
pub(super) fn of(
    engine: &Engine,
    image: &str,
    settings: &Settings,
    interrupt: &Interrupt,
) -> Result<Option<Base>, Failure> {
    let Some(row) = engine.find_named(image)? else {
        return Ok(None);
    };
    let looked = engine.look_into(image, None, settings, interrupt)?;
    let tree = Tree::of(looked.image.indexes());
    let config = &looked.image.config.config;
    let mut base = Base {
        // Where a tag is given it stays, for whoever reads it.
        pinned: row.manifest.map(|digest| format!("{image}@{digest}")),
        user: Some(config.user.clone()),
        ..Base::default()
    };
    // What an image puts off may change it.
    if config.on_build.is_empty() {
        let directory = &config.working_dir;
        base.directory = Some(if directory.is_empty() { "/" } else { directory }.to_owned());
    }
    let text = |path: &str| read(&looked.image, &tree, path);
    for line in text("etc/passwd").unwrap_or_default().lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(number))) = (fields.next(), fields.nth(1).map(str::parse)) {
            base.users.insert(name.to_owned(), number);
        }
    }
    let installed = Packages::of_system(&looked.image, &tree).map_err(Failure::failed)?;
    packages::warn_of_unread(image, &installed);
    for (ecosystem, managers) in SYSTEMS {
        let mut newest = Newest::of(*ecosystem);
        let of_it = installed
            .packages
            .iter()
            .filter(|package| package.ecosystem == *ecosystem);
        of_it.for_each(|package| newest.add(&package.name, &package.version));
        match ecosystem {
            Ecosystem::Deb => {
                for path in below(&tree, "var/lib/apt/lists", ["", "_Packages"]) {
                    newest.read(&text(&path).unwrap_or_default(), ["Package:", "Version:"]);
                }
            }
            Ecosystem::Apk => {
                let caches = ["var/cache/apk", "etc/apk/cache"];
                for path in caches
                    .iter()
                    .flat_map(|cache| below(&tree, cache, ["APKINDEX.", ".tar.gz"]))
                {
                    let archive = bytes(&looked.image, &tree, &path).unwrap_or_default();
                    newest.read(&indexes::of_archive(&archive), ["P:", "V:"]);
                }
            }
            _ => {}
        }
        for manager in *managers {
            newest
                .versions()
                .for_each(|(name, version)| base.versions.add(*manager, name, version));
        }
    }
    Ok(Some(base))
}

/// Who installs the packages of which system.
const SYSTEMS: &[(Ecosystem, &[Manager])] = &[
    (Ecosystem::Deb, &[Manager::Apt]),
    (Ecosystem::Apk, &[Manager::Apk]),
    (Ecosystem::Rpm, &[Manager::Dnf, Manager::Zypper]),
];

/// Paths of what a directory has with names that begin and end so, in order.
fn below(tree: &Tree<'_>, directory: &str, [start, end]: [&str; 2]) -> Vec<String> {
    let Ok(found) = tree.resolve(0, directory.as_bytes()) else {
        return Vec::new();
    };
    let is_one = |name: &[u8]| name.starts_with(start.as_bytes()) && name.ends_with(end.as_bytes());
    let names = tree.children(found.node).filter(|(name, ..)| is_one(name));
    let mut paths: Vec<String> = names
        .map(|(name, ..)| format!("{directory}/{}", String::from_utf8_lossy(name)))
        .collect();
    paths.sort();
    paths
}

fn read(image: &Image, tree: &Tree<'_>, path: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&bytes(image, tree, path)?).into_owned())
}

fn bytes(image: &Image, tree: &Tree<'_>, path: &str) -> Option<Vec<u8>> {
    let (_, place) = tree.file(path.as_bytes())?;
    image.read_file(tree, place, LARGEST).ok()
}
