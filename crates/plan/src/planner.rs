//! Stages to steps: what a stage starts from, and what all stages share.

use std::collections::{BTreeMap, HashMap};

use kiln_dockerfile::ast::Span;
use kiln_dockerfile::code;
use kiln_dockerfile::expand::Env as _;
use kiln_image::{ImageConfig, Platform, RootFs};

use crate::dispatch::Dispatch;
use crate::epoch;
use crate::graph::{Graph, Unit};
use crate::history;
use crate::names::Names;
use crate::options::{ImageRequest, Images, ResolvedImage};
use crate::origin::{MAIN_CONTEXT, Origin};
use crate::outline::{self, Argument};
use crate::remote::{GitSource, Remote, without_password};
use crate::report::Report;
use crate::size;
use crate::step::{CopyAction, FileAction, FileOp, Op, Source, StageInfo, StepId, Target};
use crate::steps::{Label, Steps};
use crate::vars::{Declared, Vars};

/// The search path of images that set none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Plans for one platform, stage by stage.
#[derive(Debug)]
pub(crate) struct Planner<'a> {
    pub(crate) graph: &'a Graph<'a>,
    pub(crate) images: &'a Images,
    pub(crate) report: &'a mut Report,
    pub(crate) steps: &'a mut Steps,
    /// `SOURCE_DATE_EPOCH`
    pub(crate) epoch: Option<i64>,
    done: BTreeMap<usize, Stage>,
}

/// What a platform adds to a plan besides steps.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) stages: Vec<StageInfo>,
    pub(crate) target: Option<Target>,
    pub(crate) arguments: Vec<Argument>,
}

