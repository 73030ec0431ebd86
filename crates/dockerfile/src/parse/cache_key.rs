//! `key=` of a cache mount: which of the directories with its `id` a step gets. Without it, in a plain Dockerfile, there is
//! one.

use super::instruction::Arguments;
use super::report::{Parsed, error, helped, not_enabled};
use crate::ast::{Edit, Instruction, Kind, Word};
use crate::extensions::CACHE_KEY;
use crate::{code, mount};

/// What a plain Dockerfile has in the place of mounts with a `key=`.
pub(super) fn read(arguments: &Arguments<'_>, mounts: &[Word]) -> Parsed<Vec<Edit>> {
    let mut edits = Vec::new();
    for mount in mounts {
        // What cannot be read was found out before.
        let Ok(Some(plain)) = mount::without_keys(&mount.raw) else {
            continue;
        };
        if !arguments.extensions.cache_key {
            return Err(not_enabled(
                arguments.extensions,
                CACHE_KEY,
                "key= of a cache mount",
                mount.span,
            ));
        }
        edits.push(Edit {
            span: mount.span,
            text: written(mount, plain, arguments.escape),
        });
    }
    Ok(edits)
}

/// Triggers are kept in images, for any builder.
pub(super) fn not_in_trigger(instruction: &Instruction) -> Parsed<()> {
    let mount = match &instruction.kind {
        Kind::Run(run) => run.edits.first(),
        _ => None,
    };
    let Some(mount) = mount else { return Ok(()) };
    let message = "key= of a cache mount isn't allowed in an ONBUILD trigger";
    let help = "any builder may run a trigger: leave it out";
    Err(helped(error(code::BAD_FLAG, message, mount.span), help))
}

/// A flag's value as it has to be written. One that had quotes or escapes needs some again.
fn written(mount: &Word, plain: String, escape: char) -> String {
    if mount.span.end - mount.span.start == mount.raw.len() {
        return plain;
    }
    let mut text = String::with_capacity(plain.len());
    for c in plain.chars() {
        if c.is_whitespace() || c == escape || c == '"' || c == '\'' {
            text.push(escape);
        }
        text.push(c);
    }
    text
}
