//! Bake's files, in HCL and in JSON, as one definition: what `docker buildx bake -f A -f B` reads.

use std::collections::BTreeMap;
use std::fmt;

use hcl_edit::expr::{Array, Expression, Object, ObjectKey};
use hcl_edit::structure::{Block, Body, Structure};
use hcl_edit::template::StringTemplate;
use hcl_edit::{Decorated, Span as _, parser};
use kiln_dockerfile::ast::Span;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::Wrong;
use super::variable::Variable;

/// Files larger than this, in bytes, are not read.
const LARGEST: usize = 1 << 20;

/// An expression and the file that it stands in.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) file: usize,
    /// Where it is, in bytes, of what is written into JSON and whose place counts.
    pub(super) span: Option<Span>,
    pub(super) expression: Expression,
}

/// A block `function`.
pub(super) struct Function {
    pub(super) parameters: Vec<String>,
    /// What takes all other arguments.
    pub(super) rest: Option<String>,
    pub(super) result: Written,
}

/// A block `target` or `group` with its attributes.
pub(super) struct Labelled {
    pub(super) file: usize,
    /// Where it begins, if that is known.
    pub(super) at: Option<usize>,
    pub(super) label: String,
    pub(super) attributes: BTreeMap<String, Written>,
}

/// All files, later ones over earlier ones.
#[derive(Default)]
pub(super) struct Definition {
    pub(super) variables: BTreeMap<String, Variable>,
    pub(super) functions: BTreeMap<String, Function>,
    pub(super) attributes: BTreeMap<String, Written>,
    pub(super) targets: Vec<Labelled>,
    pub(super) groups: Vec<Labelled>,
}

impl Definition {
    /// Adds a file.
    pub(super) fn add(&mut self, file: usize, text: &str, is_json: bool) -> Result<(), Wrong> {
        if text.len() > LARGEST {
            return Err(Wrong::new(format!("it is larger than {} MiB", LARGEST >> 20)).in_file(file));
        }
        if is_json {
            self.add_json(file, text)
        } else {
            self.add_hcl(file, text)
        }
    }

    fn add_hcl(&mut self, file: usize, text: &str) -> Result<(), Wrong> {
        let body: Body = parser::parse_body(text).map_err(|error| Wrong {
            what: format!("no HCL: {}", error.message()),
            at: Some((file, Some(error.location().offset()))),
        })?;
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => {
                    let written = Written {
                        file,
                        span: None,
                        expression: attribute.value,
                    };
                    self.attributes.insert(attribute.key.as_str().to_owned(), written);
                }
                Structure::Block(block) => self.add_block(file, &block)?,
            }
        }
        Ok(())
    }

    fn add_block(&mut self, file: usize, block: &Block) -> Result<(), Wrong> {
        let at = block.span().map(|span| span.start);
        let wrong = |what: String| Wrong {
            what,
            at: Some((file, at)),
        };
        let [label] = &block.labels[..] else {
            return Err(wrong(format!(
                "`{}` has {} names, wanted one",
                block.ident.as_str(),
                block.labels.len()
            )));
        };
        let attributes = block.body.attributes().map(|attribute| {
            let written = Written {
                file,
                span: None,
                expression: attribute.value.clone(),
            };
            (attribute.key.as_str().to_owned(), written)
        });
        let labelled = Labelled {
            file,
            at,
            label: label.as_str().to_owned(),
            attributes: attributes.collect(),
        };
        self.add_labelled(block.ident.as_str(), labelled).map_err(wrong)
    }

    fn add_labelled(&mut self, kind: &str, mut block: Labelled) -> Result<(), String> {
        match kind {
            "target" => self.targets.push(block),
            "group" => self.groups.push(block),
            "variable" => {
                let variable = Variable {
                    default: block.attributes.remove("default"),
                    kind: block.attributes.remove("type"),
                };
                self.variables.insert(block.label, variable);
            }
            "function" => {
                let function = function(&mut block).map_err(|why| format!("the function `{}`: {why}", block.label))?;
                self.functions.insert(block.label, function);
            }
            other => {
                return Err(format!(
                    "`{other}` is no block of bake's: wanted target, group, variable or function"
                ));
            }
        }
        Ok(())
    }

    /// HCL's form in JSON: blocks are objects by their names, strings are templates.
    fn add_json(&mut self, file: usize, text: &str) -> Result<(), Wrong> {
        let wrong = |what: String| Wrong::new(what).in_file(file);
        let whole: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| wrong(format!("no bake file: {error}")))?;
        let mut spans = None;
        for (kind, value) in whole {
            if !matches!(kind.as_str(), "target" | "group" | "variable" | "function") {
                let written = json_attribute(file, &value)?;
                self.attributes.insert(kind, written);
                continue;
            }
            let Value::Object(blocks) = value else {
                return Err(wrong(format!("no bake file: `{kind}` is no object")));
            };
            for (label, body) in blocks {
                // One block, or several of the same name.
                let bodies = match body {
                    Value::Array(bodies) => bodies,
                    Value::Null => vec![Value::Object(Map::new())],
                    body => vec![body],
                };
                for (number, body) in bodies.into_iter().enumerate() {
                    let Value::Object(body) = body else {
                        return Err(wrong(format!("no bake file: the {kind} `{label}` is no object")));
                    };
                    let attributes = body
                        .iter()
                        .map(|(name, value)| Ok((name.clone(), json_attribute(file, value)?)));
                    let mut attributes: BTreeMap<_, _> = attributes.collect::<Result<_, Wrong>>()?;
                    if let (Some(inline), "target") = (attributes.get_mut(INLINE), kind.as_str()) {
                        let spans = spans.get_or_insert_with(|| json_spans(text));
                        inline.span = spans.get(&label).and_then(|spans| *spans.get(number)?);
                    }
                    let labelled = Labelled {
                        file,
                        at: None,
                        label: label.clone(),
                        attributes,
                    };
                    self.add_labelled(&kind, labelled).map_err(wrong)?;
                }
            }
        }
        Ok(())
    }
}

