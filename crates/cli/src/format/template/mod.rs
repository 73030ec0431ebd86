//! Go's templates, as far as people use them with docker: fields, variables, pipelines, `if`, `range`, `with`, and the
//! functions of Go's and docker's. Values are JSON.

mod evaluate;
mod functions;
mod lex;
mod parse;
mod show;

#[cfg(test)]
mod tests;

use serde_json::Value;

/// A template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template(Vec<Node>);

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    /// `{{pipeline}}`
    Show(Pipeline),
    /// `{{$name := pipeline}}` or `{{$name = pipeline}}`
    Set {
        name: String,
        is_new: bool,
        value: Pipeline,
    },
    /// `{{if}}`, `{{with}}` and `{{range}}`, each with what comes after `{{else}}`.
    Block {
        kind: Block,
        /// Of `range` and `with`: `$item :=` or `$key, $item :=`.
        names: Vec<String>,
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    If,
    With,
    Range,
}

/// Commands, the result of each being the last argument of the next.
#[derive(Debug, Clone, PartialEq)]
struct Pipeline(Vec<Command>);

/// A function with arguments, or a value.
#[derive(Debug, Clone, PartialEq)]
enum Command {
    Value(Term),
    Call(functions::Function, Vec<Term>),
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    /// A literal.
    Literal(Value),
    /// `.Field.Inner` of what is at hand.
    Field(Vec<String>),
    /// `$name.Field`; `$` has an empty name.
    Variable(String, Vec<String>),
    /// `(pipeline).Field`
    Group(Pipeline, Vec<String>),
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text).map(Self).map_err(|what| format!("--format: {what}"))
    }

    /// The text for a value; an error for a field that it does not have.
    pub(crate) fn render(&self, value: &Value) -> Result<String, String> {
        evaluate::render(&self.0, value).map_err(|what| format!("--format: {what}"))
    }

    /// The header: names of fields in upper case.
    pub(crate) fn header(&self) -> String {
        header(&self.0)
    }
}

fn header(nodes: &[Node]) -> String {
    let name = |pipeline: &Pipeline| pipeline.last_field().map(heading).unwrap_or_default();
    let piece = |node: &Node| match node {
        Node::Text(text) => text.clone(),
        Node::Show(pipeline) => name(pipeline),
        Node::Set { .. } => String::new(),
        Node::Block {
            kind: Block::Range,
            over,
            ..
        } => name(over),
        Node::Block { body, .. } => header(body),
    };
    nodes.iter().map(piece).collect()
}

impl Pipeline {
    /// The name of the last field that it is of.
    fn last_field(&self) -> Option<&str> {
        let terms = self.0.iter().rev().flat_map(|command| match command {
            Command::Value(term) => std::slice::from_ref(term),
            Command::Call(_, terms) => &terms[..],
        });
        let name = |term: &Term| match term {
            Term::Field(path) | Term::Variable(_, path) | Term::Group(_, path) => path.last().cloned(),
            Term::Literal(_) => None,
        };
        let mut last = None;
        for term in terms {
            if name(term).is_some() {
                last = Some(term);
                break;
            }
        }
        match last? {
            Term::Field(path) | Term::Variable(_, path) | Term::Group(_, path) => path.last().map(String::as_str),
            Term::Literal(_) => None,
        }
    }
}

/// `CreatedSince` becomes `CREATED SINCE`.
fn heading(name: &str) -> String {
    let mut text = String::new();
    let mut lower = false;
    for c in name.chars() {
        if c.is_uppercase() && lower {
            text.push(' ');
        }
        lower = c.is_lowercase();
        text.extend(c.to_uppercase());
    }
    text
}
