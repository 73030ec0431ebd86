//! What FROM lines see: the ARGs before the first FROM and the arguments that describe the platforms.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Declaration, Instruction, Kind};
use kiln_dockerfile::expand::{Effort, Env as _};
use kiln_image::Platform;

use crate::options::Options;
use crate::outline::Argument;
use crate::report::Report;
use crate::secrets;
use crate::size::{self, Size};
use crate::vars::{Vars, Words, effort_left, used};

/// The global scope of a build for one platform.
#[derive(Debug)]
pub(crate) struct Globals {
    /// The platform that is built for.
    pub(crate) target: Platform,
    /// Names and values.
    pub(crate) vars: Vars,
    /// The same without `--build-arg`.
    pub(crate) defaults: Vars,
    /// Declared names that have no value.
    pub(crate) unset: BTreeSet<String>,
    /// The ARGs before the first FROM by name, and the variables that their defaults use.
    pub(crate) arguments: BTreeMap<String, (Argument, BTreeSet<String>)>,
    /// What may still be done to expand words, for all platforms together.
    pub(crate) effort: Rc<Effort>,
    size: Size,
}

impl Globals {
    /// Evaluates the ARGs before the first FROM.
    pub(crate) fn new(
        dockerfile: &Dockerfile,
        options: &Options,
        target: &Platform,
        effort: &Rc<Effort>,
        report: &mut Report,
    ) -> Self {
        let automatic = automatic(dockerfile, options, target);
        let mut globals = Self {
            target: target.clone(),
            defaults: automatic.clone(),
            vars: automatic.clone(),
            unset: BTreeSet::new(),
            arguments: BTreeMap::new(),
            effort: Rc::clone(effort),
            size: Size::default(),
        };
        for name in automatic.names() {
            if let Some(value) = options.build_args.get(name) {
                globals.vars.set(name, value);
            }
        }
        for instruction in &dockerfile.globals {
            if let Kind::Arg(declarations) = &instruction.kind {
                for declaration in declarations {
                    let fits = globals.size.room_for(0, instruction.span);
                    let fits = fits.and_then(|()| effort_left(effort, instruction.span));
                    if report.take(fits).is_none() {
                        return globals;
                    }
                    globals.declare(declaration, instruction, dockerfile.escape, options, report);
                }
            }
        }
        globals
    }

    fn declare(
        &mut self,
        declaration: &Declaration,
        instruction: &Instruction,
        escape: char,
        options: &Options,
        report: &mut Report,
    ) {
        let name = &declaration.name.raw;
        secrets::check("ARG", name, instruction.span, report);
        if let Some(default) = &declaration.default
            && let Ok(value) = Words::new(&self.defaults, escape, &self.effort).word(default)
        {
            self.defaults.set(name, &value);
        }
        let value = match (options.build_args.get(name), &declaration.default) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => report.take(Words::new(&self.vars, escape, &self.effort).word(default)),
            (None, None) => None,
        };
        let uses = match (options.build_args.get(name), &declaration.default) {
            (None, Some(default)) => used(default, &self.vars, escape, &self.effort),
            _ => BTreeSet::new(),
        };
        self.size.add(size::text(value.as_deref().unwrap_or_default()));
        self.note(Argument::new(name, instruction, value.clone()), uses);
        match value {
            Some(value) => self.vars.set(name, &value),
            None if self.vars.get(name).is_none() => drop(self.unset.insert(name.clone())),
            None => {}
        }
    }

    /// Remembers an ARG. One that is declared anew with its own old value needs what that needed.
    fn note(&mut self, argument: Argument, mut uses: BTreeSet<String>) {
        let name = argument.name.clone();
        if uses.remove(&name)
            && let Some((_, mut before)) = self.arguments.remove(&name)
        {
            before.append(&mut uses);
            uses = before;
        }
        self.arguments.insert(name, (argument, uses));
    }

    /// Whether somebody declared the name, with or without value.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.vars.get(name).is_some() || self.unset.contains(name)
    }
}

fn automatic(dockerfile: &Dockerfile, options: &Options, target: &Platform) -> Vars {
    let mut vars = Vars::default();
    for (prefix, platform) in [("BUILD", &options.build_platform), ("TARGET", target)] {
        for (suffix, value) in [
            ("PLATFORM", platform.to_string().as_str()),
            ("OS", &platform.os),
            ("OSVERSION", &platform.os_version),
            ("ARCH", &platform.architecture),
            ("VARIANT", &platform.variant),
        ] {
            vars.set(&format!("{prefix}{suffix}"), value);
        }
    }
    let last = dockerfile.stages.last().and_then(|stage| stage.name.as_deref());
    vars.set("TARGETSTAGE", options.target.as_deref().or(last).unwrap_or("default"));
    vars
}
