//! WORKDIR, EXPOSE, ENV, ARG, MAINTAINER, comments.

use std::collections::HashSet;

use kiln_dockerfile::ast::{Kind, Pair, Span, Word};

use super::{Found, place, unquoted};
use crate::finding::{Edit, Fix};
use crate::pragma::Pragmas;
use crate::view::{Item, View};

pub(super) fn workdir(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let Kind::Workdir(path) = item.kind else { continue };
        let text = unquoted(&path.raw);
        let mut letters = text.chars();
        let drive = letters.next().is_some_and(|first| first.is_ascii_alphabetic()) && letters.next() == Some(':');
        if !(text.starts_with(['/', '$']) || drive) {
            let message = "where this is depends on what came before: give an absolute path";
            *found.say(item, path.span, message) = absolute(view, item, path);
        }
    }
}

/// The path below the directory before it; the root, where that is not known.
fn absolute(view: &View<'_>, item: &Item<'_>, path: &Word) -> Option<Fix> {
    let before = item.state.directory.as_deref();
    let edit = place::below_directory(view, path, before.unwrap_or("/"))?;
    let title = format!("use `{}`", edit.text);
    Some(if before.is_some() {
        Fix::safe(title, vec![edit])
    } else {
        Fix::careful(title, vec![edit])
    })
}

pub(super) fn ports(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let Kind::Expose(words) = item.kind else { continue };
        let wrong = |word: &&Word| {
            let ports = word.raw.split('/').next().unwrap_or_default();
            ports.split('-').any(|port| is_number(port) && is_too_large(port))
        };
        if let Some(word) = words.iter().find(wrong) {
            found.say(item, word.span, "ports end at 65535");
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it is no port: too large, perhaps even to be read.
fn is_too_large(port: &str) -> bool {
    port.parse::<u32>().map_or(true, |port| port > 65535)
}

/// A variable of ENV that another pair of the same ENV sets, and nobody before.
pub(super) fn same_env(view: &View<'_>, found: &mut Found<'_>) {
    let mut known: Vec<HashSet<&str>> = Vec::new();
    for item in view.items().filter(|item| !item.onbuild) {
        let Some(stage) = item.stage else { continue };
        match item.kind {
            Kind::From(_) => {
                let inherited = view.parents[stage].and_then(|parent| known.get(parent).cloned());
                known.push(inherited.unwrap_or_default());
            }
            Kind::Arg(declared) => known[stage].extend(declared.iter().map(|each| each.name.raw.as_str())),
            Kind::Env(pairs) => {
                let siblings: HashSet<&str> = pairs.iter().map(|pair| pair.key.raw.as_str()).collect();
                let user = pairs
                    .iter()
                    .position(|pair| uses_sibling(pair, &siblings, &known[stage]));
                if let Some(user) = user {
                    let message = "all variables of an ENV are set at once: this does not see the one beside it";
                    *found.say(item, pairs[user].value.span, message) = split(view, item, pairs, user.max(1));
                }
                known[stage].extend(pairs.iter().map(|pair| pair.key.raw.as_str()));
            }
            _ => {}
        }
    }
}

/// An ENV of its own from this pair on.
fn split(view: &View<'_>, item: &Item<'_>, pairs: &[Pair], at: usize) -> Option<Fix> {
    let span = Span {
        start: pairs.get(at - 1)?.value.span.end,
        end: pairs.get(at)?.key.span.start,
    };
    let between = view.file.source.get(span.range())?;
    let blank = between.chars().all(|c| c.is_whitespace() || c == view.file.escape);
    let keyword = &item.instruction.keyword.raw;
    let edit = Edit::replace(span, format!("{}{keyword} ", place::newline(view)));
    blank.then(|| Fix::careful("give it an ENV of its own", vec![edit]))
}

fn uses_sibling(pair: &Pair, siblings: &HashSet<&str>, known: &HashSet<&str>) -> bool {
    let fits = |name: &str| name != pair.key.raw && siblings.contains(name) && !known.contains(name);
    variables(&pair.value.raw).any(fits)
}

/// The names in `$name` and `${name}`.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let (rest, braced) = rest.strip_prefix('{').map_or((rest, false), |rest| (rest, true));
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let (name, after) = rest.split_at(length.unwrap_or(rest.len()));
        (!braced || after.starts_with('}')).then_some(name)
    })
}

pub(super) fn maintainer(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        let Kind::Maintainer(name) = item.kind else { continue };
        let message = "MAINTAINER is no longer used: a label names the authors";
        let label = if item.instruction.keyword.raw.starts_with('m') {
            "label"
        } else {
            "LABEL"
        };
        let plain = view.file.source.get(name.span.range()) == Some(&name.raw) && !item.onbuild;
        let mut value = String::new();
        for c in name.raw.chars() {
            if c == '"' || c == '$' || c == view.file.escape {
                value.push(view.file.escape);
            }
            value.push(c);
        }
        let edits = vec![
            Edit::replace(item.instruction.keyword.span, label),
            Edit::replace(name.span, format!("org.opencontainers.image.authors=\"{value}\"")),
        ];
        *found.whole(item, message) = plain.then(|| Fix::safe("use a label", edits));
    }
}

/// Names that are known to hold secrets without sounding so.
const SECRET_NAMES: &[&str] = &[
    "APPLICATION_KEY",
    "AWS_ACCESS_KEY_ID",
    "CI_DEPLOY_USER",
    "DOCKER_EMAIL",
    "FACEBOOK_APP_ID",
    "HEROKU_API_USER",
    "OKTA_AUTHN_GROUPID",
    "OKTA_CLIENT_ORGURL",
    "OKTA_OAUTH2_CLIENTID",
    "STRIPE_DEVICE_NAME",
    "TRAVIS_OS_NAME",
    "TRAVIS_SECURE_ENV_VARS",
    "TRAVIS_SUDO",
];

/// What is in the names of secrets.
const SECRET_PARTS: &[&str] = &[
    "api_key",
    "client_key",
    "password",
    "private",
    "secret",
    "token",
    "username",
];

pub(super) fn secrets(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        let names: Vec<&Word> = match item.kind {
            Kind::Arg(declared) => declared.iter().map(|each| &each.name).collect(),
            Kind::Env(pairs) => pairs.iter().map(|pair| &pair.key).collect(),
            _ => continue,
        };
        if let Some(name) = names.into_iter().find(|name| sounds_secret(&name.raw)) {
            let message = format!(
                "`{}` sounds like a secret, and stays readable in the image: use a secret mount",
                name.raw
            );
            found.say(item, name.span, message);
        }
    }
}

fn sounds_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET_NAMES.contains(&name) || SECRET_PARTS.iter().any(|part| lower.contains(part))
}

pub(super) fn pragmas(view: &View<'_>, found: &mut Found<'_>) {
    for span in Pragmas::read(view.file).ignores {
        let Some(item) = item_near(view, span.start) else {
            continue;
        };
        found.say(item, span, "this comment silences rules");
        found.at_line_of(span);
    }
}

fn item_near<'v, 'a>(view: &'v View<'a>, place: usize) -> Option<&'v Item<'a>> {
    let after = view.items.partition_point(|item| item.instruction.span.start <= place);
    view.items.get(after).or(view.items.last())
}
