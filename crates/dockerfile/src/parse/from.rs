//! `FROM [--platform=P] IMAGE [AS NAME]`

use super::flags::{Flags, Use};
use super::instruction::Arguments;
use super::report::{Parsed, error, helped};
use crate::ast::{From, Kind, Word};
use crate::code;

pub(super) const FLAGS: [(&str, Use); 1] = [("platform", Use::Once)];

pub(super) fn parse(arguments: Arguments<'_>) -> Parsed<Kind> {
    let mut words = arguments.words().into_iter();
    let (image, as_keyword, name) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(image), None, None, None) => (image, None, None),
        (Some(image), Some(keyword), Some(name), None) if keyword.raw.eq_ignore_ascii_case("as") => {
            check_name(&name)?;
            (image, Some(keyword), Some(name))
        }
        _ => {
            let found = arguments.wrong("FROM requires either one or three arguments");
            return Err(helped(found, "write `FROM image` or `FROM image AS name`"));
        }
    };
    let flags = Flags::check(arguments.flags, &FLAGS)?;
    let platform = flags.one("platform").filter(|platform| !platform.raw.is_empty());
    Ok(Kind::From(From {
        platform,
        image,
        as_keyword,
        name,
    }))
}

fn check_name(name: &Word) -> Parsed<()> {
    let lower = name.raw.to_lowercase();
    let mut chars = lower.chars();
    let starts = chars.next().is_some_and(|c| c.is_ascii_lowercase());
    if starts && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.')) {
        return Ok(());
    }
    let message = format!(
        "invalid name for build stage: {:?}, name can't start with a number or contain symbols",
        name.raw
    );
    Err(error(code::BAD_STAGE_NAME, message, name.span))
}
