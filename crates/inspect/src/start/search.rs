//! Where dynamic linkers look for libraries.

use std::collections::HashMap;
use std::rc::Rc;

use super::linker::Object;
use super::{Libc, Look, cache, machine_of, variable};
use crate::elf::Machine;
use crate::error::Error;
use crate::tree::Tree;

/// More of a configuration file or of the cache is not read.
const LARGEST: u64 = 16 << 20;

/// How many files `ld.so.conf` may include.
const MOST_INCLUDED: usize = 1000;

/// What glibc is configured with everywhere, and where distributions have it look besides.
const DEFAULTS: &[&str] = &["lib", "usr/lib", "lib64", "usr/lib64", "lib32", "usr/lib32"];

/// musl's, where it has no file that says otherwise.
const MUSL: &[&str] = &["lib", "usr/local/lib", "usr/lib"];

/// Where an image's dynamic linkers look for libraries.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The C library that the image has, if it has one.
    pub(super) libc: Option<Libc>,
    /// Directories of `ld.so.conf`, without slashes before them. `ldconfig` reads it, the linker does not.
    pub(super) configured: Vec<Vec<u8>>,
    cached: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    environment: Vec<Vec<u8>>,
    musl: Vec<Vec<u8>>,
}

impl Search {
    pub(super) fn of(look: &Look<'_>) -> Result<Self, Error> {
        let is_big = machine_of(&look.image.config).is_some_and(|machine| machine.is_big);
        let cached = match look.tree.file(b"etc/ld.so.cache") {
            Some((_, place)) => cache::read(&look.image.read_file(look.tree, place, LARGEST)?, is_big),
            None => HashMap::new(),
        };
        let environment = variable(look.image, "LD_LIBRARY_PATH").unwrap_or_default();
        let musl = names(look.tree, b"etc", |name| {
            name.starts_with(b"ld-musl-") && name.ends_with(b".path")
        });
        let musl = match musl.first() {
            Some(path) => parts(&look.lines(path)?.unwrap_or_default()),
            None => MUSL.iter().map(|path| path.as_bytes().to_vec()).collect(),
        };
        Ok(Self {
            libc: libc(look.tree),
            configured: configured(look)?,
            cached,
            environment: parts(environment),
            musl,
        })
    }

    /// The paths at which a linker would look for the library that `object` needs, in its order.
    pub(super) fn paths(
        &self,
        name: &[u8],
        object: &Rc<Object>,
        tree: &Tree<'_>,
        libc: Option<Libc>,
        machine: Machine,
    ) -> Vec<Vec<u8>> {
        if name.contains(&b'/') {
            return vec![name.to_vec()];
        }
        let in_directory = |directory: Vec<u8>| [&directory[..], b"/", name].concat();
        let mut directories = Vec::new();
        if libc == Some(Libc::Musl) {
            directories.extend(self.environment.iter().cloned());
            for loader in loaders(object) {
                directories.extend(own(loader, tree, machine, [&loader.elf.runpath, &loader.elf.rpath]));
            }
            directories.extend(self.musl.iter().cloned());
            return directories.into_iter().map(in_directory).collect();
        }
        // RUNPATH takes RPATH out of force, and is its object's alone.
        if object.elf.runpath.is_none() {
            for loader in loaders(object).filter(|loader| loader.elf.runpath.is_none()) {
                directories.extend(own(loader, tree, machine, [&loader.elf.rpath, &None]));
            }
        }
        directories.extend(self.environment.iter().cloned());
        directories.extend(own(object, tree, machine, [&object.elf.runpath, &None]));
        let mut paths: Vec<Vec<u8>> = directories.into_iter().map(in_directory).collect();
        paths.extend(self.cached.get(name).into_iter().flatten().cloned());
        paths.extend(defaults(machine).into_iter().map(in_directory));
        paths
    }
}

/// An object, what loaded it, what loaded that, up to the program.
fn loaders(object: &Rc<Object>) -> impl Iterator<Item = &Object> {
    std::iter::successors(Some(&**object), |object| object.loader.as_deref())
}

