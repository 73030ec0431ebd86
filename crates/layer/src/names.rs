//! What the names of a layer's entries say.

use crate::pack::OPAQUE_NAME;
use crate::root::split;

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
