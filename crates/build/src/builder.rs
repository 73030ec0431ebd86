//! A whole build: plan, solve, assemble, export.

use std::sync::Arc;
use std::time::Duration;

use kiln_image::Reference;
use kiln_plan::Plan;
use kiln_store::{BuildId, Image, LayerId, Store};

use crate::assemble;
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::{Built, Sink};
use crate::export::{self, ArchiveImage};
use crate::images::Images;
use crate::known_files::KnownFiles;
use crate::planning::{self, Checked, plan};
use crate::recorder::Recorder;
use crate::request::{LayerOptions, Output, Request};
use crate::session::{Session, Tasks};
use crate::solve::Solver;
use crate::transfer::{self, Stored};

/// How old layers must be to be a reason for a sync.
const SYNC_AFTER: Duration = Duration::from_secs(60);

/// Builds, pulls, pushes and runs images of one store.
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Arc<kiln_registry::Client>,
}

impl Builder {
    /// A builder on that store and those registries.
    pub fn new(store: Arc<Store>, registry: Arc<kiln_registry::Client>) -> Self {
        Self { store, registry }
    }

    /// What would be done.
    pub fn plan(&self, request: &Request, sink: &dyn Sink, cancel: &Cancel) -> Result<Plan, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel).with_layouts(&request.layouts);
        plan(request, &images, sink)
    }

    /// What there is to say about the Dockerfile: all stages, unless the request has a target. Images that FROM names are
    /// resolved, and nothing is built.
    pub fn check(&self, request: &Request, sink: &dyn Sink, cancel: &Cancel) -> Result<Checked, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel).with_layouts(&request.layouts);
        planning::check(request, &images)
    }

    /// Does it.
    pub fn build(&self, request: &Request, sink: &dyn Sink, cancel: &Cancel) -> Result<Built, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let id = self.store.begin_build(&request.title()).map_err(StepError::from)?;
        self.sync_earlier_builds();
        let recorder = Recorder::new(sink);
        let result = self.build_as(id, request, &recorder, cancel);
        let outcome = match &result {
            Ok(_) => "done",
            Err(_) if cancel.is_canceled() && !recorder.failed() => "canceled",
            Err(_) => "failed",
        };
        recorder.write(&self.store, id).map_err(StepError::from)?;
        self.store.finish_build(id, outcome).map_err(StepError::from)?;
        result
    }

    /// See `docs/decisions/layers-synced-in-background.md`. Nobody waits for it: what it does not reach, the next build does.
    fn sync_earlier_builds(&self) {
        let store = Arc::clone(&self.store);
        let _detached = std::thread::Builder::new()
            .name("sync".to_owned())
            .spawn(move || store.make_durable(SYNC_AFTER));
    }

    fn build_as(&self, id: BuildId, request: &Request, sink: &dyn Sink, cancel: &Cancel) -> Result<Built, Error> {
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel).with_layouts(&request.layouts);
        let plan = plan(request, &images, sink)?;
        check_epoch(request, &plan)?;
        let known_files = KnownFiles::open(&self.store)?;
        let session = Session::new(&self.store, request, id, &known_files);
        let solver = Solver::new(&plan, &session, &images, sink, cancel);
        let layers = solver.solve()?;
        let built = self.finish(request, &plan, &layers, &images, &solver);
        built.map_err(|error| solver.blame(error))
    }

    /// Puts the image into the store and wherever else it goes.
    fn finish(
        &self,
        request: &Request,
        plan: &Plan,
        layers: &[LayerId],
        images: &Images<'_>,
        solver: &Solver<'_>,
    ) -> StepResult<Built> {
        let task = images.tasks.start("exporting to image".to_owned());
        let facts = assemble::layer_facts(images, layers)?;
        let epoch = request.epoch.or(plan.epoch);
        let config = assemble::config(&plan.target, &facts, epoch);
        let bytes = serde_json::to_vec(&config)
            .map_err(|error| StepError::Invalid(format!("cannot encode the config: {error}")))?;
        let id = self.store.put_blob(&bytes)?;
        let size = facts.iter().map(|layer| layer.size).sum();
        let created = facts.iter().map(|layer| layer.created).max().unwrap_or_default();
        let image = Image {
            id,
            manifest: None,
            layers: layers.to_vec(),
            platform: plan.target.platform.clone(),
            size,
            created,
        };
        if keep_in_store(request, layers, images)? {
            self.store.put_image(&image)?;
            task.did(&format!("writing image {id}"));
            for name in request.names() {
                self.store.tag(&name, &id)?;
                task.did(&format!("naming to {name}"));
            }
        }
        task.done();
        let stored = Stored {
            image,
            config: bytes,
            created: config.created,
            epoch,
            annotations: request.annotations.clone(),
        };
        let mut written = None;
        for output in &request.outputs {
            written = self.output(output, &stored, images, solver)?.or(written);
        }
        Ok(Built {
            id: written.as_ref().map_or(id, |image| image.config),
            manifest: written.map(|image| image.descriptor()),
            size,
        })
    }

    /// Gives the image that was written, where one was.
    fn output(
        &self,
        output: &Output,
        stored: &Stored,
        images: &Images<'_>,
        solver: &Solver<'_>,
    ) -> StepResult<Option<ArchiveImage>> {
        let archive = |names: &[Reference], layers: LayerOptions| transfer::archive(images, stored, names, layers);
        match output {
            Output::Image { names, push, layers } => {
                if !push {
                    return Ok(None);
                }
                let mut pushed = None;
                for name in names {
                    pushed = Some(transfer::push(images, stored, name, *layers)?);
                }
                Ok(pushed)
            }
            Output::Oci {
                dest,
                directory,
                names,
                layers,
            } => {
                let task = images.tasks.start("exporting to oci image format".to_owned());
                let image = archive(names, *layers)?;
                if *directory {
                    let crate::request::Destination::File(path) = dest else {
                        return Err(StepError::Invalid(
                            "a directory cannot be written to standard output".to_owned(),
                        ));
                    };
                    export::write_oci_directory(&self.store, std::slice::from_ref(&image), path)?;
                } else {
                    export::with_destination(dest, |out| {
                        export::write_oci(&self.store, std::slice::from_ref(&image), out)
                    })?;
                }
                task.done();
                Ok(Some(image))
            }
            Output::Docker { dest, names, layers } => {
                let task = images.tasks.start("exporting to docker image format".to_owned());
                let image = archive(names, *layers)?;
                export::with_destination(dest, |out| {
                    export::write_docker(&self.store, std::slice::from_ref(&image), out)
                })?;
                task.done();
                Ok(Some(image))
            }
            Output::Local(path) => {
                let task = images.tasks.start(format!("exporting to {}", path.display()));
                export::write_local(
                    rustix::fd::AsFd::as_fd(&solver.files(&stored.image.layers)?),
                    stored.times(),
                    path,
                )?;
                task.done();
                Ok(None)
            }
            Output::Tar(dest) => {
                let task = images.tasks.start("exporting to a tar".to_owned());
                let tree = solver.files(&stored.image.layers)?;
                export::with_destination(dest, |out| {
                    export::write_tar(rustix::fd::AsFd::as_fd(&tree), stored.times(), out)
                })?;
                task.done();
                Ok(None)
            }
        }
    }
}

