//! Stages and variables: where each is named, and where that comes from.

use std::collections::HashMap;

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Instruction, Kind, Span, Stage, Word};

use super::scan::used;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbol {
    /// The stage of that number.
    Stage(usize),
    /// A variable: all that ARG and ENV hand on to one another have one number.
    Variable(usize),
}

/// What a place does with the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It gives the name a meaning.
    Definition,
    /// It uses the name.
    Use,
    /// It uses the stage by its number: `--from=0`.
    Number,
}

/// A place where a stage or a variable is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The name alone.
    pub span: Span,
    /// As it is written there.
    pub name: String,
    /// What it stands for.
    pub symbol: Symbol,
    /// What the place does with it.
    pub role: Role,
    /// The place that gives it its meaning here; its own for definitions that take over no value. For a variable that
    /// comes from the base image or from nowhere there is none.
    pub origin: Option<Span>,
}

/// All places of a file where stages and variables are named, in order.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<Occurrence>);

/// A stage stands on so many others at most; what is further away is not looked for.
pub(super) const DEEPEST: usize = 128;

impl Names {
    /// Reads a file.
    pub fn new(file: &Dockerfile) -> Self {
        let mut found = stages(file);
        found.extend(Variables::default().read(file));
        found.sort_by_key(|occurrence| (occurrence.span.start, occurrence.span.end));
        Self(found)
    }

    /// What is named at a place; the end of a name belongs to it.
    pub fn at(&self, place: usize) -> Option<&Occurrence> {
        let next = self.0.partition_point(|each| each.span.start <= place);
        let near = &self.0[next.saturating_sub(2)..next];
        near.iter().rev().find(|each| place <= each.span.end)
    }

    /// All places that name the same.
    pub fn of(&self, symbol: Symbol) -> impl Iterator<Item = &Occurrence> {
        self.0.iter().filter(move |each| each.symbol == symbol)
    }
}

/// Why a stage cannot be called so.
pub fn check_stage_name(file: &Dockerfile, stage: usize, name: &str) -> Result<(), String> {
    let parsed = kiln_dockerfile::parse(&format!("FROM scratch AS {name}\n")).0;
    let own = parsed.stages.first().and_then(|stage| stage.from.name.as_ref());
    if own.is_none_or(|own| own.raw != name) {
        let form = "letters, digits, `-`, `_` and `.`, a letter first";
        return Err(format!("{name:?} is no name for a stage: {form}"));
    }
    let lower = name.to_lowercase();
    if lower != name {
        return Err(format!("names of stages are in lower case: {lower}"));
    }
    if matches!(name, "scratch" | "context") {
        return Err(format!("{name} means something else"));
    }
    let mut others = file.stages.iter().filter(|other| other.index != stage);
    if others.any(|other| other.name.as_deref() == Some(name)) {
        return Err(format!("another stage is called {name} already"));
    }
    Ok(())
}

/// The stages, by definition and use.
fn stages(file: &Dockerfile) -> Vec<Occurrence> {
    let mut found = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for stage in &file.stages {
        // FROM finds stages by their lower-case name only.
        if let Some(&parent) = known.get(stage.from.image.raw.as_str()) {
            found.push(stage_use(file, parent, stage.from.image.span, Role::Use));
        }
        for instruction in &stage.instructions {
            for (written, span) in froms(file, instruction) {
                let named = known.get(written.to_lowercase().as_str()).copied();
                let number = || written.parse().ok().filter(|number| *number < stage.index);
                if let Some(named) = named {
                    found.push(stage_use(file, named, span, Role::Use));
                } else if let Some(number) = number() {
                    found.push(stage_use(file, number, span, Role::Number));
                }
            }
        }
        if let (Some(name), Some(word)) = (&stage.name, &stage.from.name) {
            known.insert(name, stage.index);
            found.push(stage_use(file, stage.index, word.span, Role::Definition));
        }
    }
    found
}

fn stage_use(file: &Dockerfile, stage: usize, span: Span, role: Role) -> Occurrence {
    let meant = &file.stages[stage];
    Occurrence {
        span,
        name: file.source.get(span.range()).unwrap_or_default().to_owned(),
        symbol: Symbol::Stage(stage),
        role,
        origin: Some(meant.from.name.as_ref().map_or(meant.from.image.span, |name| name.span)),
    }
}

