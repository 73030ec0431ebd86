//! What becomes of the file trees that a build made: images in the store, and wherever else they go.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use kiln_image::{Descriptor, Platform};
use kiln_plan::{Plan, Target};
use kiln_store::{Image, ImageSource, LayerId};

use crate::assemble;
use crate::cache;
use crate::error::{StepError, StepResult};
use crate::event::Built;
use crate::export;
use crate::images::Images;
use crate::package::{Package, Packing, Stored, StoredImage, keep_index, pack_whole};
use crate::request::{Destination, LayerOptions, Output, Request};
use crate::session::Task;
use crate::solve::Solver;
use crate::transfer;

/// Puts the images together from the layers of each target, and them into the store and wherever else they go.
pub(crate) fn finish(
    request: &Request,
    plan: &Plan,
    layers: &[Arc<[LayerId]>],
    solver: &Solver<'_>,
) -> StepResult<Built> {
    let images = solver.images;
    if request.is_cache_only() {
        return cache_only(images, layers);
    }
    let task = images.tasks.start("exporting to image".to_owned());
    let epoch = request.epoch.or(plan.epoch);
    if let Some(options) = request.kept_compression(plan) {
        layers
            .iter()
            .try_for_each(|layers| assemble::compress_new(images, layers, options))?;
    }
    let each = plan.targets.iter().zip(layers);
    let made: StepResult<Vec<StoredImage>> = each
        .map(|(target, layers)| image(images, target, layers, epoch, request.inline_cache))
        .collect();
    let mut results = Results {
        request,
        images,
        solver,
        stored: Stored {
            images: made?,
            epoch,
            index: None,
            several: request.options.several(),
        },
    };
    let work = images.tasks.work("keep the image");
    let kept = results.keep(&task)?;
    drop(work);
    task.done();
    let mut written = None;
    for output in &request.outputs {
        written = results.output(output)?.or(written);
    }
    let config = |one: &StoredImage| match &written {
        Some(package) => package.images[0].config,
        None => one.image.id,
    };
    Ok(Built {
        config: match &results.stored.images[..] {
            [one] if !results.stored.several => Some(config(one)),
            _ => None,
        },
        manifest: written.map(|package| package.descriptor()).or(kept),
        size: results.stored.images.iter().map(|one| one.image.size).sum(),
    })
}

/// Leaves everything where it is. Layers that are not there yet count for nothing.
fn cache_only(images: &Images<'_>, layers: &[Arc<[LayerId]>]) -> StepResult<Built> {
    let mut size = 0;
    for layer in layers.iter().flat_map(|layers| layers.iter()) {
        size += images.store.layer(layer)?.map_or(0, |layer| layer.size);
    }
    Ok(Built {
        config: None,
        manifest: None,
        size,
    })
}

/// An image of these layers; its config is a blob of the store.
fn image(
    images: &Images<'_>,
    target: &Target,
    layers: &[LayerId],
    epoch: Option<i64>,
    inline_cache: bool,
) -> StepResult<StoredImage> {
    let facts = assemble::layer_facts(images, layers)?;
    let mut config = assemble::config(target, &facts, epoch);
    if inline_cache {
        cache::embed(images, layers, &mut config)?;
    }
    let bytes = serde_json::to_vec(&config)
        .map_err(|error| StepError::Invalid(format!("cannot encode the config: {error}")))?;
    Ok(StoredImage {
        image: Image {
            id: images.store.put_blob(&bytes)?,
            manifest: None,
            layers: layers.to_vec(),
            platform: target.platform.clone(),
            size: size(&facts),
            created: facts.iter().map(|layer| layer.created).max().unwrap_or_default(),
        },
        config: bytes,
        created: config.created,
    })
}

fn size(facts: &[assemble::LayerFacts]) -> u64 {
    facts.iter().map(|layer| layer.size).sum()
}

/// The images of a build, one for each platform.
struct Results<'a> {
    request: &'a Request,
    images: &'a Images<'a>,
    solver: &'a Solver<'a>,
    stored: Stored,
}

