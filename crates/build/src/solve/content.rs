//! Content digests of what steps read: what content keys are made of.

use std::path::Path;

use kiln_layer::{FileDigests, Filter, NoFileDigests};
use kiln_plan::{CopyAction, CopyFrom, Exec, FileAction, FileOp, MountKind, Op, Step};

use super::Solver;
use super::copy::{context_filter, itself_alone};
use super::sources::{Source, Tree};
use crate::error::StepResult;
use crate::key::KeyBuilder;

impl Solver<'_> {
    /// Adds what a step reads besides its root, in order, to its content key; false where it reads no content. What a
    /// cache mount starts as counts by the identity of its layers.
    pub(super) fn add_content(&self, step: &Step, key: &mut KeyBuilder) -> StepResult<bool> {
        match &step.op {
            Op::File(file) => self.add_copied(file, key),
            Op::Exec(exec) => self.add_mounted(exec, key),
            Op::Source(_) | Op::Merge(_) => Ok(false),
        }
    }

    fn add_copied(&self, file: &FileOp, key: &mut KeyBuilder) -> StepResult<bool> {
        let mut read = false;
        for action in &file.actions {
            if let FileAction::Copy(copy) = action
                && let CopyFrom::Step(from) = copy.from
            {
                let digests = self.with_tree(from, |tree| copied_digests(&self.reader(tree), copy))?;
                key.contents(&digests);
                read = true;
            }
        }
        Ok(read)
    }

    fn add_mounted(&self, exec: &Exec, key: &mut KeyBuilder) -> StepResult<bool> {
        let mut read = false;
        for mount in &exec.mounts {
            match &mount.kind {
                MountKind::Bind {
                    from: Some(from),
                    source,
                    ..
                } => {
                    let source = std::slice::from_ref(source);
                    let digests = self.with_tree(Some(*from), |tree| source_digests(&self.reader(tree), source))?;
                    key.contents(&digests);
                    read = true;
                }
                MountKind::Cache { from: Some(from), .. } => {
                    key.tree(self.result(*from).layers());
                }
                _ => {}
            }
        }
        Ok(read)
    }

    /// Files of local contexts are not read again if they did not change since an earlier build. Those of layers are
    /// on overlays, whose device numbers come and go.
    fn reader<'a>(&'a self, tree: &'a Tree<'a>) -> Reader<'a> {
        let known: &dyn FileDigests = match tree.context {
            Some(_) => self.session.known_files,
            None => &NoFileDigests,
        };
        Reader { tree, known }
    }
}

/// A tree whose content is digested.
struct Reader<'a> {
    tree: &'a Tree<'a>,
    known: &'a dyn FileDigests,
}

/// The content of what COPY or ADD reads in a tree.
fn copied_digests(reader: &Reader<'_>, copy: &CopyAction) -> StepResult<Vec<[u8; 32]>> {
    if !copy.parents {
        return source_digests(reader, &copy.sources);
    }
    let mut digests = Vec::new();
    for word in &copy.sources {
        let kept = reader.tree.find_with_parents(word)?;
        for source in &kept.sources {
            for ancestor in kept.ancestors(&source.path) {
                digests.extend(digest(
                    reader,
                    &ancestor,
                    Path::new(&ancestor),
                    &itself_alone(&ancestor),
                )?);
            }
            digests.extend(content_digest(reader, source)?);
        }
    }
    Ok(digests)
}

/// The content of what `words` name in a tree.
fn source_digests(reader: &Reader<'_>, words: &[String]) -> StepResult<Vec<[u8; 32]>> {
    let mut digests = Vec::new();
    for word in words {
        for source in reader.tree.find(word)? {
            digests.extend(content_digest(reader, &source)?);
        }
    }
    Ok(digests)
}

fn content_digest(reader: &Reader<'_>, source: &Source) -> StepResult<[[u8; 32]; 2]> {
    digest(reader, &source.path, &source.real, &|path, directory| {
        context_filter(reader.tree.context, path, directory)
    })
}

/// Of the name, which counts where it becomes the name of the copy, and of the content.
fn digest(
    reader: &Reader<'_>,
    name: &str,
    path: &Path,
    filter: &dyn Fn(&Path, bool) -> Filter,
) -> StepResult<[[u8; 32]; 2]> {
    let tree = reader.tree;
    let owner = tree.context.is_some().then_some((0, 0));
    let filter = tree.until_canceled(filter);
    let content = kiln_layer::digest_tree(tree.root, path, &filter, owner, reader.known)?;
    tree.check()?;
    Ok([*blake3::hash(name.as_bytes()).as_bytes(), content.digest])
}
