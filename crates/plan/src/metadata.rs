//! The instructions that change the image's config and no file.

use kiln_dockerfile::ast::{self, Command, Declaration, Onbuild, Pair, Word};
use kiln_dockerfile::checks;
use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::expand::Env as _;
use kiln_image::{Empty, Healthcheck};

use crate::dispatch::Dispatch;
use crate::graph::Unit;
use crate::outline::Argument;
use crate::report::error;
use crate::vars::Words;
use crate::{history, ports, secrets, signals, size};

impl Dispatch<'_, '_> {
    /// ARG: build-arg, else the default here, else the global value. Later ones of the same line see earlier ones.
    pub(crate) fn arg(&mut self, unit: &Unit<'_>, declarations: &[Declaration]) -> Result<(), Diagnostic> {
        let mut text = "ARG".to_owned();
        for declaration in declarations {
            let name = &declaration.name.raw;
            secrets::check("ARG", name, unit.span(), self.planner.report);
            let given = self.planner.graph.options.build_args.get(name);
            let value = match (given, &declaration.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.expand_word(unit, default)?),
                (None, None) => self.planner.graph.globals.vars.get(name).map(ToOwned::to_owned),
            };
            text.push(' ');
            text.push_str(name);
            if let Some(value) = &value {
                self.stage.vars.set(name, value);
                text.push('=');
                text.push_str(value);
            }
            self.used.names.insert(name.clone());
            // What is only a wish for the global value is described there.
            let global = self.planner.graph.globals.vars.get(name).is_some();
            if given.is_some() || declaration.default.is_some() || !global {
                self.used
                    .own
                    .push(Argument::new(name, &unit.instruction, value.clone()));
            }
            self.stage.args.declare(name, value);
        }
        self.history(text, false);
        Ok(())
    }

    pub(crate) fn env(&mut self, unit: &Unit<'_>, pairs: &[Pair]) -> Result<(), Diagnostic> {
        let pairs = self.expand(unit, |words| expand_pairs(words, pairs))?;
        for (name, value) in &pairs {
            secrets::check("ENV", name, unit.span(), self.planner.report);
            self.stage.set_env(name, value);
        }
        self.history(history::pairs("ENV", &pairs), false);
        Ok(())
    }

    pub(crate) fn label(&mut self, unit: &Unit<'_>, pairs: &[Pair]) -> Result<(), Diagnostic> {
        let pairs = self.expand(unit, |words| expand_pairs(words, pairs))?;
        self.history(history::pairs("LABEL", &pairs), false);
        self.stage.config.config.labels.extend(pairs);
        Ok(())
    }

    /// CMD. `ArgsEscaped` is set whatever the form, as BuildKit does.
    pub(crate) fn cmd(&mut self, command: &Command) {
        let args = self.command(command);
        self.history(history::quoted("CMD", &args), false);
        self.stage.config.config.cmd = some(args);
        self.stage.config.config.args_escaped = true;
        self.stage.cmd_set = true;
    }

    /// ENTRYPOINT: a CMD that was inherited belongs to another entrypoint and goes.
    pub(crate) fn entrypoint(&mut self, command: &Command) {
        let args = self.command(command);
        self.history(history::quoted("ENTRYPOINT", &args), false);
        self.stage.config.config.entrypoint = some(args);
        if !self.stage.cmd_set {
            self.stage.config.config.cmd = None;
        }
    }

    fn command(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Shell(text) => self.with_shell(&text.raw),
            Command::Exec(args) => args.clone(),
        }
    }

    pub(crate) fn expose(&mut self, unit: &Unit<'_>, words: &[Word]) -> Result<(), Diagnostic> {
        let mut sorted: Vec<&Word> = words.iter().collect();
        sorted.sort_by(|a, b| a.raw.cmp(&b.raw));
        let mut exposed = Vec::new();
        for word in sorted {
            for spec in self.expand(unit, |words| words.split(word))? {
                if word.raw.contains('$') {
                    for found in checks::expose(&spec, unit.at(word.span)) {
                        self.planner.report.push(found);
                    }
                }
                let ports = ports::parse(&spec).map_err(|cause| error("BadPort", word.span, cause))?;
                self.planner.steps.size.add(size::texts(&ports));
                self.planner.steps.size.room_for(0, unit.span())?;
                exposed.extend(ports);
            }
        }
        self.history(history::list("EXPOSE", &exposed), false);
        let ports = &mut self.stage.config.config.exposed_ports;
        ports.extend(exposed.into_iter().map(|port| (port, Empty {})));
        Ok(())
    }

    pub(crate) fn healthcheck(&mut self, check: &ast::Healthcheck) {
        let check = match check {
            ast::Healthcheck::None => Healthcheck {
                test: vec!["NONE".to_owned()],
                ..Healthcheck::default()
            },
            ast::Healthcheck::Check {
                command,
                interval,
                timeout,
                start_period,
                start_interval,
                retries,
            } => Healthcheck {
                test: match command {
                    Command::Shell(text) => vec!["CMD-SHELL".to_owned(), text.raw.clone()],
                    Command::Exec(args) => [&["CMD".to_owned()], args.as_slice()].concat(),
                },
                interval: interval.unwrap_or_default(),
                timeout: timeout.unwrap_or_default(),
                start_period: start_period.unwrap_or_default(),
                start_interval: start_interval.unwrap_or_default(),
                retries: retries.unwrap_or_default(),
            },
        };
        self.history(history::healthcheck(&check), false);
        self.stage.config.config.healthcheck = Some(check);
    }

    pub(crate) fn maintainer(&mut self, author: &Word) {
        self.stage.config.author.clone_from(&author.raw);
        self.history(format!("MAINTAINER {}", author.raw), false);
    }

    /// ONBUILD is kept for images that build on this one and leaves no history.
    pub(crate) fn onbuild(&mut self, onbuild: &Onbuild) {
        self.stage.config.config.on_build.push(onbuild.text.clone());
    }

    pub(crate) fn shell(&mut self, shell: &[String]) {
        self.history(history::list("SHELL", shell), false);
        self.stage.config.config.shell = some(shell.to_vec());
    }

    pub(crate) fn stopsignal(&mut self, unit: &Unit<'_>, word: &Word) -> Result<(), Diagnostic> {
        let signal = self.expand_word(unit, word)?;
        if !signals::is_signal(&signal) {
            return Err(Diagnostic {
                help: Some("write a name like SIGTERM or a number".to_owned()),
                ..error("BadSignal", word.span, format!("invalid signal: {signal}"))
            });
        }
        self.history(format!("STOPSIGNAL {signal}"), false);
        self.stage.config.config.stop_signal = signal;
        Ok(())
    }

    pub(crate) fn user(&mut self, unit: &Unit<'_>, word: &Word) -> Result<(), Diagnostic> {
        let user = self.expand_word(unit, word)?;
        self.history(format!("USER {user}"), false);
        self.stage.config.config.user = user;
        Ok(())
    }

    pub(crate) fn volume(&mut self, unit: &Unit<'_>, words: &[Word]) -> Result<(), Diagnostic> {
        let paths = self.expand(unit, |expander| {
            words
                .iter()
                .map(|word| expander.word(word))
                .collect::<Result<Vec<_>, _>>()
        })?;
        if let Some(empty) = paths.iter().position(String::is_empty) {
            let span = words[empty].span;
            return Err(error(
                "EmptyVolume",
                span,
                "VOLUME specified can not be an empty string",
            ));
        }
        self.history(history::list("VOLUME", &paths), false);
        let volumes = &mut self.stage.config.config.volumes;
        volumes.extend(paths.into_iter().map(|path| (path, Empty {})));
        Ok(())
    }
}

fn expand_pairs(words: &mut Words<'_>, pairs: &[Pair]) -> Result<Vec<(String, String)>, Diagnostic> {
    pairs
        .iter()
        .map(|pair| Ok((words.word(&pair.key)?, words.word(&pair.value)?)))
        .collect()
}

/// Docker writes no empty lists.
fn some(list: Vec<String>) -> Option<Vec<String>> {
    (!list.is_empty()).then_some(list)
}
