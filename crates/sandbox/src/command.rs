//! The command of a step as `execve` wants it.

use crate::exec::{CStrings, Command};
use crate::{Error, Spec};
use std::ffi::CString;

/// Where commands are looked for when the environment has no `PATH` (Docker's default).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Command, arguments and environment of a step.
pub(crate) fn command(spec: &Spec<'_>) -> Result<Command, Error> {
    let Some(name) = spec.args.first().filter(|name| !name.is_empty()) else {
        return Err(Error::InvalidSpec("no command to run".to_owned()));
    };
    let path = spec
        .env
        .iter()
        .rev()
        .find(|(key, _)| key == "PATH")
        .map_or(DEFAULT_PATH, |(_, value)| value);
    let candidates = candidates(name, path)
        .iter()
        .map(|path| c_string(path))
        .collect::<Result<_, _>>()?;
    let args = spec.args.iter().map(|arg| c_string(arg)).collect::<Result<_, _>>()?;
    let env = spec
        .env
        .iter()
        .map(|(key, value)| c_string(&format!("{key}={value}")))
        .collect::<Result<_, _>>()?;
    Ok(Command {
        name: name.clone(),
        candidates,
        args: CStrings::new(args),
        env: CStrings::new(env),
    })
}

/// The paths that a command may have. Relative directories in `PATH` are passed over, as container runtimes do.
fn candidates(name: &str, path: &str) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    path.split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| format!("{directory}/{name}"))
        .collect()
}

/// A string without NUL bytes.
pub(crate) fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::InvalidSpec(format!("{text:?} contains a NUL byte")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_looked_up_in_path() {
        assert_eq!(candidates("sh", "/a:rel::/b/:."), ["/a/sh", "/b//sh"]);
        assert_eq!(candidates("./x", "/a"), ["./x"]);
        assert_eq!(candidates("/x", ""), ["/x"]);
        assert!(candidates("x", "").is_empty());
    }
}
