//! `--ssh default|ID[=SOCKET]`.

use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use crate::settings::Environment;

/// The variable that names the agent of whoever is logged in.
const AGENT: &str = "SSH_AUTH_SOCK";

/// Whether there is an agent of whoever is logged in.
pub(crate) fn has_agent(environment: &Environment) -> bool {
    environment.raw(AGENT).is_some_and(|value| !value.is_empty())
}

/// An agent's id and its socket: the one that is given, else that of `$SSH_AUTH_SOCK`.
pub(crate) fn parse(text: &str, environment: &Environment) -> Result<(String, PathBuf), String> {
    let (id, path) = match text.split_once('=') {
        Some((id, path)) => (id, Some(path)),
        None => (text, None),
    };
    if id.is_empty() {
        return Err(format!("`{text}`: an id is needed, like `default`"));
    }
    let socket = match path.filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => environment
            .raw(AGENT)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
            .ok_or_else(|| {
                format!("`{text}`: no agent is running (${AGENT} is not set): start one with `eval $(ssh-agent)`")
            })?,
    };
    let found = std::fs::metadata(&socket).map_err(|error| format!("`{text}`: {}: {error}", socket.display()))?;
    if found.is_file() {
        return Err(format!(
            "`{text}`: {} is a key; Kiln forwards agents, not keys: give it to one with `ssh-add {0}` and say --ssh {id}",
            socket.display()
        ));
    }
    if !found.file_type().is_socket() {
        return Err(format!("`{text}`: {} is no socket", socket.display()));
    }
    let socket = std::path::absolute(&socket).map_err(|error| format!("`{text}`: {error}"))?;
    Ok((id.to_owned(), socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agents() {
        let directory = tempfile::tempdir().unwrap();
        let (socket, key) = (directory.path().join("socket"), directory.path().join("key"));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::fs::write(&key, "").unwrap();
        let environment = Environment::of(&[(AGENT, socket.to_str().unwrap())]);
        let named = format!("deploy={}", socket.display());
        assert_eq!(
            parse("default", &environment),
            Ok(("default".to_owned(), socket.clone()))
        );
        assert_eq!(parse(&named, &Environment::of(&[])), Ok(("deploy".to_owned(), socket)));
        assert!(
            parse("default", &Environment::of(&[]))
                .unwrap_err()
                .contains("ssh-agent")
        );
        assert!(
            parse(&format!("a={}", key.display()), &environment)
                .unwrap_err()
                .contains("ssh-add")
        );
        for text in ["", "=x", "a=/nothing/there"] {
            assert!(parse(text, &environment).is_err(), "{text}");
        }
    }
}
