//! Whether a tar is a layer that can be unpacked, without unpacking it.

use std::io::{self, Read};
use std::path::PathBuf;

use crate::Error;
use crate::limits::Limits;
use crate::names::{Whiteout, clean_name, clean_target, shown, whiteout};
use crate::tar::{Kind, Reader};

/// No more problems than this are told of one layer.
const MOST: usize = 20;

/// An entry that no unpacker should apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its name.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// Reads a layer's tar to its end. Gives the first entries that would lead out of the root or mean nothing; an error is that
/// it is no whole tar.
pub fn check_layer(mut tar: impl Read) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    let mut entries = 0;
    let mut reader = Reader::new(&mut tar);
    while let Some(entry) = reader.next_entry()? {
        entries += 1;
        let limit = Limits::default().entries;
        if entries > limit {
            return Err(Error::TooMuch { limit, unit: "entries" });
        }
        let is_link = entry.kind == Kind::Link;
        if let Err(what) = examine(&entry.path, is_link.then_some(&entry.link[..]))
            && problems.len() < MOST
        {
            let path = shown(&entry.path);
            problems.push(Problem { path, what });
        }
    }
    io::copy(&mut tar, &mut io::sink()).map_err(Error::Read)?;
    Ok(problems)
}

fn examine(path: &[u8], hard_link: Option<&[u8]>) -> Result<(), String> {
    let path = clean_name(path)?;
    if let Whiteout::No = whiteout(&path)?
        && let Some(target) = hard_link
    {
        clean_target(target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::{Entry, Writer};

    #[test]
    fn tells_what_leads_out() {
        let mut tar = Writer::new(Vec::new());
        for (path, link) in [
            ("a/../../out", None),
            ("fine/../in", None),
            ("/absolute", None),
            ("dir/.wh.", None),
            ("dir/.wh.gone", None),
            ("link", Some("../up")),
            ("good", Some("fine/../in")),
        ] {
            let kind = if link.is_some() { Kind::Link } else { Kind::File };
            let mut entry = Entry::new(path, kind, 0o644);
            entry.link = link.unwrap_or_default().into();
            tar.entry(&entry).unwrap();
        }
        let tar = tar.finish().unwrap();
        let paths: Vec<PathBuf> = check_layer(&tar[..])
            .unwrap()
            .into_iter()
            .map(|found| found.path)
            .collect();
        assert_eq!(paths, ["a/../../out", "dir/.wh.", "link"].map(PathBuf::from));
        assert!(check_layer(&tar[..700]).is_err());
    }
}
