//! Copying single files, and what files and directories get.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Uid, chmodat, fchmod, fchown, futimens, makedev, mknodat, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::place::{Place, create_file};
use super::source::Source;
use super::{CopyOptions, CopyStats};
use crate::Error;
use crate::content::Content;
use crate::extract::{chown, times};
use crate::mode::ModeChange;
use crate::times::Times;
use crate::walk::Meta;
use crate::xattr::{self, Xattrs};

/// The bits of setuid and setgid.
const SET_IDS: u32 = 0o6000;

/// What becomes of the files' attributes, whichever they are.
#[derive(Debug)]
pub(super) struct Rules {
    owner: Option<(u32, u32)>,
    mode: ModeChange,
    powerless: bool,
    times: Times,
    /// See [`CopyOptions::layer`].
    pub(super) layer: bool,
}

impl Rules {
    pub(super) fn of(options: &CopyOptions<'_>) -> Self {
        Self {
            owner: options.owner,
            mode: options.mode.clone(),
            powerless: options.powerless,
            times: options.times,
            layer: options.layer,
        }
    }

    pub(super) fn describe<'x>(&self, meta: &Meta, xattrs: &'x Xattrs) -> Attributes<'x> {
        let is_directory = meta.kind == FileType::Directory;
        let lost = if self.powerless && !is_directory { SET_IDS } else { 0 };
        Attributes {
            owner: self.owner.unwrap_or((meta.uid, meta.gid)),
            mode: self.mode.apply(meta.mode, is_directory) & !lost,
            mtime: self.times.of(meta.mtime),
            xattrs,
        }
    }
}

/// What a copy gets.
pub(super) struct Attributes<'a> {
    owner: (u32, u32),
    mode: u32,
    mtime: (i64, u32),
    xattrs: &'a Xattrs,
}

impl Attributes<'_> {
    /// Sets what is not so yet: to ask is cheaper than to set.
    pub(super) fn apply_to(&self, file: impl AsFd) -> Result<(), Errno> {
        let there = Meta::of_fd(&file)?;
        let (uid, gid) = self.owner;
        let is_others = (there.uid, there.gid) != self.owner;
        if is_others {
            fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        xattr::apply(&file, self.xattrs)?;
        // A change of owner takes the bits of setuid and setgid away.
        if is_others || there.mode != self.mode {
            fchmod(&file, Mode::from_raw_mode(self.mode))?;
        }
        futimens(&file, &times(self.mtime))
    }
}

/// Copies single files.
pub(super) struct Copier<'a> {
    rules: &'a Rules,
    content: Content,
    pub(super) stats: CopyStats,
}

impl<'a> Copier<'a> {
    pub(super) fn new(rules: &'a Rules) -> Self {
        Self {
            rules,
            content: Content::default(),
            stats: CopyStats::default(),
        }
    }

    /// Copies anything but a directory.
    pub(super) fn write(&mut self, source: &Source, place: &Place, path: &Path) -> Result<(), Error> {
        self.stats.files += 1;
        match source {
            Source::File(file, meta) => {
                let (mut xattrs, _) =
                    xattr::read(file).map_err(Error::at("read the attributes of the source of", path))?;
                if self.rules.powerless {
                    xattrs.retain(|(name, _)| !name.starts_with(b"security."));
                }
                let attributes = self.rules.describe(meta, &xattrs);
                let copy = place.create(|| create_file(place, attributes.mode), path)?;
                self.stats.bytes += self
                    .content
                    .copy(file, &copy, meta)
                    .map_err(Error::at("copy the content of", path))?;
                attributes
                    .apply_to(&copy)
                    .map_err(Error::at("set the attributes of", path))
            }
            Source::Symlink(target, meta) => {
                place.create(|| symlinkat(&**target, &*place.directory, &*place.name), path)?;
                self.name_attributes(place, meta)
                    .map_err(Error::at("set the attributes of", path))
            }
            Source::Node(meta) if meta.kind == FileType::Socket && !self.rules.layer => {
                let none = Xattrs::new();
                let attributes = self.rules.describe(meta, &none);
                let copy = place.create(|| create_file(place, attributes.mode), path)?;
                attributes
                    .apply_to(&copy)
                    .map_err(Error::at("set the attributes of", path))
            }
            Source::Node(meta) => self.node(place, meta, path),
            Source::Directory(..) => Err(Error::IsADirectory { path: path.to_owned() }),
        }
    }

    fn node(&mut self, place: &Place, meta: &Meta, path: &Path) -> Result<(), Error> {
        let device = makedev(meta.device.0, meta.device.1);
        let make = || {
            mknodat(
                &*place.directory,
                &*place.name,
                meta.kind,
                Mode::RUSR | Mode::WUSR,
                device,
            )
        };
        match place.create(make, path) {
            Ok(()) => {}
            Err(Error::Path { source, .. })
                if meta.kind != FileType::Fifo && Errno::from_io_error(&source) == Some(Errno::PERM) =>
            {
                self.stats.skipped_devices.push(path.to_owned());
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let mode = Mode::from_raw_mode(self.rules.mode.apply(meta.mode, false));
        let set = || {
            self.name_attributes(place, meta)?;
            chmodat(&*place.directory, &*place.name, mode, AtFlags::empty())
        };
        set().map_err(Error::at("set the attributes of", path))
    }

    fn name_attributes(&self, place: &Place, meta: &Meta) -> Result<(), Errno> {
        let owner = self.rules.owner.unwrap_or((meta.uid, meta.gid));
        chown(&place.directory, OsStr::from_bytes(place.name.to_bytes()), owner)?;
        utimensat(
            &*place.directory,
            &*place.name,
            &times(self.rules.times.of(meta.mtime)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
    }
}
