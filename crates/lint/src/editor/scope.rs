//! What variables are at a place, as far as the file says it.

use std::collections::BTreeMap;

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Declaration, Instruction, Kind, Pair, Span, Word};
use kiln_dockerfile::expand::{self, Effort, Env, Mode};

use super::names::{DEEPEST, parents};

/// What is known of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Its value; what it takes from variables that are not known stays as it is written.
    Value(String),
    /// The build sets it, or `--build-arg` does.
    Given,
}

/// A variable at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// What is known of it.
    pub known: Known,
    /// Where it was set last; what every build has, and what the base image sets, is nowhere.
    pub set: Option<Span>,
    /// Whether ARG declared it, so that `--build-arg` sets it.
    pub argument: bool,
}

/// The variables that every build has, and what each is. A stage sees them once ARG declares them.
pub const AUTOMATIC: &[(&str, &str)] = &[
    ("TARGETPLATFORM", "the platform that is built for: `linux/arm64/v8`"),
    (
        "TARGETOS",
        "the operating system of the platform that is built for: `linux`",
    ),
    (
        "TARGETARCH",
        "the processor of the platform that is built for: `amd64`, `arm64`",
    ),
    (
        "TARGETVARIANT",
        "the processor's variant, of the platform that is built for: `v7`",
    ),
    (
        "TARGETOSVERSION",
        "the version of the operating system that is built for",
    ),
    (
        "BUILDPLATFORM",
        "the platform of the machine that builds: `linux/amd64`",
    ),
    ("BUILDOS", "the operating system of the machine that builds"),
    ("BUILDARCH", "the processor of the machine that builds"),
    ("BUILDVARIANT", "the processor's variant, of the machine that builds"),
    (
        "BUILDOSVERSION",
        "the version of the operating system of the machine that builds",
    ),
    ("TARGETSTAGE", "the name of the stage that is built: `--target`"),
];

/// More instructions than these say nothing of variables that anybody wants to know.
const MOST: usize = 5_000;

/// Values longer than this, in bytes, nobody reads: the word stays as it is written.
const LONGEST: usize = 16 << 10;

type Scope = BTreeMap<String, Value>;

/// The value of a variable at a place. `base` gives what the image sets that a FROM names.
pub fn value(
    file: &Dockerfile,
    place: usize,
    name: &str,
    base: &dyn Fn(&str) -> Vec<(String, String)>,
) -> Option<Value> {
    environment(file, place, base).remove(name)
}

/// All variables that an instruction at a place sees, by name.
pub fn environment(
    file: &Dockerfile,
    place: usize,
    base: &dyn Fn(&str) -> Vec<(String, String)>,
) -> BTreeMap<String, Value> {
    let effort = Effort::default();
    let mut reader = Reader {
        file,
        effort: &effort,
        left: MOST,
    };
    let started = file
        .stages
        .partition_point(|stage| stage.instruction.span.start <= place);
    let in_from = |index: usize| place <= file.stages[index].instruction.span.end;
    let globals = reader.globals(place);
    match started.checked_sub(1) {
        Some(index) if !in_from(index) => reader.stage(index, place, &globals, base),
        _ => globals,
    }
}

struct Reader<'a> {
    file: &'a Dockerfile,
    effort: &'a Effort,
    /// How many instructions may still be read.
    left: usize,
}

