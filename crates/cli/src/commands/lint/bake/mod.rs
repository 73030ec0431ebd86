//! Which Dockerfiles bake's files name: as `docker buildx bake --print` works it out, and no more of them than that
//! (Docker's "Bake file reference").
//!
//! Only what is asked for is evaluated: what tags or labels are made of does not matter. A definition is foreign: how
//! deep its expressions go, how much they make, and how many targets there are has limits.

mod definition;
mod eval;
mod functions;
#[cfg(test)]
mod tests;
mod value;
mod variable;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use hcl_edit::Span as _;
use hcl_edit::expr::Expression;
use kiln_dockerfile::{ast, suggest};
use serde_json::Value;

use self::definition::{Definition, INLINE, Labelled, Written};
use self::eval::{Blocks, Evaluator, Scope, Spent};
use self::value::{as_list, as_object, as_text, as_texts};
use super::entry::{Build, Embedded};
use super::inline::{self, Form};

/// All values together, in bytes and elements, that a definition may make.
const FUEL: usize = 16 << 20;
/// More targets, those of matrices among them, are refused.
const MOST: usize = 10_000;
/// Longer chains of targets that inherit are refused.
const DEEPEST: usize = 100;

/// What the reference knows of a target.
const ATTRIBUTES: &[&str] = &[
    "annotations",
    "args",
    "attest",
    "cache-from",
    "cache-to",
    "call",
    "context",
    "contexts",
    "description",
    "dockerfile",
    "dockerfile-inline",
    "entitlements",
    "extra-hosts",
    "inherits",
    "labels",
    "matrix",
    "name",
    "network",
    "no-cache",
    "no-cache-filter",
    "output",
    "platforms",
    "policy",
    "pull",
    "resources",
    "secret",
    "shm-size",
    "ssh",
    "tags",
    "target",
    "targets",
    "ulimits",
];

/// A file of bake's.
pub(super) struct File<'t> {
    /// Its name in messages.
    pub(super) name: String,
    pub(super) text: &'t str,
    /// Whether it is JSON; else HCL.
    pub(super) is_json: bool,
}

/// A target and what it is built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: String,
    /// Where it stands: `FILE:LINE`, or the file alone.
    pub(super) place: String,
    pub(super) build: Build,
    /// Whether others inherit from it and no group names it: it may be there for that alone.
    pub(super) is_pattern: bool,
}

/// What is wrong with a definition.
#[derive(Debug)]
struct Wrong {
    what: String,
    /// The number of the file, and the byte in it where that is known.
    at: Option<(usize, Option<usize>)>,
}

/// All targets of some files, which are read as one. What is wrong with one target stops no other.
pub(super) fn targets(
    files: &[File<'_>],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Result<Target, String>>, String> {
    let shown = |wrong: Wrong| show(files, &wrong);
    let mut definition = Definition::default();
    for (number, file) in files.iter().enumerate() {
        definition.add(number, file.text, file.is_json).map_err(shown)?;
    }
    let spent = Spent::default();
    let evaluator = Evaluator {
        definition: &definition,
        environment,
        spent: &spent,
        blocks: &(),
    };
    let targets = expand(&evaluator).map_err(shown)?;
    let resolver = Resolver { evaluator, targets };
    let roles = resolver.roles().map_err(shown)?;
    let names = resolver.targets.keys();
    Ok(names
        .map(|name| {
            let target = resolver.target(name, files, &roles);
            target.map_err(|wrong| format!("{} (of the target `{name}`)", show(files, &wrong)))
        })
        .collect())
}

/// `FILE:LINE: what`
fn show(files: &[File<'_>], wrong: &Wrong) -> String {
    match wrong.at {
        Some((file, at)) => format!("{}: {}", place(files, file, at), wrong.what),
        None => wrong.what.clone(),
    }
}

/// Places are known in HCL only: JSON is read into values first.
fn place(files: &[File<'_>], file: usize, at: Option<usize>) -> String {
    let file = &files[file];
    let before = at.filter(|_| !file.is_json).and_then(|at| file.text.get(..at));
    before.map_or_else(
        || file.name.clone(),
        |before| format!("{}:{}", file.name, 1 + before.matches('\n').count()),
    )
}

/// Where a Dockerfile is written, if that is known.
fn written_at(files: &[File<'_>], written: &Written) -> Option<inline::Place> {
    let file = &files[written.file];
    let span = |range: Range<usize>| ast::Span {
        start: range.start,
        end: range.end,
    };
    let in_hcl = || written.expression.span().filter(|_| !file.is_json).map(span);
    let template = match &written.expression {
        Expression::HeredocTemplate(heredoc) => heredoc.template.span(),
        _ => None,
    };
    // What strips blanks strips the ends of lines.
    let strips = |range: &Range<usize>| {
        let text = file.text.get(range.clone()).unwrap_or_default();
        ["${~", "%{~", "~}"].iter().any(|mark| text.contains(mark))
    };
    let template = template.filter(|range| !file.is_json && !strips(range)).map(span);
    Some(inline::Place {
        span: written.span.or_else(in_hcl)?,
        form: template.map_or(Form::String, Form::Heredoc),
    })
}

/// A block of a target, for one row of its matrix.
struct Part<'d> {
    block: &'d Labelled,
    row: HashMap<String, Value>,
}

impl Part<'_> {
    fn scope(&self) -> Scope<'_> {
        Scope {
            names: self.row.clone(),
            ..Scope::of(self.block.file)
        }
    }
}

/// The blocks of each target, in the order of the files.
type Targets<'d> = BTreeMap<String, Vec<Part<'d>>>;

/// Takes matrices apart.
fn expand<'d>(evaluator: &Evaluator<'d>) -> Result<Targets<'d>, Wrong> {
    let mut targets = Targets::new();
    let mut count = 0;
    for block in &evaluator.definition.targets {
        let here = |wrong: Wrong| Wrong {
            at: wrong.at.or(Some((block.file, block.at))),
            ..wrong
        };
        let rows = rows(evaluator, block).map_err(here)?;
        count += rows.len();
        if count > MOST {
            return Err(here(Wrong::new(format!("there are more than {MOST} targets"))));
        }
        for row in rows {
            let part = Part { block, row };
            let name = match block.attributes.get("name") {
                Some(name) if block.attributes.contains_key("matrix") => {
                    as_text(&evaluator.value(&name.expression, &part.scope())?).map_err(|why| here(why.into()))?
                }
                Some(_) => {
                    return Err(here(Wrong::new(format!(
                        "the target `{}` has a `name` but no `matrix`",
                        block.label
                    ))));
                }
                None => block.label.clone(),
            };
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(here(Wrong::new(format!(
                    "`{name}` is no name of a target: wanted letters, digits, `_` and `-`"
                ))));
            }
            targets.entry(name).or_default().push(part);
        }
    }
    Ok(targets)
}

