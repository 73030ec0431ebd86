//! What the dynamic linkers of glibc and musl would find (ld.so(8); musl's `ldso/dynlink.c` as documented in its wiki).

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use super::search::Search;
use super::{Fault, Libc, Look, Problem, is_library, machine_of};
use crate::elf::{Elf, Machine};
use crate::error::Error;
use crate::index::{Kind, Program};
use crate::tree::Place;

/// Finds libraries.
pub(super) struct Linker<'a> {
    look: &'a Look<'a>,
    /// What the image is for, if that is known.
    machine: Option<Machine>,
    search: Search,
    /// Files that were read already.
    known: HashMap<Place, Option<Arc<Elf>>>,
    /// Everything that is called like a library, by its name.
    named: HashMap<Vec<u8>, Vec<u32>>,
}

/// A file of the image that is linked.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) node: u32,
    pub(super) place: Place,
    pub(super) elf: Arc<Elf>,
    /// What had it loaded.
    pub(super) loader: Option<Rc<Object>>,
}

/// A program with all that it loads.
struct Process {
    machine: Machine,
    libc: Option<Libc>,
    /// By the names that they were asked for by.
    loaded: HashMap<Vec<u8>, Rc<Object>>,
    objects: Vec<Rc<Object>>,
    missing: Vec<(Rc<Object>, Vec<u8>)>,
}

impl<'a> Linker<'a> {
    pub(super) fn new(look: &'a Look<'a>) -> Result<Self, Error> {
        Ok(Self {
            look,
            machine: machine_of(&look.image.config),
            search: Search::of(look)?,
            known: HashMap::new(),
            named: HashMap::new(),
        })
    }

    /// Notes what is called like a library.
    pub(super) fn know(&mut self) {
        let tree = self.look.tree;
        for (node, place) in tree.live() {
            if matches!(tree.entry(place).kind, Kind::File | Kind::Symlink) {
                let path = tree.path(node);
                if is_library(&path) {
                    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                    self.named.entry(name.to_vec()).or_default().push(node);
                }
            }
        }
    }

    /// What a file is; `None` if it is no ELF file.
    pub(super) fn elf(&mut self, place: Place) -> Result<Option<Arc<Elf>>, Error> {
        if let Some(known) = self.known.get(&place) {
            return Ok(known.clone());
        }
        let elf = match self.look.image.program(self.look.tree, place)? {
            Program::Elf(elf) => Some(elf),
            Program::Script(_) | Program::Other => None,
        };
        self.known.insert(place, elf.clone());
        Ok(elf)
    }

    /// What keeps a program or library from running. `is_started` says whether people would start it where it is: other
    /// files for other machines are goods that the image only carries.
    pub(super) fn check(&mut self, object: Object, is_started: bool) -> Result<Vec<Problem>, Error> {
        let elf = Arc::clone(&object.elf);
        let Some(machine) = elf.machine.filter(|_| !elf.is_other) else {
            return Ok(Vec::new());
        };
        if let Some(own) = self.machine
            && !own.runs(machine)
        {
            let wanted = self.look.image.config.architecture.clone();
            let fault = Fault::WrongMachine { found: machine, wanted };
            return Ok(is_started.then(|| self.problem(&object, fault)).into_iter().collect());
        }
        match &elf.interpreter {
            Some(interpreter) => self.program(object, machine, interpreter),
            None if elf.is_dynamic => self.library(&object, machine),
            None => Ok(Vec::new()),
        }
    }

    fn problem(&self, object: &Object, fault: Fault) -> Problem {
        Problem {
            path: self.look.tree.path(object.node),
            layer: Some(object.place.layer),
            is_of_command: false,
            fault,
        }
    }

    fn program(&mut self, object: Object, machine: Machine, interpreter: &[u8]) -> Result<Vec<Problem>, Error> {
        let libc = Libc::of_interpreter(interpreter);
        if self.look.tree.file(interpreter).is_none() {
            let fault = Fault::NoInterpreter {
                interpreter: interpreter.to_vec(),
                wanted: libc,
                found: self.search.libc,
            };
            return Ok(vec![self.problem(&object, fault)]);
        }
        let process = self.load(Rc::new(object), machine, libc)?;
        let mut problems = Vec::new();
        for (object, name) in &process.missing {
            let elsewhere = self.elsewhere(name, machine)?;
            let fault = self.no_library(name, elsewhere, libc);
            problems.push(self.problem(object, fault));
        }
        for object in &process.objects {
            problems.extend(process.faults(object).into_iter().map(|fault| {
                let fault = match fault {
                    Fault::NoVersion {
                        library,
                        version,
                        newest,
                        ..
                    } => Fault::NoVersion {
                        found: process
                            .loaded
                            .get(&library)
                            .map(|found| self.look.tree.path(found.node))
                            .unwrap_or_default(),
                        library,
                        version,
                        newest,
                    },
                    other => other,
                };
                self.problem(object, fault)
            }));
        }
        Ok(problems)
    }

