//! FROM lines: what each stage starts from, and for which platform.

use std::collections::BTreeSet;

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Stage, Word};
use kiln_dockerfile::code;
use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::suggest;
use kiln_image::{Platform, Reference};

use crate::globals::Globals;
use crate::options::Options;
use crate::origin::Origin;
use crate::report::{Report, error};
use crate::stage_names::StageNames;
use crate::vars::{Words, used};

/// What is known of a stage from its FROM line.
#[derive(Debug)]
pub(crate) struct Head {
    /// What it starts from; an error counts only where the stage is needed.
    pub(crate) base: Result<Origin, Diagnostic>,
    /// What it is built for.
    pub(crate) platform: Platform,
    /// Whether `--platform` says so here or in the stage it builds on.
    pub(crate) explicit_platform: bool,
    /// Whether a named context stands in for all of it.
    pub(crate) replaced: bool,
    /// The variables that the line uses.
    pub(crate) uses: BTreeSet<String>,
}

/// Reads the FROM lines of all stages.
pub(crate) fn heads(
    dockerfile: &Dockerfile,
    names: &StageNames<'_>,
    options: &Options,
    globals: &Globals,
    report: &mut Report,
) -> Vec<Head> {
    let mut heads: Vec<Head> = Vec::with_capacity(dockerfile.stages.len());
    for stage in &dockerfile.stages {
        let head = Reader {
            dockerfile,
            names,
            options,
            globals,
            stage,
        }
        .read(&heads, report);
        heads.push(head);
    }
    heads
}

struct Reader<'a> {
    dockerfile: &'a Dockerfile,
    names: &'a StageNames<'a>,
    options: &'a Options,
    globals: &'a Globals,
    stage: &'a Stage,
}

impl Reader<'_> {
    fn read(&self, earlier: &[Head], report: &mut Report) -> Head {
        let from = &self.stage.from;
        let written = from.platform.as_ref();
        let explicit = written.and_then(|word| report.take(self.platform(word)).map(|found| (word, found)));
        if let Some((word, platform)) = &explicit {
            self.lint_platform(word, platform, report);
        }
        let base_name = self.base_name(report);
        let platform = match &explicit {
            Some((_, platform)) => platform.clone(),
            None => self.globals.target.clone(),
        };
        let mut head = Head {
            base: Ok(Origin::Scratch),
            platform,
            explicit_platform: explicit.is_some(),
            replaced: false,
            uses: self.uses(),
        };
        let name = self.stage.name.as_deref();
        let stand_in = name.and_then(|name| Origin::context(name, &head.platform, self.options));
        if let Some(context) = stand_in {
            head.base = Ok(context);
            head.replaced = true;
        } else if let Some(base) = self.stage_named(&base_name) {
            let parent = &earlier[base];
            head.base = Ok(Origin::Stage(base));
            head.platform = parent.platform.clone();
            head.explicit_platform = parent.explicit_platform;
        } else {
            head.base = Origin::outside(&base_name, &head.platform, self.options).map_err(|cause| Diagnostic {
                help: self.stage_hint(&base_name),
                ..error(
                    "BadReference",
                    from.image.span,
                    format!("failed to parse stage name \"{base_name}\": {cause}"),
                )
            });
        }
        head
    }

    fn uses(&self) -> BTreeSet<String> {
        let words = self.stage.from.platform.iter().chain([&self.stage.from.image]);
        words
            .flat_map(|word| used(word, &self.globals.vars, self.dockerfile.escape, &self.globals.effort))
            .collect()
    }

    /// An earlier stage of exactly that name: `FROM Base` does not find the stage `base`.
    fn stage_named(&self, name: &str) -> Option<usize> {
        self.names.last_before(name, self.stage.index)
    }

    fn stage_hint(&self, name: &str) -> Option<String> {
        let stages = &self.dockerfile.stages[..self.stage.index];
        let names = stages.iter().filter_map(|stage| stage.name.as_deref());
        let lower = name.to_lowercase();
        if self.names.last_before(&lower, self.stage.index).is_some() {
            return Some(format!(
                "the stage is called `{lower}`: FROM finds stages by their lower-case name only"
            ));
        }
        suggest::closest(name, names).map(|found| format!("did you mean the stage `{found}`?"))
    }

    fn expand(&self, word: &Word, report: &mut Report) -> Option<String> {
        let mut words = Words::new(&self.globals.vars, self.dockerfile.escape, &self.globals.effort);
        let value = report.take(words.word(word));
        for name in words.into_undefined() {
            if !self.globals.declares(&name) {
                let hint = suggest::hint(&name, self.globals.vars.names());
                report.warn(
                    code::UNDEFINED_ARG_IN_FROM,
                    word.span,
                    format!("FROM argument '{name}' is not declared{hint}"),
                );
            }
        }
        value
    }

    fn base_name(&self, report: &mut Report) -> String {
        let word = &self.stage.from.image;
        let Some(name) = self.expand(word, report) else {
            return String::new();
        };
        if name.is_empty() {
            report.push(error(
                "BlankBaseName",
                word.span,
                format!("base name ({}) should not be blank", word.raw),
            ));
        }
        self.lint_default(word, report);
        name
    }

    fn platform(&self, word: &Word) -> Result<Platform, Diagnostic> {
        let mut words = Words::new(&self.globals.vars, self.dockerfile.escape, &self.globals.effort);
        let value = words.word(word)?;
        let undefined = words
            .into_undefined()
            .into_iter()
            .find(|name| !self.globals.declares(name));
        let help = undefined.map(|name| {
            let hint = suggest::hint(&name, self.globals.vars.names());
            format!("the argument `{name}` is not declared before the first FROM{hint}")
        });
        if value.is_empty() {
            let message = format!("empty platform value from expression {}", word.raw);
            return Err(Diagnostic {
                help,
                ..error("BadPlatform", word.span, message)
            });
        }
        value.parse().map_err(|cause| {
            error(
                "BadPlatform",
                word.span,
                format!("failed to parse platform {value}: {cause}"),
            )
        })
    }

    fn lint_platform(&self, word: &Word, platform: &Platform, report: &mut Report) {
        if matches!(word.raw.trim_matches('"'), "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
            report.warn(
                code::REDUNDANT_TARGET_PLATFORM,
                word.span,
                format!(
                    "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
                    word.raw
                ),
            );
        }
        let name = self.stage.name.as_deref().unwrap_or_default();
        let meant = name.contains(&platform.architecture) || name.contains(&platform.os);
        if !word.raw.contains('$') && !meant {
            report.warn(
                code::FROM_PLATFORM_CONSTANT,
                word.span,
                format!("FROM --platform flag should not use constant value \"{}\"", word.raw),
            );
        }
    }

    /// Whether the line makes sense without any `--build-arg`.
    fn lint_default(&self, word: &Word, report: &mut Report) {
        let mut words = Words::new(&self.globals.defaults, self.dockerfile.escape, &self.globals.effort);
        let Ok(name) = words.word(word) else { return };
        let is_stage = self.stage_named(&name).is_some();
        if word.raw.contains('$') && !is_stage && name.parse::<Reference>().is_err() {
            report.warn(
                code::INVALID_DEFAULT_ARG_IN_FROM,
                word.span,
                format!(
                    "Default value for ARG {} results in empty or invalid base image name",
                    word.raw
                ),
            );
        }
    }
}
