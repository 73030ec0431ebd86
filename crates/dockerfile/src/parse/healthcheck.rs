//! `HEALTHCHECK`

use super::duration;
use super::flags::{Flags, Use};
use super::instruction::{Arguments, command};
use super::report::{Parsed, error};
use crate::ast::{Command, Healthcheck, Kind, Word};
use crate::code;

pub(super) const FLAGS: [(&str, Use); 5] = [
    ("interval", Use::Once),
    ("timeout", Use::Once),
    ("start-period", Use::Once),
    ("start-interval", Use::Once),
    ("retries", Use::Once),
];

/// One millisecond.
const MINIMUM: i64 = 1_000_000;

pub(super) fn parse(arguments: Arguments<'_>) -> Parsed<Kind> {
    let text = arguments.text();
    if text.is_empty() {
        return Err(arguments.at_least_one());
    }
    let length = text.find(char::is_whitespace).unwrap_or(text.len());
    let kind = text[..length].to_uppercase();
    let rest = arguments
        .logical
        .trimmed(arguments.rest.start + length..arguments.rest.end);
    // BuildKit looks at the flags only where there is a check.
    match kind.as_str() {
        "NONE" if rest.is_empty() => Ok(Kind::Healthcheck(Healthcheck::None)),
        "NONE" => Err(arguments.wrong("HEALTHCHECK NONE takes no arguments")),
        "CMD" => {
            let command = command(arguments.logical, rest)?;
            if is_empty(&command) {
                return Err(arguments.wrong("Missing command after HEALTHCHECK CMD"));
            }
            check(arguments, command)
        }
        _ => Err(arguments.wrong(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)"))),
    }
}

fn is_empty(command: &Command) -> bool {
    match command {
        Command::Shell(word) => word.raw.is_empty(),
        Command::Exec(words) => words.is_empty(),
    }
}

fn check(arguments: Arguments<'_>, command: Command) -> Parsed<Kind> {
    let flags = Flags::check(arguments.flags, &FLAGS)?;
    let time = |name| given(&flags, name).map(|word| interval(name, &word)).transpose();
    Ok(Kind::Healthcheck(Healthcheck::Check {
        command,
        interval: time("interval")?,
        timeout: time("timeout")?,
        start_period: time("start-period")?,
        start_interval: time("start-interval")?,
        retries: given(&flags, "retries").map(|word| retries(&word)).transpose()?,
    }))
}

fn given(flags: &Flags, name: &str) -> Option<Word> {
    flags.one(name).filter(|word| !word.raw.is_empty())
}

fn interval(name: &str, word: &Word) -> Parsed<u64> {
    let wrong = |message: String| error(code::BAD_FLAG, message, word.span);
    let nanoseconds = duration::parse(&word.raw).map_err(wrong)?;
    if nanoseconds != 0 && nanoseconds < MINIMUM {
        return Err(wrong(format!("Interval {name:?} cannot be less than 1ms")));
    }
    Ok(nanoseconds.unsigned_abs())
}

fn retries(word: &Word) -> Parsed<u64> {
    let wrong = |message: String| error(code::BAD_FLAG, message, word.span);
    let value: i32 = word
        .raw
        .parse()
        .map_err(|_| wrong(format!("invalid value for --retries: {:?} is no number", word.raw)))?;
    u64::try_from(value).map_err(|_| wrong(format!("--retries cannot be negative ({value})")))
}
