//! `RUN`

use super::cache_key;
use super::flags::{Flags, Use};
use super::instruction::{Arguments, command};
use super::report::{Parsed, error, helped};
use crate::ast::{Command, Kind, Run, Word};
use crate::device::Device;
use crate::mount::{self, MountError};
use crate::{code, suggest};

pub(super) const FLAGS: [(&str, Use); 4] = [
    ("mount", Use::Many),
    ("network", Use::Once),
    ("security", Use::Once),
    ("device", Use::Many),
];

pub(super) const NETWORKS: [&str; 3] = ["default", "none", "host"];
pub(super) const SECURITIES: [&str; 2] = ["sandbox", "insecure"];

pub(super) fn parse(arguments: Arguments<'_>) -> Parsed<Kind> {
    let command = command(arguments.logical, arguments.rest.clone())?;
    if command == Command::Exec(Vec::new()) {
        return Err(arguments.at_least_one());
    }
    let mut arguments = arguments;
    let flags = Flags::check(std::mem::take(&mut arguments.flags), &FLAGS)?;
    let mounts = flags.many("mount");
    let run = Run {
        edits: cache_key::read(&arguments, &mounts)?,
        mounts,
        network: flags.one("network"),
        security: flags.one("security"),
        devices: flags.many("device"),
        command,
        heredocs: arguments
            .documents
            .into_iter()
            .map(|document| document.heredoc)
            .collect(),
    };
    check(&run)?;
    Ok(Kind::Run(run))
}

fn check(run: &Run) -> Parsed<()> {
    for word in &run.mounts {
        if let Err(cause) = mount::from_of(&word.raw) {
            let code = if matches!(cause, MountError::FromVariable) {
                code::NO_EXPANSION
            } else {
                code::BAD_FLAG
            };
            return Err(error(code, cause.to_string(), word.span));
        }
    }
    if let Some(network) = &run.network {
        one_of(network, &NETWORKS, |value| format!("invalid network mode {value:?}"))?;
    }
    if let Some(security) = &run.security {
        one_of(security, &SECURITIES, |value| {
            format!("security {value:?} is not valid")
        })?;
    }
    for device in &run.devices {
        Device::parse(&device.raw).map_err(|cause| error(code::BAD_FLAG, cause, device.span))?;
    }
    Ok(())
}

fn one_of(word: &Word, known: &[&str], message: impl Fn(&str) -> String) -> Parsed<()> {
    let value = word.raw.as_str();
    if known.contains(&value) {
        return Ok(());
    }
    let hint = suggest::hint(value, known.iter().copied());
    let found = error(code::BAD_FLAG, format!("{}{hint}", message(value)), word.span);
    Err(helped(found, format!("use one of {}", known.join(", "))))
}
