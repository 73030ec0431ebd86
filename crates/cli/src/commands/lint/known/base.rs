//! What a base image of the store says of itself.

use std::collections::HashMap;

use kiln_inspect::{Image, Tree};
use kiln_lint::{Base, Manager};

use super::debian;
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
    let mut packages = HashMap::new();
    for path in indexes(&tree) {
        debian::read(&text(&path).unwrap_or_default(), false, &mut packages);
    }
    debian::read(&text("var/lib/dpkg/status").unwrap_or_default(), true, &mut packages);
    for (name, version) in &packages {
        base.versions.add(Manager::Apt, name, version);
    }
    let installed = text("lib/apk/db/installed").or_else(|| text("usr/lib/apk/db/installed"));
    for paragraph in installed.unwrap_or_default().split("\n\n") {
        let field = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name));
        if let (Some(name), Some(version)) = (field("P:"), field("V:")) {
            base.versions.add(Manager::Apk, name, version);
        }
    }
    Ok(Some(base))
}

/// The lists that `apt-get update` fetched, where the image still has them.
fn indexes(tree: &Tree<'_>) -> Vec<String> {
    const LISTS: &str = "var/lib/apt/lists";
    let Ok(directory) = tree.resolve(0, LISTS.as_bytes()) else {
        return Vec::new();
    };
    let names = tree
        .children(directory.node)
        .filter(|(name, ..)| name.ends_with(b"_Packages"));
    let mut paths: Vec<String> = names
        .map(|(name, ..)| format!("{LISTS}/{}", String::from_utf8_lossy(name)))
        .collect();
    paths.sort();
    paths
}

fn read(image: &Image, tree: &Tree<'_>, path: &str) -> Option<String> {
    let (_, place) = tree.file(path.as_bytes())?;
    let bytes = image.read_file(tree, place, LARGEST).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
