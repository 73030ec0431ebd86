//! Pieces of the store as people and programs see them, and filters that choose among them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use kiln_plan::without_password;
use kiln_store::{Item, Kind, Need};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::progress::text::one_line;
use crate::time;
use crate::values::{duration, size};

/// What kinds are called, in docker's words where it has one.
const TYPES: [(Kind, &str); 4] = [
    (Kind::Layer, "regular"),
    (Kind::CacheMount, "exec.cachemount"),
    (Kind::Blob, "blob"),
    (Kind::Log, "log"),
];

/// Words of docker's for what Kiln never has.
const OTHER_TYPES: [&str; 4] = ["frontend", "internal", "source.git.checkout", "source.local"];

/// What a kind is called.
pub(crate) fn type_of(kind: Kind) -> &'static str {
    let found = TYPES.iter().find(|(known, _)| *known == kind);
    found.map_or("", |(_, word)| word)
}

/// Whether an image has it, too.
fn is_shared(item: &Item) -> bool {
    matches!(item.need, Need::Image | Need::NamedImage)
}

/// Whether a prune could remove it.
pub(crate) fn is_reclaimable(item: &Item) -> bool {
    item.need <= Need::Image
}

/// The stage of the step that made it, as its description says: `build` of `[linux/arm64 build 2/4] RUN make`.
pub(crate) fn stage(item: &Item) -> Option<&str> {
    let (words, _) = item.description.as_deref()?.strip_prefix('[')?.split_once(']')?;
    words.split(' ').find(|word| !word.contains('/'))
}

/// What it is of: a step, an address without its password, or what a cache mount is known by.
pub(crate) fn description(item: &Item) -> Cow<'_, str> {
    let text = item.description.as_deref().unwrap_or_default();
    if item.kind == Kind::Layer {
        without_password(text).into()
    } else {
        text.into()
    }
}

/// One for programs.
pub(crate) fn json(item: &Item) -> Value {
    json!({
        "ID": item.id,
        "Type": type_of(item.kind),
        "Size": item.disk,
        "CreatedAt": time::show(item.created),
        "LastUsedAt": time::show(item.used / 1000),
        "Description": description(item),
        "Project": item.project.as_deref().unwrap_or_default(),
        "Stage": stage(item).unwrap_or_default(),
        "InUse": item.need == Need::InUse,
        "Mutable": item.kind == Kind::CacheMount,
        "Shared": is_shared(item),
        "Reclaimable": is_reclaimable(item),
    })
}

/// One for people, as `docker buildx du --verbose` shows it.
pub(crate) fn lines(item: &Item, now: i64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{:<15} {}", format!("{name}:"), one_line(value));
        }
    };
    line("ID", &item.id);
    line("Created at", &time::show(item.created));
    line("Mutable", &(item.kind == Kind::CacheMount).to_string());
    line("Reclaimable", &is_reclaimable(item).to_string());
    line("Shared", &is_shared(item).to_string());
    line("Size", &size::show(item.disk));
    line("Description", &description(item));
    line("Project", item.project.as_deref().unwrap_or_default());
    line("Last used", &time::ago(item.used / 1000, now));
    line("Type", type_of(item.kind));
    text + "\n"
}

/// How a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Is,
    IsNot,
    Contains,
}

impl Comparison {
    fn holds(self, found: &str, wanted: &str) -> bool {
        match self {
            Self::Is => found == wanted,
            Self::IsNot => found != wanted,
            Self::Contains => found.contains(wanted),
        }
    }
}

#[derive(Debug)]
enum Filter {
    Unused(Duration),
    Type(Comparison, String),
    Text(fn(&Item) -> Cow<'_, str>, Comparison, String),
    Flag(fn(&Item) -> bool, bool),
}

/// All of `--filter`: what is wanted passes each.
#[derive(Debug, Default)]
pub(crate) struct Filters(Vec<Filter>);

impl Filters {
    /// Reads docker's filters: `KEY=VALUE`, `KEY!=VALUE`, `KEY~=VALUE`.
    pub(crate) fn read(texts: &[String]) -> Result<Self, Failure> {
        let filters = texts.iter().map(|text| filter(text).map_err(Failure::usage));
        Ok(Self(filters.collect::<Result<_, _>>()?))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether anything is said of types: logs are meant only then, and if it is said of them.
    pub(crate) fn name_types(&self) -> bool {
        self.0.iter().any(|filter| matches!(filter, Filter::Type(..)))
    }

    /// Whether it is wanted at that moment, in milliseconds since 1970.
    pub(crate) fn want(&self, item: &Item, now: i64) -> bool {
        self.0.iter().all(|filter| match filter {
            Filter::Unused(least) => i128::from(now - item.used) >= least.as_millis().cast_signed(),
            Filter::Type(comparison, wanted) => comparison.holds(type_of(item.kind), wanted),
            Filter::Text(field, comparison, wanted) => comparison.holds(&field(item), wanted),
            Filter::Flag(flag, wanted) => flag(item) == *wanted,
        })
    }
}

fn filter(text: &str) -> Result<Filter, String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let (key, comparison) = match (key.strip_suffix('!'), key.strip_suffix('~')) {
        (Some(key), _) => (key, Comparison::IsNot),
        (_, Some(key)) => (key, Comparison::Contains),
        _ => (key, Comparison::Is),
    };
    match key {
        "until" | "unused-for" if comparison == Comparison::Is => {
            let span = duration::parse(value).map_err(|message| format!("--filter {text}: {message}"))?;
            Ok(Filter::Unused(span))
        }
        // As with docker, a part of an ID is enough.
        "id" if comparison == Comparison::Is => Ok(Filter::Text(id, Comparison::Contains, value.to_owned())),
        "id" => Ok(Filter::Text(id, comparison, plain(comparison, value)?)),
        "description" => Ok(Filter::Text(description, comparison, plain(comparison, value)?)),
        "type" => {
            let mut known = TYPES.iter().map(|(_, word)| *word).chain(OTHER_TYPES);
            if comparison != Comparison::Contains && !known.any(|word| word == value) {
                return Err(format!(
                    "--filter {text}: there is no type `{value}`; there are regular, exec.cachemount, blob and log"
                ));
            }
            Ok(Filter::Type(comparison, plain(comparison, value)?))
        }
        "inuse" => flag(text, |item| item.need == Need::InUse, comparison, value),
        "shared" => flag(text, is_shared, comparison, value),
        "private" => flag(text, |item| !is_shared(item), comparison, value),
        "mutable" => flag(text, |item| item.kind == Kind::CacheMount, comparison, value),
        "immutable" => flag(text, |item| item.kind != Kind::CacheMount, comparison, value),
        _ => Err(format!(
            "--filter {text} is unknown: there are until=SPAN, id, type, description (with = != ~=), inuse, shared, \
             private, mutable, immutable (=true or =false)"
        )),
    }
}

fn id(item: &Item) -> Cow<'_, str> {
    Cow::Borrowed(&item.id)
}

