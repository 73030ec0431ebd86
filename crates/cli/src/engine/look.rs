//! Images wherever they are, and looking into them.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kiln_build::event::{Silent, Sink};
use kiln_build::{Builder, Location, SourceImage};
use kiln_image::{Digest, Platform, Reference};
use kiln_inspect::{Image, LayerIndex, NoTars, Tars};
use kiln_store::{BuildId, InUse, LayerId};

use super::{Engine, canceled, failure};
use crate::failure::Failure;
use crate::layers;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::Interrupt;

/// An image that is looked into, and stays as long as this does.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The image.
    pub(crate) image: Image,
    /// The digest of its config.
    pub(crate) id: Digest,
    /// The annotations of its manifest, if it has one.
    pub(crate) annotations: BTreeMap<String, String>,
    _in_use: InUse,
}

/// Reads the layers of an image that the store does not have.
#[derive(Debug)]
struct Layers {
    builder: Builder,
    source: SourceImage,
    progress: Arc<Progress>,
    interrupt: Interrupt,
    /// Whether people are not told of it any more: something else has the terminal.
    is_silent: Arc<AtomicBool>,
}

impl Tars for Layers {
    fn read(
        &self,
        layers: &[usize],
        take: &(dyn Fn(usize, &mut dyn Read) + Sync),
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let sink: &dyn Sink = if self.is_silent.load(Ordering::Relaxed) {
            &Silent
        } else {
            self.progress.sink()
        };
        let read = self
            .builder
            .read_layers(&self.source, layers, take, sink, &self.interrupt.cancel);
        Ok(read?)
    }
}

impl Engine {
    /// Looks into an image, wherever it is; a name is one of the store or, where that has none such, of a registry. Of what
    /// is not in the store only layers are read that nobody looked into before.
    pub(crate) fn look_into(
        &self,
        text: &str,
        platform: Option<&Platform>,
        settings: &Settings,
        interrupt: &Interrupt,
    ) -> Result<Looked, Failure> {
        let in_use = self.store.in_use().map_err(Failure::internal)?;
        let progress = Arc::new(Progress::start(None, false, settings)?);
        let is_silent = Arc::new(AtomicBool::new(false));
        let looked = self
            .open_image(&self.locate(text)?, platform, settings, &progress, interrupt)
            .and_then(|source| {
                let config = source.config.clone();
                let (id, annotations) = (source.id, source.annotations().cloned().unwrap_or_default());
                let ids: Vec<_> = source.layers.iter().map(|layer| layer.id.clone()).collect();
                let compressed: Vec<_> = source.layers.iter().map(kiln_build::SourceLayer::compressed).collect();
                let layers = Layers {
                    builder: self.builder.clone(),
                    source,
                    progress: Arc::clone(&progress),
                    interrupt: interrupt.clone(),
                    is_silent: Arc::clone(&is_silent),
                };
                let mut image = Image::open(&self.store, config, &ids, Box::new(layers))
                    .map_err(|error| look_failure(error, interrupt))?;
                for (layer, compressed) in image.layers.iter_mut().zip(compressed) {
                    layer.compressed = layer.compressed.or(compressed);
                }
                Ok((image, id, annotations))
            });
        progress.finish();
        is_silent.store(true, Ordering::Relaxed);
        let (image, id, annotations) = looked?;
        if interrupt.came() {
            return Err(canceled(interrupt));
        }
        Ok(Looked {
            image,
            id,
            annotations,
            _in_use: in_use,
        })
    }

    /// Looks into an image that was built, by its ID; `None` if the store does not have it, or if layers of more than `most`
    /// bytes in all would have to be read for it.
    pub(crate) fn look_at_built(&self, id: &Digest, most: u64) -> Result<Option<Looked>, kiln_inspect::Error> {
        let in_use = self.store.in_use()?;
        let Some(image) = self.store.image(id)? else {
            return Ok(None);
        };
        let mut unknown = 0;
        for layer in &image.layers {
            let Some(row) = self.store.layer(layer)? else {
                return Ok(None);
            };
            if !LayerIndex::is_known(&self.store, layer)? {
                unknown += row.size;
            }
        }
        let Ok(config) = self.image_config(id) else {
            return Ok(None);
        };
        if unknown > most {
            return Ok(None);
        }
        let image = Image::open(&self.store, config, &image.layers, Box::new(NoTars))?;
        Ok(Some(Looked {
            image,
            id: *id,
            annotations: BTreeMap::new(),
            _in_use: in_use,
        }))
    }