fn function(block: &mut Labelled) -> Result<Function, String> {
    let word = |expression: &Expression| match expression {
        Expression::Variable(name) => Ok(name.as_str().to_owned()),
        Expression::String(name) => Ok(name.as_str().to_owned()),
        _ => Err("the name of a parameter is no word".to_owned()),
    };
    let parameters = block.attributes.remove("params").ok_or("it has no `params`")?;
    let Expression::Array(parameters) = &parameters.expression else {
        return Err("`params` is no list".to_owned());
    };
    let rest = block.attributes.remove("variadic_params");
    Ok(Function {
        parameters: parameters.iter().map(word).collect::<Result<_, _>>()?,
        rest: rest.map(|rest| word(&rest.expression)).transpose()?,
        result: block.attributes.remove("result").ok_or("it has no `result`")?,
    })
}

/// The attribute that has a Dockerfile's text.
pub(super) const INLINE: &str = "dockerfile-inline";

/// The places, in bytes, of the Dockerfiles that are written into JSON, by target and block: YAML's reader, which reads JSON
/// too, knows places. Empty where that does not read what JSON's does.
fn json_spans(text: &str) -> BTreeMap<String, Vec<Option<Span>>> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct File {
        target: BTreeMap<String, Blocks>,
    }
    /// No structure, which would have no key twice.
    type Block = BTreeMap<String, Spanned<IgnoredAny>>;
    struct Blocks(Vec<Block>);

    /// By hand, as a type that is either has no places of what is in it.
    impl<'de> Deserialize<'de> for Blocks {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Either;

            impl<'de> Visitor<'de> for Either {
                type Value = Blocks;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a block or several")
                }

                fn visit_unit<E>(self) -> Result<Blocks, E> {
                    Ok(Blocks(Vec::new()))
                }

                fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Blocks, A::Error> {
                    Ok(Blocks(vec![Block::deserialize(MapAccessDeserializer::new(map))?]))
                }

                fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Blocks, A::Error> {
                    Vec::deserialize(SeqAccessDeserializer::new(list)).map(Blocks)
                }
            }

            deserializer.deserialize_any(Either)
        }
    }

    // As JSON's reader has it: what comes last counts. That has read it already, and nothing in it stands for more.
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        budget: None,
    };
    let file: File = serde_saphyr::from_str_with_options(text, options).unwrap_or_default();
    let span = |block: Block| {
        let span = block.get(INLINE)?.defined.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let end = start + usize::try_from(span.byte_len()?).ok()?;
        Some(Span { start, end })
    };
    let targets = file.target.into_iter();
    targets
        .map(|(label, Blocks(blocks))| (label, blocks.into_iter().map(span).collect()))
        .collect()
}

fn json_attribute(file: usize, value: &Value) -> Result<Written, Wrong> {
    let expression = json(value).map_err(|why| Wrong::new(why).in_file(file))?;
    Ok(Written {
        file,
        span: None,
        expression,
    })
}

/// A value of JSON as an expression; as deep as `serde_json` lets it be.
fn json(value: &Value) -> Result<Expression, String> {
    Ok(match value {
        Value::Null => Expression::null(),
        Value::Bool(flag) => Expression::from(*flag),
        Value::Number(number) => {
            let number = number.as_f64().and_then(hcl_edit::Number::from_f64);
            Expression::from(number.ok_or("a number that is none")?)
        }
        Value::String(text) if text.contains("${") || text.contains("%{") => {
            let template =
                parser::parse_template(text).map_err(|error| format!("`{text}`: no template: {}", error.message()))?;
            Expression::StringTemplate(StringTemplate::from(template))
        }
        Value::String(text) => Expression::from(text.as_str()),
        Value::Array(values) => Expression::from(values.iter().map(json).collect::<Result<Array, _>>()?),
        Value::Object(values) => {
            let mut object = Object::new();
            for (name, value) in values {
                let key = Expression::String(Decorated::new(name.clone()));
                object.insert(ObjectKey::Expression(key), json(value)?);
            }
            Expression::from(object)
        }
    })
}

impl Wrong {
    /// In a file, nobody knows where.
    pub(super) const fn in_file(mut self, file: usize) -> Self {
        self.at = Some((file, None));
        self
    }
}
