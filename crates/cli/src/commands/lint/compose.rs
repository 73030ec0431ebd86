//! What files of Compose's build: `services.*.build`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kiln_dockerfile::ast::Span;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

use super::entry::{Build, Embedded};
use super::inline::{Form, Place};

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    services: Option<BTreeMap<String, Option<Service>>>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    build: Option<Written>,
}

/// `build`: a mapping, or the context alone.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Mapping {
    context: Option<String>,
    dockerfile: Option<String>,
    dockerfile_inline: Option<Spanned<String>>,
    additional_contexts: Option<Named>,
}

struct Written(Mapping);

/// By hand, as a type that is either has no places of what is in it.
impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or a mapping")
            }

            fn visit_str<E>(self, context: &str) -> Result<Written, E> {
                Ok(Written(Mapping {
                    context: Some(context.to_owned()),
                    ..Mapping::default()
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
                Mapping::deserialize(MapAccessDeserializer::new(map)).map(Written)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// Further contexts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Mapping(BTreeMap<String, IgnoredAny>),
    /// `NAME=VALUE`
    List(Vec<String>),
}

impl Named {
    fn names(self) -> BTreeSet<String> {
        match self {
            Self::Mapping(values) => values.into_keys().collect(),
            Self::List(values) => {
                let names = values.iter().filter_map(|value| value.split_once('='));
                names.map(|(name, _)| name.to_owned()).collect()
            }
        }
    }
}

/// What a file builds, by service; or why that is not known.
pub(super) fn builds(text: &str) -> Result<BTreeMap<String, Result<Build, String>>, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let services = file.services.unwrap_or_default().into_iter();
    let builds = services.filter_map(|(name, service)| {
        let Written(mapping) = service?.build?;
        Some((name, mapping.build()))
    });
    Ok(builds.collect())
}

impl Mapping {
    fn build(self) -> Result<Build, String> {
        let plain = [("context", &self.context), ("dockerfile", &self.dockerfile)];
        for (what, text) in plain {
            if let Some(text) = text.as_ref().filter(|text| text.contains('$')) {
                return Err(format!(
                    "its {what} `{text}` depends on a variable: name the Dockerfile itself"
                ));
            }
        }
        let is_inline = self
            .dockerfile_inline
            .as_ref()
            .is_some_and(|inline| !inline.value.is_empty());
        if self.dockerfile.is_some() && is_inline {
            return Err(
                "it has both dockerfile and dockerfile_inline, which Compose refuses: leave one out".to_owned(),
            );
        }
        let inline = self.dockerfile_inline.map(|inline| {
            Ok::<_, String>(Embedded {
                file: 0,
                place: Ok(place(&inline)),
                text: unescaped(&inline.value)?,
            })
        });
        Ok(Build {
            context: self.context,
            dockerfile: self.dockerfile,
            inline: inline.transpose()?,
            named: self.additional_contexts.map(Named::names).unwrap_or_default(),
        })
    }
}

/// Where a scalar is written; an alias, where its anchor is.
fn place(scalar: &Spanned<String>) -> Place {
    let span = scalar.defined.span();
    let bytes = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
    let start = bytes(span.byte_offset()).unwrap_or_default();
    let end = start + bytes(span.byte_len()).unwrap_or_default();
    Place {
        span: Span { start, end },
        form: Form::Scalar,
    }
}

/// A text as Compose gives it on: `$$` is `$`. What it puts in for variables is not known.
fn unescaped(text: &str) -> Result<String, String> {
    let mut pieces = text.split("$$");
    if let Some(piece) = pieces.find(|piece| piece.contains('$')) {
        let dollar = &piece[piece.find('$').unwrap_or_default()..];
        let (shown, does) = match variable(dollar) {
            Some(variable) => (variable.to_owned(), "puts something else for"),
            None => (beginning(dollar), "refuses"),
        };
        return Err(format!(
            "its dockerfile_inline has `{shown}`, which Compose {does}: `$$` stands for a `$` of the Dockerfile's"
        ));
    }
    Ok(text.replace("$$", "$"))
}

/// The variable that begins a text, `$NAME` or `${NAME…}`.
fn variable(text: &str) -> Option<&str> {
    let braced = text.strip_prefix("${");
    let name = braced.or_else(|| text.strip_prefix('$'))?;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let length = if braced.is_some() {
        name.find('}').map(|end| "${".len() + end + 1)?
    } else {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        1 + name.find(|c| !is_name(c)).unwrap_or(name.len())
    };
    text.get(..length)
}

/// As much of a text's first line as tells which is meant.
fn beginning(text: &str) -> String {
    const SHOWN: usize = 12;
    let line = text.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}
