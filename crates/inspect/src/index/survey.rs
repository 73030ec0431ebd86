//! A layer that is not in the store, as it is remembered there.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use kiln_image::Digest;
use kiln_store::Store;

use super::bytes::Reader;
use super::excerpts::{Excerpts, Keeper};
use super::{LayerIndex, tar};
use crate::error::Error;

/// What is kept in the store is written as. Others are made anew.
const FORMAT: u32 = 2;

const DIGEST: usize = 32;

/// What is in a layer, and what is kept of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survey {
    pub(crate) index: LayerIndex,
    pub(crate) excerpts: Excerpts,
}

impl Survey {
    /// Of a layer's tar, with a file of nobody else to lay large programs in.
    pub(crate) fn of_tar(archive: impl Read, name: &Path, scratch: File) -> Result<Self, Error> {
        let (index, excerpts) = tar::read(archive, name, &mut Keeper::new(scratch))?;
        Ok(Self { index, excerpts })
    }

    /// What is remembered of a layer.
    pub(crate) fn remembered(store: &Store, diff_id: &Digest) -> Result<Option<Self>, Error> {
        let bytes = store.foreign_layer(diff_id, FORMAT)?;
        Ok(bytes.and_then(|bytes| Self::from_bytes(&bytes)))
    }

    /// Has it remembered.
    pub(crate) fn remember(&self, store: &Store, diff_id: &Digest) -> Result<(), Error> {
        Ok(store.put_foreign_layer(diff_id, FORMAT, &self.to_bytes())?)
    }

    /// A digest of what follows, the excerpts, the index.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![0; DIGEST];
        self.excerpts.write(&mut out);
        self.index.write_all(&mut out);
        let digest = blake3::hash(&out[DIGEST..]);
        out[..DIGEST].copy_from_slice(digest.as_bytes());
        out
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (digest, body) = bytes.split_at_checked(DIGEST)?;
        if blake3::hash(body).as_bytes() != digest {
            return None;
        }
        let mut reader = Reader::new(body);
        let excerpts = Excerpts::read(&mut reader)?;
        let index = LayerIndex::read_all(reader)?;
        Some(Self { index, excerpts })
    }
}

/// Bytes of the files of a layer that is not in the store, if somebody looked into it before.
pub fn remembered_bytes(store: &Store, diff_id: &Digest) -> Result<Option<u64>, Error> {
    Ok(Survey::remembered(store, diff_id)?.map(|survey| survey.index.bytes()))
}

#[cfg(test)]
mod tests {
    use kiln_layer::tar::{Entry, Kind, Writer};

    use super::*;
    use crate::index::{Excerpt, Program};

    #[test]
    fn what_is_needed_of_a_layer_is_kept() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut writer = Writer::new(Vec::new());
        let mut add = |path: &str, mode, content: &[u8]| {
            let entry = Entry {
                size: content.len() as u64,
                ..Entry::new(path, Kind::File, mode)
            };
            writer.entry(&entry).unwrap();
            writer.data(content).unwrap();
        };
        add("z/program", 0o755, &program);
        add("script", 0o755, &[&b"#!/bin/sh\n"[..], &[b'x'; 1000]].concat());
        add("data", 0o644, b"data");
        add("etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\n");
        add("etc/ld.so.conf.d/deeper/x", 0o644, b"x");
        add(
            "usr/share/doc/a/copyright",
            0o644,
            b"Format: x\n\nFiles: *\nLicense: GPL-2+\n",
        );
        let link = Entry {
            link: b"z/program".to_vec(),
            ..Entry::new("a", Kind::Link, 0o755)
        };
        writer.entry(&link).unwrap();
        let tar = writer.finish().unwrap();
        let survey = Survey::of_tar(&tar[..], Path::new("test"), tempfile::tempfile().unwrap()).unwrap();
        let find = |name: &str| {
            let entries = (0..).zip(survey.index.entries());
            let mut named = entries.filter(|(_, entry)| survey.index.name(entry) == name.as_bytes());
            let (number, _) = named.next().unwrap();
            survey.excerpts.get(survey.index.first_name(number))
        };
        let elf = |found: Option<Excerpt>| matches!(found, Some(Excerpt::Program(Program::Elf(elf))) if elf.is_dynamic);
        assert!(elf(find("program")) && elf(find("a")));
        assert_eq!(
            (survey.index.entry(1).size, survey.index.entry(1).same_as),
            (program.len() as u64, None)
        );
        assert!(
            matches!(find("script"), Some(Excerpt::Program(Program::Script(start))) if start.starts_with(b"#!/bin/sh\nx"))
        );
        assert_eq!((find("data"), find("x")), (None, None));
        assert_eq!(find("passwd"), Some(Excerpt::Text(b"root:x:0:0::/:/bin/sh\n".to_vec())));
        assert_eq!(
            find("copyright"),
            Some(Excerpt::Licenses(vec!["GPL-2.0-or-later".to_owned()]))
        );
        let bytes = survey.to_bytes();
        assert_eq!(
            Survey::from_bytes(&bytes).map(|survey| survey.to_bytes()),
            Some(bytes.clone())
        );
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Survey::from_bytes(&damaged), None, "{at}");
        }
    }
}
