//! Templates, applied to a value.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::functions::call;
use super::show::show;
use super::{Block, Command, Node, Pipeline, Term};

/// Text that a template may make, in bytes: a range in a range in a range makes much of little.
const LONGEST: usize = 64 << 20;

/// Maps whose keys are the user's: one that is not there is no mistake.
const MAPS: &[&str] = &["Labels", "Annotations", "Volumes", "ExposedPorts"];

/// What Go prints of something that is not there.
const NO_VALUE: &str = "<no value>";

pub(super) fn render(nodes: &[Node], value: &Value) -> Result<String, String> {
    let mut state = State {
        root: value,
        variables: Vec::new(),
        text: String::new(),
    };
    state.nodes(nodes, value)?;
    Ok(state.text)
}

/// What is known while a template is applied.
pub(super) struct State<'a> {
    root: &'a Value,
    variables: Vec<(String, Value)>,
    text: String,
}

/// A value, and the name of the field that it is of: what Go prints of nothing depends on its type.
pub(super) struct Found<'v> {
    pub(super) value: Cow<'v, Value>,
    pub(super) name: String,
}

impl Found<'_> {
    pub(super) fn made(value: impl Into<Value>) -> Self {
        Self {
            value: Cow::Owned(value.into()),
            name: String::new(),
        }
    }
}

impl State<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        let known = self.variables.len();
        for node in nodes {
            self.node(node, dot)?;
            if self.text.len() > LONGEST {
                return Err("it makes more than 64 MiB of text".to_owned());
            }
        }
        self.variables.truncate(known);
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), String> {
        match node {
            Node::Text(text) => self.text.push_str(text),
            Node::Show(pipeline) => {
                let found = self.pipeline(pipeline, dot)?;
                let mut text = String::new();
                show(&found.value, &found.name, &mut text);
                self.text.push_str(&text);
            }
            Node::Set { name, is_new, value } => {
                let value = self.pipeline(value, dot)?.value.into_owned();
                if *is_new {
                    self.variables.push((name.clone(), value));
                } else {
                    *self.variable_mut(name)? = value;
                }
            }
            Node::Block {
                kind,
                names,
                over,
                body,
                otherwise,
            } => {
                let value = self.pipeline(over, dot)?.value.into_owned();
                self.block(*kind, names, &value, (body, otherwise), dot)?;
            }
        }
        Ok(())
    }

    fn block(
        &mut self,
        kind: Block,
        names: &[String],
        value: &Value,
        (body, otherwise): (&[Node], &[Node]),
        dot: &Value,
    ) -> Result<(), String> {
        let known = self.variables.len();
        if kind == Block::Range {
            let items = items(value)?;
            if items.is_empty() {
                return self.nodes(otherwise, dot);
            }
            for (key, item) in items {
                match names {
                    [name] => self.variables.push((name.clone(), item.clone())),
                    [first, second] => {
                        self.variables.push((first.clone(), key));
                        self.variables.push((second.clone(), item.clone()));
                    }
                    _ => {}
                }
                self.nodes(body, item)?;
                self.variables.truncate(known);
            }
            return Ok(());
        }
        if !is_true(value) {
            return self.nodes(otherwise, dot);
        }
        if let [name] = names {
            self.variables.push((name.clone(), value.clone()));
        }
        let inside = if kind == Block::With { value } else { dot };
        self.nodes(body, inside)?;
        self.variables.truncate(known);
        Ok(())
    }

    fn variable_mut(&mut self, name: &str) -> Result<&mut Value, String> {
        let found = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value)
            .ok_or_else(|| format!("there is no variable `${name}`"))
    }

    pub(super) fn pipeline<'v>(&self, pipeline: &Pipeline, dot: &'v Value) -> Result<Found<'v>, String> {
        let mut last: Option<Found<'v>> = None;
        for command in &pipeline.0 {
            last = Some(match command {
                Command::Value(term) => self.term(term, dot)?,
                Command::Call(function, terms) => {
                    let mut arguments = Vec::with_capacity(terms.len() + 1);
                    for term in terms {
                        arguments.push(self.term(term, dot)?);
                    }
                    arguments.extend(last);
                    call(*function, &arguments)?
                }
            });
        }
        last.ok_or_else(|| "a value is missing".to_owned())
    }

    fn term<'v>(&self, term: &Term, dot: &'v Value) -> Result<Found<'v>, String> {
        match term {
            Term::Literal(value) => Ok(Found::made(value.clone())),
            Term::Field(path) => look_up(Cow::Borrowed(dot), path),
            Term::Variable(name, path) if name.is_empty() => look_up(Cow::Owned(self.root.clone()), path),
            Term::Variable(name, path) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let (_, value) = found.ok_or_else(|| format!("there is no variable `${name}`"))?;
                look_up(Cow::Owned(value.clone()), path)
            }
            Term::Group(pipeline, path) => {
                let found = self.pipeline(pipeline, dot)?;
                look_up(found.value, path)
            }
        }
    }
}

/// What there is to range over, with its keys.
fn items(value: &Value) -> Result<Vec<(Value, &Value)>, String> {
    Ok(match value {
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.into(), item)).collect(),
        Value::Object(fields) => {
            let mut items: Vec<(&String, &Value)> = fields.iter().collect();
            items.sort_by_key(|(key, _)| *key);
            items
                .into_iter()
                .map(|(key, item)| (key.clone().into(), item))
                .collect()
        }
        Value::Null => Vec::new(),
        other => return Err(format!("there is nothing to range over in `{other}`")),
    })
}

/// What Go takes for true: what is not empty.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn look_up<'v>(value: Cow<'v, Value>, path: &[String]) -> Result<Found<'v>, String> {
    let mut at = Found {
        value,
        name: String::new(),
    };
    for name in path {
        let is_map = MAPS.contains(&at.name.as_str());
        let value = match &*at.value {
            Value::Object(fields) if is_map => fields.get(name).cloned().unwrap_or_else(|| NO_VALUE.into()),
            Value::Null if is_map => NO_VALUE.into(),
            Value::Object(fields) => fields.get(name).cloned().ok_or_else(|| unknown(name, fields))?,
            // As in Go, where nothing has no fields, which is no mistake.
            Value::Null => Value::Null,
            other => return Err(format!("there is no `{name}` in `{other}`")),
        };
        at = Found {
            value: Cow::Owned(value),
            name: name.clone(),
        };
    }
    Ok(at)
}

fn unknown(name: &str, fields: &Map<String, Value>) -> String {
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    format!("there is no field `{name}`; there are {}", names.join(", "))
}