/// The directories that an object itself says.
fn own(object: &Object, tree: &Tree<'_>, machine: Machine, paths: [&Option<Vec<u8>>; 2]) -> Vec<Vec<u8>> {
    let origin = [b"/", &tree.path(tree.parent(object.node))[..]].concat();
    let mut directories = Vec::new();
    for path in paths.into_iter().flatten() {
        for part in path.split(|byte| *byte == b':').filter(|part| !part.is_empty()) {
            let part = replaced(&replaced(part, b"$ORIGIN", &origin), b"${ORIGIN}", &origin);
            let mut libraries = vec![b"lib".to_vec(), b"lib64".to_vec()];
            libraries.extend(machine.debian().map(|triple| format!("lib/{triple}").into_bytes()));
            for library in libraries {
                let directory = replaced(&replaced(&part, b"$LIB", &library), b"${LIB}", &library);
                if !directories.contains(&directory) {
                    directories.push(directory);
                }
            }
        }
    }
    directories
}

fn replaced(text: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(what.len()).position(|window| window == what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(by);
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn defaults(machine: Machine) -> Vec<Vec<u8>> {
    let triple = machine.debian().into_iter();
    let of_debian = triple.flat_map(|triple| [format!("lib/{triple}"), format!("usr/lib/{triple}")]);
    let everywhere = DEFAULTS.iter().map(|path| (*path).to_owned());
    of_debian.chain(everywhere).map(String::into_bytes).collect()
}

/// Paths that are separated by colons or lines.
fn parts(text: &str) -> Vec<Vec<u8>> {
    let parts = text.split([':', '\n', ';']).map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(|part| part.as_bytes().to_vec())
        .collect()
}

/// The paths of what is in a directory under such a name, sorted.
fn names(tree: &Tree<'_>, directory: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
    let Ok(found) = tree.resolve(0, directory) else {
        return Vec::new();
    };
    let children = tree.children(found.node).filter(|(name, ..)| wanted(name));
    let mut paths: Vec<Vec<u8>> = children.map(|(name, ..)| [directory, b"/", name].concat()).collect();
    paths.sort();
    paths
}

/// The C library that an image has, by the dynamic linkers that are there.
fn libc(tree: &Tree<'_>) -> Option<Libc> {
    let has = |wanted: Libc| {
        ["lib", "lib64"].into_iter().any(|directory| {
            let is_wanted = |name: &[u8]| Libc::of_interpreter(name) == Some(wanted);
            let found = names(tree, directory.as_bytes(), is_wanted);
            found.iter().any(|path| tree.file(path).is_some())
        })
    };
    [Libc::Glibc, Libc::Musl].into_iter().find(|libc| has(*libc))
}

/// What `ldconfig` would look through.
fn configured(look: &Look<'_>) -> Result<Vec<Vec<u8>>, Error> {
    let mut directories = Vec::new();
    let mut todo = vec![b"etc/ld.so.conf".to_vec()];
    let mut read = 0;
    while let Some(path) = todo.pop() {
        read += 1;
        if read > MOST_INCLUDED {
            break;
        }
        for line in look.lines(&path)?.unwrap_or_default().lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(pattern) = line.strip_prefix("include ").map(str::trim) {
                todo.extend(included(look.tree, pattern));
            } else if !line.is_empty() {
                let found = look.tree.resolve(0, line.as_bytes());
                directories.extend(found.map(|found| look.tree.path(found.node)));
            }
        }
    }
    Ok(directories)
}

/// The files that a pattern means; a star may be in the last name.
fn included(tree: &Tree<'_>, pattern: &str) -> Vec<Vec<u8>> {
    let pattern = if pattern.starts_with('/') {
        pattern.to_owned()
    } else {
        format!("/etc/{pattern}")
    };
    let (directory, name) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
    let Some((before, after)) = name.split_once('*') else {
        return vec![pattern.into_bytes()];
    };
    names(tree, directory.as_bytes(), |name| {
        name.len() >= before.len() + after.len()
            && name.starts_with(before.as_bytes())
            && name.ends_with(after.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_paths() {
        assert_eq!(
            replaced(b"$ORIGIN/../lib:$ORIGIN", b"$ORIGIN", b"/app"),
            b"/app/../lib:/app"
        );
        assert_eq!(replaced(b"/plain", b"$ORIGIN", b"/app"), b"/plain");
        assert_eq!(parts("/a:/b\n/c"), [b"/a".to_vec(), b"/b".to_vec(), b"/c".to_vec()]);
    }
}
