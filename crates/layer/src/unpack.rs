//! A layer's blob to a layer directory.

use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use kiln_image::media_type::Compression;
use kiln_image::{Digest, Hasher};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::Error;
use crate::ahead::read_ahead;
use crate::decompress::{ArchiveKind, decoder, sniff};
use crate::extract::{Extractor, Style};
use crate::limits::Limits;
use crate::root::{bytes_of, path_of};
use crate::tar::Reader;
use crate::walk::open_directory;
use crate::wanted::Wanted;
use crate::xattr;

/// How a layer is unpacked.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct UnpackOptions {
    /// How much it may hold.
    pub limits: Limits,
    /// What of it is wanted, if not all. The rest is read and left out.
    pub wanted: Option<Wanted>,
}

impl UnpackOptions {
    /// With other limits than the default ones.
    #[must_use]
    pub fn limited(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// For a part of the layer alone.
    #[must_use]
    pub fn of(wanted: Wanted) -> Self {
        Self {
            wanted: Some(wanted),
            ..Self::default()
        }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpacked {
    /// Digest of the uncompressed blob, to its very end.
    pub diff_id: Digest,
    /// Bytes of all files.
    pub size: u64,
    /// Entries of the tar.
    pub entries: u64,
    /// Directories that no entry describes and that are needed for what lies in them: mode 0755, root's, from 1970,
    /// until [`complete`] gives them what the layers below say. Relative paths.
    pub implicit_dirs: Vec<PathBuf>,
    /// Hard links to files that are not in this layer, and their targets; not made until [`complete`] is called.
    pub missing_links: Vec<(PathBuf, PathBuf)>,
    /// Device nodes that could not be made, because this user namespace has none, and are left out.
    pub skipped_devices: Vec<PathBuf>,
    /// Whether an entry lies behind a symbolic or hard link of this very layer: it may be what is wanted, by another name, or
    /// make that another file. It is told only where [`UnpackOptions::wanted`] was given; by digests of paths, so that now and
    /// then it may be told of a layer that has none.
    pub strayed: bool,
}

impl Unpacked {
    /// Whether [`complete`] has something to do.
    pub fn is_incomplete(&self) -> bool {
        !self.implicit_dirs.is_empty() || !self.missing_links.is_empty()
    }

    /// Leaves to [`complete`] what is wanted alone; everything where an entry's name does not say what it is.
    pub fn limit_to(&mut self, wanted: &Wanted) {
        if !self.strayed {
            self.implicit_dirs.retain(|path| wanted.covers(bytes_of(path)));
            self.missing_links.retain(|(link, _)| wanted.takes(bytes_of(link)));
        }
    }

    /// The paths that [`complete`] looks up in this layer and in those below, and whether a link that one is stands for what it
    /// leads to.
    pub fn looked_up(&self) -> impl Iterator<Item = (&Path, bool)> {
        let directories = self.implicit_dirs.iter().map(|path| (&**path, true));
        let targets = self.missing_links.iter().map(|(_, target)| (&**target, false));
        targets.chain(directories)
    }
}

/// Device nodes that a layer should have and has not, because who unpacked it could make none: the first of them.
pub fn skipped_devices(layer: &Path) -> Result<Vec<PathBuf>, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, layer, flags, Mode::empty()).map_err(Error::at("open the layer directory", layer))?;
    let paths = xattr::skipped(&top).map_err(Error::at("read the attributes of", layer))?;
    Ok(paths.iter().map(|path| path_of(path).to_owned()).collect())
}

/// Unpacks a layer into the empty directory `into`, in overlayfs's upper format.
///
/// The compression is told by the first bytes if it is not given. The blob is read to its end. Nothing but its
/// structure is checked: the caller compares digests, and throws the directory away on any error.
///
/// Whatever the archive says, nothing outside of `into` is touched; see the crate's documentation.
pub fn unpack<R: Read>(
    blob: R,
    compression: Option<Compression>,
    into: &Path,
    options: &UnpackOptions,
) -> Result<Unpacked, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, into, flags, Mode::empty()).map_err(Error::at("open the layer directory", into))?;
    let mut blob = BufReader::with_capacity(128 * 1024, blob);
    let kind = match compression {
        Some(compression) => compression.into(),
        None => kind_of(&mut blob).map_err(Error::Read)?,
    };
    let decoder = decoder(kind, blob).map_err(Error::Read)?;
    // Three threads: one decompresses, one hashes, one writes files.
    let extracted = read_ahead(decoder, |_| (), |tar| hash_and_extract(tar, root.as_fd(), options));
    extracted.map_err(Error::Read)?
}

fn hash_and_extract(tar: impl Read, root: BorrowedFd<'_>, options: &UnpackOptions) -> Result<Unpacked, Error> {
    let mut hasher = Hasher::new();
    let extracted = read_ahead(tar, |piece| hasher.update(piece), |tar| extract(tar, root, options));
    let mut unpacked = extracted.map_err(Error::Read)??;
    unpacked.diff_id = hasher.finish();
    Ok(unpacked)
}

fn kind_of(blob: &mut BufReader<impl Read>) -> io::Result<ArchiveKind> {
    use std::io::BufRead as _;
    // A tar has no magic number that the others could be taken for, and an empty one is zeros.
    Ok(sniff(blob.fill_buf()?).unwrap_or(ArchiveKind::Tar))
}

/// Extracts and reads on to the end.
fn extract(tar: impl Read, root: BorrowedFd<'_>, options: &UnpackOptions) -> Result<Unpacked, Error> {
    let extractor = Extractor::new(root, Vec::new(), Style::Layer, options.limits);
    let mut extractor = extractor.map_err(Error::at("open the layer directory", "."))?;
    extractor.wanted.clone_from(&options.wanted);
    let mut tar = Reader::new(tar);
    extractor.run(&mut tar)?;
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(Error::Read)?;
    if !extractor.skipped_devices.is_empty() {
        let note = open_directory(root, c".").and_then(|top| xattr::set_skipped(top, &extractor.skipped_devices));
        note.map_err(Error::at("note what is missing in", "."))?;
    }
    let owned = |path: &Vec<u8>| path_of(path).to_owned();
    Ok(Unpacked {
        diff_id: Digest::from_bytes([0; 32]),
        size: extractor.size,
        entries: extractor.entries,
        implicit_dirs: extractor.cursor.made.iter().map(owned).collect(),
        missing_links: extractor
            .missing_links
            .iter()
            .map(|(link, target)| (owned(link), owned(target)))
            .collect(),
        skipped_devices: extractor.skipped_devices.iter().map(owned).collect(),
        strayed: extractor.strayed,
    })
}