/// Whether the name of a target may have it.
const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// All combinations of a matrix: one, without names, where there is none.
fn rows(evaluator: &Evaluator<'_>, block: &Labelled) -> Result<Vec<HashMap<String, Value>>, Wrong> {
    let mut rows = vec![HashMap::new()];
    let Some(matrix) = block.attributes.get("matrix") else {
        return Ok(rows);
    };
    let matrix = evaluator.written(matrix)?;
    for (axis, values) in as_object(&matrix)? {
        let values = as_list(values).map_err(|why| Wrong::new(format!("the matrix's `{axis}`: {why}")))?;
        if rows.len().saturating_mul(values.len()) > MOST {
            return Err(Wrong::new(format!("the matrix has more than {MOST} rows")));
        }
        let longer = |row: &HashMap<String, Value>, value: &Value| {
            let mut row = row.clone();
            row.insert(axis.clone(), value.clone());
            row
        };
        rows = values
            .iter()
            .flat_map(|value| rows.iter().map(move |row| longer(row, value)))
            .collect();
    }
    Ok(rows)
}

struct Resolver<'d> {
    evaluator: Evaluator<'d>,
    targets: Targets<'d>,
}

/// Which targets are there for what.
struct Roles {
    inherited: BTreeSet<String>,
    grouped: BTreeSet<String>,
}

