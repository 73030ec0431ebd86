//! Base images from Debian's packages: a root file system by `mmdebstrap`, all else by Kiln itself, pushed by Kiln
//! into our registry. The registry's storage is kept between runs; an image is made again when its recipe changes.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::kiln::Kiln;
use crate::registry::Registry;
use crate::{command, paths, user};

/// An image: its recipe is `scripts/bases/NAME/TAG/Dockerfile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// As in `FROM`.
    pub name: &'static str,
    /// The image that it stands on.
    parent: Option<&'static str>,
    /// What the context must hold besides the recipe's own files.
    needs: Needs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// `rootfs.tar`
    Debian,
    /// `busybox`
    Busybox,
    /// `busybox` of another architecture, by Debian's name, which is also Docker's for those that we have.
    ForeignBusybox(&'static str),
}

/// The suite that everything is made of.
const SUITE: &str = "bookworm";

/// Every base image, parents first. Tags say what Debian's packages are: no newer version than is really inside.
pub const ALL: &[Base] = &[
    Base {
        name: "busybox:1.35",
        parent: None,
        needs: Needs::Busybox,
    },
    Base {
        name: "arm64v8/busybox:1.35",
        parent: None,
        needs: Needs::ForeignBusybox("arm64"),
    },
    Base {
        name: "debian:bookworm-slim",
        parent: None,
        needs: Needs::Debian,
    },
    Base {
        name: "gcc:12",
        parent: Some("debian:bookworm-slim"),
        needs: Needs::Nothing,
    },
    Base {
        name: "rust:1",
        parent: Some("debian:bookworm-slim"),
        needs: Needs::Nothing,
    },
    Base {
        name: "python:3.11-slim",
        parent: Some("debian:bookworm-slim"),
        needs: Needs::Nothing,
    },
    Base {
        name: "python:3.11",
        parent: Some("python:3.11-slim"),
        needs: Needs::Nothing,
    },
    Base {
        name: "node:18-slim",
        parent: Some("debian:bookworm-slim"),
        needs: Needs::Nothing,
    },
    Base {
        name: "node:18",
        parent: Some("node:18-slim"),
        needs: Needs::Nothing,
    },
];

/// Those that tests stand on: small ones for the cases, and what the README's walk-through builds with.
pub const FOR_TESTS: &[&str] = &["busybox:1.35", "arm64v8/busybox:1.35", "debian:bookworm-slim", "gcc:12"];

/// Where the registry keeps base images between runs.
pub fn storage() -> Result<PathBuf> {
    Ok(paths::cache()?.join("registry"))
}

/// Makes and pushes those of the named images, and what they stand on, that are not there yet.
pub fn ensure(names: &[&str], kiln: &Kiln, registry: &Registry) -> Result<()> {
    for base in with_parents(names)? {
        let key = key(base)?;
        let mark = paths::cache()?.join("recipes").join(base.name.replace([':', '/'], "_"));
        if fs::read_to_string(&mark).is_ok_and(|found| found == key) && registry.has(&in_registry(base))? {
            continue;
        }
        eprintln!("base image {}", base.name);
        push(base, kiln, registry).with_context(|| format!("cannot make the base image {}", base.name))?;
        fs::create_dir_all(mark.parent().unwrap_or(&mark))?;
        fs::write(&mark, key)?;
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Base> {
    let Some(base) = ALL.iter().find(|base| base.name == name) else {
        let known: Vec<&str> = ALL.iter().map(|base| base.name).collect();
        bail!("there is no base image {name}; there are {}", known.join(", "));
    };
    Ok(base)
}

/// The named images and all that they stand on, parents first.
fn with_parents(names: &[&str]) -> Result<Vec<&'static Base>> {
    let mut wanted = Vec::new();
    for name in names {
        let mut base = Some(find(name)?);
        while let Some(found) = base {
            wanted.push(found.name);
            base = found.parent.map(find).transpose()?;
        }
    }
    Ok(ALL.iter().filter(|base| wanted.contains(&base.name)).collect())
}

fn in_registry(base: &Base) -> String {
    if base.name.contains('/') {
        base.name.to_owned()
    } else {
        format!("library/{}", base.name)
    }
}

fn recipe(base: &Base) -> PathBuf {
    paths::workspace()
        .join("scripts/bases")
        .join(base.name.replace(':', "/"))
}

/// Changes when the recipe of the image, or of one that it stands on, does.
fn key(base: &Base) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    let mut at = Some(base);
    while let Some(base) = at {
        let recipe = recipe(base).join("Dockerfile");
        fs::read(&recipe)
            .with_context(|| format!("cannot read {}", recipe.display()))?
            .hash(&mut hasher);
        if base.needs == Needs::Debian {
            debootstrap_arguments().hash(&mut hasher);
        }
        at = base.parent.map(find).transpose()?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn push(base: &Base, kiln: &Kiln, registry: &Registry) -> Result<()> {
    let work = tempfile::tempdir()?;
    command::quietly(
        Command::new("cp")
            .arg("-r")
            .arg(recipe(base))
            .arg(work.path().join("context")),
    )?;
    let context = work.path().join("context");
    match base.needs {
        Needs::Nothing => {}
        Needs::Debian => drop(fs::copy(debian_tar()?, context.join("rootfs.tar"))?),
        Needs::Busybox => drop(fs::copy("/bin/busybox", context.join("busybox")).context("package busybox-static")?),
        Needs::ForeignBusybox(architecture) => foreign_busybox(architecture, &context)?,
    }
    let tag = format!("{}/{}", registry.host(), in_registry(base));
    let mut build = kiln.command();
    build.args(["build", "--progress=plain", "--push", "-t", &tag]);
    if let Needs::ForeignBusybox(architecture) = base.needs {
        build.arg(format!("--platform=linux/{architecture}"));
    }
    command::quietly(build.arg(&context)).map(drop)
}

/// Unpacks Debian's `busybox-static` of another architecture; nothing of it is run.
fn foreign_busybox(architecture: &str, into: &Path) -> Result<()> {
    let work = tempfile::tempdir()?;
    let tar = work.path().join("files.tar");
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap
        .args(["--quiet", "--variant=extract", "--include=busybox-static"])
        .args(["--skip=check/qemu", "--skip=output/dev"])
        // Lists of updates and security fixes would have to be fetched too, for nothing that tests need.
        .arg(format!("--setup-hook=sed -i /{SUITE}-/d \"$1\"/etc/apt/sources.list"))
        .arg(format!("--architectures={architecture}"));
    if !user::is_root() {
        mmdebstrap.arg("--mode=unshare");
    }
    command::quietly(mmdebstrap.arg(SUITE).arg(&tar)).context("mmdebstrap, which fetches busybox-static")?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&tar).arg("-C").arg(into);
    command::quietly(unpack.args(["--strip-components=2", "./bin/busybox"])).map(drop)
}

/// The root file system, from the cache or made now.
fn debian_tar() -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    debootstrap_arguments().hash(&mut hasher);
    let directory = paths::cache()?.join("rootfs");
    fs::create_dir_all(&directory)?;
    let tar = directory.join(format!("{SUITE}-{:016x}.tar", hasher.finish()));
    if !tar.exists() {
        make_debian_tar(&tar)?;
    }
    Ok(tar)
}

