//! Tools for file trees that have none: a static busybox of this machine, of an image, or whatever somebody brings.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kiln_image::Platform;
use kiln_sandbox::{BindSource, Error as Sandbox, Mount, MountKind, Overlay, Spec, Stdio, open_in_root, spawn};
use kiln_store::LayerDir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, statat};

use super::{Opener, SHELLS};
use crate::error::{StepError, StepResult};
use crate::run::find;

/// Where the toolbox appears.
const TARGET: &str = "/.kiln-toolbox";

/// Where distributions put a busybox.
const BUSYBOXES: [&str; 4] = [
    "/bin/busybox",
    "/usr/bin/busybox",
    "/usr/local/bin/busybox",
    "/bin/busybox.static",
];

/// The image of the store that is as good.
const BUSYBOX_IMAGE: &str = "busybox";

/// The directories of a file tree with programs in them.
const DIRECTORIES: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/";

/// The largest busybox, in bytes, and the longest list of what it can do.
const MAX_BUSYBOX: u64 = 64 << 20;
const MAX_LIST: u64 = 64 << 10;

/// Where tools come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolboxSource {
    /// An image, by its ID or name; fetched if the store does not have it.
    Image(String),
    /// A directory of this machine.
    Directory(PathBuf),
}

/// Tools that a shell sees besides.
pub(crate) struct Toolbox {
    tree: OwnedFd,
    /// The shell in it, as a path where it appears.
    pub(super) shell: String,
    /// The directories with programs, as paths where they appear.
    pub(super) directories: Vec<String>,
    /// What it is, for people.
    pub(super) description: String,
    /// What the tree is made of.
    _made: Option<LayerDir>,
}

impl Toolbox {
    /// As it is mounted.
    pub(super) fn mount(&self) -> Mount<'_> {
        Mount {
            target: TARGET.to_owned(),
            kind: MountKind::Bind {
                source: BindSource::Tree {
                    root: self.tree.as_fd(),
                    path: "/".to_owned(),
                },
                read_only: true,
            },
        }
    }

    /// The one that somebody named.
    pub(super) fn of(opener: &Opener<'_>, source: &ToolboxSource) -> StepResult<Self> {
        let (tree, what) = match source {
            ToolboxSource::Image(image) => (image_tree(opener, image)?, format!("the image {image}")),
            ToolboxSource::Directory(path) => {
                let directory = File::open(path).map_err(StepError::io("open", path))?;
                (directory.into(), path.display().to_string())
            }
        };
        // Links of the tree may lead where they lead nowhere once it is mounted below another: a busybox needs none.
        let busybox = in_directories(DIRECTORIES, "busybox").find(|path| is_program(tree.as_fd(), path));
        if let Some(path) = busybox {
            let file = open_in_root(&tree, &path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
            let file = file.map_err(StepError::errno("open", &path))?;
            if let Some(toolbox) = Self::of_busybox(opener, File::from(file), &format!("busybox of {what}"))? {
                return Ok(toolbox);
            }
        }
        let below = |path: &str| format!("{TARGET}{}", path.trim_end_matches('/'));
        let shells = SHELLS.into_iter().flat_map(|shell| in_directories(DIRECTORIES, shell));
        let shell = shells.into_iter().find(|path| is_program(tree.as_fd(), path));
        let shell = shell.ok_or_else(|| {
            StepError::Invalid(format!(
                "{what} is no toolbox: it has neither a busybox that is linked statically nor a shell"
            ))
        })?;
        Ok(Self {
            shell: below(&shell),
            directories: DIRECTORIES.split(':').map(below).collect(),
            description: format!("that of {what}"),
            tree,
            _made: None,
        })
    }

    /// The one that is there without anybody's doing.
    pub(super) fn find(opener: &Opener<'_>) -> StepResult<Self> {
        let mut looked_at = Vec::new();
        for path in BUSYBOXES {
            // A link to itself in a merged `/usr`: looked at twice at most.
            let Ok(file) = File::open(path) else { continue };
            if let Some(toolbox) = Self::of_busybox(opener, file, path)? {
                return Ok(toolbox);
            }
            looked_at.push(format!("{path} is not linked statically"));
        }
        let store = opener.images.store;
        if matches!(store.find_image(BUSYBOX_IMAGE)?, kiln_store::Found::One(..)) {
            return Self::of(opener, &ToolboxSource::Image(BUSYBOX_IMAGE.to_owned()));
        }
        if looked_at.is_empty() {
            looked_at.push(format!(
                "there is no busybox on this machine ({})",
                BUSYBOXES.join(", ")
            ));
        }
        Err(StepError::NoToolbox {
            reason: looked_at.join(" and "),
        })
    }

    /// A directory with a busybox and a link for everything that it can do; `None` if it does not run by itself.
    fn of_busybox(opener: &Opener<'_>, file: File, what: &str) -> StepResult<Option<Self>> {
        let directory = opener.images.store.new_layer()?;
        let path = directory.fs().join("busybox");
        let fail = |source| StepError::io("copy the busybox to", &path)(source);
        let mut copy = File::create(&path).map_err(fail)?;
        let copied = std::io::copy(&mut file.take(MAX_BUSYBOX), &mut copy).map_err(fail)?;
        drop(copy);
        if copied == MAX_BUSYBOX {
            return Ok(None);
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).map_err(fail)?;
        let applets = applets(opener, &directory)?;
        if !applets.contains("sh") {
            return Ok(None);
        }
        for applet in &applets {
            let link = directory.fs().join(applet);
            symlink("busybox", &link).map_err(StepError::io("create", &link))?;
        }
        let tree = File::open(directory.fs()).map_err(StepError::io("open", directory.fs()))?;
        Ok(Some(Self {
            tree: tree.into(),
            shell: format!("{TARGET}/sh"),
            directories: vec![TARGET.to_owned()],
            description: format!("that of {what}, whose tools are in {TARGET}"),
            _made: Some(directory),
        }))
    }
}

