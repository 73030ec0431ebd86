//! What steps read, by content: what content keys are made of, and what a run is remembered by.

use std::path::Path;
use std::rc::Rc;

use kiln_layer::{DigestOptions, FileDigests, Filter, NoFileDigests};
use kiln_plan::{CopyAction, CopyFrom, Exec, FileAction, FileOp, MountKind, Op, Step, StepId};

use super::Solver;
use super::copy::{Choice, context_filter, octal};
use super::sources::{Source, Tree};
use crate::error::StepResult;
use crate::inputs::{Input, Seen, TREE};
use crate::key::{KeyBuilder, tree_digest};

/// What a step reads besides its root.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// By name, in order.
    pub(super) inputs: Vec<Input>,
    /// The files that were read, those of each input with their digest.
    pub(super) files: Vec<([u8; 32], Seen)>,
}

impl Content {
    fn add(&mut self, name: String, files: Files, key: &mut KeyBuilder) -> [u8; 32] {
        let digest = key.contents(&files.digests);
        self.inputs.push(Input::files(name, &digest));
        self.files.push((digest, files.seen));
        digest
    }
}

impl Solver<'_> {
    /// Adds what a step reads besides its root, in order, to its content key. What a cache mount starts as counts by the
    /// identity of its layers.
    pub(super) fn add_content(&self, step: &Step, key: &mut KeyBuilder) -> StepResult<Content> {
        match &step.op {
            Op::File(file) => self.add_copied(file, key),
            Op::Exec(exec) => self.add_mounted(exec, key),
            Op::Source(_) | Op::Merge(_) => Ok(Content::default()),
        }
    }

    fn add_copied(&self, file: &FileOp, key: &mut KeyBuilder) -> StepResult<Content> {
        let mut content = Content::default();
        for action in &file.actions {
            if let FileAction::Copy(copy) = action
                && let CopyFrom::Step(from) = copy.from
            {
                let files = self.with_source(copy, |tree| self.copied(tree, copy))?;
                content.add(self.called(from), files, key);
            }
        }
        Ok(content)
    }

    fn add_mounted(&self, exec: &Exec, key: &mut KeyBuilder) -> StepResult<Content> {
        let mut content = Content::default();
        for mount in &exec.mounts {
            match &mount.kind {
                MountKind::Bind {
                    from: Some(from),
                    source,
                    ..
                } => {
                    let read = |tree: &Tree<'_>| bound_files(tree, self.known(tree), source);
                    let files = self.with_tree(Some(*from), read)?;
                    let digest = content.add(mount.target.clone(), files, key);
                    self.bound.put(*from, source, digest);
                }
                MountKind::Cache { from: Some(from), .. } => {
                    let layers = self.result(*from);
                    key.tree(layers.layers());
                    let identity = tree_digest(layers.layers());
                    let step = &self.plan.steps[from.0];
                    content.inputs.push(Input::tree(TREE, &mount.target, &identity, step));
                }
                _ => {}
            }
        }
        Ok(content)
    }

    /// How people call the tree that files come from.
    fn called(&self, from: Option<StepId>) -> String {
        let Some(from) = from else { return "scratch".to_owned() };
        let step = &self.plan.steps[from.0];
        match step.stage {
            Some(stage) => self.plan.stages[stage].name.clone(),
            None => step.name.clone(),
        }
    }

    /// What COPY or ADD reads.
    fn copied(&self, tree: &Tree<'_>, copy: &CopyAction) -> StepResult<Files> {
        let choice = Choice::new(&copy.exclude)?;
        let choose =
            |source: &Source, path: &Path, directory: bool| choice.decide(tree.context, source, path, directory);
        let mut reader = self.reader(tree, &choose);
        // What all copies get does not depend on what the files have.
        reader.owner = reader.owner.or(copy.chown.as_ref().map(|_| (0, 0)));
        reader.mode = copy.chmod.as_deref().and_then(octal);
        for word in &copy.sources {
            if copy.parents {
                reader.word_with_parents(word)?;
            } else {
                reader.word(word)?;
            }
        }
        Ok(reader.files)
    }

    /// Files are not read again if they did not change since an earlier build.
    pub(super) fn reader<'a>(&'a self, tree: &'a Tree<'a>, choose: &'a Choose<'a>) -> Reader<'a> {
        Reader::new(tree, self.known(tree), choose)
    }

    /// What is known of a tree's files.
    fn known<'a>(&'a self, tree: &'a Tree<'a>) -> &'a dyn FileDigests {
        match (tree.context, &tree.known) {
            (Some(_), _) => self.session.known_files,
            (None, Some(known)) => known,
            (None, None) => &NoFileDigests,
        }
    }
}

/// What a bind mount shows.
pub(super) fn bound_files(tree: &Tree<'_>, known: &dyn FileDigests, source: &str) -> StepResult<Files> {
    let choice = |_: &Source, path: &Path, directory| context_filter(tree.context, path, directory);
    let mut reader = Reader::new(tree, known, &choice);
    reader.word(source)?;
    Ok(reader.files)
}

/// Which of a source's files are read: the source, a path, whether it is a directory.
type Choose<'a> = dyn Fn(&Source, &Path, bool) -> Filter + 'a;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Of each source, its name, which counts where it becomes the name of the copy, and its content.
    pub(super) digests: Vec<[u8; 32]>,
    seen: Seen,
}

/// A tree whose content is digested.
pub(super) struct Reader<'a> {
    tree: &'a Tree<'a>,
    known: &'a dyn FileDigests,
    choose: &'a Choose<'a>,
    /// What all files count as having.
    pub(super) owner: Option<(u32, u32)>,
    pub(super) mode: Option<u32>,
    pub(super) files: Files,
}

impl<'a> Reader<'a> {
    fn new(tree: &'a Tree<'a>, known: &'a dyn FileDigests, choose: &'a Choose<'a>) -> Self {
        Self {
            tree,
            known,
            choose,
            owner: tree.context.is_some().then_some((0, 0)),
            mode: None,
            files: Files::default(),
        }
    }
}

impl Reader<'_> {
    /// What a word names in the tree.
    pub(super) fn word(&mut self, word: &str) -> StepResult<()> {
        self.tree.find(word)?.iter().try_for_each(|source| self.source(source))
    }

    fn word_with_parents(&mut self, word: &str) -> StepResult<()> {
        let kept = self.tree.find_with_parents(word)?;
        let choose = self.choose;
        for base in &kept.bases {
            self.read(&base.path, &base.real, &|path, directory| {
                kept.filter(choose(base, path, directory), base, path, directory)
            })?;
        }
        Ok(())
    }

    fn source(&mut self, source: &Source) -> StepResult<()> {
        let choose = self.choose;
        self.read(&source.path, &source.real, &|path, directory| {
            choose(source, path, directory)
        })
    }

    fn read(&mut self, name: &str, path: &Path, filter: &dyn Fn(&Path, bool) -> Filter) -> StepResult<()> {
        let filter = self.tree.until_canceled(filter);
        let options = DigestOptions {
            filter: &filter,
            owner: self.owner,
            mode: self.mode,
            known: self.known,
            content_only: false,
        };
        let (above, seen) = (Rc::from(name), &mut self.files.seen);
        let digested = kiln_layer::digest_tree(self.tree.root, path, &options, &mut |entry| seen.add(&above, &entry))?;
        self.tree.check()?;
        let name = *blake3::hash(name.as_bytes()).as_bytes();
        self.files.digests.extend([name, digested.digest]);
        Ok(())
    }
}