fn make_debian_tar(tar: &Path) -> Result<()> {
    let mut part = tempfile::Builder::new()
        .suffix(".tar")
        .tempfile_in(tar.parent().unwrap_or(tar))?;
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(debootstrap_arguments()).arg(SUITE).arg(part.path());
    command::quietly(&mut mmdebstrap).context("mmdebstrap, which makes the Debian base image")?;
    // Device nodes cannot be made without root, so mmdebstrap leaves all of /dev out: a place to mount on remains.
    let empty = tempfile::tempdir()?;
    fs::create_dir(empty.path().join("dev"))?;
    let owner = ["--append", "--owner=0", "--group=0", "--mode=755", "--mtime=@0"];
    let file = format!("--file={}", part.path().display());
    command::quietly(
        Command::new("tar")
            .args(owner)
            .arg(file)
            .arg("-C")
            .arg(empty.path())
            .arg("./dev"),
    )?;
    part.disable_cleanup(true);
    fs::rename(part.path(), tar).with_context(|| format!("cannot write {}", tar.display()))
}

/// What makes of Debian the usual slim image: no manuals, no translations, no full Perl (which only the one-time
/// merge of /usr wants).
fn debootstrap_arguments() -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--quiet",
        "--variant=minbase",
        "--include=usr-is-merged",
        "--skip=output/dev",
    ]
    .map(str::to_owned)
    .into();
    for left_out in ["man", "doc", "locale", "info", "lintian", "bug"] {
        arguments.push(format!("--dpkgopt=path-exclude=/usr/share/{left_out}/*"));
    }
    arguments.push(
        "--customize-hook=chroot \"$1\" apt-get -y -q --autoremove purge usrmerge perl \"perl-modules*\"".to_owned(),
    );
    if !user::is_root() {
        arguments.push("--mode=unshare".to_owned());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first() {
        let names: Vec<&str> = with_parents(&["python:3.11", "busybox:1.35"])
            .unwrap()
            .iter()
            .map(|b| b.name)
            .collect();
        assert_eq!(
            names,
            [
                "busybox:1.35",
                "debian:bookworm-slim",
                "python:3.11-slim",
                "python:3.11"
            ]
        );
        assert!(
            with_parents(&["nothing:1"])
                .unwrap_err()
                .to_string()
                .contains("there is no base image")
        );
    }

    #[test]
    fn every_image_has_a_recipe_that_stands_on_its_parent() {
        for base in ALL {
            key(base).unwrap();
            let text = fs::read_to_string(recipe(base).join("Dockerfile")).unwrap();
            let from = text.lines().find_map(|line| line.strip_prefix("FROM ")).unwrap();
            assert_eq!(from, base.parent.unwrap_or("scratch"), "{}", base.name);
        }
    }
}