    /// A library by itself: whoever loads it may have loaded what it needs from wherever it is.
    fn library(&mut self, object: &Object, machine: Machine) -> Result<Vec<Problem>, Error> {
        let elf = Arc::clone(&object.elf);
        let own = elf.needed.iter().find_map(|name| Libc::of_library(name));
        let libc = self.search.libc;
        // One for another C library than the image's is carried, not loaded.
        if own.is_some() && own != libc {
            return Ok(Vec::new());
        }
        let mut problems = Vec::new();
        for name in &elf.needed {
            let is_provided = libc == Some(Libc::Musl) && is_part_of_musl(name);
            if !is_provided && !name.contains(&b'/') && self.elsewhere(name, machine)?.is_none() {
                problems.push(self.problem(object, self.no_library(name, None, libc)));
            }
        }
        Ok(problems)
    }

    fn no_library(&self, name: &[u8], elsewhere: Option<u32>, libc: Option<Libc>) -> Fault {
        let tree = self.look.tree;
        let directory = elsewhere.map(|node| tree.path(tree.parent(node)));
        let is_listed = directory.is_some_and(|directory| self.search.configured.contains(&directory));
        Fault::NoLibrary {
            name: name.to_vec(),
            elsewhere: elsewhere.map(|node| tree.path(node)),
            needs_ldconfig: is_listed && libc == Some(Libc::Glibc),
        }
    }

    /// A library of that name and for that machine, wherever it is.
    fn elsewhere(&mut self, name: &[u8], machine: Machine) -> Result<Option<u32>, Error> {
        for node in self.named.get(name).cloned().unwrap_or_default() {
            let path = self.look.tree.path(node);
            if self.fitting(&path, machine)?.is_some() {
                return Ok(Some(node));
            }
        }
        Ok(None)
    }

    /// What a path leads to, if that is an ELF file for the machine.
    fn fitting(&mut self, path: &[u8], machine: Machine) -> Result<Option<(u32, Place, Arc<Elf>)>, Error> {
        let Some((node, place)) = self.look.tree.file(path) else {
            return Ok(None);
        };
        let elf = self.elf(place)?.filter(|elf| elf.machine == Some(machine));
        Ok(elf.map(|elf| (node, place, elf)))
    }

    /// Loads a program as its dynamic linker would: breadth first.
    fn load(&mut self, program: Rc<Object>, machine: Machine, libc: Option<Libc>) -> Result<Process, Error> {
        let mut process = Process {
            machine,
            libc,
            loaded: HashMap::new(),
            objects: Vec::new(),
            missing: Vec::new(),
        };
        if let Some(interpreter) = &program.elf.interpreter
            && let Some((node, place, elf)) = self.fitting(interpreter, machine)?
        {
            let name = interpreter.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            let object = Object {
                node,
                place,
                elf,
                loader: None,
            };
            process.loaded.insert(name.to_vec(), Rc::new(object));
        }
        let mut todo = VecDeque::from([program]);
        while let Some(object) = todo.pop_front() {
            process.objects.push(Rc::clone(&object));
            for name in &object.elf.needed {
                if process.loaded.contains_key(name) || (libc == Some(Libc::Musl) && is_part_of_musl(name)) {
                    continue;
                }
                if let Some(found) = self.find(name, &object, &process)? {
                    let found = Rc::new(found);
                    process.loaded.insert(name.clone(), Rc::clone(&found));
                    if !process
                        .objects
                        .iter()
                        .chain(&todo)
                        .any(|known| known.node == found.node)
                    {
                        todo.push_back(found);
                    }
                } else if !process.missing.iter().any(|(_, known)| known == name) {
                    process.missing.push((Rc::clone(&object), name.clone()));
                }
            }
        }
        Ok(process)
    }

