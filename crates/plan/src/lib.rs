//! A Dockerfile and options to a graph of steps with stable digests.
//!
//! Pure: no file, no network, no clock. What a plan needs to know of base images (their configs) it is told:
//! [`plan`] answers [`Outcome::Needs`] with the images it has met and does not know, the caller resolves all of
//! them at once and calls again.

pub mod definition;
pub mod render;

mod copy;
mod dispatch;
mod epoch;
mod exec;
mod globals;
mod graph;
mod head;
pub mod history;
mod lineage;
mod metadata;
mod mounts;
mod names;
mod options;
mod origin;
mod outline;
mod path;
mod planner;
pub mod ports;
mod reconstruct;
mod remote;
mod report;
mod secrets;
mod signals;
mod size;
mod stage_names;
mod step;
mod steps;
mod vars;

pub use epoch::{Epoch, SOURCE_DATE_EPOCH, epoch};
pub use lineage::{Lineage, lineages};
pub use options::{Allowed, AllowedDevices, ImageRequest, Images, NamedContext, Options, ResolvedImage};
pub use outline::{Argument, Outline, Wanted};
pub use reconstruct::{Base, reconstruct};
pub use remote::{GitSource, Remote, is_whole_commit, password, without_password};
pub use secrets::sounds_secret;
pub use step::{
    CacheKey, CopyAction, CopyFrom, Exec, FileAction, FileOp, MkdirAction, Mount, MountKind, Network, Op, Plan,
    Sharing, Source, StageInfo, Step, StepId, Target, UsedImage,
};

use kiln_dockerfile::Dockerfile;
use std::collections::BTreeMap;
use std::rc::Rc;

use kiln_dockerfile::diagnostic::Diagnostic;

use crate::globals::Globals;
use crate::graph::{Graph, Reached};
use crate::planner::Planner;
use crate::report::Report;
use crate::steps::Steps;
use crate::vars::effort_left;

/// What planning came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// These images must be resolved first; call again with them. With the lines, from 1, of what first needs each.
    Needs(BTreeMap<ImageRequest, (u32, u32)>),
    /// The plan, with warnings.
    Plan(Box<Plan>, Vec<Diagnostic>),
    /// The Dockerfile cannot be planned; at least one diagnostic is an error.
    Invalid(Vec<Diagnostic>),
}

/// Plans the build of a Dockerfile that parsed without errors, for each platform of the options.
///
/// Only what the target needs is looked at closely: other stages' images are never asked for. Diagnostics come
/// with the answer that is final, in the order of the text. Calling again with more images than asked for does no
/// harm.
pub fn plan(dockerfile: &Dockerfile, options: &Options, images: &Images) -> Outcome {
    let mut report = Report::default();
    let effort = Rc::default();
    let targets = options.targets().iter();
    let globals: Vec<Globals> = targets
        .map(|target| Globals::new(dockerfile, options, target, &effort, &mut report))
        .collect();
    let graphs: Option<Vec<Graph<'_>>> = globals
        .iter()
        .map(|globals| Graph::new(dockerfile, options, globals, &mut report))
        .collect();
    let Some(graphs) = graphs else {
        return Outcome::Invalid(report.finish());
    };
    let reached: Vec<Reached<'_>> = graphs.iter().map(|graph| graph.reach(images, &mut report)).collect();
    // Of what a FROM uses nobody else says that it could not be found out.
    let last = dockerfile.stages.last().map(|stage| stage.instruction.span);
    if !report.failed() {
        report.take(effort_left(&effort, last.unwrap_or_default()));
    }
    if report.failed() {
        return Outcome::Invalid(report.finish());
    }
    let mut needs: BTreeMap<_, _> = reached.iter().flat_map(|reached| reached.images.clone()).collect();
    let used = used_images(&needs, images);
    needs.retain(|request, _| !images.contains_key(request));
    if !needs.is_empty() {
        return Outcome::Needs(needs);
    }
    match join(&graphs, &reached, images, &mut report) {
        Some(plan) if !report.failed() => Outcome::Plan(Box::new(Plan { images: used, ..plan }), report.finish()),
        _ => Outcome::Invalid(report.finish()),
    }
}

/// The images that a build is made from, in the order of the Dockerfile.
fn used_images(reached: &BTreeMap<ImageRequest, (u32, u32)>, images: &Images) -> Vec<UsedImage> {
    let of = |(request, lines): (&ImageRequest, &(u32, u32))| {
        Some(UsedImage {
            reference: request.reference.clone(),
            manifest: images.get(request)?.manifest,
            platform: request.platform.clone(),
            lines: *lines,
        })
    };
    let mut used: Vec<UsedImage> = reached.iter().filter_map(of).collect();
    used.sort_by_key(|image| image.lines);
    used
}

/// One plan for all platforms; `None` only where the report says why.
fn join(graphs: &[Graph<'_>], reached: &[Reached<'_>], images: &Images, report: &mut Report) -> Option<Plan> {
    let mut steps = Steps::default();
    let mut stages = Vec::new();
    let mut targets = Vec::new();
    let mut arguments = None;
    for (graph, reached) in graphs.iter().zip(reached) {
        steps.next_platform();
        let planned = Planner::new(graph, images, report, &mut steps).run(&reached.stages, stages.len());
        stages.extend(planned.stages);
        targets.push(planned.target?);
        arguments.get_or_insert(planned.arguments);
    }
    let steps = steps.into_vec();
    let first = graphs.first()?;
    let target = &first.dockerfile.stages[first.target];
    Some(Plan {
        outline: Outline::new(target, arguments?, &steps),
        steps,
        stages,
        targets,
        images: Vec::new(),
        epoch: epoch::seconds(first.options, first.globals),
    })
}
