//! Git repositories, by the `git` of this machine.

mod process;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use kiln_image::Digest;
use kiln_layer::{CopyOptions, Filter, Times};
use kiln_plan::{GitSource, is_whole_commit, without_password};
use kiln_store::{LayerDir, LayerId};
use rustix::fd::AsFd;
use rustix::fs::{FileType, Mode, OFlags};

use super::{Fetched, Fetcher};
use crate::error::{StepError, StepResult};
use crate::event::TaskId;
use crate::solve::Tree;

/// The commit that a server gives who asks for none.
const HEAD: &str = "HEAD";

/// Git in a directory of its own.
struct Git<'a> {
    fetcher: &'a Fetcher<'a>,
    task: TaskId,
    wanted: &'a GitSource,
    directory: PathBuf,
}

/// What a source means now.
struct Found {
    commit: String,
    /// The commit, or the tag that points to it.
    object: Option<String>,
    /// The full name of the branch or tag, where it is known.
    name: Option<String>,
}

impl Fetcher<'_> {
    /// The files of a repository.
    pub(crate) fn git(&self, task: TaskId, wanted: &GitSource, no_cache: bool) -> StepResult<Fetched> {
        let commit = self.commit(task, wanted, no_cache)?;
        self.with_times(commit, wanted, no_cache)
    }

    /// The files of a commit, with its time. Its layer is named by what it is made of, so that it is fetched once.
    pub(super) fn commit(&self, task: TaskId, wanted: &GitSource, no_cache: bool) -> StepResult<Fetched> {
        let scratch = self.store.new_layer()?;
        let git = Git {
            fetcher: self,
            task,
            wanted,
            directory: scratch.fs(),
        };
        let found = git.find()?;
        let layer = LayerId::from_digest(&Digest::of(git.identity(&found)));
        if !no_cache && self.store.layer(&layer)?.is_some() {
            return Ok(Fetched::known(layer));
        }
        let directory = git.check_out(&found)?;
        self.keep(&directory, layer)
    }

    /// The files of a commit with the times that are wanted: the commit's own, or those of a copy made now. Like the
    /// commit's files that is a layer of the store, so that the times stay as long as it does.
    pub(super) fn with_times(&self, commit: Fetched, wanted: &GitSource, no_cache: bool) -> StepResult<Fetched> {
        if !wanted.checkout_times {
            return Ok(commit);
        }
        let layer = LayerId::from_digest(&Digest::of(format!("checkout\n{}", commit.layer)));
        if !no_cache && self.store.layer(&layer)?.is_some() {
            return Ok(Fetched::known(layer));
        }
        let directory = self.store.new_layer()?;
        let options = CopyOptions {
            times: Times::Set(jiff::Timestamp::now().as_second()),
            ..CopyOptions::default()
        };
        let (files, target) = (open(&self.store.layer_path(&commit.layer))?, open(&directory.fs())?);
        let everything = Path::new("/");
        kiln_layer::copy_tree(files.as_fd(), everything, target.as_fd(), everything, &options)?;
        self.keep(&directory, layer)
    }
}