impl Reader<'_> {
    /// The ARGs before the first FROM, and what every build has.
    fn globals(&mut self, place: usize) -> Scope {
        let mut scope: Scope = AUTOMATIC
            .iter()
            .map(|(name, _)| ((*name).to_owned(), given(None)))
            .collect();
        for instruction in &self.file.globals {
            if !self.goes_on(instruction, place) {
                break;
            }
            if let Kind::Arg(declarations) = &instruction.kind {
                for declaration in declarations {
                    let before = scope.get(&declaration.name.raw).cloned();
                    self.declare(&mut scope, declaration, before);
                }
            }
        }
        scope
    }

    /// What a stage sees at a place in it, or at its end.
    fn stage(
        &mut self,
        index: usize,
        place: usize,
        globals: &Scope,
        base: &dyn Fn(&str) -> Vec<(String, String)>,
    ) -> Scope {
        let parents = parents(self.file);
        let chain: Vec<usize> = std::iter::successors(Some(index), |stage| parents.get(*stage).copied().flatten())
            .take(DEEPEST)
            .collect();
        let mut scope = Scope::new();
        if let Some(first) = chain.last().and_then(|first| self.file.stages.get(*first)) {
            let image = self.expand(&first.from.image, globals);
            let set = |(name, value)| {
                let value = Value {
                    known: Known::Value(value),
                    set: None,
                    argument: false,
                };
                (name, value)
            };
            scope.extend(base(&image).into_iter().map(set));
        }
        for index in chain.into_iter().rev() {
            for instruction in &self.file.stages[index].instructions {
                if !self.goes_on(instruction, place) {
                    break;
                }
                self.instruction(&mut scope, instruction, globals);
            }
        }
        scope
    }

    fn goes_on(&mut self, instruction: &Instruction, place: usize) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0 && instruction.span.end <= place
    }

    fn instruction(&self, scope: &mut Scope, instruction: &Instruction, globals: &Scope) {
        match &instruction.kind {
            Kind::Arg(declarations) => {
                for declaration in declarations {
                    let global = globals.get(&declaration.name.raw).cloned();
                    self.declare(scope, declaration, global);
                }
            }
            Kind::Env(pairs) => {
                let values: Vec<(String, Value)> = pairs.iter().map(|pair| self.pair(scope, pair)).collect();
                scope.extend(values);
            }
            _ => {}
        }
    }

    fn declare(&self, scope: &mut Scope, declaration: &Declaration, outside: Option<Value>) {
        let name = &declaration.name;
        let value = match &declaration.default {
            Some(default) => Value {
                known: Known::Value(self.expand(default, scope)),
                set: Some(name.span),
                argument: true,
            },
            None => Value {
                argument: true,
                ..outside.unwrap_or_else(|| given(Some(name.span)))
            },
        };
        scope.insert(name.raw.clone(), value);
    }

    fn pair(&self, scope: &Scope, pair: &Pair) -> (String, Value) {
        let value = Value {
            known: Known::Value(self.expand(&pair.value, scope)),
            set: Some(pair.key.span),
            argument: false,
        };
        (self.expand(&pair.key, scope), value)
    }

    /// The word with what is known; as it is written where it cannot be expanded.
    fn expand(&self, word: &Word, scope: &Scope) -> String {
        let mode = Mode {
            keep_unset: true,
            ..Mode::default()
        };
        let expanded = expand::word_with(&word.raw, self.file.escape, &OfScope(scope), mode, self.effort);
        let value = expanded.ok().map(|expanded| expanded.value);
        value
            .filter(|value| value.len() <= LONGEST)
            .unwrap_or_else(|| word.raw.clone())
    }
}

fn given(set: Option<Span>) -> Value {
    Value {
        known: Known::Given,
        set,
        argument: true,
    }
}

struct OfScope<'a>(&'a Scope);

impl Env for OfScope<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        match &self.0.get(name)?.known {
            Known::Value(value) => Some(value),
            Known::Given => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_dockerfile::parse;

    const TEXT: &str = "\
ARG VERSION=12
ARG TOKEN
FROM debian:$VERSION AS base
ARG VERSION
ENV A=1 B=$A
ENV A=2 P=/x:$PATH
ARG TARGETARCH
RUN one
FROM base
ENV V=v${VERSION:-none}-$TARGETARCH
ARG TOKEN
RUN two
";

    fn known(before: &str, name: &str) -> Option<Known> {
        let file = parse(TEXT).0;
        let base = |image: &str| {
            assert_eq!(image, "debian:12");
            vec![("PATH".to_owned(), "/bin".to_owned())]
        };
        value(&file, TEXT.find(before).unwrap(), name, &base).map(|value| value.known)
    }

    #[test]
    fn variables_are_what_stands_above() {
        let text = |text: &str| Some(Known::Value(text.to_owned()));
        for (before, name, expected) in [
            ("ARG TOKEN", "VERSION", text("12")),
            ("FROM debian", "TOKEN", Some(Known::Given)),
            ("FROM debian", "TARGETARCH", Some(Known::Given)),
            ("ARG VERSION\nENV", "VERSION", None),
            ("RUN one", "VERSION", text("12")),
            // All of an ENV see what was before it.
            ("RUN one", "B", text("$A")),
            ("RUN one", "A", text("2")),
            ("RUN one", "P", text("/x:/bin")),
            ("RUN one", "V", None),
            ("RUN two", "V", text("v12-$TARGETARCH")),
            ("RUN two", "TOKEN", Some(Known::Given)),
            ("RUN two", "PATH", text("/bin")),
            ("FROM base", "A", None),
        ] {
            assert_eq!(known(before, name), expected, "{name} before {before}");
        }
    }
}
