//! Whether an image will start: its command is there and may be executed, its user is known, and every program and
//! library of it finds what it needs. Nothing of the image runs for that.

pub(crate) mod cache;
mod command;
mod libc;
mod linker;
mod script;
mod search;
mod surroundings;
mod user;

pub use libc::{Libc, machine_of};

use std::collections::HashSet;

use crate::error::Error;
use crate::image::Image;
use crate::tree::{Place, Tree};

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What starts, word by word; empty if the image says nothing.
    pub command: Vec<String>,
    /// The file that it begins with, if that is there.
    pub program: Option<Vec<u8>>,
    /// Programs and libraries that were looked at.
    pub binaries: usize,
    /// Scripts that were looked at.
    pub scripts: usize,
    /// The library that speaks TLS, if the command loads one.
    pub tls: Option<Vec<u8>>,
    /// The time zone that the image asks for.
    pub time_zone: Option<String>,
    /// Whether the command is started as root.
    pub is_root: bool,
    /// Directories that are made for the user, unless it is root, to write, outside of volumes, `/tmp`, `/run` and their like:
    /// with the layers that have them.
    pub writable: Vec<(Vec<u8>, u32)>,
    /// What is wrong, by path.
    pub problems: Vec<Problem>,
}

/// Something that keeps a program from running.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file that has it, without a slash before it; empty for what the config says.
    pub path: Vec<u8>,
    /// The layer that has the file.
    pub layer: Option<u32>,
    /// Whether the command that the image starts needs the file.
    pub is_of_command: bool,
    /// What it is.
    pub fault: Fault,
}

/// What can be wrong. Paths begin without a slash, unless somebody else wrote them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The command is not there: the word, and where it was looked for.
    NoCommand {
        /// As it is written.
        word: String,
        /// The directories of `PATH`, where it has no slash.
        searched: Vec<String>,
    },
    /// The command is a directory or another thing that cannot be executed.
    NotAFile,
    /// The user may not execute it.
    NotExecutable {
        /// Its permissions.
        mode: u16,
        /// Its user and group.
        owner: (u32, u32),
        /// The user and the group that would start it.
        user: (u32, u32),
    },
    /// The user may not enter a directory on the way.
    NotReachable {
        /// The directory.
        directory: Vec<u8>,
        /// The user and the group that would start it.
        user: (u32, u32),
    },
    /// It is empty, or of no format that can be executed.
    NoFormat,
    /// The user is not in `/etc/passwd`.
    UnknownUser {
        /// As the config has it.
        name: String,
        /// Whether there is such a file.
        has_passwd: bool,
    },
    /// The group is not in `/etc/group`.
    UnknownGroup {
        /// As the config has it.
        name: String,
    },
    /// It is for another kind of machine than the image.
    WrongMachine {
        /// That of the file.
        found: crate::Machine,
        /// What the image is for.
        wanted: String,
    },
    /// The dynamic linker that it asks for is not there.
    NoInterpreter {
        /// Its path, as the program has it.
        interpreter: Vec<u8>,
        /// The C library that the program is for.
        wanted: Option<Libc>,
        /// The one that the image has.
        found: Option<Libc>,
    },
    /// A library is not found.
    NoLibrary {
        /// Its name.
        name: Vec<u8>,
        /// Where in the image there is one of that name, which nobody looks for there.
        elsewhere: Option<Vec<u8>>,
        /// Whether that is a directory of `ld.so.conf`, and `ldconfig` would have it found.
        needs_ldconfig: bool,
    },
    /// A library of another C library than the program's.
    WrongLibc {
        /// What the library needs.
        wanted: Libc,
        /// What the program has.
        found: Libc,
    },
    /// A library is older than what needs it.
    NoVersion {
        /// Its name.
        library: Vec<u8>,
        /// Its path.
        found: Vec<u8>,
        /// The version of symbols that it does not have.
        version: Vec<u8>,
        /// The newest that it has of the same kind.
        newest: Option<Vec<u8>>,
    },
    /// The command loads a library that speaks TLS, and there are no certificates to trust.
    NoCertificates {
        /// The library's name.
        library: Vec<u8>,
    },
    /// The time zone of `TZ` is not there.
    NoTimeZone {
        /// Its name.
        zone: String,
        /// Whether others are there.
        has_others: bool,
    },
    /// The user may not enter the working directory.
    WorkdirClosed {
        /// The directory that it may not enter, which may be one above.
        directory: Vec<u8>,
        /// The user and the group.
        user: (u32, u32),
    },
    /// The user could not write to a volume.
    VolumeClosed {
        /// The owner and group of what the image has there; `None` if it has nothing.
        owner: Option<(u32, u32)>,
        /// The user and the group.
        user: (u32, u32),
    },
    /// A script's interpreter is not there.
    NoScriptInterpreter {
        /// As the script has it.
        interpreter: Vec<u8>,
        /// Whether its name ends with a carriage return, and would be there without.
        ends_in_return: bool,
    },
}

