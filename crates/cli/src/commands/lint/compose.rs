//! What files of Compose's build: `services.*.build`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::entry::Build;

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
    dockerfile_inline: Option<String>,
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

/// What a file builds, by service.
pub(super) fn builds(text: &str) -> Result<BTreeMap<String, Build>, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let services = file.services.unwrap_or_default().into_iter();
    let builds = services.filter_map(|(name, service)| {
        let Written(mapping) = service?.build?;
        let build = Build {
            context: mapping.context,
            dockerfile: mapping.dockerfile,
            inline: mapping.dockerfile_inline,
            named: mapping.additional_contexts.map(Named::names).unwrap_or_default(),
        };
        Some((name, build))
    });
    Ok(builds.collect())
}
