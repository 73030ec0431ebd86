//! A whole build: plan, solve, and what is done with the results.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{Builder as Thread, Scope};
use std::time::Duration;

use kiln_plan::Plan;
use kiln_store::{BuildId, Excess, Store};

use crate::cache::Exports;
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::{Built, Event, Sink, Work};
use crate::images::Images;
use crate::known_files::KnownFiles;
use crate::on_fail::OnFail;
use crate::pack_ahead::PackAhead;
use crate::planning::{self, Checked, plan};
use crate::recorder::Recorder;
use crate::request::{Output, Request};
use crate::results;
use crate::session::{Session, Tasks};
use crate::solve::Solver;

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
        self.build_with(request, &OnFail::Forget, sink, cancel)
    }

    /// Does it, and does with what a step leaves that fails as is wanted.
    pub fn build_with(
        &self,
        request: &Request,
        on_fail: &OnFail<'_>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Built, Error> {
        std::thread::scope(|scope| {
            self.sync_earlier_builds(scope, sink);
            self.build_recorded(request, on_fail, sink, cancel)
        })
    }

    /// See `docs/decisions/layers-synced-in-background.md`. What it does not do, the next build does.
    fn sync_earlier_builds<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, sink: &'scope dyn Sink) {
        let _joined_at_the_end = Thread::new().name("sync".to_owned()).spawn_scoped(scope, || {
            let _work = Work::begin(sink, "sync earlier builds");
            self.store.make_durable(SYNC_AFTER)
        });
    }

    fn build_recorded(
        &self,
        request: &Request,
        on_fail: &OnFail<'_>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Built, Error> {
        let work = Work::begin(sink, "begin the build");
        let in_use = self.store.in_use().map_err(StepError::from)?;
        let id = self.store.begin_build(&request.title()).map_err(StepError::from)?;
        drop(work);
        let recorder = Recorder::new(sink);
        let result = self.build_as(id, request, on_fail, &recorder, cancel);
        let outcome = match &result {
            Ok(_) => "done",
            Err(_) if cancel.is_canceled() && !recorder.failed() => "canceled",
            Err(_) => "failed",
        };
        let work = Work::begin(sink, "note the build");
        let written = recorder
            .write(&self.store, id, &request.lineages())
            .and_then(|()| match &result {
                Ok(built) => self.note_result(id, request, built),
                Err(_) => Ok(()),
            });
        let finished = self.store.finish_build(id, outcome);
        drop(in_use);
        drop(work);
        // What was built is there, and what failed has failed, whatever comes of the rest.
        let not_noted = |error| format!("what is remembered of this build is not all that it did: {error}");
        let work = Work::begin(sink, "look at the store's size");
        let untidy = match self.store.excess() {
            Ok(excess) => excess.map(too_much),
            Err(error) => Some(format!("the store may hold more than it is to: {error}")),
        };
        drop(work);
        let notices = [written.err().map(not_noted), finished.err().map(not_noted), untidy];
        for text in notices.into_iter().flatten() {
            sink.event(Event::Notice(text));
        }
        result
    }

    /// Writes down how large the image of each name became.
    fn note_result(&self, id: BuildId, request: &Request, built: &Built) -> Result<(), kiln_store::Error> {
        let image = built.id();
        let mut names = request.names().into_iter();
        names.try_for_each(|name| self.store.put_build_result(id, &name, image.as_ref(), built.size))
    }

    fn build_as(
        &self,
        id: BuildId,
        request: &Request,
        on_fail: &OnFail<'_>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Built, Error> {
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images_until = |cancel| {
            Images::new(&self.store, &self.registry, &tasks, cancel)
                .with_layouts(&request.layouts)
                .with_caches(&request.cache_from, request.most_mount())
        };
        let images = images_until(cancel);
        // What a step left that failed is looked at when the build is cancelled.
        let images_of_shell = on_fail.stop().map(images_until);
        let plan = plan(request, &images, sink)?;
        check_epoch(request, &plan)?;
        let work = tasks.work("open the stat index");
        let known_files = KnownFiles::open(&self.store)?;
        drop(work);
        let session = Session::new(&self.store, request, id, &known_files);
        let given_up = AtomicBool::new(false);
        let result = std::thread::scope(|scope| {
            let exports = Exports::start(scope, &images, &plan, &request.cache_to, &given_up);
            let pack_ahead = PackAhead::start(scope, &images, &plan, request);
            let solver = Solver::new(&plan, &session, &images, &exports, sink, cancel)
                .packing(pack_ahead.as_ref())
                .leaving(on_fail.wants_left());
            let result = solve(solver, on_fail, images_of_shell.as_ref());
            let work = tasks.work("wait for caches");
            exports.end(result.is_ok());
            drop(work);
            // What a cache's writer was the last to read.
            images.forget_damaged(false)?;
            result
        });
        let work = tasks.work("tidy up");
        drop(session);
        drop(known_files);
        drop(work);
        result
    }
}

