//! Git repositories as sources, by the `git` of this machine.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_image::Digest;
use kiln_layer::{CopyOptions, Filter};
use kiln_plan::Source;
use kiln_store::{LayerDir, LayerId, LayerInfo};
use rustix::fd::AsFd;
use rustix::fs::{FileType, Mode, OFlags};

use super::sources::Tree;
use super::{Done, Ran, Solver};
use crate::error::{StepError, StepResult};
use crate::event::{Event, TaskId, TaskOutcome};

/// How often it is looked whether git is done or the build cancelled.
const PAUSE: Duration = Duration::from_millis(20);

/// What a repository is asked for.
struct Wanted<'a> {
    reference: &'a str,
    subdirectory: &'a str,
    keep_git_dir: bool,
    checksum: Option<&'a str>,
}

/// Git in a directory of its own.
struct Git<'a> {
    solver: &'a Solver<'a>,
    task: TaskId,
    url: &'a str,
    directory: PathBuf,
}

impl Solver<'_> {
    /// The files of a commit. Its layer is named by what it is made of, so that it is fetched once.
    pub(super) fn git(&self, task: TaskId, source: &Source, no_cache: bool) -> StepResult<Ran> {
        let Source::Git {
            url,
            reference,
            subdirectory,
            keep_git_dir,
            checksum,
        } = source
        else {
            return Err(StepError::Invalid("a source that is no repository".to_owned()));
        };
        let wanted = Wanted {
            reference,
            subdirectory,
            keep_git_dir: *keep_git_dir,
            checksum: checksum.as_deref(),
        };
        let scratch = self.session.store.new_layer()?;
        let git = Git {
            solver: self,
            task,
            url,
            directory: scratch.fs(),
        };
        let commit = git.commit(&wanted)?;
        let name = format!("git\n{url}\n{commit}\n{subdirectory}\n{keep_git_dir}");
        let layer = LayerId::from_digest(&Digest::of(name));
        let done = Done::Tree([layer.clone()].into());
        if !no_cache && self.session.store.layer(&layer)?.is_some() {
            return Ok(Ran {
                done,
                outcome: TaskOutcome::Cached,
            });
        }
        let directory = git.check_out(&wanted, &commit)?;
        let size = kiln_layer::disk_usage(&directory.fs())?;
        let info = LayerInfo { size, diff_id: None };
        self.session.store.commit_layer(&directory, &layer, &info)?;
        Ok(Ran {
            done,
            outcome: TaskOutcome::Done {
                bytes_added: size,
                peak_memory: None,
            },
        })
    }
}