/// A stage while its instructions are followed, and afterwards.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    /// The file tree.
    pub(crate) root: Option<StepId>,
    /// The image.
    pub(crate) config: ImageConfig,
    /// What RUN and `$` see: ENV and ARG.
    pub(crate) vars: Vars,
    /// The declared ARGs in order, with their values.
    pub(crate) args: Declared,
    /// Where each name is in the image's environment.
    env_places: HashMap<String, usize>,
    /// Whether CMD was given in this stage.
    pub(crate) cmd_set: bool,
    /// Whether WORKDIR was given in this stage or one that it builds on.
    pub(crate) workdir_set: bool,
    /// How many entries of the history are the base image's.
    pub(crate) inherited_history: usize,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(graph: &'a Graph<'a>, images: &'a Images, report: &'a mut Report, steps: &'a mut Steps) -> Self {
        Self {
            graph,
            images,
            report,
            steps,
            epoch: epoch::seconds(graph.options, graph.globals),
            done: BTreeMap::new(),
        }
    }

    /// Plans the stages, which are all that the target needs. The first of them has the place `first` in the plan.
    pub(crate) fn run(mut self, stages: &BTreeMap<usize, Vec<Unit<'a>>>, first: usize) -> Planned {
        let mut used = Vec::new();
        for (place, (index, units)) in (first..).zip(stages) {
            let names = self.names(*index, units);
            let (stage, uses) = Dispatch::start(&mut self, *index, place, names).run(units);
            if self.steps.size.is_too_large() {
                break;
            }
            // What stages build on this one, each has again.
            self.steps.size.add(size::config(&stage.config));
            let from = self.graph.dockerfile.stages[*index].instruction.span;
            self.report.take(self.steps.size.room_for(0, from));
            if self.steps.size.is_too_large() {
                break;
            }
            self.done.insert(*index, stage);
            used.push(uses);
        }
        let infos = self.done.iter().map(|(index, stage)| StageInfo {
            name: self.graph.stage_name(*index),
            index: *index,
            platform: self.graph.heads[*index].platform.clone(),
            result: stage.root,
        });
        Planned {
            stages: infos.collect(),
            target: self.done.get(&self.graph.target).map(|stage| self.target(stage)),
            arguments: outline::arguments(used.into_iter().rev(), self.graph.globals),
        }
    }

    fn names(&self, index: usize, units: &[Unit<'_>]) -> Names {
        let stages = &self.graph.dockerfile.stages;
        let lone = stages.len() == 1 && stages[index].name.is_none();
        let external = !matches!(self.graph.heads[index].base, Ok(Origin::Scratch | Origin::Stage(_)));
        let head = &self.graph.heads[index];
        Names::new(
            self.graph.options.several().then(|| head.platform.clone()),
            (!lone).then(|| self.graph.stage_name(index)),
            external,
            units,
        )
    }

    /// `--label` wins over everything; without `--platform` the image is for what its base is for. One of several is for
    /// the platform that it was asked for, whatever its stage says: that is what tells it from the others.
    fn target(&self, stage: &Stage) -> Target {
        let head = &self.graph.heads[self.graph.target];
        let asked = &self.graph.options.platforms;
        let mut config = stage.config.clone();
        let labels = &self.graph.options.labels;
        config
            .config
            .labels
            .extend(labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        let own = config.platform();
        let unknown = own.os.is_empty() || own.architecture.is_empty();
        let platform = match asked.len() {
            0 if !head.explicit_platform && !unknown => own,
            0 | 1 => head.platform.clone(),
            _ => self.graph.globals.target.clone(),
        };
        Target {
            root: stage.root,
            config,
            inherited_history: stage.inherited_history,
            platform,
        }
    }

    /// What stage number `index` starts as; `names` counts its FROM.
    pub(crate) fn base(&mut self, index: usize, names: &mut Names) -> Stage {
        let head = &self.graph.heads[index];
        let span = self.graph.dockerfile.stages[index].from.image.span;
        let mut stage = match &head.base {
            Ok(Origin::Stage(parent)) => match self.done.get(parent) {
                Some(parent) => Stage {
                    cmd_set: false,
                    ..parent.clone()
                },
                None => Stage::empty(&head.platform),
            },
            Ok(Origin::Image(request)) => self.image_stage(request, span, names),
            Ok(Origin::Scratch) | Err(_) => Stage::empty(&head.platform),
            Ok(origin @ Origin::Local(context)) => {
                let text = format!("FROM {context}");
                let root = self.copy_of(origin, names.of_from(&text));
                Stage::of_files(Some(root), text, &head.platform)
            }
            Ok(origin @ Origin::Remote { name, .. }) => {
                let text = format!("FROM {name}");
                let root = self.tree_named(origin, |_| names.of_from(&text));
                Stage::of_files(root, text, &head.platform)
            }
        };
        stage.config.config.on_build.clear();
        stage.set_environment();
        stage
    }

    fn image_stage(&mut self, request: &ImageRequest, span: Span, names: &mut Names) -> Stage {
        let Some(image) = self.images.get(request) else {
            return Stage::empty(&request.platform);
        };
        let found = image.config.platform();
        if !found.architecture.is_empty() && request.platform.distance(&found).is_none() {
            self.report.warn(
                code::INVALID_BASE_IMAGE_PLATFORM,
                span,
                format!(
                    "Base image {} was pulled with platform \"{found}\", expected \"{}\" for current build",
                    request.reference.familiar(),
                    request.platform
                ),
            );
        }
        let root = self.image_tree(request, image, |text| names.of_from(&text));
        let mut config = image.config.clone();
        config.created = None;
        config.rootfs = RootFs::default();
        // BuildKit writes what its types know; legacy fields of a base do not live on, nor does its inline cache.
        config.other.clear();
        config.config.other.clear();
        Stage {
            root,
            inherited_history: config.history.len(),
            config,
            ..Stage::empty(&request.platform)
        }
    }

    /// The file tree that something outside or another stage has.
    pub(crate) fn tree(&mut self, origin: &Origin) -> Option<StepId> {
        self.tree_named(origin, |text| text)
    }

    /// The build context.
    pub(crate) fn main_context(&mut self) -> Option<StepId> {
        let origin = Origin::main_context(self.graph.options, &self.graph.globals.target);
        self.tree(&origin)
    }

    fn tree_named(&mut self, origin: &Origin, name: impl FnOnce(String) -> String) -> Option<StepId> {
        match origin {
            Origin::Scratch => None,
            Origin::Stage(index) => self.done.get(index).and_then(|stage| stage.root),
            Origin::Image(request) => {
                let image = self.images.get(request)?;
                self.image_tree(request, image, name)
            }
            Origin::Local(context) => {
                let text = match context.as_str() {
                    MAIN_CONTEXT => "[internal] load build context".to_owned(),
                    other => format!("[context {other}] load build context"),
                };
                let source = Source::Local { name: context.clone() };
                Some(self.steps.source(source, None, || text))
            }
            Origin::Remote { name: context, remote } => {
                let (Remote::Git(GitSource { url, .. }) | Remote::Http(url)) = remote;
                let text = format!("[context {context}] {}", without_password(url));
                Some(self.steps.source(remote.context(), None, || name(text)))
            }
        }
    }

    /// The files of a local context as a layer to build on.
    fn copy_of(&mut self, origin: &Origin, name: String) -> StepId {
        let copy = CopyAction::plain(self.tree(origin), String::new(), "/".to_owned());
        let files = FileOp {
            root: None,
            actions: vec![FileAction::Copy(copy)],
        };
        let label = Label {
            name,
            stage: None,
            lines: None,
            no_cache: false,
        };
        self.steps.push(Op::File(files), label)
    }

    fn image_tree(
        &mut self,
        request: &ImageRequest,
        image: &ResolvedImage,
        name: impl FnOnce(String) -> String,
    ) -> Option<StepId> {
        let name = name(format!("FROM {}", request.reference.pinned(image.manifest)));
        let empty = image.config.rootfs.diff_ids.is_empty();
        if empty && image.config.history.iter().all(|entry| entry.empty_layer) {
            return None;
        }
        let source = Source::Image {
            reference: request.reference.clone(),
            manifest: image.manifest,
            platform: request.platform.clone(),
            diff_ids: image.config.rootfs.diff_ids.clone(),
        };
        Some(self.steps.source(source, None, || name))
    }
}

impl Stage {
    fn empty(platform: &Platform) -> Self {
        Self {
            root: None,
            config: ImageConfig::empty(platform),
            vars: Vars::default(),
            args: Declared::default(),
            env_places: HashMap::new(),
            cmd_set: false,
            workdir_set: false,
            inherited_history: 0,
        }
    }

    /// A stage on files that are no image: one layer.
    fn of_files(root: Option<StepId>, created_by: String, platform: &Platform) -> Self {
        let mut stage = Self::empty(platform);
        stage.root = root;
        stage.config.history.push(history::entry(created_by, true));
        stage
    }

    /// The image's environment and directory, over whatever the parent stage had: an ARG that hid an ENV there
    /// does not hide it here.
    fn set_environment(&mut self) {
        let env = &self.config.config.env;
        let pairs = env.iter().map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        self.env_places.clear();
        for (place, (name, value)) in pairs.enumerate() {
            self.vars.set(name, value);
            self.env_places.entry(name.to_owned()).or_insert(place);
        }
        if self.config.os != "windows" && !self.env_places.contains_key("PATH") {
            self.set_env("PATH", DEFAULT_PATH);
        }
        if !self.config.config.working_dir.is_empty() {
            self.config.config.working_dir = crate::path::absolute("/", &self.config.config.working_dir);
        }
    }

    /// Sets a variable of the image, which keeps its place if the image has it already.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.vars.set(name, value);
        let entry = format!("{name}={value}");
        let env = &mut self.config.config.env;
        if let Some(&place) = self.env_places.get(name) {
            env[place] = entry;
        } else {
            self.env_places.insert(name.to_owned(), env.len());
            env.push(entry);
        }
    }

    /// The working directory.
    pub(crate) fn directory(&self) -> &str {
        match self.config.config.working_dir.as_str() {
            "" => "/",
            directory => directory,
        }
    }

    /// Whether an ARG of that name was declared.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.vars.get(name).is_some() || self.args.contains(name)
    }
}
