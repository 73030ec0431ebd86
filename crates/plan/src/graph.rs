//! Which stages the target needs, and which images they do.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use kiln_dockerfile::ast::{Instruction, Kind, Span, Word};
use kiln_dockerfile::diagnostic::{Diagnostic, Severity};
use kiln_dockerfile::mount;
use kiln_dockerfile::suggest;
use kiln_dockerfile::{Dockerfile, code};

use crate::globals::Globals;
use crate::head::{Head, heads};
use crate::options::{ImageRequest, Images, Options};
use crate::origin::Origin;
use crate::report::{Report, error};
use crate::stage_names::StageNames;

/// The stages and what they start from.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    pub(crate) dockerfile: &'a Dockerfile,
    pub(crate) options: &'a Options,
    pub(crate) globals: &'a Globals,
    pub(crate) heads: Vec<Head>,
    names: StageNames<'a>,
    /// The place of the stage that is built.
    pub(crate) target: usize,
}

/// An instruction of a stage, its own or triggered by its base's ONBUILD.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    pub(crate) instruction: Cow<'a, Instruction>,
    /// Of a trigger, the FROM that triggers it.
    pub(crate) trigger: Option<&'a Instruction>,
}

impl Unit<'_> {
    /// Where to point for something in the instruction.
    pub(crate) fn at(&self, span: Span) -> Span {
        self.trigger.map_or(span, |from| from.span)
    }

    /// Where to point for the instruction.
    pub(crate) fn span(&self) -> Span {
        self.at(self.instruction.span)
    }

    /// Its lines in the Dockerfile.
    pub(crate) fn lines(&self) -> (u32, u32) {
        self.trigger.unwrap_or(&self.instruction).lines
    }
}

/// How many instructions are looked at for each COPY from a later stage, of which there may be many.
const MOST_OF_A_CIRCLE: usize = 1_000;

/// More instructions than any image can have, those that ONBUILD adds to each stage included.
const MOST_INSTRUCTIONS: usize = 100_000;

/// What the target needs.
#[derive(Debug, Default)]
pub(crate) struct Reached<'a> {
    /// The stages by place, with their instructions, triggers first.
    pub(crate) stages: BTreeMap<usize, Vec<Unit<'a>>>,
    /// All images, and the lines that name them first.
    pub(crate) images: BTreeMap<ImageRequest, (u32, u32)>,
}

impl<'a> Graph<'a> {
    /// Reads all FROM lines and finds the target; `None` if there is none.
    pub(crate) fn new(
        dockerfile: &'a Dockerfile,
        options: &'a Options,
        globals: &'a Globals,
        report: &mut Report,
    ) -> Option<Self> {
        let names = StageNames::new(dockerfile);
        let heads = heads(dockerfile, &names, options, globals, report);
        let target = report.take(find_target(dockerfile, options))?;
        Some(Self {
            dockerfile,
            options,
            globals,
            heads,
            names,
            target,
        })
    }