impl Results<'_> {
    /// Puts them into the store and names them, if they stay there. Gives what stands for several: one has no manifest
    /// yet.
    fn keep(&mut self, task: &Task<'_>) -> StepResult<Option<Descriptor>> {
        if !self.stay()? {
            return Ok(None);
        }
        for StoredImage { image, .. } in &mut self.stored.images {
            // Of layers that came only now the compressed size was known.
            image.size = size(&assemble::layer_facts(self.images, &image.layers)?);
        }
        let store = self.images.store;
        for StoredImage { image, .. } in &self.stored.images {
            store.put_image(image)?;
            store.put_image_sources(&image.id, &self.sources(&image.platform))?;
            task.did(&format!("writing image {}", image.id));
        }
        let (id, index) = match &self.stored.images[..] {
            [one] if !self.stored.several => (one.image.id, None),
            _ => {
                let index = self.keep_index()?;
                task.did(&format!("writing index {}", index.digest));
                (index.digest, Some(index))
            }
        };
        for name in self.request.names() {
            store.tag(&name, &id)?;
            task.did(&format!("naming to {name}"));
        }
        Ok(index)
    }

    /// What the image of a platform was made from. Of a name that means several images the one of that platform is noted.
    fn sources(&self, platform: &Platform) -> Vec<ImageSource> {
        let mut sources: Vec<ImageSource> = Vec::new();
        for used in &self.solver.plan.images {
            match sources.iter_mut().find(|source| source.reference == used.reference) {
                Some(known) if used.platform == *platform => known.manifest = used.manifest,
                Some(_) => {}
                None => sources.push(ImageSource {
                    reference: used.reference.clone(),
                    manifest: used.manifest,
                    line: used.lines.0,
                }),
            }
        }
        sources
    }

    /// Whether the images stay in the store: unless they only go elsewhere. An image of the store is whole: what it takes
    /// from a base that no step needed is fetched now. For a push alone nothing is fetched: registries take such layers
    /// from one another.
    fn stay(&self) -> StepResult<bool> {
        let outputs = &self.request.outputs;
        let mut layers = self.stored.images.iter().map(|one| &one.image.layers);
        let stays = |output: &Output| matches!(output, Output::Image { push: false, .. });
        if outputs.is_empty() || outputs.iter().any(stays) {
            layers.try_for_each(|layers| self.images.materialize(layers))?;
            return Ok(true);
        }
        if !outputs.iter().any(|output| matches!(output, Output::Image { .. })) {
            return Ok(false);
        }
        for layers in layers {
            if !self.images.are_in_store(layers)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An index over the images, which must be in the store.
    fn keep_index(&self) -> StepResult<Descriptor> {
        let layers = self.request.outputs.iter().find_map(|output| match output {
            Output::Image { layers, .. } => Some(*layers),
            _ => None,
        });
        // The images that the store has are as they were built.
        let layers = LayerOptions {
            rewrite_timestamp: false,
            ..layers.unwrap_or_default()
        };
        keep_index(self.images, &self.stored, self.packing(layers))
    }

    fn packing(&self, layers: LayerOptions) -> Packing<'_> {
        Packing::new(layers, &self.request.annotations)
    }

    /// Gives what was written, where it has a manifest.
    fn output(&self, output: &Output) -> StepResult<Option<Package>> {
        let store = self.images.store;
        let pack = |names, layers| pack_whole(self.images, &self.stored, names, self.packing(layers));
        match output {
            Output::Image { names, push, layers } => {
                let mut pushed = None;
                for name in names.iter().filter(|_| *push) {
                    pushed = Some(transfer::push(self.images, &self.stored, name, self.packing(*layers))?);
                }
                Ok(pushed)
            }
            Output::Oci {
                dest,
                directory,
                names,
                layers,
            } => {
                let task = self.images.tasks.start("exporting to oci image format".to_owned());
                let package = pack(names, *layers)?;
                let work = self.images.tasks.work("write");
                match (directory, dest) {
                    (false, dest) => export::with_destination(dest, |out| {
                        export::write_oci(store, std::slice::from_ref(&package), out)
                    })?,
                    (true, Destination::File(path)) => {
                        export::write_oci_directory(store, std::slice::from_ref(&package), path)?;
                    }
                    (true, Destination::Stdout) => {
                        let message = "a directory cannot be written to standard output";
                        return Err(StepError::Invalid(message.to_owned()));
                    }
                }
                drop(work);
                task.done();
                Ok(Some(package))
            }
            Output::Docker { dest, names, layers } => {
                let task = self.images.tasks.start("exporting to docker image format".to_owned());
                let package = pack(names, *layers)?;
                let work = self.images.tasks.work("write");
                export::with_destination(dest, |out| {
                    export::write_docker(store, std::slice::from_ref(&package), out)
                })?;
                drop(work);
                task.done();
                Ok(Some(package))
            }
            Output::Local { dest, split } => {
                let task = self.images.tasks.start(format!("exporting to {}", dest.display()));
                let trees = self.trees(*split)?;
                trees.iter().try_for_each(|(place, tree)| {
                    export::write_local(tree.as_fd(), self.stored.times(), dest, place)
                })?;
                task.done();
                Ok(None)
            }
            Output::Tar { dest, split } => {
                let task = self.images.tasks.start("exporting to a tar".to_owned());
                let trees = self.trees(*split)?;
                export::with_destination(dest, |out| export::write_tar(&trees, self.stored.times(), out))?;
                task.done();
                Ok(None)
            }
            Output::CacheOnly => Ok(None),
        }
    }

    /// The file trees, and where each goes below the destination.
    fn trees(&self, split: Option<bool>) -> StepResult<Vec<(PathBuf, OwnedFd)>> {
        let images = &self.stored.images;
        let split = split.unwrap_or(self.stored.several);
        let mut trees = Vec::new();
        for StoredImage { image, .. } in images {
            let tree = self.solver.files(&image.layers)?;
            if !split {
                self.check_apart(&trees, &tree, &image.platform)?;
            }
            let place = if split {
                directory_of(&image.platform)
            } else {
                PathBuf::new()
            };
            trees.push((place, tree));
        }
        Ok(trees)
    }

    /// Platforms that share a directory must not write one file.
    fn check_apart(&self, others: &[(PathBuf, OwnedFd)], tree: &OwnedFd, platform: &Platform) -> StepResult<()> {
        for ((_, other), StoredImage { image, .. }) in others.iter().zip(&self.stored.images) {
            if let Some(path) = kiln_layer::overlap(other.as_fd(), tree.as_fd())? {
                return Err(StepError::Invalid(format!(
                    "cannot overwrite {} from {} with {platform} when platform-split is off: each platform has it",
                    path.display(),
                    image.platform
                )));
            }
        }
        Ok(())
    }
}

/// `linux_arm_v7`
fn directory_of(platform: &Platform) -> PathBuf {
    PathBuf::from(platform.to_string().replace('/', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_platforms() {
        for (platform, directory) in [("linux/amd64", "linux_amd64"), ("linux/arm/v7", "linux_arm_v7")] {
            assert_eq!(directory_of(&platform.parse().unwrap()), PathBuf::from(directory));
        }
    }
}