    /// Where the build that made an image has a file of that name besides: the stage, and the path there, of what its steps
    /// made or what it begins with. Layers that nobody looked into yet are looked into, unless they have more than `most`
    /// bytes each.
    pub(crate) fn stage_with(&self, image: &Image, name: &[u8], most: u64) -> Option<(String, String)> {
        let own = |layer: &LayerId| image.layers.iter().any(|known| known.id == *layer);
        let builds = image.layers.iter().filter_map(|layer| layer.maker.as_ref()?.build);
        // That it is not found is no failure: the hint is a general one then.
        let layers = self.layers_of_stages(builds.max()?).ok()?;
        layers
            .into_iter()
            .filter(|(_, layer)| !own(layer))
            .find_map(|(stage, layer)| {
                let path = self.path_named(&layer, name, most)?;
                Some((stage, format!("/{}", String::from_utf8_lossy(&path))))
            })
    }

    /// The layers that the steps of a build made, and those of the images that its stages begin with, each with the stage.
    fn layers_of_stages(&self, build: BuildId) -> Result<Vec<(String, LayerId)>, Failure> {
        let made = self.store.layers_of_build(build).map_err(Failure::internal)?;
        let mut layers: Vec<(String, LayerId)> = made.into_iter().map(|(step, layer, _)| (step, layer)).collect();
        let steps = self.store.build_steps(build).map_err(Failure::internal)?;
        for (number, lowest) in self.builder().lowest_steps(build).map_err(super::uncanceled)? {
            if let Some(step) = steps.iter().find(|step| step.index == number) {
                layers.extend(lowest.into_iter().rev().map(|layer| (step.name.clone(), layer)));
            }
        }
        let of_stage = |(step, layer): (String, LayerId)| Some((layers::stage_of(&step)?.to_owned(), layer));
        Ok(layers.into_iter().filter_map(of_stage).collect())
    }

    /// Where a layer has a file of that name.
    fn path_named(&self, layer: &LayerId, name: &[u8], most: u64) -> Option<Vec<u8>> {
        let is_known = LayerIndex::is_known(&self.store, layer).ok()?;
        let row = self.store.layer(layer).ok()??;
        if row.size == 0 || (!is_known && row.size > most) {
            return None;
        }
        LayerIndex::of_layer(&self.store, layer).ok()?.find_named(name)
    }

    /// Unpacked bytes of the image that has a name, if one has it.
    pub(crate) fn size_of(&self, name: &Reference) -> Option<u64> {
        let entry = self.store.by_reference(name).ok()??;
        Some(entry.images().iter().map(|image| image.size).sum())
    }

    /// Where an image is, by what people write.
    pub(crate) fn locate(&self, text: &str) -> Result<Location, Failure> {
        self.builder.locate(text).map_err(super::uncanceled)
    }

    /// Finds an image: of a registry only its manifest and its config are fetched.
    pub(crate) fn find_source(
        &self,
        location: &Location,
        platform: Option<&Platform>,
        settings: &Settings,
        interrupt: &Interrupt,
    ) -> Result<SourceImage, Failure> {
        let progress = Progress::start(None, false, settings)?;
        let found = self.open_image(location, platform, settings, &progress, interrupt);
        progress.finish();
        found
    }

    fn open_image(
        &self,
        location: &Location,
        platform: Option<&Platform>,
        settings: &Settings,
        progress: &Progress,
        interrupt: &Interrupt,
    ) -> Result<SourceImage, Failure> {
        let platform = platform
            .cloned()
            .map_or_else(|| settings.default_platform(), |asked| Ok(Some(asked)))?;
        self.builder
            .open_image(location, platform.as_ref(), progress.sink(), &interrupt.cancel)
            .map_err(|error| failure(error, interrupt))
    }
}

/// What failed while an image was looked into; what the builder said is told as it always is.
pub(crate) fn look_failure(error: kiln_inspect::Error, interrupt: &Interrupt) -> Failure {
    match error {
        kiln_inspect::Error::Tars(error) => match error.downcast::<kiln_build::Error>() {
            Ok(error) => failure(*error, interrupt),
            Err(error) => Failure::failed(anyhow::anyhow!("{error}")),
        },
        _ if interrupt.came() => canceled(interrupt),
        error @ (kiln_inspect::Error::Layer { .. }
        | kiln_inspect::Error::TooMuch { .. }
        | kiln_inspect::Error::Outside { .. }
        | kiln_inspect::Error::NotKept { .. }
        | kiln_inspect::Error::Database { .. }) => Failure::failed(error),
        error => Failure::internal(error),
    }
}
