//! Local contexts that are mounted: in a step that runs, and in one that is remade, as long as the context is the same.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use kiln_plan::{CopyAction, MountKind, StepId};
use kiln_store::{LayerDir, Store};

use super::content::bound_files;
use super::copy::Target;
use super::exec::on_top;
use super::file::context_tree;
use super::sources::clean;
use super::{Done, Solver};
use crate::cancel::Cancel;
use crate::context::{Context, NotedContext};
use crate::error::{StepError, StepResult};
use crate::images::Images;
use crate::key::digest_of;
use crate::known_files::KnownFiles;
use crate::places::NotedKind;

/// The digests of what was mounted, by where it came from.
#[derive(Default)]
pub(super) struct Bound(Mutex<HashMap<(StepId, String), [u8; 32]>>);

/// A local context's files as a tree of its own.
pub(crate) struct ContextCopy {
    pub(crate) tree: OwnedFd,
    pub(crate) directory: LayerDir,
}

impl Bound {
    pub(super) fn put(&self, from: StepId, source: &str, digest: [u8; 32]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((from, source.to_owned()), digest);
    }

    fn get(&self, from: StepId, source: &str) -> Option<[u8; 32]> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(from, source.to_owned())).copied()
    }
}

impl Solver<'_> {
    /// See [`context_copy`].
    pub(super) fn context_copy(&self, context: &Context, source: &str) -> StepResult<ContextCopy> {
        context_copy(self.session.store, self.session.empty()?, context, source, self.cancel)
    }

    /// What there is to note of a mount, if it is one of a local context whose content is known.
    pub(super) fn noted_local(&self, kind: &MountKind) -> Option<NotedKind> {
        let MountKind::Bind {
            from: Some(from),
            source,
            writable,
        } = kind
        else {
            return None;
        };
        let Done::Local(context) = self.result(*from) else {
            return None;
        };
        Some(NotedKind::Local {
            context: context.noted()?,
            source: source.clone(),
            writable: *writable,
            digest: self.bound.get(*from, source)?,
        })
    }
}

/// What was mounted of a context, if it is still the same. `empty` is a directory that stays as long.
pub(crate) fn copy_if_same(
    images: &Images<'_>,
    empty: PathBuf,
    noted: &NotedContext,
    source: &str,
    digest: &[u8; 32],
) -> StepResult<Option<ContextCopy>> {
    if !noted.path.is_dir() {
        return Ok(None);
    }
    let context = Context::again(noted)?;
    let known = KnownFiles::open(images.store)?;
    let files = match bound_files(&context_tree(&context, images.cancel), &known, source) {
        Err(StepError::Missing(_)) => return Ok(None),
        files => files?,
    };
    if digest_of(&files.digests) != *digest {
        return Ok(None);
    }
    context_copy(images.store, empty, &context, source, images.cancel).map(Some)
}

/// A bind mount of a local context shows what the ignore file leaves, and takes no writes: a copy.
fn context_copy(
    store: &Store,
    empty: PathBuf,
    context: &Context,
    source: &str,
    cancel: &Cancel,
) -> StepResult<ContextCopy> {
    let directory = store.new_layer()?;
    let tree = on_top(&[empty], &directory, &directory)?;
    let copy = CopyAction::plain(None, source.to_owned(), format!("/{}", clean(source)));
    let target = Target::new(tree.as_fd(), &copy, true)?;
    let files = context_tree(context, cancel);
    for found in files.find(source)? {
        target.source(&files, &found)?;
    }
    Ok(ContextCopy { tree, directory })
}