/// An image that is looked at.
struct Look<'a> {
    image: &'a Image,
    tree: &'a Tree<'a>,
    path: Vec<String>,
}

/// Looks whether an image will start.
pub fn check(image: &Image, tree: &Tree<'_>) -> Result<Report, Error> {
    look(image, tree, true)
}

/// The same without what is in programs, libraries and scripts, but for the command's first line: of what they need nothing is
/// found.
pub fn check_without_programs(image: &Image, tree: &Tree<'_>) -> Result<Report, Error> {
    look(image, tree, false)
}

fn look(image: &Image, tree: &Tree<'_>, reads_programs: bool) -> Result<Report, Error> {
    let look = Look {
        image,
        tree,
        path: search_path(image),
    };
    let mut report = Report::default();
    let user = look.user(&mut report)?;
    look.command(&user, &mut report)?;
    let needed = if reads_programs {
        look.all(&mut linker::Linker::new(&look)?, &mut report)?
    } else {
        HashSet::new()
    };
    report.is_root = user.uid == 0;
    look.surroundings(&user, &needed, &mut report);
    // What the command needs comes first of what is said twice.
    report
        .problems
        .sort_by(|a, b| (&a.path, &a.fault, !a.is_of_command).cmp(&(&b.path, &b.fault, !b.is_of_command)));
    report
        .problems
        .dedup_by(|a, b| (&a.path, &a.fault) == (&b.path, &b.fault));
    Ok(report)
}

/// What a shell's PATH is where nobody sets it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn variable<'a>(image: &'a Image, name: &str) -> Option<&'a str> {
    let all = image.config.config.env.iter().rev();
    let mut found = all.filter_map(|pair| pair.split_once('=').filter(|(known, _)| *known == name));
    found.next().map(|(_, value)| value)
}

pub(crate) fn search_path(image: &Image) -> Vec<String> {
    let path = variable(image, "PATH").unwrap_or(DEFAULT_PATH);
    path.split(':')
        .filter(|part| part.starts_with('/'))
        .map(ToOwned::to_owned)
        .collect()
}

impl Look<'_> {
    /// Looks at every file that may be a program, a library or a script. Gives the nodes of what the command needs.
    fn all(&self, linker: &mut linker::Linker<'_>, report: &mut Report) -> Result<HashSet<u32>, Error> {
        let mut files: Vec<(Vec<u8>, u32, Place)> = Vec::new();
        for (node, place, _) in self.tree.live_files() {
            let entry = self.tree.entry(place);
            let path = self.tree.path(node);
            if entry.mode & 0o111 != 0 || is_library(&path) {
                files.push((path, node, place));
            }
        }
        files.sort();
        linker.know();
        let programs = self.program_directories();
        for (path, node, place) in files {
            let is_found = programs.contains(&self.tree.parent(node));
            if let Some(elf) = linker.elf(place)? {
                report.binaries += 1;
                let is_started = is_found || report.program.as_ref() == Some(&path);
                let object = linker::Object {
                    node,
                    place,
                    elf,
                    loader: None,
                };
                report.problems.extend(linker.check(object, is_started)?);
            } else if is_found {
                report.scripts += 1;
                let fault = self.script(place)?;
                report.problems.extend(fault.map(|fault| Problem {
                    path,
                    layer: Some(place.layer),
                    is_of_command: false,
                    fault,
                }));
            }
        }
        let command = report.program.clone();
        let needed = command
            .map(|path| linker.closure(&path))
            .transpose()?
            .unwrap_or_default();
        for problem in report.problems.iter_mut().filter(|problem| !problem.is_of_command) {
            let node = self.tree.resolve(0, &problem.path).map(|found| found.node);
            problem.is_of_command = node.is_ok_and(|node| needed.contains(&node));
        }
        Ok(needed)
    }

    /// The directories that programs are looked for in.
    fn program_directories(&self) -> Vec<u32> {
        let directories = self.path.iter().map(|path| self.tree.resolve(0, path.as_bytes()));
        directories.filter_map(Result::ok).map(|found| found.node).collect()
    }
}

/// `libx.so`, `libx.so.1`, `x.so`.
pub(crate) fn is_library(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.")
}