impl Git<'_> {
    /// Everything that decides what the files are. A kept repository also knows the name of what was checked out.
    fn identity(&self, found: &Found) -> String {
        let GitSource {
            url,
            reference: _,
            subdirectory,
            checksum: _,
            keep_git_dir: _,
            submodules,
            fetch_by_commit: _,
            checkout_times: _,
        } = self.wanted;
        let keeps = self.keeps_git_dir();
        let name = found.name.as_deref().filter(|_| keeps).unwrap_or_default();
        let commit = &found.commit;
        format!("git\n{url}\n{commit}\n{subdirectory}\n{keeps}\n{name}\n{submodules}")
    }

    fn keeps_git_dir(&self) -> bool {
        self.wanted.keep_git_dir == Some(true)
    }

    /// The URL, for messages.
    fn shown(&self) -> String {
        without_password(&self.wanted.url)
    }

    /// The commit that a branch, a tag or `HEAD` is now.
    fn find(&self) -> StepResult<Found> {
        let number = |commit: &str| Found {
            commit: commit.to_ascii_lowercase(),
            object: None,
            name: None,
        };
        let GitSource {
            reference, checksum, ..
        } = self.wanted;
        let found = match checksum {
            _ if is_whole_commit(reference) => number(reference),
            Some(commit) if self.wanted.fetch_by_commit => number(commit),
            _ => self.ask()?,
        };
        self.verify(&found)?;
        Ok(found)
    }

    /// Whether it is what `--checksum` or `checksum=` says.
    fn verify(&self, found: &Found) -> StepResult<()> {
        let Some(checksum) = &self.wanted.checksum else {
            return Ok(());
        };
        let wanted = checksum.to_ascii_lowercase();
        let mut objects = [Some(&found.commit), found.object.as_ref()].into_iter().flatten();
        if objects.any(|object| object.starts_with(&wanted)) {
            return Ok(());
        }
        Err(StepError::Invalid(format!(
            "{}: `{}` is commit {}, but the checksum says {checksum}",
            self.shown(),
            self.reference(),
            found.commit
        )))
    }

    fn reference(&self) -> &str {
        match self.wanted.reference.as_str() {
            "" => HEAD,
            reference => reference,
        }
    }

    /// Asks the server what it has under the name.
    fn ask(&self) -> StepResult<Found> {
        let listed = self.output(&["ls-remote", "--symref", "--", &self.wanted.url])?;
        let lines = listed.lines().filter_map(|line| line.split_once('\t'));
        let (symbolic, refs): (Vec<_>, Vec<_>) = lines.partition(|(target, _)| target.starts_with("ref: "));
        let target_of = |refs: &[(&str, &str)], wanted: &str| {
            let found = refs.iter().find(|(_, name)| *name == wanted);
            found.map(|(target, _)| target.trim_start_matches("ref: ").to_owned())
        };
        let reference = self.reference();
        for name in full_names(reference) {
            let Some(object) = target_of(&refs, &name) else {
                continue;
            };
            // A tag may be an object of its own, which points to the commit.
            let peeled = target_of(&refs, &format!("{name}^{{}}"));
            let branch = target_of(&symbolic, &name);
            let commit = peeled.unwrap_or_else(|| object.clone());
            // What servers say becomes arguments of git.
            if !is_whole_commit(&commit) {
                let message = format!("{} says that `{name}` is {commit:?}, which is no commit", self.shown());
                return Err(StepError::Invalid(message));
            }
            return Ok(Found {
                commit,
                object: Some(object),
                name: branch.or(Some(name)).filter(|name| name.starts_with("refs/")),
            });
        }
        Err(StepError::Invalid(self.unknown(reference, &refs)))
    }

    fn unknown(&self, reference: &str, refs: &[(&str, &str)]) -> String {
        let url = self.shown();
        if refs.is_empty() {
            return format!("{url} is an empty repository: it has no commit");
        }
        let names = refs.iter().map(|(_, name)| {
            let tag = name.strip_prefix("refs/tags/");
            name.strip_prefix("refs/heads/").or(tag).unwrap_or(name)
        });
        let hint = match kiln_dockerfile::suggest::closest(reference, names) {
            Some(name) => format!("; did you mean `{name}`?"),
            None if reference.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                "; if it is a commit, write its whole number".to_owned()
            }
            None => String::new(),
        };
        format!("{url} has no branch or tag `{reference}`{hint}")
    }

    /// Fetches a commit and writes its files into a layer.
    fn check_out(&self, found: &Found) -> StepResult<LayerDir> {
        let commit = found.commit.as_str();
        let format: &[&str] = if commit.len() == 64 {
            &["--object-format=sha256"]
        } else {
            &[]
        };
        self.run(&[&["init", "--quiet"], format].concat())?;
        self.run(&["remote", "add", "--", "origin", &self.wanted.url])?;
        self.fetch(found)?;
        self.run(&["checkout", "--quiet", "--force", "--detach", commit])?;
        if self.wanted.submodules && self.directory.join(".gitmodules").is_file() {
            self.run(&["submodule", "update", "--quiet", "--init", "--recursive", "--depth=1"])?;
        }
        if self.keeps_git_dir() && self.shown() != self.wanted.url {
            // Nobody who gets the image gets the password.
            self.run(&["remote", "set-url", "--", "origin", &self.shown()])?;
        }
        let layer = self.fetcher.store.new_layer()?;
        self.copy(&layer.fs(), self.time_of(commit)?)?;
        Ok(layer)
    }

    fn fetch(&self, found: &Found) -> StepResult<()> {
        const SHALLOW: [&str; 7] = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--depth=1",
            "--force",
            "--update-head-ok",
            "origin",
        ];
        let commit = found.commit.as_str();
        if let Some(name) = found.name.as_deref().filter(|_| self.keeps_git_dir()) {
            // A repository that is kept knows what was checked out, for `git describe`.
            self.run(&[&SHALLOW[..], &[format!("{name}:{name}").as_str()]].concat())?;
            if self.has(commit) {
                return Ok(());
            }
        }
        let by_number = self.run(&[&SHALLOW[..], &[commit]].concat());
        if by_number.is_ok() || self.wanted.fetch_by_commit || self.fetcher.cancel.is_canceled() {
            return by_number;
        }
        // Not every server gives a commit by its number; all give branches and tags.
        let branches = "+refs/heads/*:refs/remotes/origin/*";
        self.run(&["fetch", "--quiet", "--tags", "origin", branches])?;
        if !self.has(commit) {
            return Err(StepError::Invalid(format!("{} has no commit {commit}", self.shown())));
        }
        Ok(())
    }

    /// Whether the commit is here.
    fn has(&self, commit: &str) -> bool {
        self.run(&["rev-parse", "--quiet", "--verify", &format!("{commit}^{{commit}}")])
            .is_ok()
    }

    /// When it was committed, in seconds since 1970.
    fn time_of(&self, commit: &str) -> StepResult<i64> {
        let said = self.output(&["show", "--quiet", "--format=%ct", commit])?;
        said.trim()
            .parse()
            .map_err(|_| StepError::Invalid(format!("{}: commit {commit} has no time", self.shown())))
    }

    /// Copies the wanted directory; the repository's own only if it is to be kept. The time of
    /// files is that of their commit: when they were fetched should not change what is made of them.
    fn copy(&self, target: &Path, time: i64) -> StepResult<()> {
        let keeps = self.keeps_git_dir();
        let filter = |path: &Path, _| {
            if !keeps && path.file_name().is_some_and(|name| name == ".git") {
                Filter::Exclude
            } else {
                Filter::Include
            }
        };
        let options = CopyOptions {
            owner: Some((0, 0)),
            filter: Some(&filter),
            times: Times::Set(time),
            ..CopyOptions::default()
        };
        let (files, target) = (open(&self.directory)?, open(target)?);
        let tree = Tree {
            root: files.as_fd(),
            context: None,
            known: None,
            place: format!("`{}` of {}", self.reference(), self.shown()),
            cancel: self.fetcher.cancel,
        };
        let subdirectory = &self.wanted.subdirectory;
        for source in tree.find(subdirectory)? {
            if source.kind != FileType::Directory {
                let message = format!("`{subdirectory}` of {} is no directory", self.shown());
                return Err(StepError::Invalid(message));
            }
            let path = Path::new(&source.path);
            kiln_layer::copy_tree(files.as_fd(), path, target.as_fd(), Path::new("/"), &options)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> StepResult<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(StepError::errno("open", path))
}

/// What a name may stand for, in git's order of preference: branches before tags.
fn full_names(reference: &str) -> Vec<String> {
    if reference == HEAD {
        return vec![reference.to_owned()];
    }
    let within = |prefix: &str| format!("{prefix}{}", reference.strip_prefix(prefix).unwrap_or(reference));
    ["refs/", "refs/heads/", "refs/tags/"].map(within).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_references() {
        assert_eq!(full_names("HEAD"), ["HEAD"]);
        assert_eq!(full_names("v1"), ["refs/v1", "refs/heads/v1", "refs/tags/v1"]);
        assert_eq!(full_names("heads/v1")[0], "refs/heads/v1");
        assert_eq!(full_names("refs/tags/v1")[0], "refs/tags/v1");
    }
}