/// Files cannot be dated back to a moment that nobody named.
fn check_epoch(request: &Request, plan: &Plan) -> StepResult<()> {
    let rewrites = request.outputs.iter().any(Output::rewrites_timestamps);
    if rewrites && request.epoch.or(plan.epoch).is_none() {
        let message =
            "rewrite-timestamp=true needs to know which: set SOURCE_DATE_EPOCH or add source-date-epoch=SECONDS";
        return Err(StepError::Invalid(message.to_owned()));
    }
    Ok(())
}

/// Whether the image stays in the store: unless it only goes elsewhere. An image of the store is whole: what it takes
/// from a base that no step needed is fetched now. For a push alone nothing is fetched: registries take such layers
/// from one another.
fn keep_in_store(request: &Request, layers: &[LayerId], images: &Images<'_>) -> StepResult<bool> {
    let stays = |output: &Output| matches!(output, Output::Image { push: false, .. });
    if request.outputs.is_empty() || request.outputs.iter().any(stays) {
        images.materialize(layers)?;
        return Ok(true);
    }
    let image = |output: &Output| matches!(output, Output::Image { .. });
    Ok(request.outputs.iter().any(image) && images.are_in_store(layers)?)
}

/// Tasks that are no steps are numbered from here: no Dockerfile has that many steps.
pub(crate) const FIRST_TASK: usize = 1 << 24;
