//! `kiln login`

use std::io::{BufRead as _, Read as _, Write as _};

use kiln_registry::{Client, Credential, DockerConfig};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::failure::{Context as _, Failure, Outcome};
use crate::settings::Settings;
use crate::terminal;

/// Arguments of `kiln login`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The registry
    #[arg(default_value = "docker.io")]
    server: String,
    /// Who you are there
    #[arg(short, long)]
    username: Option<String>,
    /// Password or access token; visible to everybody on this machine, so better use --password-stdin
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password or access token from standard input
    #[arg(long)]
    password_stdin: bool,
}

/// Tries the credentials and keeps them if the registry takes them.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let server = server_name(&args.server);
    let (username, password) = credentials(args)?;
    if username.is_empty() || password.is_empty() {
        return Err(Failure::usage("a user name and a password are needed"));
    }
    let credential = Credential::Basic { username, password };
    let client = Client::new(settings.registry()?).map_err(Failure::failed)?;
    client.login(server, &credential).map_err(Failure::failed)?;
    let place = DockerConfig::new(settings.credential_files())
        .store(server, &credential)
        .or_failed(|| "cannot keep the credentials".to_owned())?;
    terminal::say(format!("login succeeded; the credentials are in {place}\n"));
    Ok(())
}

/// The registry's name without what people put around it.
pub(crate) fn server_name(text: &str) -> &str {
    let host = text.trim_start_matches("https://").trim_start_matches("http://");
    match host.split('/').next().unwrap_or(host) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

fn credentials(args: &Args) -> Result<(String, String), Failure> {
    if args.password_stdin {
        let username = args
            .username
            .clone()
            .ok_or_else(|| Failure::usage("--password-stdin needs --username"))?;
        let mut password = String::new();
        std::io::stdin()
            .take(1 << 20)
            .read_to_string(&mut password)
            .or_failed(|| "cannot read standard input".to_owned())?;
        return Ok((username, password.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if args.password.is_some() {
        terminal::warn("a password on the command line is visible to everybody on this machine; use --password-stdin");
    }
    let username = match &args.username {
        Some(username) => username.clone(),
        None => ask("Username: ", false)?,
    };
    let password = match &args.password {
        Some(password) => password.clone(),
        None => ask("Password: ", true)?,
    };
    Ok((username, password))
}

/// Asks on the terminal.
fn ask(question: &str, hidden: bool) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if !std::io::IsTerminal::is_terminal(&stdin) {
        return Err(
            Failure::usage("standard input is no terminal to ask on").hint("use --username and --password-stdin")
        );
    }
    let mut err = std::io::stderr();
    err.write_all(question.as_bytes())
        .and_then(|()| err.flush())
        .or_internal(|| "cannot ask".to_owned())?;
    let before = tcgetattr(&stdin).or_internal(|| "cannot ask".to_owned())?;
    if hidden {
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &silent).or_internal(|| "cannot hide the password".to_owned())?;
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if hidden {
        tcsetattr(&stdin, OptionalActions::Now, &before).or_internal(|| "cannot restore the terminal".to_owned())?;
        terminal::say("\n");
    }
    read.or_failed(|| "cannot read standard input".to_owned())?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_registries() {
        for (text, name) in [
            ("docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("https://example.com/", "example.com"),
        ] {
            assert_eq!(server_name(text), name);
        }
    }
}
