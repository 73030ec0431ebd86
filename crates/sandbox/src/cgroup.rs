//! A control group with the limits of one step, in version 2 or version 1 of the kernel's interface.

mod settings;

use crate::{Error, Limits};
use settings::{Setting, settings};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A control group made for one step: one directory in version 2, one per controller in version 1. Dropping it removes
/// it; call that when its processes have ended.
#[derive(Debug)]
pub(crate) struct Group {
    directories: Vec<PathBuf>,
}

/// What helps where Kiln may not make groups.
const HELP: &str =
    "run kiln as root, or in a delegated control group: `systemd-run --user --scope -p Delegate=yes kiln …`";

/// What the processes of a group used, as far as the kernel tells.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// The most memory of all of them together, in bytes.
    pub(crate) peak_memory: Option<u64>,
    /// Whether the kernel ended one because the memory limit was reached.
    pub(crate) out_of_memory: bool,
}

/// Makes the groups' names differ.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Group {
    /// `None` if nothing is to be limited.
    pub(crate) fn new(limits: &Limits) -> Result<Option<Self>, Error> {
        let settings = settings(limits)?;
        let Some(first) = settings.first() else { return Ok(None) };
        let fail = |source: io::Error| refused(first.limit, Path::new("/proc/self"), &source);
        let own = fs::read_to_string("/proc/self/cgroup").map_err(fail)?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(fail)?;
        let host = Host {
            mounts: parse_mounts(&mounts),
            own: &own,
        };
        let name = format!("kiln-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut group = Self {
            directories: Vec::new(),
        };
        if host.unified(&settings) {
            group.make_unified(&host, &name, &settings)?;
        } else {
            for setting in &settings {
                group.make_v1(&host, &name, setting)?;
            }
        }
        Ok(Some(group))
    }

    /// What its processes used. Call it when they have ended.
    pub(crate) fn usage(&self) -> Usage {
        let number = |file: &str| self.read(file)?.trim().parse().ok();
        let kills = |file: &str| {
            let text = self.read(file)?;
            let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
            line.trim().parse::<u64>().ok()
        };
        Usage {
            peak_memory: number("memory.peak").or_else(|| number("memory.max_usage_in_bytes")),
            out_of_memory: kills("memory.events")
                .or_else(|| kills("memory.oom_control"))
                .unwrap_or(0)
                > 0,
        }
    }

    fn read(&self, file: &str) -> Option<String> {
        let mut directories = self.directories.iter();
        directories.find_map(|directory| fs::read_to_string(directory.join(file)).ok())
    }

    /// The files to write "0" to in order to join.
    pub(crate) fn join_files(&self) -> Result<Vec<OwnedFd>, Error> {
        let open = |directory: &PathBuf| {
            let path = directory.join("cgroup.procs");
            let file = fs::OpenOptions::new().write(true).open(&path);
            file.map(OwnedFd::from)
                .map_err(|e| Error::setup("open", path.display().to_string(), e))
        };
        self.directories.iter().map(open).collect()
    }

    fn make_unified(&mut self, host: &Host<'_>, name: &str, settings: &[Setting]) -> Result<(), Error> {
        let limit = settings[0].limit;
        let base = host.directory("").ok_or_else(|| unavailable(limit))?;
        let controllers: Vec<&str> = settings.iter().map(|setting| setting.controller).collect();
        let parent = parent_with(&base, &controllers).map_err(|source| refused(limit, &base, &source))?;
        let directory = self.make(&parent, name, limit)?;
        for setting in settings {
            write_all(&directory, &setting.v2, setting)?;
        }
        Ok(())
    }

    fn make_v1(&mut self, host: &Host<'_>, name: &str, setting: &Setting) -> Result<(), Error> {
        let base = host
            .directory(setting.controller)
            .ok_or_else(|| unavailable(setting.limit))?;
        let directory = self.make(&base, name, setting.limit)?;
        for file in setting.inherited {
            inherit(&base, &directory, file)
                .map_err(|source| refused(setting.limit, &directory.join(file), &source))?;
        }
        write_all(&directory, &setting.v1, setting)
    }

    fn make(&mut self, parent: &Path, name: &str, limit: &'static str) -> Result<PathBuf, Error> {
        let directory = parent.join(name);
        fs::create_dir(&directory).map_err(|source| refused(limit, &directory, &source))?;
        self.directories.push(directory.clone());
        Ok(directory)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for directory in &self.directories {
            // The kernel may take a moment to see that the last process is gone.
            for _ in 0..50 {
                match fs::remove_dir(directory) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    _ => break,
                }
            }
        }
    }
}

