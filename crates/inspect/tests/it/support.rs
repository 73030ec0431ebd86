//! Layers for tests, as the tars that they would be.

use std::path::Path;

use kiln_inspect::LayerIndex;
use kiln_layer::tar::{Entry, Kind, Writer};

/// A layer in the making.
#[derive(Default)]
pub(crate) struct Tar(Vec<(Entry, Vec<u8>)>);

impl Tar {
    /// A file of mode 0644.
    pub(crate) fn file(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.file_as(path, content, 0o644, 0)
    }

    /// A file with permissions and an owner.
    pub(crate) fn file_as(mut self, path: &str, content: impl Into<Vec<u8>>, mode: u32, uid: u32) -> Self {
        let content = content.into();
        let entry = Entry {
            size: content.len() as u64,
            uid,
            ..Entry::new(path, Kind::File, mode)
        };
        self.0.push((entry, content));
        self
    }

    /// An empty file.
    pub(crate) fn mark(self, path: &str) -> Self {
        self.file(path, "")
    }

    /// A directory.
    pub(crate) fn directory(mut self, path: &str) -> Self {
        self.0
            .push((Entry::new(format!("{path}/"), Kind::Directory, 0o755), Vec::new()));
        self
    }

    /// A hard link.
    pub(crate) fn link(mut self, path: &str, file: &str) -> Self {
        let entry = Entry {
            link: file.into(),
            ..Entry::new(path, Kind::Link, 0o644)
        };
        self.0.push((entry, Vec::new()));
        self
    }

    /// The same in the other order.
    pub(crate) fn backwards(mut self) -> Self {
        self.0.reverse();
        self
    }

    /// What is in it.
    pub(crate) fn index(&self) -> LayerIndex {
        let mut writer = Writer::new(Vec::new());
        for (entry, content) in &self.0 {
            writer.entry(entry).unwrap();
            writer.data(content).unwrap();
        }
        let bytes = writer.finish().unwrap();
        LayerIndex::of_tar(&bytes[..], Path::new("test")).unwrap()
    }
}

/// Layers of an image, the lowest first.
pub(crate) fn layers(tars: impl IntoIterator<Item = Tar>) -> Vec<LayerIndex> {
    tars.into_iter().map(|tar| tar.index()).collect()
}
