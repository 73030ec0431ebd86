//! Steps whose results are kept: look up, else run under the key's lock, and record.

use std::sync::Arc;

use kiln_plan::{Op, Source, Step, StepId};
use kiln_store::{BuildId, Key, LayerDir, LayerId, Record};

use super::clock::Clock;
use super::content::Content;
use super::runs::NewRun;
use super::share::Donor;
use super::{Done, Ran, Solver};
use crate::context::Context;
use crate::error::{StepError, StepResult};
use crate::event::{Event, TaskId, TaskOutcome};
use crate::key::KeyBuilder;
use crate::measure::{Common, step_layer_info};
use crate::remote::{Fetched, Fetcher};
use crate::waiting::Share;
use crate::why::Why;

/// What running a step came to, before it is part of the store.
pub(crate) struct Made {
    pub(crate) directory: LayerDir,
    pub(crate) peak_memory: Option<u64>,
    pub(crate) common: Option<Common>,
}

impl From<Fetched> for Ran {
    fn from(fetched: Fetched) -> Self {
        let outcome = fetched.outcome();
        Self {
            done: Done::Tree([fetched.layer].into()),
            outcome,
        }
    }
}

impl Solver<'_> {
    pub(super) fn source(&self, task: TaskId, source: &Source, no_cache: bool) -> StepResult<Ran> {
        match source {
            Source::Image { manifest, .. } => {
                let layers = self.images.layers(manifest);
                // Layers that are missing are fetched by the first step that needs them.
                let outcome = if self.images.are_in_store(&layers)? {
                    TaskOutcome::Cached
                } else {
                    made_nothing()
                };
                Ok(Ran {
                    done: Done::Tree(layers),
                    outcome,
                })
            }
            Source::Local { name } => Ok(Ran {
                done: Done::Local(Arc::new(Context::open(self.session.request, name)?)),
                outcome: made_nothing(),
            }),
            Source::Http {
                url,
                checksum,
                file_name,
            } => {
                let fetched = self.fetcher().http(task, url, *checksum, file_name, no_cache)?;
                Ok(fetched.into())
            }
            Source::Git(git) => Ok(self.fetcher().git(task, git, no_cache)?.into()),
        }
    }

    fn fetcher(&self) -> Fetcher<'_> {
        Fetcher {
            store: self.session.store,
            registry: &self.images.registry,
            access: &self.session.request.access,
            sink: self.sink,
            cancel: self.cancel,
        }
    }

    /// A step that makes a layer.
    pub(super) fn cached(&self, id: StepId, step: &Step, clock: &Clock<'_>) -> StepResult<Ran> {
        let base = self.base(step);
        let definition = self.definition_key(step);
        if let Some(key) = &definition
            && let Some(record) = self.lookup(step, key)?
        {
            self.note_content(step, &record)?;
            return Ok(self.hit(id, &base, record));
        }
        self.wait_for_inputs(step, clock)?;
        let (content_key, content) = self.content(step)?;
        if let Some(key) = &content_key
            && let Some(record) = self.lookup(step, key)?
        {
            // A hit by content is a hit by definition next time.
            if let Some(key) = &definition {
                self.images.record_also(key, &record)?;
            }
            return Ok(self.hit(id, &base, record));
        }
        let keys: Vec<Key> = definition.into_iter().chain(content_key).collect();
        let lock = keys.last().expect("a step has a definition or a content key");
        // Another process may be running the same step: wait for it and take its result.
        let name = format!("step-{lock}");
        let _guard = clock.stopped(|| self.lock(TaskId(id.0), &name, Share::Alone, "the same step"))?;
        if let Some(record) = self.lookup(step, lock)? {
            return Ok(self.hit(id, &base, record));
        }
        self.wait_for_layers(&base, clock)?;
        let inputs = self.inputs(step, &content);
        let donor = self.donor(step, &inputs, &content)?;
        let run = NewRun::new(self, id, step, (&inputs, &content));
        self.run_and_record(&run, &base, &keys, donor.as_ref())
    }

    /// Notes the content key of a layer that a cache has, so that later builds find it by that too, without the cache. What the
    /// cache says of it counts for nothing, and nothing is fetched for it.
    fn note_content(&self, step: &Step, record: &Record) -> StepResult<()> {
        if record.build != BuildId::ELSEWHERE || self.session.store.layer(&record.layer)?.is_some() {
            return Ok(());
        }
        for input in step.inputs().into_iter().filter(|input| Some(*input) != step.root()) {
            if !self.images.are_in_store(self.result(input).layers())? {
                return Ok(());
            }
        }
        if let (Some(key), _) = self.content(step)? {
            self.images.caches.note(&key, &record.layer);
        }
        Ok(())
    }

    fn hit(&self, id: StepId, base: &[LayerId], record: Record) -> Ran {
        let why = Why::Cached {
            build: record.build,
            made: record.created,
        };
        self.sink.event(Event::Explained {
            id: TaskId(id.0),
            why,
            layer: Some(record.layer.clone()),
        });
        Ran {
            done: on_top(base, record.layer),
            outcome: TaskOutcome::Cached,
        }
    }

    /// Makes sure that what the step reads besides its root is there.
    fn wait_for_inputs(&self, step: &Step, clock: &Clock<'_>) -> StepResult<()> {
        for input in step.inputs().into_iter().filter(|input| Some(*input) != step.root()) {
            if !self.wait_for_part(step, input, clock)? {
                self.wait_for_layers(self.result(input).layers(), clock)?;
            }
        }
        Ok(())
    }

    /// Makes sure that the layers are there, which is not the step's own work.
    fn wait_for_layers(&self, layers: &[LayerId], clock: &Clock<'_>) -> StepResult<()> {
        if self.images.are_in_store(layers)? {
            return Ok(());
        }
        clock.wait_for_image(|| self.images.materialize(layers))
    }

    fn run_and_record(
        &self,
        run: &NewRun<'_>,
        base: &[LayerId],
        keys: &[Key],
        donor: Option<&Donor<'_>>,
    ) -> StepResult<Ran> {
        let started = std::time::Instant::now();
        let made = match &run.step.op {
            Op::Exec(exec) => self.exec(TaskId(run.id.0), exec, run),
            Op::File(file) => run.begin().and_then(|_| self.file(file, donor)),
            Op::Source(_) | Op::Merge(_) => {
                return Err(StepError::Invalid("a step without layer was to be cached".to_owned()));
            }
        };
        // A program that could not be started ran as well.
        let number = run.begin();
        let (made, number) = (made?, number?);
        let work = self.work("measure");
        let info = step_layer_info(&made.directory, made.common.as_ref())?;
        drop(work);
        let layer = LayerId::random()?;
        let mut work = self.work("keep").on(&layer);
        work.bytes(info.size);
        let record = Record::new(layer.clone(), self.session.build, &run.step.name, started.elapsed());
        let store = self.session.store;
        store.commit_step(&made.directory, &info, (keys, &record), number)?;
        self.images.made(&layer, &info);
        drop(work);
        let outcome = TaskOutcome::Done {
            bytes_added: info.size,
            peak_memory: made.peak_memory,
        };
        let _work = self.work("remove what is left");
        drop(made);
        Ok(Ran {
            done: on_top(base, layer),
            outcome,
        })
    }

    /// The layers that the step's layer goes on top of.
    pub(super) fn base(&self, step: &Step) -> Vec<LayerId> {
        self.tree(step.root()).layers().to_vec()
    }

    /// `None` where an input is a local context: its content must be looked at.
    fn definition_key(&self, step: &Step) -> Option<Key> {
        let mut key = KeyBuilder::new(&step.definition);
        for input in step.inputs() {
            match self.result(input) {
                Done::Tree(layers) => key.tree(&layers),
                Done::Local(_) => return None,
            };
        }
        Some(key.finish())
    }

    /// The content key, `None` where the step reads nothing but its root; and what it reads.
    fn content(&self, step: &Step) -> StepResult<(Option<Key>, Content)> {
        let _work = self.work("read inputs");
        let mut key = KeyBuilder::new(&step.definition);
        key.tree(&self.base(step));
        let content = self.add_content(step, &mut key)?;
        let reads = !content.files.is_empty();
        Ok((reads.then(|| key.finish()), content))
    }

    /// The record of a key, if there is one and its layer is still there; else what a cache has.
    fn lookup(&self, step: &Step, key: &Key) -> StepResult<Option<Record>> {
        if step.no_cache {
            return Ok(None);
        }
        let _work = self.work("look up");
        if let Some(record) = self.session.store.record(key)?
            && self.session.store.layer(&record.layer)?.is_some()
        {
            return Ok(Some(record));
        }
        // A layer of a cache is fetched by the first step that needs it.
        Ok(self.images.caches.lookup(key))
    }
}

const fn made_nothing() -> TaskOutcome {
    TaskOutcome::Done {
        bytes_added: 0,
        peak_memory: None,
    }
}

fn on_top(base: &[LayerId], layer: LayerId) -> Done {
    Done::Tree(base.iter().cloned().chain([layer]).collect())
}
