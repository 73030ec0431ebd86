//! Versions of packages that are installed.

use std::collections::HashSet;

use super::Found;
use crate::finding::{Edit, Fix};
use crate::known::Manager;
use crate::shell::{Command, Word};
use crate::view::{Item, RunScript, View};

/// A package of which any version is installed: in which command, and where it is named.
pub(super) type Loose<'s> = (&'s Command, &'s Word);

/// Says it of the first package of a RUN, and gives those a version of which one is known.
pub(super) fn say(
    view: &View<'_>,
    found: &mut Found<'_>,
    (item, run): (&Item<'_>, &RunScript),
    loose: &[Loose<'_>],
    manager: Manager,
    example: &str,
) {
    let Some((command, word)) = loose.first() else { return };
    let who = match manager {
        Manager::Pip | Manager::Npm | Manager::Gem | Manager::Go => manager.name().to_owned(),
        Manager::Apt | Manager::Apk | Manager::Dnf | Manager::Zypper => format!("`{}`", command.name),
    };
    let message = format!(
        "{who} gets any version of `{}`: the same Dockerfile gives other images later; name one {example}",
        word.text
    );
    let image = item.state.image;
    let version = |name: &str| view.config.known.version(image, manager, name);
    let mut edits = Vec::new();
    let mut unknown: Vec<&str> = Vec::new();
    let mut named: HashSet<&str> = HashSet::new();
    for (command, word) in loose {
        match pin(manager, word, run, command, version) {
            Some(edit) => edits.push(edit),
            None if named.insert(&word.text) => unknown.push(&word.text),
            None => {}
        }
    }
    edits.sort_by_key(|edit| edit.span.start);
    let fix = (!edits.is_empty()).then(|| Fix::careful("name the versions that are known", edits));
    *found.word((item, run), command, Some(word), message) = fix;
    if !unknown.is_empty() {
        found.unfixed(format!("no version is known of {}", unknown.join(", ")));
    }
}

/// The word with its version.
fn pin<'v>(
    manager: Manager,
    word: &Word,
    run: &RunScript,
    command: &Command,
    version: impl Fn(&str) -> Option<&'v str>,
) -> Option<Edit> {
    let span = run.span(command, &word.range)?;
    let text = word.text.as_str();
    if manager == Manager::Go {
        let path = text.strip_suffix("@latest").unwrap_or(text);
        // A module's version is that of all packages below it.
        let modules = std::iter::successors(Some(path), |path| Some(path.rsplit_once('/')?.0));
        let found = modules.filter(|module| is_name(module, "./_-~")).find_map(version)?;
        return Some(Edit::replace(span, format!("{path}@{found}")));
    }
    let (name, letters, tie) = match manager {
        Manager::Apt => (text.split(':').next()?, ".+-", "="),
        Manager::Apk | Manager::Zypper => (text, "._+-", "="),
        Manager::Dnf => (text, "._+-", "-"),
        Manager::Pip => (text.split('[').next()?, "._-", "=="),
        Manager::Npm => (text, "._-@/", "@"),
        Manager::Gem | Manager::Go => (text, "._-", ":"),
    };
    let version = is_name(name.strip_prefix('@').unwrap_or(name), letters)
        .then(|| version(name))
        .flatten()?;
    Some(Edit::insert(span.end, format!("{tie}{version}")))
}

/// Whether a text is a package's name: no variable, no pattern, no flag.
fn is_name(text: &str, others: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}
