//! `--ssh default|ID[=SOCKET|KEY[,KEY…]]`.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use kiln_build::request::Agent;

use crate::settings::Environment;

/// The variable that names the agent of whoever is logged in.
const AGENT: &str = "SSH_AUTH_SOCK";

/// Whether there is an agent of whoever is logged in.
pub(crate) fn has_agent(environment: &Environment) -> bool {
    environment.raw(AGENT).is_some_and(|value| !value.is_empty())
}

/// An agent's id and where it is: at the socket that is given, else that of `$SSH_AUTH_SOCK`; or one of the build's own
/// for the keys that are given.
pub(crate) fn parse(text: &str, environment: &Environment) -> Result<(String, Agent), String> {
    let (id, paths) = text.split_once('=').unwrap_or((text, ""));
    if id.is_empty() {
        return Err(format!("`{text}`: an id is needed, like `default`"));
    }
    let paths: Vec<&str> = paths.split(',').filter(|path| !path.is_empty()).collect();
    let agent = if paths.is_empty() {
        Agent::at(own(text, environment)?)
    } else {
        given(&paths).map_err(|message| format!("`{text}`: {message}"))?
    };
    Ok((id.to_owned(), agent))
}

/// The agent of whoever is logged in.
fn own(text: &str, environment: &Environment) -> Result<PathBuf, String> {
    let none = || format!("`{text}`: no agent is running (${AGENT} is not set): start one with `eval $(ssh-agent)`");
    let path = environment
        .raw(AGENT)
        .filter(|value| !value.is_empty())
        .ok_or_else(none)?;
    let path = PathBuf::from(path);
    match kind(&path).map_err(|message| format!("`{text}`: ${AGENT}: {message}"))? {
        Kind::Socket => Ok(path),
        Kind::File => Err(format!("`{text}`: ${AGENT}: {} is no socket", path.display())),
    }
}

/// A socket, or keys.
fn given(paths: &[&str]) -> Result<Agent, String> {
    let mut keys = Vec::new();
    for path in paths {
        let path = std::path::absolute(path).map_err(|error| format!("{path}: {error}"))?;
        match kind(&path)? {
            Kind::Socket if paths.len() == 1 => return Ok(Agent::at(path)),
            Kind::Socket => {
                let message = "is the socket of an agent, which cannot be mixed with others, nor with keys";
                return Err(format!("{} {message}", path.display()));
            }
            Kind::File => keys.push(path),
        }
    }
    Ok(Agent::of_keys(keys))
}

enum Kind {
    Socket,
    File,
}

fn kind(path: &Path) -> Result<Kind, String> {
    let found = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match found.file_type() {
        kind if kind.is_socket() => Ok(Kind::Socket),
        kind if kind.is_file() => Ok(Kind::File),
        _ => Err(format!("{} is neither a socket nor a key", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agents() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (socket, key, other) = (path("socket"), path("key"), path("other"));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::fs::write(&key, "").unwrap();
        std::fs::write(&other, "").unwrap();
        let shown = |text: &str, environment: &[(&str, &str)]| {
            parse(text, &Environment::of(environment)).map(|(id, agent)| (id, format!("{agent:?}")))
        };
        let at = |id: &str, agent: &Agent| Ok((id.to_owned(), format!("{agent:?}")));
        let own = Agent::at((&socket).into());
        assert_eq!(shown("default", &[(AGENT, &socket)]), at("default", &own));
        assert_eq!(shown(&format!("deploy={socket}"), &[]), at("deploy", &own));
        assert_eq!(
            shown(&format!("a={key},{other}"), &[]),
            at("a", &Agent::of_keys(vec![(&key).into(), (&other).into()]))
        );
        for (text, environment, part) in [
            ("default".to_owned(), &[][..], "ssh-agent"),
            ("default".to_owned(), &[(AGENT, key.as_str())], "is no socket"),
            (format!("a={key},{socket}"), &[], "cannot be mixed"),
            (
                format!("a={}", directory.path().display()),
                &[],
                "neither a socket nor a key",
            ),
            ("a=/nothing/there".to_owned(), &[], "No such file"),
            (String::new(), &[], "an id is needed"),
            (format!("={socket}"), &[], "an id is needed"),
        ] {
            let error = shown(&text, environment).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