/// A mounted hierarchy.
struct Hierarchy {
    /// Empty for version 2.
    controllers: Vec<String>,
    /// The group that is mounted, and where.
    root: String,
    at: PathBuf,
}

/// The control groups of this machine, as this process sees them.
struct Host<'a> {
    mounts: Vec<Hierarchy>,
    own: &'a str,
}

fn parse_mounts(mountinfo: &str) -> Vec<Hierarchy> {
    let hierarchy = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ');
        let (root, at) = (fields.nth(3)?.to_owned(), PathBuf::from(fields.next()?));
        let mut fields = file_system.split(' ');
        let kind = fields.next()?;
        let options = fields.nth(1)?;
        let controllers = match kind {
            "cgroup2" => Vec::new(),
            "cgroup" => options.split(',').map(str::to_owned).collect(),
            _ => return None,
        };
        Some(Hierarchy { controllers, root, at })
    };
    mountinfo.lines().filter_map(hierarchy).collect()
}

impl Host<'_> {
    /// Whether version 2 has every controller that is needed. (On hybrid systems it has none.)
    fn unified(&self, settings: &[Setting]) -> bool {
        let root = self.mounts.iter().find(|mount| mount.controllers.is_empty());
        let available = root.and_then(|mount| fs::read_to_string(mount.at.join("cgroup.controllers")).ok());
        let available: Vec<&str> = available.as_deref().unwrap_or_default().split_whitespace().collect();
        settings.iter().all(|setting| available.contains(&setting.controller))
    }

    /// The directory of this process's own group for a controller; for version 2 the controller is empty.
    fn directory(&self, controller: &str) -> Option<PathBuf> {
        let has = |mount: &&Hierarchy| match controller {
            "" => mount.controllers.is_empty(),
            _ => mount.controllers.iter().any(|name| name == controller),
        };
        let mount = self.mounts.iter().find(has)?;
        let path = self.own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers.split(',').any(|name| name == controller).then_some(path)
        })?;
        // Inside a container the mount may show a part of the hierarchy only.
        let relative = path.strip_prefix(mount.root.trim_end_matches('/')).unwrap_or(path);
        Some(mount.at.join(relative.trim_start_matches('/')))
    }
}

/// The nearest group, from `base` upwards, whose children can have the controllers. (A group with processes of its own
/// cannot give controllers to children, except the root: then a sibling has to do.)
fn parent_with(base: &Path, controllers: &[&str]) -> io::Result<PathBuf> {
    let mut refusal = io::Error::from(io::ErrorKind::NotFound);
    for directory in base.ancestors() {
        let control = directory.join("cgroup.subtree_control");
        let Ok(enabled) = fs::read_to_string(&control) else {
            break;
        };
        let missing: Vec<String> = controllers
            .iter()
            .filter(|name| !enabled.split_whitespace().any(|e| e == **name))
            .map(|name| format!("+{name}"))
            .collect();
        if missing.is_empty() {
            return Ok(directory.to_owned());
        }
        match fs::write(&control, missing.join(" ")) {
            Ok(()) => return Ok(directory.to_owned()),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// Takes over what the group above has: in version 1 a new group has nothing of it.
fn inherit(from: &Path, to: &Path, file: &str) -> io::Result<()> {
    let value = fs::read_to_string(from.join(file))?;
    fs::write(to.join(file), value.trim_end())
}

fn write_all(directory: &Path, values: &[(&'static str, String)], setting: &Setting) -> Result<(), Error> {
    for (file, value) in values {
        let path = directory.join(file);
        if setting.optional.contains(file) && !path.exists() {
            continue;
        }
        fs::write(&path, value).map_err(|source| refused(setting.limit, &path, &source))?;
    }
    Ok(())
}

fn unavailable(limit: &'static str) -> Error {
    let reason = "no control group hierarchy with that controller is mounted".to_owned();
    Error::Limit { limit, reason }
}

fn refused(limit: &'static str, path: &Path, source: &io::Error) -> Error {
    Error::Limit {
        limit,
        reason: format!("{}: {source}; {HELP}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 /docker/1 /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn groups_of_this_process() {
        let own = "4:memory:/docker/1/sub\n1:cpu,cpuacct:/a\n0::/u/session-1.scope\n";
        let host = Host {
            mounts: parse_mounts(HYBRID),
            own,
        };
        let check = |controller: &str, expected: Option<&str>| {
            assert_eq!(
                host.directory(controller).as_deref(),
                expected.map(Path::new),
                "{controller}"
            );
        };
        check("memory", Some("/sys/fs/cgroup/memory/sub"));
        check("cpu", Some("/sys/fs/cgroup/cpu,cpuacct/a"));
        check("", Some("/sys/fs/cgroup/unified/u/session-1.scope"));
        check("pids", None);
    }
}
