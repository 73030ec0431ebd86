//! What a build can be given: build arguments, secrets, SSH agents. (`--call=outline`)

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kiln_dockerfile::ast::{Instruction, Stage};

use crate::globals::Globals;
use crate::step::{MountKind, Op, Step};

/// What the target and the stages that it needs ask for, in the order of the Dockerfile, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The target's name, if it has one.
    pub target: Option<String>,
    /// What the comment above its FROM says of it.
    pub description: Option<String>,
    /// Build arguments (`--build-arg`); of several platforms, with the values that they have for the first.
    pub arguments: Vec<Argument>,
    /// Secrets (`--secret`).
    pub secrets: Vec<Wanted>,
    /// SSH agents (`--ssh`).
    pub agents: Vec<Wanted>,
}

impl Outline {
    /// Of a target: the arguments that count for it, and what the steps mount.
    pub(crate) fn new(target: &Stage, arguments: Vec<Argument>, steps: &[Step]) -> Self {
        let (secrets, agents) = mounted(steps);
        let name = target.name.as_deref();
        let description = name.and_then(|name| target.instruction.description_of(name));
        Self {
            target: name.map(ToOwned::to_owned),
            description: description.map(ToOwned::to_owned),
            arguments,
            secrets,
            agents,
        }
    }
}

/// An ARG that a stage uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What the comment above says of it.
    pub description: Option<String>,
    /// Its value in this build, if it has one.
    pub value: Option<String>,
    /// The lines of its instruction, from 1.
    pub lines: (u32, u32),
}

impl Argument {
    pub(crate) fn new(name: &str, instruction: &Instruction, value: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            description: instruction.description_of(name).map(ToOwned::to_owned),
            value,
            lines: instruction.lines,
        }
    }
}

/// A secret or an agent that a RUN asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its id.
    pub id: String,
    /// Whether some RUN fails without it.
    pub required: bool,
    /// The lines of the first RUN that asks for it, from 1.
    pub lines: Option<(u32, u32)>,
}

/// What one stage uses: the variables of its FROM line, and the ARGs that it declares.
#[derive(Debug, Default)]
pub(crate) struct Used {
    pub(crate) names: BTreeSet<String>,
    /// The ARGs that are more than a wish for the global value.
    pub(crate) own: Vec<Argument>,
}

/// The arguments that stages use, nearest first: of several of a name the first counts, the stage's own before the
/// global one.
pub(crate) fn arguments(stages: impl Iterator<Item = Used>, globals: &Globals) -> Vec<Argument> {
    let mut found: BTreeMap<String, Argument> = BTreeMap::new();
    for stage in stages {
        // Of an ARG that is declared twice in a stage the last counts.
        let own: BTreeMap<&str, &Argument> = stage.own.iter().map(|own| (own.name.as_str(), own)).collect();
        let mut wanted: Vec<String> = stage.names.into_iter().collect();
        while let Some(name) = wanted.pop() {
            if found.contains_key(&name) {
                continue;
            }
            if let Some(own) = own.get(name.as_str()) {
                found.insert(name, (*own).clone());
            } else if let Some((argument, uses)) = globals.arguments.get(&name) {
                wanted.extend(uses.iter().cloned());
                found.insert(name, argument.clone());
            }
        }
    }
    let mut arguments: Vec<Argument> = found.into_values().collect();
    arguments.sort_by_key(|argument| argument.lines);
    arguments
}

/// The secrets and agents that steps mount.
fn mounted(steps: &[Step]) -> (Vec<Wanted>, Vec<Wanted>) {
    let (mut secrets, mut agents) = (Asked::default(), Asked::default());
    for step in steps {
        let Op::Exec(exec) = &step.op else { continue };
        for mount in &exec.mounts {
            match &mount.kind {
                MountKind::Secret { id, required, .. } | MountKind::SecretEnv { id, required, .. } => {
                    secrets.add(id, *required, step.lines);
                }
                MountKind::Ssh { id, required, .. } => agents.add(id, *required, step.lines),
                _ => {}
            }
        }
    }
    (secrets.all, agents.all)
}

/// Secrets or agents, each once.
#[derive(Default)]
struct Asked<'a> {
    all: Vec<Wanted>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Asked<'a> {
    fn add(&mut self, id: &'a str, required: bool, lines: Option<(u32, u32)>) {
        if let Some(&place) = self.places.get(id) {
            let known = &mut self.all[place];
            known.required |= required;
            known.lines = known.lines.min(lines);
            return;
        }
        self.places.insert(id, self.all.len());
        self.all.push(Wanted {
            id: id.to_owned(),
            required,
            lines,
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::{Images, Options, Outcome, Outline};

    fn outline(text: &str, options: &Options) -> Outline {
        let (dockerfile, _) = kiln_dockerfile::parse(text);
        match crate::plan(&dockerfile, options, &Images::new()) {
            Outcome::Plan(plan, _) => plan.outline,
            other => panic!("{other:?}"),
        }
    }

    /// Names, values and lines.
    fn check(text: &str, options: &Options, expected: &[(&str, Option<&str>, u32)]) {
        let outline = outline(text, options);
        let found = outline.arguments.iter();
        let found: Vec<_> = found
            .map(|each| (each.name.as_str(), each.value.as_deref(), each.lines.0))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn arguments_that_count() {
        let none = Options::default();
        // What a default needs counts, what nobody uses does not.
        let text = "ARG A=1\nARG B=$A\nARG C\nARG B=${B}2\nFROM scratch\nARG B\n";
        check(text, &none, &[("A", Some("1"), 1), ("B", Some("12"), 4)]);
        // FROM uses what it names; automatic ones are nobody's to give.
        check(
            "ARG S=scratch\nFROM --platform=$BUILDPLATFORM $S\nARG TARGETOS\n",
            &none,
            &[("S", Some("scratch"), 1)],
        );
        // Of other stages those that the target needs; the nearest counts.
        let text = "FROM scratch AS a\nARG X=1\nARG Y\nFROM scratch AS b\nARG Z\nFROM a\nARG X=2\n";
        check(text, &none, &[("Y", None, 3), ("X", Some("2"), 7)]);
        // One that is given is the stage's own.
        let given = Options {
            build_args: [("G".to_owned(), "new".to_owned())].into(),
            ..Options::default()
        };
        check("ARG G=old\nFROM scratch\nARG G\n", &given, &[("G", Some("new"), 3)]);
        check("ARG G=old\nFROM scratch\nARG G\n", &none, &[("G", Some("old"), 1)]);
    }

    #[test]
    fn secrets_and_agents() {
        let text = "FROM scratch\nRUN --mount=type=secret,id=a --mount=type=ssh x\n\
            RUN --mount=type=secret,id=a,required --mount=type=secret,env=B,id=b y\n";
        let outline = outline(text, &Options::default());
        let wanted = |all: &[super::Wanted]| -> Vec<_> {
            let each = all.iter();
            each.map(|one| (one.id.clone(), one.required, one.lines)).collect()
        };
        let secrets = [
            ("a".to_owned(), true, Some((2, 2))),
            ("b".to_owned(), false, Some((3, 3))),
        ];
        assert_eq!(wanted(&outline.secrets), secrets);
        assert_eq!(wanted(&outline.agents), [("default".to_owned(), false, Some((2, 2)))]);
    }
}