/// What `--from` and the mounts of an instruction name, and where.
fn froms<'a>(file: &'a Dockerfile, instruction: &'a Instruction) -> Vec<(&'a str, Span)> {
    match &instruction.kind {
        Kind::Copy(copy) => copy.from.iter().filter_map(|word| as_written(file, word)).collect(),
        Kind::Run(run) => run.mounts.iter().filter_map(|word| from_of_mount(file, word)).collect(),
        _ => Vec::new(),
    }
}

/// A word without quotes, which stands in one piece.
fn as_written<'a>(file: &Dockerfile, word: &'a Word) -> Option<(&'a str, Span)> {
    (file.source.get(word.span.range()) == Some(&word.raw)).then_some((&word.raw, word.span))
}

fn from_of_mount<'a>(file: &Dockerfile, word: &'a Word) -> Option<(&'a str, Span)> {
    let (text, span) = as_written(file, word)?;
    let mut start = span.start;
    for field in text.split(',') {
        if let Some((key, value)) = field.split_once('=')
            && key.eq_ignore_ascii_case("from")
        {
            let start = start + key.len() + 1;
            let end = start + value.len();
            return Some((value, Span { start, end }));
        }
        start += field.len() + 1;
    }
    None
}

/// The parent of each stage: the earlier one that FROM names.
pub(super) fn parents(file: &Dockerfile) -> Vec<Option<usize>> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut parents = Vec::with_capacity(file.stages.len());
    for stage in &file.stages {
        parents.push(known.get(stage.from.image.raw.as_str()).copied());
        if let Some(name) = &stage.name {
            known.insert(name, stage.index);
        }
    }
    parents
}

/// A definition of a variable.
#[derive(Debug, Clone, Copy)]
struct Defined {
    span: Span,
    group: usize,
}

/// Reads variables, scope by scope.
#[derive(Debug, Default)]
struct Variables<'a> {
    found: Vec<Occurrence>,
    globals: HashMap<&'a str, Defined>,
    /// What each stage defines, last.
    stages: Vec<HashMap<&'a str, Defined>>,
    parents: Vec<Option<usize>>,
    /// How many groups there are.
    groups: usize,
    /// Uses of what nobody defines, by stage and name.
    foreign: HashMap<(usize, String), usize>,
}

impl<'a> Variables<'a> {
    fn read(mut self, file: &'a Dockerfile) -> Vec<Occurrence> {
        self.parents = parents(file);
        for instruction in &file.globals {
            self.uses(file, instruction, None);
            if let Kind::Arg(declarations) = &instruction.kind {
                for declaration in declarations {
                    let before = self.globals.get(declaration.name.raw.as_str()).copied();
                    let defined = self.define(&declaration.name, before, false);
                    self.globals.insert(&declaration.name.raw, defined);
                }
            }
        }
        for stage in &file.stages {
            self.stage(file, stage);
        }
        self.found
    }

    fn stage(&mut self, file: &'a Dockerfile, stage: &'a Stage) {
        self.uses(file, &stage.instruction, None);
        self.stages.push(HashMap::new());
        for instruction in &stage.instructions {
            self.uses(file, instruction, Some(stage.index));
            match &instruction.kind {
                Kind::Arg(declarations) => {
                    for declaration in declarations {
                        let global = self.globals.get(declaration.name.raw.as_str()).copied();
                        let before = global.or_else(|| self.visible(stage.index, &declaration.name.raw));
                        let takes = global.is_some() && declaration.default.is_none();
                        self.set(stage.index, &declaration.name, before, takes);
                    }
                }
                Kind::Env(pairs) => {
                    for pair in pairs.iter().filter(|pair| !pair.key.raw.contains('$')) {
                        let before = self.visible(stage.index, &pair.key.raw);
                        self.set(stage.index, &pair.key, before, false);
                    }
                }
                _ => {}
            }
        }
    }

    fn set(&mut self, stage: usize, name: &'a Word, before: Option<Defined>, takes: bool) {
        let defined = self.define(name, before, takes);
        self.stages[stage].insert(&name.raw, defined);
    }

    /// Notes a definition, which is about the same as the one before it; `takes` says that its value is that one's.
    fn define(&mut self, name: &Word, before: Option<Defined>, takes: bool) -> Defined {
        let group = before.map_or_else(|| self.new_group(), |before| before.group);
        self.found.push(Occurrence {
            span: name.span,
            name: name.raw.clone(),
            symbol: Symbol::Variable(group),
            role: Role::Definition,
            origin: Some(before.filter(|_| takes).map_or(name.span, |before| before.span)),
        });
        Defined { span: name.span, group }
    }

