//! Several layers as one.

use std::os::fd::{AsFd as _, BorrowedFd};

use kiln_image::HistoryEntry;
use kiln_store::{LayerDir, LayerId};

use super::{Draft, Edit, Made, Subject};
use crate::assemble;
use crate::builder::Builder;
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::Images;

impl Builder {
    /// Makes one layer of all that are above `from`, which stays; of all where it is not given. What those layers delete or
    /// replace of one another is gone. `from` is a layer's number, from 0 for the lowest, or the beginning of its digest.
    pub fn squash(&self, edit: &Edit<'_>, from: Option<&str>, sink: &dyn Sink, cancel: &Cancel) -> Result<Made, Error> {
        self.work(format!("squash {}", edit.image), sink, cancel, |images| {
            let subject = Subject::open(images, edit.image, edit.platform)?;
            let kept = match from {
                Some(text) => layer_number(&subject, text)? + 1,
                None => 0,
            };
            let mut draft = subject.draft(edit.epoch);
            squash(images, &mut draft, kept)?;
            draft.keep(images, edit.names)
        })
    }
}

fn squash(images: &Images<'_>, draft: &mut Draft, kept: usize) -> StepResult<()> {
    let squashed = draft.layers.len() - kept;
    if squashed == 0 {
        return Ok(());
    }
    if let Some(paths) = images.lacking(&draft.layers[kept..])? {
        return Err(StepError::Unsupported(format!(
            "these layers have device nodes, which only root can make, and would lose them: {paths}"
        )));
    }
    let directory = images.store.new_layer()?;
    let all = images.tree(&draft.layers)?;
    let is_different = write_difference(images, &draft.layers[..kept], all.root.as_fd(), &directory)?;
    let says_all = merge_history(&mut draft.config.history, draft.layers.len(), kept);
    let mut layers = draft.layers[..kept].to_vec();
    if is_different {
        layers.push(images.keep_layer(&directory, &layers)?);
    }
    draft.layers = layers;
    if says_all {
        let facts = assemble::layer_facts(images, &draft.layers[..kept])?;
        let above = facts
            .last()
            .map_or(String::new(), |layer| format!(" above {}", layer.diff_id));
        draft.note(
            "kiln squash",
            format!("merge of {squashed} layers{above}"),
            !is_different,
        );
    }
    Ok(())
}

/// Writes the layer that makes `new` of the files of the layers `below`. Whether there is anything in it.
pub(super) fn write_difference(
    images: &Images<'_>,
    below: &[LayerId],
    new: BorrowedFd<'_>,
    directory: &LayerDir,
) -> StepResult<bool> {
    let old = images.tree(below)?;
    let changes = kiln_layer::difference(old.root.as_fd(), new, &directory.fs())?;
    Ok(!changes.is_empty())
}

/// Which of the layers is meant.
fn layer_number(subject: &Subject, text: &str) -> StepResult<usize> {
    let count = subject.layers.len();
    let nothing = |why: String| {
        StepError::Invalid(format!(
            "{} has no layer `{text}`: {why}; `kiln history` and `kiln waste` show its layers",
            subject.text
        ))
    };
    if let Ok(number) = text.parse::<usize>()
        && text.len() < 6
    {
        let last = count.saturating_sub(1);
        return if number < count {
            Ok(number)
        } else {
            Err(nothing(format!("they are numbered from 0 to {last}")))
        };
    }
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let blobs = subject
        .manifest
        .iter()
        .flat_map(|(_, manifest)| manifest.layers.iter().enumerate());
    let diff_ids = subject.config.rootfs.diff_ids.iter().enumerate();
    let digests = diff_ids.chain(blobs.map(|(number, blob)| (number, &blob.digest)));
    let mut found: Vec<usize> = digests
        .filter(|(_, digest)| digest.hex().starts_with(hex))
        .map(|(number, _)| number)
        .collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [one] if !hex.is_empty() => Ok(one),
        [] => Err(nothing("no digest of one begins so".to_owned())),
        _ => Err(nothing(format!("the digests of {} begin so", found.len()))),
    }
}

/// What made the layers above the first `kept` makes none any more. Whether the history says of every layer what made it.
fn merge_history(history: &mut [HistoryEntry], layers: usize, kept: usize) -> bool {
    if history.iter().filter(|entry| !entry.empty_layer).count() != layers {
        return false;
    }
    for entry in history.iter_mut().filter(|entry| !entry.empty_layer).skip(kept) {
        entry.empty_layer = true;
    }
    true
}
