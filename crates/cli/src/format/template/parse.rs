//! Templates, read.

use super::functions::Function;
use super::lex::{Word, words};
use super::{Block, Command, Node, Pipeline, Term};

/// How deep blocks and parentheses may be.
const DEEPEST: usize = 64;

/// A block that is not closed yet.
struct Open {
    kind: Block,
    names: Vec<String>,
    over: Pipeline,
    body: Vec<Node>,
    /// What comes after `else`, if that was read.
    otherwise: Option<Vec<Node>>,
    /// Whether it began with `{{else if}}`, so that it ends with the block around it.
    is_else: bool,
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut parser = Parser::default();
    let mut rest = text;
    let mut trim = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, next) = split_action(after).ok_or_else(|| format!("`{text}`: `{{{{` is not closed"))?;
        let (left, action) = match action.strip_prefix('-') {
            Some(inner) if inner.starts_with(char::is_whitespace) => (true, inner),
            _ => (false, action),
        };
        let (right, action) = match action.strip_suffix('-') {
            Some(inner) if inner.ends_with(char::is_whitespace) => (true, inner),
            _ => (false, action),
        };
        parser.text(before, trim, left);
        trim = right;
        let action = action.trim();
        if !(action.starts_with("/*") && action.ends_with("*/")) {
            parser.action(action)?;
        }
        rest = next;
    }
    parser.text(rest, trim, false);
    match parser.open.pop() {
        None => Ok(parser.nodes),
        Some(open) => Err(format!(
            "`{text}`: `{{{{{}}}}}` without `{{{{end}}}}`",
            open.kind.name()
        )),
    }
}

/// An action and what follows it; braces in strings are none.
fn split_action(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, '"' | '`') => quote = Some(c),
            (Some('"'), '\\') => {
                chars.next();
            }
            (Some(open), c) if c == open => quote = None,
            (None, '}') if text[at..].starts_with("}}") => return Some((&text[..at], &text[at + 2..])),
            _ => {}
        }
    }
    None
}

impl Block {
    const fn name(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        }
    }
}

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    open: Vec<Open>,
}

impl Parser {
    fn push(&mut self, node: Node) {
        let nodes = match self.open.last_mut() {
            None => &mut self.nodes,
            Some(Open {
                otherwise: Some(otherwise),
                ..
            }) => otherwise,
            Some(open) => &mut open.body,
        };
        nodes.push(node);
    }

    fn text(&mut self, text: &str, trim_start: bool, trim_end: bool) {
        let text = if trim_start { text.trim_start() } else { text };
        let text = if trim_end { text.trim_end() } else { text };
        if !text.is_empty() {
            // `\t` and `\n` come from shells as they are.
            self.push(Node::Text(text.replace("\\t", "\t").replace("\\n", "\n")));
        }
    }

    fn action(&mut self, action: &str) -> Result<(), String> {
        let all = words(action)?;
        match &all[..] {
            [] => Err("`{{}}` is empty".to_owned()),
            [Word::Name(name), rest @ ..] if name == "if" => self.begin(Block::If, rest, false),
            [Word::Name(name), rest @ ..] if name == "with" => self.begin(Block::With, rest, false),
            [Word::Name(name), rest @ ..] if name == "range" => self.begin(Block::Range, rest, false),
            [Word::Name(name), rest @ ..] if name == "else" => self.otherwise(rest),
            [Word::Name(name)] if name == "end" => self.end(),
            [
                Word::Variable(name, path),
                sign @ (Word::Declare | Word::Assign),
                rest @ ..,
            ] if path.is_empty() => {
                self.push(Node::Set {
                    name: name.clone(),
                    is_new: *sign == Word::Declare,
                    value: pipeline(rest)?,
                });
                Ok(())
            }
            all => {
                let show = Node::Show(pipeline(all)?);
                self.push(show);
                Ok(())
            }
        }
    }

    fn begin(&mut self, kind: Block, rest: &[Word], is_else: bool) -> Result<(), String> {
        if self.open.len() >= DEEPEST {
            return Err("blocks are too deep".to_owned());
        }
        let (names, rest) = match rest {
            [Word::Variable(item, _), Word::Declare, rest @ ..] => (vec![item.clone()], rest),
            [
                Word::Variable(key, _),
                Word::Comma,
                Word::Variable(item, _),
                Word::Declare,
                rest @ ..,
            ] if kind == Block::Range => (vec![key.clone(), item.clone()], rest),
            rest => (Vec::new(), rest),
        };
        self.open.push(Open {
            kind,
            names,
            over: pipeline(rest)?,
            body: Vec::new(),
            otherwise: None,
            is_else,
        });
        Ok(())
    }

