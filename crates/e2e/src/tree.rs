//! The file tree of an image: its layers applied one over the other, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use anyhow::{Context as _, Result, bail};

/// Larger contents are kept by their beginning.
const KEPT: u64 = 1 << 20;

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `file`, `dir`, `link`, `char`, `block`, `fifo`
    pub kind: &'static str,
    /// The twelve bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Bytes.
    pub size: u64,
    /// A file's bytes, or their beginning.
    pub content: Vec<u8>,
    /// Where a symbolic link points.
    pub link: String,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Hard links to one file have one number.
    pub inode: u64,
}

/// Paths without a leading slash.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// All of them.
    pub nodes: BTreeMap<String, Node>,
    inodes: u64,
}

impl Tree {
    /// Applies a layer; gives the names of its entries as they stand in the tar.
    pub fn apply(&mut self, tar: impl Read) -> Result<Vec<String>> {
        let mut archive = tar::Archive::new(tar);
        let mut names = Vec::new();
        let mut added = BTreeSet::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let path = name.trim_start_matches("./").trim_matches('/').to_owned();
            names.push(name);
            if path.is_empty() {
                continue;
            }
            let (parent, file) = path.rsplit_once('/').unwrap_or(("", &path));
            if file == ".wh..wh..opq" {
                self.remove_below(parent, &added);
            } else if let Some(hidden) = file.strip_prefix(".wh.") {
                let target = if parent.is_empty() {
                    hidden.to_owned()
                } else {
                    format!("{parent}/{hidden}")
                };
                if !self.nodes.contains_key(&target) {
                    bail!("the whiteout {path} hides nothing");
                }
                self.remove(&target);
            } else {
                let node = self.node(&mut entry, &path)?;
                if node.kind != "dir" {
                    self.remove(&path);
                }
                self.nodes.insert(path.clone(), node);
                added.insert(path);
            }
        }
        Ok(names)
    }

    fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.nodes.retain(|name, _| name != path && !name.starts_with(&below));
    }

    fn remove_below(&mut self, path: &str, but: &BTreeSet<String>) {
        let below = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        self.nodes
            .retain(|name, _| !name.starts_with(&below) || but.contains(name));
    }

    fn node(&mut self, entry: &mut tar::Entry<'_, impl Read>, path: &str) -> Result<Node> {
        let header = entry.header();
        let kind = match header.entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => "file",
            tar::EntryType::Directory => "dir",
            tar::EntryType::Symlink => "link",
            tar::EntryType::Char => "char",
            tar::EntryType::Block => "block",
            tar::EntryType::Fifo => "fifo",
            tar::EntryType::Link => return self.linked(entry, path),
            other => bail!("{path} has the unknown type {other:?}"),
        };
        let mut node = Node {
            kind,
            mode: header.mode()? & 0o7777,
            uid: header.uid()?,
            gid: header.gid()?,
            size: entry.size(),
            content: Vec::new(),
            link: entry
                .link_name_bytes()
                .map(|name| String::from_utf8_lossy(&name).into_owned())
                .unwrap_or_default(),
            mtime: header.mtime()?,
            xattrs: BTreeMap::new(),
            inode: self.inodes,
        };
        self.inodes += 1;
        pax(entry, &mut node)?;
        entry.take(KEPT).read_to_end(&mut node.content)?;
        Ok(node)
    }

    fn linked(&self, entry: &tar::Entry<'_, impl Read>, path: &str) -> Result<Node> {
        let target = entry.link_name_bytes().context("a hard link to nothing")?;
        let target = String::from_utf8_lossy(&target);
        let target = target.trim_start_matches("./").trim_matches('/');
        self.nodes
            .get(target)
            .cloned()
            .with_context(|| format!("hard link {path} to {target}, which is not there"))
    }
}

/// Extended attributes and large numbers stand in PAX records.
fn pax(entry: &mut tar::Entry<'_, impl Read>, node: &mut Node) -> Result<()> {
    let Some(records) = entry.pax_extensions()? else {
        return Ok(());
    };
    for record in records {
        let record = record?;
        let key = record.key().unwrap_or_default();
        if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
            node.xattrs.insert(name.to_owned(), record.value_bytes().to_vec());
        }
        let number = || record.value().unwrap_or_default().parse::<u64>();
        match key {
            "uid" => node.uid = number()?,
            "gid" => node.gid = number()?,
            _ => {}
        }
    }
    Ok(())
}