impl Resolver<'_> {
    /// An evaluator that can also ask for attributes of targets.
    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator {
            blocks: self,
            ..self.evaluator
        }
    }

    /// What a target says itself, and where; the last of its blocks that says something counts.
    fn own(&self, target: &str, attribute: &str) -> Result<Option<(Value, &Written)>, Wrong> {
        for part in self.targets.get(target).into_iter().flatten().rev() {
            let Some(written) = part.block.attributes.get(attribute) else {
                continue;
            };
            let key = format!("`{attribute}` of the target `{target}`");
            let evaluator = self.evaluator();
            let value = evaluator.once(key, || evaluator.value(&written.expression, &part.scope()))?;
            if !value.is_null() {
                return Ok(Some((value, written)));
            }
        }
        Ok(None)
    }

    /// The targets that a target inherits from.
    fn parents(&self, target: &str) -> Result<Vec<String>, Wrong> {
        let Some((value, written)) = self.own(target, "inherits")? else {
            return Ok(Vec::new());
        };
        let place = |wrong: Wrong| wrong.at(&Scope::of(written.file), &written.expression);
        let parents = as_texts(&value).map_err(|why| place(Wrong::new(format!("`inherits`: {why}"))))?;
        parents
            .iter()
            .try_for_each(|parent| self.exists(parent))
            .map_err(place)?;
        Ok(parents)
    }

    fn exists(&self, target: &str) -> Result<(), Wrong> {
        if self.targets.contains_key(target) {
            return Ok(());
        }
        let hint = suggest::hint(target, self.targets.keys().map(String::as_str));
        Err(Wrong::new(format!("there is no target `{target}`{hint}")))
    }

    /// The value of an attribute, and where it is written: its own, else that of the last of its parents that has one.
    fn inherited(
        &self,
        way: &mut Vec<String>,
        seen: &mut BTreeSet<String>,
        attribute: &str,
    ) -> Result<Option<(String, &Written)>, Wrong> {
        let Some(target) = way.last().cloned() else {
            return Ok(None);
        };
        if let Some((value, written)) = self.own(&target, attribute)? {
            let place = |why: String| {
                Wrong::new(format!("`{attribute}`: {why}")).at(&Scope::of(written.file), &written.expression)
            };
            let text = as_text(&value).map_err(place)?;
            return Ok(Some((text, written)));
        }
        for parent in self.parents(&target)?.into_iter().rev() {
            if way.contains(&parent) || way.len() > DEEPEST {
                return Err(Wrong::new(format!(
                    "`{parent}` inherits from itself, or over more than {DEEPEST} others"
                )));
            }
            // One that was asked before had nothing.
            if !seen.insert(parent.clone()) {
                continue;
            }
            way.push(parent);
            if let Some(found) = self.inherited(way, seen, attribute)? {
                return Ok(Some(found));
            }
            way.pop();
        }
        Ok(None)
    }

    /// The names of all contexts that a target has, its own and those of others that it inherits from.
    fn contexts(&self, target: &str) -> Result<BTreeSet<String>, Wrong> {
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::from([target.to_owned()]);
        let mut next = vec![target.to_owned()];
        while let Some(target) = next.pop() {
            // Those of all blocks count, unlike what is said once.
            for part in self.targets.get(&target).into_iter().flatten() {
                let Some(written) = part.block.attributes.get("contexts") else {
                    continue;
                };
                let value = self.evaluator().value(&written.expression, &part.scope())?;
                let place =
                    |why: String| Wrong::new(format!("`contexts`: {why}")).at(&part.scope(), &written.expression);
                names.extend(as_object(&value).map_err(place)?.keys().cloned());
            }
            next.extend(
                self.parents(&target)?
                    .into_iter()
                    .filter(|parent| seen.insert(parent.clone())),
            );
        }
        Ok(names)
    }

    fn roles(&self) -> Result<Roles, Wrong> {
        let mut roles = Roles {
            inherited: BTreeSet::new(),
            grouped: BTreeSet::new(),
        };
        for name in self.targets.keys() {
            // What is wrong with it is said where it is looked at.
            roles.inherited.extend(self.parents(name).unwrap_or_default());
        }
        let groups: BTreeSet<&str> = self
            .evaluator
            .definition
            .groups
            .iter()
            .map(|group| group.label.as_str())
            .collect();
        let labels: BTreeSet<&str> = self
            .evaluator
            .definition
            .targets
            .iter()
            .map(|target| target.label.as_str())
            .collect();
        for group in &self.evaluator.definition.groups {
            let Some(written) = group.attributes.get("targets") else {
                continue;
            };
            let scope = Scope::of(group.file);
            let members = as_texts(&self.evaluator().value(&written.expression, &scope)?);
            let place = |wrong: Wrong| wrong.at(&scope, &written.expression);
            for member in members.map_err(|why| place(Wrong::new(format!("the group `{}`: {why}", group.label))))? {
                // The label of a matrix names all of its targets.
                if !groups.contains(member.as_str()) && !labels.contains(member.as_str()) {
                    self.exists(&member).map_err(place)?;
                }
                roles.grouped.insert(member);
            }
        }
        Ok(roles)
    }

    fn target(&self, name: &str, files: &[File<'_>], roles: &Roles) -> Result<Target, Wrong> {
        let written = |attribute: &str| self.inherited(&mut vec![name.to_owned()], &mut BTreeSet::new(), attribute);
        let said = |attribute: &str| Ok::<_, Wrong>(written(attribute)?.map(|(text, _)| text));
        let first = self.targets[name].first();
        Ok(Target {
            name: name.to_owned(),
            place: first.map_or_else(String::new, |part| place(files, part.block.file, part.block.at)),
            build: Build {
                context: said("context")?,
                dockerfile: said("dockerfile")?.filter(|path| !path.is_empty()),
                inline: written(INLINE)?.map(|(text, written)| Embedded {
                    file: written.file,
                    place: written_at(files, written).ok_or_else(|| name.to_owned()),
                    text,
                }),
                named: self.contexts(name)?,
            },
            is_pattern: roles.inherited.contains(name) && !roles.grouped.contains(name),
        })
    }
}

impl Blocks for Resolver<'_> {
    fn attribute(&self, kind: &str, block: &str, name: &str) -> Option<Result<Value, Wrong>> {
        if kind != "target" || !self.targets.contains_key(block) {
            return None;
        }
        if name == "name" {
            return Some(Ok(Value::from(block)));
        }
        if !ATTRIBUTES.contains(&name) {
            return Some(Err(Wrong::new(format!("targets have no `{name}`"))));
        }
        let own = self.own(block, name);
        Some(own.map(|found| found.map_or(Value::Null, |(value, _)| value)))
    }
}