    fn new_group(&mut self) -> usize {
        self.groups += 1;
        self.groups
    }

    /// What a name is in a stage so far, its own or that of one that it stands on.
    fn visible(&self, stage: usize, name: &str) -> Option<Defined> {
        let ancestors = std::iter::successors(Some(stage), |stage| self.parents.get(*stage).copied().flatten());
        ancestors
            .take(DEEPEST)
            .find_map(|stage| self.stages.get(stage)?.get(name).copied())
    }

    /// The variables that an instruction uses; without a stage they are those before the first FROM.
    fn uses(&mut self, file: &Dockerfile, instruction: &Instruction, stage: Option<usize>) {
        for used in used(file, instruction) {
            let defined = match stage {
                Some(stage) => self.visible(stage, &used.name),
                None => self.globals.get(used.name.as_str()).copied(),
            };
            let group = match defined {
                Some(defined) => defined.group,
                None => self.foreign(stage, &used.name),
            };
            self.found.push(Occurrence {
                span: used.span,
                name: used.name,
                symbol: Symbol::Variable(group),
                role: Role::Use,
                origin: defined.map(|defined| defined.span),
            });
        }
    }

    /// The group of what comes from elsewhere: one in each stage.
    fn foreign(&mut self, stage: Option<usize>, name: &str) -> usize {
        let key = (stage.map_or(0, |stage| stage + 1), name.to_owned());
        if let Some(group) = self.foreign.get(&key) {
            return *group;
        }
        let group = self.new_group();
        self.foreign.insert(key, group);
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_dockerfile::parse;

    const TEXT: &str = "\
ARG VERSION=12
FROM debian:$VERSION AS base
ARG VERSION
ENV HOME_DIR=/srv/$VERSION
RUN echo ${HOME_DIR:-x} $PATH
FROM base AS App
WORKDIR $HOME_DIR
RUN --mount=type=bind,from=base,target=/b true
FROM scratch
COPY --from=APP /a /
COPY --from=0 /b /
COPY --from=nginx:1 /c /
";

    /// `LINE:TEXT` of all that names the same as the first place of `word`.
    fn all_of(word: &str) -> Vec<String> {
        let file = parse(TEXT).0;
        let names = Names::new(&file);
        let place = TEXT.find(word).unwrap();
        let symbol = names.at(place).unwrap().symbol;
        let show = |each: &Occurrence| format!("{}:{}", file.line(each.span.start), each.name);
        names.of(symbol).map(show).collect()
    }

    #[test]
    fn stages_have_their_places() {
        assert_eq!(all_of("base"), ["2:base", "6:base", "8:base", "11:0"]);
        assert_eq!(all_of("App"), ["6:App", "10:APP"]);
        let file = parse(TEXT).0;
        let names = Names::new(&file);
        assert!(names.at(TEXT.find("nginx").unwrap()).is_none());
        let number = names.at(TEXT.find("=0").unwrap() + 1).unwrap();
        assert_eq!(number.role, Role::Number);
        assert_eq!(number.origin.map(|span| file.line(span.start)), Some(2));
    }

    #[test]
    fn variables_have_their_places() {
        assert_eq!(all_of("VERSION"), ["1:VERSION", "2:VERSION", "3:VERSION", "4:VERSION"]);
        assert_eq!(all_of("HOME_DIR"), ["4:HOME_DIR", "5:HOME_DIR", "7:HOME_DIR"]);
        assert_eq!(all_of("PATH"), ["5:PATH"]);
        let file = parse(TEXT).0;
        let names = Names::new(&file);
        let line = |word: &str, nth: usize| {
            let place = TEXT.match_indices(word).nth(nth).unwrap().0;
            names.at(place).unwrap().origin.map(|span| file.line(span.start))
        };
        // The use in ENV is ARG's of the stage, which takes over the global one.
        assert_eq!(line("VERSION", 3), Some(3));
        assert_eq!(line("VERSION", 2), Some(1));
        assert_eq!(line("HOME_DIR", 2), Some(4));
        assert_eq!(line("PATH", 0), None);
    }

    #[test]
    fn stages_are_not_called_just_anything() {
        let file = parse(TEXT).0;
        let check = |name: &str| check_stage_name(&file, 0, name);
        assert_eq!(check("build-1.x"), Ok(()));
        assert_eq!(check("base"), Ok(()));
        for wrong in [
            "", "1", "a b", "app", "Build", "scratch", "a\nRUN x", "$X", "a AS b", "a#\\",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