    /// Walks from the target (or all stages) to everything it needs. Stages only ever need earlier ones, so one pass from
    /// the last to the first does.
    pub(crate) fn reach(&'a self, images: &Images, report: &mut Report) -> Reached<'a> {
        let mut reached = Reached::default();
        let mut instructions = 0;
        let mut wanted = if self.options.every_stage {
            (0..self.heads.len()).collect()
        } else {
            BTreeSet::from([self.target])
        };
        while let Some(index) = wanted.pop_last() {
            let mut need = |origin: &Origin, lines| match origin {
                Origin::Stage(stage) => {
                    wanted.insert(*stage);
                }
                Origin::Image(request) => {
                    // From the last stage to the first: the line that stays is the first one.
                    reached.images.insert(request.clone(), lines);
                }
                _ => {}
            };
            match &self.heads[index].base {
                Ok(base) => need(base, self.dockerfile.stages[index].instruction.lines),
                Err(problem) => report.push(problem.clone()),
            }
            let units = self.units(index, images, report);
            instructions += units.len();
            if instructions > MOST_INSTRUCTIONS {
                report.push(error(
                    code::TOO_LONG,
                    self.dockerfile.stages[index].instruction.span,
                    format!(
                        "with what ONBUILD adds to each stage the Dockerfile has more than {MOST_INSTRUCTIONS} instructions"
                    ),
                ));
                return reached;
            }
            for unit in &units {
                for from in report.take(froms(unit)).unwrap_or_default() {
                    if let Some(origin) = report.take(self.resolve(&from.raw, index, unit.at(from.span))) {
                        need(&origin, unit.lines());
                    }
                }
            }
            reached.stages.insert(index, units);
        }
        reached
    }

    /// The instructions of a stage, those that its base triggers first.
    fn units(&'a self, index: usize, images: &Images, report: &mut Report) -> Vec<Unit<'a>> {
        let head = &self.heads[index];
        if head.replaced {
            return Vec::new();
        }
        let stage = &self.dockerfile.stages[index];
        let mut units = match &head.base {
            Ok(Origin::Stage(parent)) => self.triggers_of_stage(*parent, images, &stage.instruction, report),
            Ok(Origin::Image(request)) => match images.get(request) {
                Some(image) => triggers_of_image(request, &image.config.config.on_build, &stage.instruction, report),
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        units.extend(stage.instructions.iter().map(|instruction| Unit {
            instruction: Cow::Borrowed(instruction),
            trigger: None,
        }));
        units
    }

    fn triggers_of_stage(
        &'a self,
        parent: usize,
        images: &Images,
        from: &'a Instruction,
        report: &mut Report,
    ) -> Vec<Unit<'a>> {
        if self.heads[parent].replaced {
            return match &self.heads[parent].base {
                Ok(Origin::Image(request)) => match images.get(request) {
                    Some(image) => triggers_of_image(request, &image.config.config.on_build, from, report),
                    None => Vec::new(),
                },
                _ => Vec::new(),
            };
        }
        let instructions = &self.dockerfile.stages[parent].instructions;
        let triggers = instructions.iter().filter_map(|instruction| match &instruction.kind {
            Kind::Onbuild(onbuild) => Some(&*onbuild.instruction),
            _ => None,
        });
        triggers
            .map(|instruction| Unit {
                instruction: Cow::Borrowed(instruction),
                trigger: Some(from),
            })
            .collect()
    }

    /// What `--from` or `from=` names in stage number `current`: a stage by place or name, a named context, an image.
    pub(crate) fn resolve(&self, name: &str, current: usize, span: Span) -> Result<Origin, Diagnostic> {
        if name.contains('$') {
            let message = "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround";
            return Err(error("VariableInFrom", span, message));
        }
        if let Some(stage) = self.stage_meant(name, current, span)? {
            return self.earlier(stage, name, current, span).map(Origin::Stage);
        }
        Origin::outside(name, &self.globals.target, self.options).map_err(|cause| {
            let names = self.dockerfile.stages.iter().filter_map(|stage| stage.name.as_deref());
            Diagnostic {
                help: suggest::closest(name, names).map(|found| format!("did you mean the stage `{found}`?")),
                ..error(
                    "BadReference",
                    span,
                    format!("failed to parse stage name \"{name}\": {cause}"),
                )
            }
        })
    }

    /// The stage that a name or number means, wherever it stands: of several of a name the nearest above.
    fn stage_meant(&self, name: &str, current: usize, span: Span) -> Result<Option<usize>, Diagnostic> {
        let stages = &self.dockerfile.stages;
        if let Ok(number) = name.parse::<i64>() {
            let index = usize::try_from(number).ok().filter(|index| *index < stages.len());
            return match index {
                Some(index) => Ok(Some(index)),
                None => Err(Diagnostic {
                    help: Some(format!("the stages are numbered from 0 to {}", stages.len() - 1)),
                    ..error("InvalidStageIndex", span, format!("invalid stage index {number}"))
                }),
            };
        }
        let name = name.to_lowercase();
        let above = self.names.last_before(&name, current + 1);
        Ok(above.or_else(|| self.names.last_before(&name, stages.len())))
    }

    /// Refuses stages that do not stand above.
    fn earlier(&self, stage: usize, name: &str, current: usize, span: Span) -> Result<usize, Diagnostic> {
        if stage < current {
            return Ok(stage);
        }
        let here = self.stage_name(current);
        if stage == current || self.depends(stage, current) {
            return Err(error(
                "CircularDependency",
                span,
                format!("circular dependency detected on stage: {here}"),
            ));
        }
        Err(Diagnostic {
            help: Some(format!("move the stage `{name}` above the stage `{here}`")),
            ..error(
                "StageNotYetDefined",
                span,
                format!("cannot copy from stage \"{name}\", it needs to be defined before current stage \"{here}\""),
            )
        })
    }

    /// Whether a stage needs another, by what is written in the Dockerfile. A circle that is found only after
    /// [`MOST_OF_A_CIRCLE`] instructions is none here: what is wrong is the order then, and it is.
    fn depends(&self, stage: usize, on: usize) -> bool {
        let mut seen = BTreeSet::new();
        let mut wanted = vec![stage];
        let mut looked_at = 0;
        while let Some(index) = wanted.pop() {
            if index == on {
                return true;
            }
            looked_at += 1 + self.dockerfile.stages[index].instructions.len();
            if looked_at > MOST_OF_A_CIRCLE {
                return false;
            }
            if !seen.insert(index) {
                continue;
            }
            if let Ok(Origin::Stage(base)) = &self.heads[index].base {
                wanted.push(*base);
            }
            for instruction in &self.dockerfile.stages[index].instructions {
                let unit = Unit {
                    instruction: Cow::Borrowed(instruction),
                    trigger: None,
                };
                for from in froms(&unit).unwrap_or_default() {
                    wanted.extend(self.stage_meant(&from.raw, index, from.span).ok().flatten());
                }
            }
        }
        false
    }

    /// The name of a stage as people see it.
    pub(crate) fn stage_name(&self, index: usize) -> String {
        let name = self.dockerfile.stages[index].name.clone();
        name.unwrap_or_else(|| format!("stage-{index}"))
    }
}

fn find_target(dockerfile: &Dockerfile, options: &Options) -> Result<usize, Diagnostic> {
    let stages = &dockerfile.stages;
    let Some(last) = stages.last() else {
        let message = "the Dockerfile has no FROM, so there is nothing to build";
        return Err(error("NoStage", Span::default(), message));
    };
    let Some(wanted) = &options.target else {
        return Ok(last.index);
    };
    let found = dockerfile.stage_by_name(wanted, stages.len());
    found.map(|stage| stage.index).ok_or_else(|| {
        let names = || stages.iter().filter_map(|stage| stage.name.as_deref());
        let known: Vec<&str> = names().collect();
        let help = (!known.is_empty()).then(|| format!("the stages with names are: {}", known.join(", ")));
        let hint = suggest::hint(wanted, names());
        Diagnostic {
            help,
            ..error(
                "UnknownTarget",
                Span::default(),
                format!("target stage \"{wanted}\" could not be found{hint}"),
            )
        }
    })
}

/// The `--from` and `from=` of an instruction.
fn froms(unit: &Unit<'_>) -> Result<Vec<Word>, Diagnostic> {
    match &unit.instruction.kind {
        Kind::Copy(copy) => Ok(copy.from.clone().into_iter().collect()),
        Kind::Run(run) => {
            let mut found = Vec::new();
            for mount in &run.mounts {
                let from = mount::from_of(&mount.raw)
                    .map_err(|cause| error("BadMount", unit.at(mount.span), cause.to_string()))?;
                found.extend(from.map(|raw| Word { raw, span: mount.span }));
            }
            Ok(found)
        }
        _ => Ok(Vec::new()),
    }
}

/// Parses the ONBUILD triggers that a base image carries.
fn triggers_of_image<'a>(
    image: &ImageRequest,
    triggers: &[String],
    from: &'a Instruction,
    report: &mut Report,
) -> Vec<Unit<'a>> {
    let mut units = Vec::new();
    for trigger in triggers {
        match parse_trigger(trigger) {
            Ok(instruction) => units.push(Unit {
                instruction: Cow::Owned(instruction),
                trigger: Some(from),
            }),
            Err(cause) => report.push(error(
                "BadTrigger",
                from.span,
                format!(
                    "the base image {} has the ONBUILD trigger `{trigger}`, which is no instruction: {cause}",
                    image.reference.familiar()
                ),
            )),
        }
    }
    units
}

fn parse_trigger(text: &str) -> Result<Instruction, String> {
    let (parsed, problems) = kiln_dockerfile::parse(&format!("FROM {}\n{text}\n", crate::origin::SCRATCH));
    if let Some(problem) = problems.into_iter().find(|problem| problem.severity == Severity::Error) {
        return Err(problem.message);
    }
    let mut stages = parsed.stages;
    let stage = if stages.len() == 1 { stages.pop() } else { None };
    let mut instructions = stage.map(|stage| stage.instructions).unwrap_or_default();
    match instructions.pop() {
        Some(instruction)
            if instructions.is_empty()
                && !matches!(instruction.kind, Kind::Onbuild(_) | Kind::From(_) | Kind::Maintainer(_)) =>
        {
            Ok(instruction)
        }
        _ => Err("a trigger is one instruction other than FROM, MAINTAINER and ONBUILD".to_owned()),
    }
}