    fn otherwise(&mut self, rest: &[Word]) -> Result<(), String> {
        let open = self.open.last_mut().ok_or("`{{else}}` without `{{if}}`")?;
        if open.otherwise.is_some() {
            return Err("two `{{else}}`".to_owned());
        }
        open.otherwise = Some(Vec::new());
        match rest {
            [] => Ok(()),
            [Word::Name(name), rest @ ..] if name == "if" => self.begin(Block::If, rest, true),
            [Word::Name(name), rest @ ..] if name == "with" => self.begin(Block::With, rest, true),
            _ => Err("after `else` there may be `if` or `with`".to_owned()),
        }
    }

    fn end(&mut self) -> Result<(), String> {
        loop {
            let open = self
                .open
                .pop()
                .ok_or("`{{end}}` without `{{if}}`, `{{with}}` or `{{range}}`")?;
            self.push(Node::Block {
                kind: open.kind,
                names: open.names,
                over: open.over,
                body: open.body,
                otherwise: open.otherwise.unwrap_or_default(),
            });
            if !open.is_else {
                return Ok(());
            }
        }
    }
}

fn pipeline(words: &[Word]) -> Result<Pipeline, String> {
    let mut reader = Reader { words, at: 0, depth: 0 };
    let pipeline = reader.pipeline()?;
    if reader.at < words.len() {
        return Err("`)` without `(`".to_owned());
    }
    Ok(pipeline)
}

struct Reader<'a> {
    words: &'a [Word],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    /// Up to the end or a closing parenthesis.
    fn pipeline(&mut self) -> Result<Pipeline, String> {
        let mut commands = vec![self.command()?];
        while self.words.get(self.at) == Some(&Word::Pipe) {
            self.at += 1;
            let command = self.command()?;
            if matches!(command, Command::Value(_)) {
                return Err("after `|` comes a function".to_owned());
            }
            commands.push(command);
        }
        Ok(Pipeline(commands))
    }

    fn command(&mut self) -> Result<Command, String> {
        let function = match self.words.get(self.at) {
            Some(Word::Name(name)) => {
                self.at += 1;
                Some(Function::named(name)?)
            }
            _ => None,
        };
        let mut terms = Vec::new();
        while let Some(term) = self.term()? {
            terms.push(term);
        }
        match (function, terms.len()) {
            (Some(function), _) => Ok(Command::Call(function, terms)),
            (None, 1) => Ok(Command::Value(terms.swap_remove(0))),
            (None, 0) => Err("a value is missing".to_owned()),
            (None, _) => Err("a value has no arguments".to_owned()),
        }
    }

    fn term(&mut self) -> Result<Option<Term>, String> {
        let term = match self.words.get(self.at) {
            Some(Word::Literal(value)) => Term::Literal(value.clone()),
            Some(Word::Field(path, _)) => Term::Field(path.clone()),
            Some(Word::Variable(name, path)) => Term::Variable(name.clone(), path.clone()),
            Some(Word::Open) => return self.group().map(Some),
            // A function without arguments would be one.
            Some(Word::Name(name)) => return Err(format!("`{name}` needs parentheses here")),
            Some(Word::Declare | Word::Assign | Word::Comma) => return Err("a value is missing".to_owned()),
            Some(Word::Pipe | Word::Close) | None => return Ok(None),
        };
        self.at += 1;
        Ok(Some(term))
    }

    fn group(&mut self) -> Result<Term, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("parentheses are too deep".to_owned());
        }
        self.at += 1;
        let pipeline = self.pipeline()?;
        if self.words.get(self.at) != Some(&Word::Close) {
            return Err("`(` without `)`".to_owned());
        }
        self.at += 1;
        self.depth -= 1;
        let mut path = Vec::new();
        if let Some(Word::Field(fields, false)) = self.words.get(self.at) {
            path.clone_from(fields);
            self.at += 1;
        }
        Ok(Term::Group(pipeline, path))
    }
}
