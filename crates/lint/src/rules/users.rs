//! USER and what else says who runs.

use std::collections::{HashMap, HashSet};

use kiln_dockerfile::ast::{Copy, Kind, Word};

use super::stages::{last_part, paths};
use super::{Found, place};
use crate::finding::{Edit, Fix};
use crate::shell::Command;
use crate::view::{Item, RunScript, View};

pub(super) fn last_is_root(view: &View<'_>, found: &mut Found<'_>) {
    for stage in 0..view.file.stages.len() {
        let mut users = view
            .stage(stage)
            .filter(|item| !item.onbuild)
            .filter_map(|item| match item.kind {
                Kind::User(user) => Some((item, user)),
                _ => None,
            });
        let last: Option<(&Item<'_>, &Word)> = users.next_back();
        if let Some((item, user)) = last {
            let name = user.raw.split(':').next().unwrap_or_default();
            if matches!(name, "root" | "0") {
                let message = "the last USER is root: what runs in the image may do everything in it";
                *found.say(item, user.span, message) = back_again(view, item);
            }
        }
    }
}

/// The USER before, at the end of the stage: what root was wanted for is done there.
fn back_again(view: &View<'_>, item: &Item<'_>) -> Option<Fix> {
    let name = place::other_than_root(item)?;
    let last = view.stage(item.stage?).next_back()?;
    let edit = place::below(view, last, &format!("USER {name}"));
    Some(Fix::careful(format!("end the stage as {name}"), vec![edit]))
}

pub(super) fn by_name(view: &View<'_>, found: &mut Found<'_>) {
    let mut arguments: HashSet<&str> = HashSet::new();
    let mut made: HashMap<&str, &str> = HashMap::new();
    for item in view.items().filter(|item| !item.onbuild) {
        if let Some(run) = &item.script {
            let commands = run.script.named(&["useradd", "adduser"]);
            made.extend(commands.filter_map(user_made));
        }
        match item.kind {
            Kind::From(_) => {
                arguments.clear();
                made.clear();
            }
            Kind::Arg(declared) => arguments.extend(declared.iter().map(|each| each.name.raw.as_str())),
            Kind::User(user) => {
                let id = user.raw.split(':').next().unwrap_or_default();
                let numeric = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
                if !numeric && !names_one(id, &arguments) {
                    let message =
                        "orchestrators can tell only of a number that it is not root's: give the user's number";
                    let fix = number(view, item, user, &made);
                    let unknown = fix.is_none();
                    *found.say(item, user.span, message) = fix;
                    if unknown {
                        found.unfixed(format!("the number of {id} is not known"));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether a text has one of these variables in it; as for hadolint, one whose name only begins so counts too.
fn names_one(text: &str, variables: &HashSet<&str>) -> bool {
    text.match_indices('$').any(|(at, _)| {
        let rest = &text[at + 1..];
        match rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}').is_some_and(|(name, _)| variables.contains(name)),
            None => rest
                .char_indices()
                .any(|(last, c)| variables.contains(&rest[..last + c.len_utf8()])),
        }
    })
}

/// The user's number, where root is meant, the stage makes the user with a number, or the base image is known.
fn number(view: &View<'_>, item: &Item<'_>, user: &Word, made: &HashMap<&str, &str>) -> Option<Fix> {
    let written = view
        .file
        .source
        .get(user.span.range())
        .filter(|text| *text == user.raw)?;
    let text = written.trim_matches('"');
    let (name, group) = text
        .split_once(':')
        .map_or((text, ""), |(name, _)| (name, &text[name.len()..]));
    let to = |number: &str| vec![Edit::replace(user.span, format!("{number}{group}"))];
    if name == "root" {
        return Some(Fix::safe("use root's number", to("0")));
    }
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Fix::safe("leave the quotes out", to(name)));
    }
    let known = || place::base(view, item)?.users.get(name).map(u32::to_string);
    // The same on Debian, Alpine and Fedora.
    let nobody = || (name == "nobody").then(|| "65534".to_owned());
    let made = made.get(name).map(|number| (*number).to_owned());
    let number = made.or_else(known).or_else(nobody)?;
    Some(Fix::careful("use the user's number", to(&number)))
}

/// The name and the number of the user that `useradd` or `adduser` makes, where it says both.
fn user_made(command: &Command) -> Option<(&str, &str)> {
    let (_, place) = command.flags().find(|(flag, _)| matches!(flag.as_str(), "u" | "uid"))?;
    let inline = command.args[place].text.split_once('=').map(|(_, value)| value);
    let number = inline.or_else(|| Some(command.args.get(place + 1)?.text.as_str()))?;
    // adduser of Debian and busybox takes a group behind the name, useradd nothing.
    let values = &[
        "u", "uid", "g", "gid", "G", "groups", "s", "shell", "h", "home", "d", "c", "gecos", "k", "b",
    ];
    let name = *command.plain_without(values).first()?;
    number.parse::<u32>().is_ok().then_some((name.text.as_str(), number))
}

/// The users of base images, by the images' names.
const USERS: &[(&[&str], &[&str])] = &[
    (&["scratch"], &[]),
    (
        &["busybox"],
        &[
            "root", "daemon", "bin", "sys", "sync", "mail", "www-data", "operator", "nobody",
        ],
    ),
    (
        &["alpine"],
        &[
            "root",
            "bin",
            "daemon",
            "adm",
            "lp",
            "sync",
            "shutdown",
            "halt",
            "mail",
            "news",
            "uucp",
            "operator",
            "man",
            "postmaster",
            "cron",
            "ftp",
            "sshd",
            "at",
            "squid",
            "xfs",
            "games",
            "cyrus",
            "vpopmail",
            "ntp",
            "smmsp",
            "guest",
            "nobody",
            "toor",
            "postgres",
            "nut",
            "svn",
            "utmp",
        ],
    ),
    (
        &["debian", "ubuntu"],
        &[
            "root",
            "daemon",
            "bin",
            "sys",
            "sync",
            "games",
            "man",
            "lp",
            "mail",
            "news",
            "uucp",
            "proxy",
            "www-data",
            "backup",
            "list",
            "irc",
            "gnats",
            "nobody",
            "_apt",
            "ubuntu",
            "libuuid",
            "syslog",
            "messagebus",
        ],
    ),
];

/// Commands that make no users, and start nothing that may.
const HARMLESS: &[&str] = &[
    ":", "[", "cat", "cd", "chgrp", "chmod", "chown", "cp", "cut", "date", "echo", "env", "export", "false", "grep",
    "head", "id", "ln", "ls", "mkdir", "mv", "printf", "pwd", "rm", "rmdir", "set", "sleep", "sort", "tail", "test",
    "touch", "tr", "true", "uname", "wc",
];

/// Who is known where a stage begins; `None` where it may be anybody.
fn known_users(image: &str) -> Option<&'static [&'static str]> {
    let name = image.split([':', '@']).next().unwrap_or_default();
    USERS
        .iter()
        .find(|(names, _)| names.contains(&name))
        .map(|(_, users)| *users)
}

/// USER by a name that no file has, as far as that can be told: of few base images, and of stages that do little.
pub(super) fn unknown(view: &View<'_>, found: &mut Found<'_>) {
    let mut ends: Vec<Option<&[&str]>> = Vec::new();
    for stage in &view.file.stages {
        let mut known = match view.parents[stage.index] {
            Some(parent) => ends[parent],
            None => known_users(&stage.from.image.raw),
        };
        for item in view.stage(stage.index).filter(|item| !item.onbuild) {
            let Some(users) = known else { break };
            match item.kind {
                Kind::Add(_) => known = None,
                Kind::Copy(copy) if brings_users(copy, users.is_empty()) => known = None,
                // Without a shell of its own the stage starts what was copied.
                Kind::Run(_) if users.is_empty() || !item.script.as_ref().is_some_and(is_harmless) => known = None,
                Kind::User(user) => {
                    let name = user.raw.split(':').next().unwrap_or_default();
                    if name.starts_with(|first: char| first.is_ascii_alphabetic()) && !users.contains(&name) {
                        let message =
                            format!("`{name}` is in no /etc/passwd here: give the number, or make the user before");
                        found.say(item, user.span, message);
                    }
                }
                _ => {}
            }
        }
        ends.push(known);
    }
}

fn brings_users(copy: &Copy, from_nothing: bool) -> bool {
    let whole = |path: &str| path.contains("passwd") || ["etc", "", ".", "rootfs"].contains(&last_part(path));
    let to = copy.transfer.destination.raw.as_str();
    paths(copy).any(|path| path.contains("passwd") || from_nothing && whole(path))
        || to.contains("/etc")
        || to.contains('$')
        || !from_nothing && matches!(to, "/" | "." | "./" | "/.")
}

fn is_harmless(run: &RunScript) -> bool {
    let harmless = |command: &Command| HARMLESS.contains(&command.name.as_str());
    run.script.valid
        && run.text().is_some_and(|text| !text.contains("/etc"))
        && run.script.commands.iter().all(harmless)
}