impl Git<'_> {
    /// The commit that a branch, a tag or `HEAD` is now.
    fn commit(&self, wanted: &Wanted<'_>) -> StepResult<String> {
        let commit = if is_commit(wanted.reference) {
            wanted.reference.to_owned()
        } else {
            self.ask_for(wanted.reference)?
        };
        match wanted.checksum {
            Some(checksum) if !commit.starts_with(&checksum.to_ascii_lowercase()) => Err(StepError::Invalid(format!(
                "{}: `{}` is commit {commit}, but --checksum says {checksum}",
                self.url,
                shown(wanted.reference)
            ))),
            _ => Ok(commit),
        }
    }

    fn ask_for(&self, reference: &str) -> StepResult<String> {
        let listed = self.output(&["ls-remote", "--", self.url])?;
        let refs: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once('\t')).collect();
        // As with `git checkout`: tags, which may point to an object that points to the commit, before branches.
        let names = if reference.is_empty() {
            vec!["HEAD".to_owned()]
        } else {
            [
                "refs/tags/NAME^{}",
                "refs/tags/NAME",
                "refs/heads/NAME",
                "NAME^{}",
                "NAME",
            ]
            .map(|form| form.replace("NAME", reference))
            .to_vec()
        };
        let find = |name: &String| refs.iter().find(|(_, found)| found == name);
        let found = names.iter().find_map(find);
        found.map(|(commit, _)| (*commit).to_owned()).ok_or_else(|| {
            let branches = refs.iter().filter_map(|(_, name)| name.strip_prefix("refs/heads/"));
            let nearest = kiln_dockerfile::suggest::closest(reference, branches);
            let hint = nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            StepError::Invalid(format!(
                "{} has no branch or tag `{}`{hint}",
                self.url,
                shown(reference)
            ))
        })
    }

    /// Fetches a commit and writes its files into a layer.
    fn check_out(&self, wanted: &Wanted<'_>, commit: &str) -> StepResult<LayerDir> {
        self.run(&["init", "--quiet", "."])?;
        self.run(&["remote", "add", "origin", self.url])?;
        // Not every server gives a commit by its number; all give branches and tags.
        let shallow = ["fetch", "--quiet", "--no-tags", "--depth=1", "origin"];
        if self.run(&[&shallow[..], &[commit]].concat()).is_err() {
            self.run(&[
                "fetch",
                "--quiet",
                "--tags",
                "origin",
                "+refs/heads/*:refs/remotes/origin/*",
            ])?;
        }
        self.run(&["checkout", "--quiet", "--force", "--detach", commit])?;
        if self.directory.join(".gitmodules").is_file() {
            self.run(&["submodule", "update", "--quiet", "--init", "--recursive", "--depth=1"])?;
        }
        let layer = self.solver.session.store.new_layer()?;
        self.copy(wanted, &layer.fs())?;
        Ok(layer)
    }

    /// Copies the wanted directory; the repository's own only if it is to be kept.
    fn copy(&self, wanted: &Wanted<'_>, target: &Path) -> StepResult<()> {
        let filter = |path: &Path, _| {
            if !wanted.keep_git_dir && path.file_name().is_some_and(|name| name == ".git") {
                Filter::Exclude
            } else {
                Filter::Include
            }
        };
        let options = CopyOptions {
            owner: Some((0, 0)),
            filter: Some(&filter),
            ..CopyOptions::default()
        };
        let (files, target) = (open(&self.directory)?, open(target)?);
        let tree = Tree {
            root: files.as_fd(),
            context: None,
            place: self.url.to_owned(),
            cancel: self.solver.cancel,
        };
        for source in tree.find(wanted.subdirectory)? {
            if source.kind != FileType::Directory {
                let message = format!("`{}` of {} is no directory", wanted.subdirectory, self.url);
                return Err(StepError::Invalid(message));
            }
            let path = Path::new(&source.path);
            kiln_layer::copy_tree(files.as_fd(), path, target.as_fd(), Path::new("/"), &options)?;
        }
        Ok(())
    }

    fn run(&self, args: &[&str]) -> StepResult<()> {
        self.output(args).map(drop)
    }

    /// Runs git to its end and gives what it says; its complaints go to the step's output.
    fn output(&self, args: &[&str]) -> StepResult<String> {
        let mut child = self.command(args).spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                StepError::Unsupported("git sources need the program `git`, which is not installed".to_owned())
            }
            _ => StepError::io("start", "git")(error),
        })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            let said = scope.spawn(|| {
                let mut text = String::new();
                let read = stdout.map(|mut pipe| pipe.read_to_string(&mut text));
                read.transpose().map(|_| text)
            });
            let complaints = scope.spawn(|| self.forward(stderr));
            let status = self.wait(&mut child)?;
            let complaint = complaints.join().unwrap_or_default();
            if !status.success() {
                let command = args.first().copied().unwrap_or_default();
                return Err(StepError::Invalid(format!(
                    "git {command} of {} failed: {complaint}",
                    self.url
                )));
            }
            let said = said.join().unwrap_or_else(|_| Ok(String::new()));
            said.map_err(StepError::io("read", "git's output"))
        })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(&self.directory)
            // Neither this machine's settings nor the repository's hooks have a say, and nobody is asked anything.
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "protocol.file.allow=never",
                "-c",
                "safe.directory=*",
            ])
            .args(args)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match self.solver.session.request.agents.get("default") {
            Some(agent) => command.env("SSH_AUTH_SOCK", agent),
            None => command.env_remove("SSH_AUTH_SOCK"),
        };
        if let Some(bundle) = &self.solver.session.request.ca_bundle {
            command.env("GIT_SSL_CAINFO", bundle);
        }
        if let Some((scope, header)) = self.authorization() {
            // Not as an argument, which others could read.
            command
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", format!("http.{scope}.extraheader"))
                .env("GIT_CONFIG_VALUE_0", format!("Authorization: {header}"));
        }
        command
    }

    /// Credentials among the build's secrets, under BuildKit's names, for the server of the URL.
    fn authorization(&self) -> Option<(String, String)> {
        let (scheme, rest) = self.url.split_once("://")?;
        let host = rest.split(['/', '?', '#']).next()?;
        let host = host.rsplit('@').next()?;
        let scope = format!("{scheme}://{host}/");
        let secret = |name: &str| {
            let text = self.solver.secret(name, false).ok()??;
            Some(String::from_utf8(text).ok()?.trim().to_owned())
        };
        let header = secret(&format!("GIT_AUTH_HEADER.{host}")).or_else(|| secret("GIT_AUTH_HEADER"));
        let token = || secret(&format!("GIT_AUTH_TOKEN.{host}")).or_else(|| secret("GIT_AUTH_TOKEN"));
        let header = header.or_else(|| {
            Some(format!(
                "basic {}",
                STANDARD.encode(format!("x-access-token:{}", token()?))
            ))
        })?;
        Some((scope, header))
    }

    /// Passes git's complaints on and gives their last line.
    fn forward(&self, stderr: Option<std::process::ChildStderr>) -> String {
        let mut last = String::new();
        for line in stderr.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
            let Ok(line) = line else { break };
            self.solver.sink.event(Event::Log {
                id: self.task,
                stderr: true,
                data: format!("{line}\n").into_bytes().into(),
            });
            if !line.trim().is_empty() {
                last = line;
            }
        }
        last
    }

    fn wait(&self, child: &mut Child) -> StepResult<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait().map_err(StepError::io("wait for", "git"))? {
                return Ok(status);
            }
            if self.solver.cancel.wait(PAUSE)? {
                let _ended_already = child.kill();
                let _reaped = child.wait();
                return Err(StepError::Canceled);
            }
        }
    }
}

fn open(path: &Path) -> StepResult<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(StepError::errno("open", path))
}

fn shown(reference: &str) -> &str {
    if reference.is_empty() { "HEAD" } else { reference }
}

/// A whole commit number; shortened ones are not understood by servers.
fn is_commit(reference: &str) -> bool {
    matches!(reference.len(), 40 | 64) && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}
