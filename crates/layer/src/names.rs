//! What the names of a layer's entries say.

use crate::pack::OPAQUE_NAME;
use std::path::PathBuf;

use crate::root::{clean, path_of, split};

/// What Linux takes as a path: `PATH_MAX` without the end.
const LONGEST: usize = 4095;

/// The [clean] path of an entry; or why none can have it.
pub(crate) fn clean_name(name: &[u8]) -> Result<Vec<u8>, &'static str> {
    let path = clean(name).ok_or("its name leads out of the root")?;
    if path.len() > LONGEST {
        return Err("its name is longer than the 4095 bytes that a path may have on Linux");
    }
    Ok(path)
}

/// The [clean] path that a hard link leads to; or why none can.
pub(crate) fn clean_target(target: &[u8]) -> Result<Vec<u8>, String> {
    let path = clean(target).filter(|path| !path.is_empty()).ok_or_else(|| {
        format!(
            "it is a hard link to `{}`, outside of the root",
            shown(target).display()
        )
    })?;
    if path.len() > LONGEST {
        return Err("it is a hard link to a path longer than the 4095 bytes that one may have on Linux".to_owned());
    }
    Ok(path)
}

/// A name for a message, which is not to be longer than people read.
pub(crate) fn shown(name: &[u8]) -> PathBuf {
    if name.len() > LONGEST {
        return path_of(&[&name[..100], b"..."].concat()).to_owned();
    }
    path_of(name).to_owned()
}

/// What a name says in a layer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whiteout<'a> {
    No,
    /// aufs's own business.
    Leftover,
    /// The directory is opaque.
    Opaque(&'a [u8]),
    /// In the directory, the name is deleted.
    Of(&'a [u8], &'a [u8]),
}

/// What a clean path says; or why there cannot be such a one.
pub(crate) fn whiteout(path: &[u8]) -> Result<Whiteout<'_>, &'static str> {
    let (directory, name) = split(path);
    if name == OPAQUE_NAME {
        return Ok(Whiteout::Opaque(directory));
    }
    if path
        .split(|&byte| byte == b'/')
        .any(|component| component.starts_with(b".wh..wh."))
    {
        return Ok(Whiteout::Leftover);
    }
    if directory
        .split(|&byte| byte == b'/')
        .any(|component| component.starts_with(b".wh."))
    {
        return Err("it lies in a directory whose name says that it is deleted");
    }
    match name.strip_prefix(b".wh.") {
        None => Ok(Whiteout::No),
        Some(b"" | b"." | b"..") => Err("it deletes a name that cannot be"),
        Some(deleted) => Ok(Whiteout::Of(directory, deleted)),
    }
}