/// With docker `~=` has a regular expression; texts that are no more than themselves mean the same to both.
fn plain(comparison: Comparison, value: &str) -> Result<String, String> {
    if comparison == Comparison::Contains && value.contains(|c| "\\+*?()|[]{}^$".contains(c)) {
        return Err(format!(
            "`{value}` is a regular expression: behind `~=` Kiln knows only text that is to be found"
        ));
    }
    Ok(value.to_owned())
}

fn flag(text: &str, flag: fn(&Item) -> bool, comparison: Comparison, value: &str) -> Result<Filter, String> {
    let wanted = match value {
        "" | "true" | "1" => true,
        "false" | "0" => false,
        _ => return Err(format!("--filter {text}: wanted true or false")),
    };
    match comparison {
        Comparison::Is => Ok(Filter::Flag(flag, wanted)),
        Comparison::IsNot => Ok(Filter::Flag(flag, !wanted)),
        Comparison::Contains => Err(format!("--filter {text}: `~=` is for text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        Item {
            kind: Kind::Layer,
            id: "0123abcd".to_owned(),
            disk: 1,
            created: 0,
            used: 3_600_000,
            need: Need::Cache,
            description: Some("[linux/arm64 build 2/4] RUN make".to_owned()),
            mount: None,
            project: None,
        }
    }

    #[test]
    fn filters_choose() {
        for (text, wanted) in [
            ("until=1h", true),
            ("until=90m", false),
            ("unused-for=1h", true),
            ("id=23ab", true),
            ("id=ff", false),
            ("type=regular", true),
            ("type!=regular", false),
            ("type=exec.cachemount", false),
            ("type=frontend", false),
            ("description~=RUN make", true),
            ("description~=apt", false),
            ("description=RUN make", false),
            ("inuse=false", true),
            ("inuse", false),
            ("shared=true", false),
            ("private=true", true),
            ("mutable=true", false),
            ("immutable", true),
        ] {
            let filters = Filters::read(&[text.to_owned()]).unwrap();
            assert_eq!(filters.want(&item(), 7_200_000), wanted, "{text}");
        }
    }

    #[test]
    fn logs_are_meant_where_types_are() {
        let log = Item {
            kind: Kind::Log,
            ..item()
        };
        for (texts, meant) in [
            (&[][..], false),
            (&["until=1h"], false),
            (&["type=log"], true),
            (&["type~=lo"], true),
            (&["type!=regular", "until=1h"], true),
            (&["type=blob"], false),
            (&["type!=log"], false),
        ] {
            let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            let filters = Filters::read(&texts).unwrap();
            assert_eq!(
                filters.name_types() && filters.want(&log, 7_200_000),
                meant,
                "{texts:?}"
            );
        }
    }

    #[test]
    fn people_see_no_password_and_no_control_sequence() {
        let item = Item {
            description: Some("file https://user:hunter2@a/\x1b[2Jfile".to_owned()),
            project: Some("a\nType: b".to_owned()),
            ..item()
        };
        let text = lines(&item, 0);
        assert!(
            text.contains("Description:    file https://user:xxxxx@a/file\n"),
            "{text}"
        );
        assert!(text.contains("Project:        a Type: b\n"), "{text}");
        assert!(!json(&item).to_string().contains("hunter2"));
        let filters = Filters::read(&["description~=hunter2".to_owned()]).unwrap();
        assert!(!filters.want(&item, 0));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in [
            "until",
            "until=soon",
            "until!=1h",
            "type=cache",
            "inuse=maybe",
            "shared~=true",
            "description~=a.*b",
            "parents=a",
            "label=a",
        ] {
            assert!(Filters::read(&[text.to_owned()]).is_err(), "{text}");
        }
    }

    #[test]
    fn stages() {
        assert_eq!(stage(&item()), Some("build"));
        let described = |text: &str| Item {
            description: Some(text.to_owned()),
            ..item()
        };
        assert_eq!(stage(&described("[stage-1 1/1] COPY a b")), Some("stage-1"));
        assert_eq!(stage(&described("[linux/amd64->arm64 build 3/4] RUN b")), Some("build"));
        assert_eq!(stage(&described("[2/4] RUN a")), None);
        assert_eq!(stage(&described("https://a/b")), None);
    }
}
