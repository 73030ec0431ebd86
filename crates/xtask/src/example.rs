//! An example: a directory of `examples/` with two Dockerfiles for the same program and a `demo.toml`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::kiln::Kiln;
use crate::{command, paths};

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// `demo.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The directory's name.
    #[serde(skip)]
    pub name: String,
    /// One line about it.
    pub about: String,
    /// Base images of both Dockerfiles.
    pub bases: Vec<String>,
    /// The change of "rebuild after one source edit".
    pub edit: Edit,
    /// How the final image shows that it works.
    pub check: Check,
}

/// Replaces text in a file of the context.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The file, from the example's directory.
    pub file: PathBuf,
    /// Must be in it.
    pub find: String,
    /// Comes instead.
    pub replace: String,
}

/// What to ask the running image, and what it must answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Check {
    /// It is a service that listens at 127.0.0.1:$PORT: its answer to GET must contain the text.
    Http {
        /// The path.
        path: String,
        /// What the body contains before the edit.
        answer: String,
        /// What the body contains after the edit.
        after_edit: String,
    },
    /// It is a program that prints: its output must contain the text.
    Output {
        /// What the output contains before the edit.
        answer: String,
        /// What the output contains after the edit.
        after_edit: String,
    },
}

/// All examples, by name.
pub fn all() -> Result<Vec<Example>> {
    let root = paths::workspace().join("examples");
    let mut examples = Vec::new();
    for entry in fs::read_dir(&root).with_context(|| format!("cannot read {}", root.display()))? {
        let directory = entry?.path();
        if directory.is_dir() {
            examples.push(read(&directory)?);
        }
    }
    examples.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(examples)
}

fn read(directory: &Path) -> Result<Example> {
    let path = directory.join("demo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut example: Example = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    example.name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(example)
}

impl Example {
    /// Copies its files to a directory of their own, to be edited there.
    pub fn copy_to(&self, to: &Path) -> Result<()> {
        let from = paths::workspace().join("examples").join(&self.name);
        command::quietly(
            Command::new("cp")
                .args(["-r", "--no-target-directory"])
                .arg(from)
                .arg(to),
        )
        .map(drop)
    }

    /// Makes the edit in a copy.
    pub fn apply_edit(&self, context: &Path) -> Result<()> {
        let path = context.join(&self.edit.file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if !text.contains(&self.edit.find) {
            bail!(
                "{} of example {} does not contain {:?}",
                self.edit.file.display(),
                self.name,
                self.edit.find
            );
        }
        fs::write(&path, text.replace(&self.edit.find, &self.edit.replace)).map_err(Into::into)
    }

    /// Starts the image and asks it.
    pub fn check(&self, kiln: &Kiln, image: &str, edited: bool) -> Result<String> {
        let (said, answer, after_edit) = match &self.check {
            Check::Http {
                path,
                answer,
                after_edit,
            } => (ask_service(kiln, image, path)?, answer, after_edit),
            Check::Output { answer, after_edit } => {
                let mut run = kiln.command();
                (command::quietly(run.args(["run", "--rm", image]))?, answer, after_edit)
            }
        };
        let wanted = if edited { after_edit } else { answer };
        if !said.contains(wanted) {
            bail!("{image} should have answered {wanted:?} and said {said:?}");
        }
        Ok(wanted.clone())
    }
}

fn ask_service(kiln: &Kiln, image: &str, path: &str) -> Result<String> {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let log = tempfile::NamedTempFile::new()?;
    let mut run = kiln.command();
    run.args(["run", "--rm", "-e", &format!("PORT={port}"), image]);
    run.stdin(Stdio::null()).stdout(log.reopen()?).stderr(log.reopen()?);
    let mut service = Service(run.spawn().context("cannot start kiln run")?);
    let deadline = Instant::now() + PATIENCE;
    let why = loop {
        let why = match get(port, path) {
            Ok(answer) => return service.end().map(|()| answer),
            Err(error) => error,
        };
        if service.0.try_wait()?.is_some() || Instant::now() > deadline {
            break why;
        }
        sleep(Duration::from_millis(20));
    };
    let said = fs::read_to_string(log.path()).unwrap_or_default();
    Err(why.context(format!("{image} does not answer; it said:\n{said}")))
}

/// A running service; ended as Ctrl-C would.
struct Service(Child);

impl Service {
    fn end(&mut self) -> Result<()> {
        if self.0.try_wait()?.is_some() {
            bail!("the service ended by itself");
        }
        command::quietly(Command::new("kill").args(["-INT", &self.0.id().to_string()]))?;
        let deadline = Instant::now() + PATIENCE;
        while self.0.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("kiln run does not end after an interrupt");
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The smallest HTTP client: one request, the whole answer.
fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("no HTTP answer: {answer:?}")
    };
    if !head.lines().next().unwrap_or_default().contains(" 200") {
        bail!("the service answers {head:?}");
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_whole() {
        let examples = all().unwrap();
        assert!(examples.len() >= 6);
        for example in examples {
            let directory = paths::workspace().join("examples").join(&example.name);
            for file in ["Dockerfile", "Dockerfile.single", "README.md"] {
                assert!(directory.join(file).is_file(), "{} has no {file}", example.name);
            }
            let work = tempfile::tempdir().unwrap();
            let copy = work.path().join("copy");
            example.copy_to(&copy).unwrap();
            example.apply_edit(&copy).unwrap();
            for base in &example.bases {
                assert!(
                    crate::bases::ALL.iter().any(|known| known.name == base),
                    "{}: {base}",
                    example.name
                );
            }
        }
    }
}
