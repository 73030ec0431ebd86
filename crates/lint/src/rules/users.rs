//! USER and what else says who runs.

use kiln_dockerfile::ast::{Kind, Word};

use super::Found;
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
                found.say(
                    item,
                    user.span,
                    "the last USER is root: what runs in the image may do everything in it",
                );
            }
        }
    }
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
                    found.say(item, user.span, message);
                }
            }
            _ => {}
        }
    }
}
