//! USER and what else says who runs.

use kiln_dockerfile::ast::{Kind, Word};

use super::{Found, place};
use crate::finding::{Edit, Fix};
use crate::view::{Item, View};

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
    let name = place::other_than_root(view, item)?;
    let last = view.stage(item.stage?).next_back()?;
    let edit = place::below(view, last, &format!("USER {name}"));
    Some(Fix::careful(format!("end the stage as {name}"), vec![edit]))
}

pub(super) fn by_name(view: &View<'_>, found: &mut Found<'_>) {
    let mut arguments: Vec<&str> = Vec::new();
    for item in view.items.iter().filter(|item| !item.onbuild) {
        match item.kind {
            Kind::From(_) => arguments.clear(),
            Kind::Arg(declared) => arguments.extend(declared.iter().map(|each| each.name.raw.as_str())),
            Kind::User(user) => {
                let id = user.raw.split(':').next().unwrap_or_default();
                let numeric = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
                let argument = arguments
                    .iter()
                    .any(|name| id.contains(&format!("${name}")) || id.contains(&format!("${{{name}}}")));
                if !numeric && !argument {
                    let message =
                        "orchestrators can tell only of a number that it is not root's: give the user's number";
                    let fix = number(view, item, user);
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

/// The user's number, where root is meant, the stage makes the user with a number, or the base image is known.
fn number(view: &View<'_>, item: &Item<'_>, user: &Word) -> Option<Fix> {
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
    let number = made(view, item, name).or_else(known).or_else(nobody)?;
    Some(Fix::careful("use the user's number", to(&number)))
}

/// The number that `useradd` or `adduser` gave a user in this stage.
fn made(view: &View<'_>, item: &Item<'_>, name: &str) -> Option<String> {
    let runs = view.runs().filter(|(other, ..)| {
        other.stage == item.stage && !other.onbuild && other.instruction.span.start < item.instruction.span.start
    });
    let scripts = runs.flat_map(|(_, _, run)| run.script.named(&["useradd", "adduser"]));
    let numbers = scripts
        .filter(|command| command.has_arg(&[name]))
        .filter_map(|command| {
            let (_, place) = command.flags().find(|(flag, _)| matches!(flag.as_str(), "u" | "uid"))?;
            let inline = command.args[place].text.split_once('=').map(|(_, value)| value);
            let number = inline.or_else(|| Some(command.args.get(place + 1)?.text.as_str()))?;
            number.parse::<u32>().is_ok().then(|| number.to_owned())
        });
    numbers.last()
}