/// What a busybox says that it can do. It is asked in a sandbox where nothing else is; nothing if it does not run there.
fn applets(opener: &Opener<'_>, directory: &LayerDir) -> StepResult<BTreeSet<String>> {
    let stubs = opener.images.store.new_layer()?;
    kiln_sandbox::create_stubs(&stubs.fs())?;
    let root = Overlay {
        lower: &[directory.fs(), stubs.fs()],
        upper: None,
        volatile: false,
    };
    let root = root.mount()?;
    let args = ["/busybox", "--list"].map(str::to_owned);
    let spec = Spec {
        network: kiln_sandbox::Network::None,
        ..Spec::new(root.as_fd(), args.to_vec())
    };
    let mut child = match spawn(&spec, Stdio::Null, Stdio::Pipe, Stdio::Null) {
        Ok(child) => child,
        Err(Sandbox::CommandNotExecutable { .. }) => return Ok(BTreeSet::new()),
        Err(error) => return Err(error.into()),
    };
    let mut list = Vec::new();
    if let Some(output) = child.stdout() {
        let output = opener
            .stop
            .reading(File::from(output))
            .take(MAX_LIST)
            .read_to_end(&mut list);
        if opener.stop.is_canceled() {
            return Err(StepError::Canceled);
        }
        output.map_err(StepError::io("read", "the list of busybox's tools"))?;
    }
    let list = String::from_utf8_lossy(&list);
    let is_name = |name: &&str| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '[' | '_' | '-' | '.');
        *name != "busybox" && name.len() < 64 && name.chars().all(good) && !name.starts_with('.')
    };
    Ok(list
        .lines()
        .filter(is_name)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

fn image_tree(opener: &Opener<'_>, image: &str) -> StepResult<OwnedFd> {
    let images = opener.images;
    let resolved = find(images, image, Some(&Platform::host()))?;
    let layers = images.layers(&resolved.manifest);
    images.materialize(&layers)?;
    let lower = images.directories(&images.mountable(&layers)?);
    if lower.is_empty() {
        return Err(StepError::Invalid(format!("{image} is no toolbox: it has no files")));
    }
    let tree = Overlay {
        lower: &lower,
        upper: None,
        volatile: false,
    };
    Ok(tree.mount()?)
}

/// The paths that a program may have in directories that colons stand between.
pub(super) fn in_directories(directories: &str, name: &str) -> impl Iterator<Item = String> {
    let paths: Vec<String> = directories
        .split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| format!("{}/{name}", directory.trim_end_matches('/')))
        .collect();
    paths.into_iter()
}

/// Whether a path of a file tree is a file that may be executed.
pub(super) fn is_program(tree: BorrowedFd<'_>, path: impl AsRef<Path>) -> bool {
    let Ok(found) = open_in_root(tree, path, OFlags::PATH, Mode::empty()) else {
        return false;
    };
    statat(&found, "", AtFlags::EMPTY_PATH)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & 0o111 != 0)
}
