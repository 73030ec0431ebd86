//! Credential helpers: programs `docker-credential-NAME` that read from standard input and write to
//! standard output (docker-credential-helpers, "Development").

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::{Credential, Error};

/// The user name that stands for an identity token.
const TOKEN_USER: &str = "<token>";
/// No helper says more.
const LIMIT: u64 = 1 << 20;

/// One helper program.
#[derive(Debug, Clone)]
pub(crate) struct Helper {
    name: String,
    directory: Option<PathBuf>,
}

/// What helpers read and write.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(default, rename = "ServerURL")]
    server_url: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl Helper {
    /// The helper called `name`; looked for in `directory` if there is one, else where programs are.
    pub(crate) fn new(name: &str, directory: Option<PathBuf>) -> Self {
        Self {
            name: format!("docker-credential-{name}"),
            directory,
        }
    }

    /// How messages name the helper.
    pub(crate) fn program(&self) -> &str {
        &self.name
    }

    /// The credential that the helper keeps for `server`.
    pub(crate) fn get(&self, server: &str) -> Result<Option<Credential>, Error> {
        let (good, output) = self.run("get", server, server.as_bytes())?;
        if !good {
            // The protocol has no code for this, only these words.
            if output.contains("credentials not found") {
                return Ok(None);
            }
            return Err(self.error("get", server, failed(&output)));
        }
        let message: Message = serde_json::from_str(&output)
            .map_err(|e| self.error("get", server, format!("its output is not what the protocol says: {e}")))?;
        Ok(match message.username.as_str() {
            _ if message.secret.is_empty() => None,
            TOKEN_USER => Some(Credential::IdentityToken(message.secret)),
            _ => Some(Credential::Basic {
                username: message.username,
                password: message.secret,
            }),
        })
    }

    /// Gives the helper `credential` to keep for `server`.
    pub(crate) fn store(&self, server: &str, credential: &Credential) -> Result<(), Error> {
        let (username, secret) = match credential {
            Credential::Basic { username, password } => (username.clone(), password.clone()),
            Credential::IdentityToken(token) => (TOKEN_USER.to_owned(), token.clone()),
        };
        let message = Message {
            server_url: server.to_owned(),
            username,
            secret,
        };
        let input = serde_json::to_vec(&message).map_err(|e| self.error("store", server, e.to_string()))?;
        let (good, output) = self.run("store", server, &input)?;
        if good {
            Ok(())
        } else {
            Err(self.error("store", server, failed(&output)))
        }
    }

    /// Makes the helper forget what it keeps for `server`.
    pub(crate) fn erase(&self, server: &str) -> Result<(), Error> {
        let (good, output) = self.run("erase", server, server.as_bytes())?;
        if good || output.contains("credentials not found") {
            Ok(())
        } else {
            Err(self.error("erase", server, failed(&output)))
        }
    }

    /// Runs the helper: whether it succeeded, and what it wrote.
    fn run(&self, action: &'static str, server: &str, input: &[u8]) -> Result<(bool, String), Error> {
        let error = |reason: String| self.error(action, server, reason);
        if self.name.contains(['/', '\0']) {
            return Err(error("a helper's name must not contain `/`".to_owned()));
        }
        let program = match &self.directory {
            Some(directory) => directory.join(&self.name),
            None => PathBuf::from(&self.name),
        };
        let mut child = Command::new(program)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| {
                error(format!(
                    "cannot be started: {e}; install it, or take it out of the configuration"
                ))
            })?;
        let io = |e: std::io::Error| error(format!("cannot be talked to: {e}"));
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input) {
                // A helper that does not read is judged by what it says.
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => return Err(io(e)),
                _ => {}
            }
        }
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LIMIT).read_to_end(&mut output).map_err(io)?;
        }
        let status = child.wait().map_err(io)?;
        Ok((status.success(), String::from_utf8_lossy(&output).into_owned()))
    }

    fn error(&self, action: &'static str, server: &str, reason: String) -> Error {
        Error::Helper {
            helper: self.name.clone(),
            action,
            registry: server.to_owned(),
            reason,
        }
    }
}

fn failed(output: &str) -> String {
    match output.trim() {
        "" => "it failed and said nothing".to_owned(),
        said => format!("it failed: {}", crate::http::clean(said)),
    }
}