/// Solves the plan and does with the results what was asked for. What a cache promised and cannot give ends nothing, and
/// neither does what the store turns out to have lost: all is done again without it, and finds in the store what was done
/// before.
fn solve<'a>(
    mut solver: Solver<'a>,
    on_fail: &OnFail<'a>,
    images_of_shell: Option<&'a Images<'a>>,
) -> Result<Built, Error> {
    loop {
        let result = solver.solve().and_then(|layers| {
            results::finish(solver.session.request, solver.plan, &layers, &solver).map_err(|error| solver.blame(error))
        });
        if solver.cancel.is_canceled() {
            note_places(&solver);
            if let Err(error) = &result {
                on_fail.failed(error, &solver, images_of_shell);
            }
            return result;
        }
        let damaged = solver.images.forget_damaged(result.is_err())?;
        let begins_anew = damaged || result.is_err() && solver.images.caches.forget_blamed();
        if !begins_anew {
            note_places(&solver);
            return result;
        }
        solver = solver.again();
    }
}

/// What a build comes to does not depend on it.
fn note_places(solver: &Solver<'_>) {
    let _work = solver.images.tasks.work("note where steps ran");
    if let Err(error) = solver.note_places() {
        let notice = format!("no shell can be opened in this build's steps: {error}");
        solver.images.tasks.notice(notice);
    }
}

/// Said of a store that is above its cap though nothing more can go.
fn too_much(Excess { held, cap }: Excess) -> String {
    format!(
        "the store holds {} MB and may hold {} MB: what is left is of images with names, or in use (`kiln du` shows it, \
         `kiln rmi` removes images, --store-max allows more)",
        held.div_ceil(1_000_000),
        cap / 1_000_000
    )
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

/// Tasks that are no steps are numbered from here: no Dockerfile has that many steps.
pub(crate) const FIRST_TASK: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::sync::{Mutex, Once};

    use kiln_dockerfile::source::Source;
    use kiln_plan::Options;

    use super::*;
    use crate::request::{Access, Annotations, Limits};

    /// Puts a file in the place of the store's logs while something is built, and keeps notices.
    struct Saboteur {
        logs: PathBuf,
        /// Events come from several threads: who comes second waits until the file is there.
        done: Once,
        notices: Mutex<Vec<String>>,
    }

    impl Sink for Saboteur {
        fn event(&self, event: Event) {
            self.done.call_once(|| {
                std::fs::remove_dir(&self.logs).unwrap();
                std::fs::write(&self.logs, "").unwrap();
            });
            if let Event::Notice(text) = event {
                self.notices.lock().unwrap().push(text);
            }
        }
    }

    fn request(dockerfile: &str, context: PathBuf) -> Request {
        Request {
            dockerfile: Source::new("Dockerfile", dockerfile.to_owned()),
            file: None,
            context: Some(context),
            context_time: None,
            ignore: None,
            named_contexts: BTreeMap::new(),
            layouts: BTreeMap::new(),
            options: Options::default(),
            access: Access::default(),
            device_directories: Vec::new(),
            pull: false,
            explain: false,
            jobs: 1,
            epoch: None,
            limits: Limits::default(),
            step_timeout: None,
            tags: Vec::new(),
            outputs: Vec::new(),
            annotations: Annotations::default(),
            cache_from: Vec::new(),
            cache_to: Vec::new(),
            inline_cache: false,
        }
    }

    /// Builds while the build cannot be noted. Gives the result and the notices.
    fn build(dockerfile: &str) -> (Result<Built, Error>, Vec<String>) {
        let (root, context) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Arc::new(Store::open(root.path()).unwrap());
        let registry = kiln_registry::Client::new(kiln_registry::Settings::default()).unwrap();
        let saboteur = Saboteur {
            logs: root.path().join("logs"),
            done: Once::new(),
            notices: Mutex::default(),
        };
        let request = request(dockerfile, context.path().to_owned());
        let builder = Builder::new(store, Arc::new(registry));
        let result = builder.build(&request, &saboteur, &Cancel::new().unwrap());
        assert!(saboteur.logs.is_file());
        (result, saboteur.notices.into_inner().unwrap())
    }

    #[test]
    fn what_a_build_comes_to_does_not_depend_on_what_is_noted_of_it() {
        let (built, notices) = build("FROM scratch\nLABEL a=b\n");
        assert!(built.unwrap().config.is_some());
        assert!(notices.len() == 1 && notices[0].contains("logs"), "{notices:?}");
        let (failed, notices) = build("FROM scratch\nCOPY missing /\n");
        let failed = failed.unwrap_err().to_string();
        assert!(failed.contains("missing"), "{failed}");
        assert_eq!(notices.len(), 1, "{notices:?}");
    }
}