    fn find(&mut self, name: &[u8], object: &Rc<Object>, process: &Process) -> Result<Option<Object>, Error> {
        for path in self
            .search
            .paths(name, object, self.look.tree, process.libc, process.machine)
        {
            if let Some((node, place, elf)) = self.fitting(&path, process.machine)? {
                return Ok(Some(Object {
                    node,
                    place,
                    elf,
                    loader: Some(Rc::clone(object)),
                }));
            }
        }
        Ok(None)
    }

    /// Everything that a program loads, itself included, and its interpreter if it is a script.
    pub(super) fn closure(&mut self, path: &[u8]) -> Result<HashSet<u32>, Error> {
        let mut nodes = HashSet::new();
        let mut todo = vec![path.to_vec()];
        while let Some(path) = todo.pop() {
            let Some((node, place)) = self.look.tree.file(&path) else {
                continue;
            };
            if !nodes.insert(node) {
                continue;
            }
            let Some(elf) = self.elf(place)? else {
                todo.extend(self.look.script_programs(place)?);
                continue;
            };
            if let (Some(machine), Some(interpreter)) = (elf.machine, elf.interpreter.clone()) {
                let object = Object {
                    node,
                    place,
                    elf,
                    loader: None,
                };
                let libc = Libc::of_interpreter(&interpreter);
                let process = self.load(Rc::new(object), machine, libc)?;
                nodes.extend(process.objects.iter().map(|object| object.node));
            }
        }
        Ok(nodes)
    }
}

impl Process {
    /// What of an object does not fit the others.
    fn faults(&self, object: &Object) -> Vec<Fault> {
        let mut faults = Vec::new();
        let wanted = object.elf.needed.iter().find_map(|name| Libc::of_library(name));
        if let (Some(wanted), Some(found)) = (wanted, self.libc)
            && wanted != found
        {
            return vec![Fault::WrongLibc { wanted, found }];
        }
        if self.libc != Some(Libc::Glibc) {
            // musl knows no versions of symbols.
            return faults;
        }
        let mut known = HashSet::new();
        for (library, version) in &object.elf.requires {
            let Some(found) = self.loaded.get(library) else {
                continue;
            };
            let provides = &found.elf.provides;
            // A library without any versions is taken as it is.
            if provides.is_empty() || provides.contains(version) || !known.insert((library, version)) {
                continue;
            }
            faults.push(Fault::NoVersion {
                library: library.clone(),
                found: Vec::new(),
                version: version.clone(),
                newest: newest(provides, version),
            });
        }
        faults
    }
}

/// The newest version of the same kind: of `GLIBC_2.38` the last that begins with `GLIBC_`.
fn newest(provides: &[Vec<u8>], version: &[u8]) -> Option<Vec<u8>> {
    let kind = |version: &[u8]| version.iter().rposition(|byte| *byte == b'_').map_or(0, |at| at + 1);
    let prefix = &version[..kind(version)];
    let numbers = |version: &[u8]| -> Option<Vec<u32>> {
        let rest = version.strip_prefix(prefix)?;
        let parts = rest.split(|byte| *byte == b'.');
        parts.map(|part| std::str::from_utf8(part).ok()?.parse().ok()).collect()
    };
    let versions = provides.iter().filter_map(|version| Some((numbers(version)?, version)));
    versions.max().map(|(_, version)| version.clone())
}

/// What musl has in one file, and so never looks for.
fn is_part_of_musl(name: &[u8]) -> bool {
    const PARTS: &[&[u8]] = &[b"c", b"pthread", b"rt", b"m", b"dl", b"util", b"xnet"];
    let Some(rest) = name.strip_prefix(b"lib") else {
        return false;
    };
    let end = rest.iter().position(|byte| *byte == b'.').unwrap_or(rest.len());
    PARTS.contains(&&rest[..end]) || name.starts_with(b"libc.musl-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let provides = ["GLIBC_2.9", "GLIBC_2.36", "GLIBC_PRIVATE", "OTHER_9"].map(|text| text.as_bytes().to_vec());
        let found = newest(&provides, b"GLIBC_2.38").unwrap();
        assert_eq!(found, b"GLIBC_2.36");
        assert_eq!(newest(&provides, b"CXXABI_1.3"), None);
    }

    #[test]
    fn parts_of_musl() {
        for (name, expected) in [
            ("libc.musl-x86_64.so.1", true),
            ("libc.so", true),
            ("libm.so.6", true),
            ("libcrypto.so.3", false),
            ("libmount.so.1", false),
        ] {
            assert_eq!(is_part_of_musl(name.as_bytes()), expected, "{name}");
        }
    }
}
