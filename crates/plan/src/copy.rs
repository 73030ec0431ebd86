//! COPY, ADD and WORKDIR: steps that change files.

use std::collections::BTreeSet;

use kiln_dockerfile::ast::{Add, Copy, Heredoc, SourcePath, Transfer, Word};
use kiln_dockerfile::code;
use kiln_dockerfile::diagnostic::{Diagnostic, Severity};
use kiln_image::Digest;

use crate::dispatch::Dispatch;
use crate::graph::Unit;
use crate::origin::MAIN_CONTEXT;
use crate::path;
use crate::remote::{AddSource, GitSource, classify, is_commit, without_password};
use crate::report::error;
use crate::size;
use crate::step::{CopyAction, CopyFrom, FileAction, FileOp, MkdirAction, Op, Source, StepId};

/// The words of COPY or ADD, expanded.
struct Expanded {
    chown: Option<String>,
    chmod: Option<String>,
    destination: String,
    /// Paths and URLs, with where they stand.
    paths: Vec<(String, Word)>,
    /// Name and content of files given in place.
    files: Vec<(String, String)>,
}

/// Some sources of the same tree.
struct Group {
    from: CopyFrom,
    sources: Vec<String>,
    unpack: bool,
}

impl Dispatch<'_, '_> {
    pub(crate) fn copy(&mut self, unit: &Unit<'_>, copy: &Copy) -> Result<(), Diagnostic> {
        let expanded = self.transfer(unit, &copy.transfer, None)?.0;
        for (path, word) in &expanded.paths {
            let kind = match classify(path) {
                Ok(AddSource::Path) => continue,
                Ok(AddSource::Http { .. }) => "a URL",
                Ok(AddSource::Git(_)) | Err(_) => "a git ref",
            };
            return Err(Diagnostic {
                help: Some("ADD takes URLs and repositories".to_owned()),
                ..error("RemoteInCopy", word.span, format!("source can't be {kind} for COPY"))
            });
        }
        let from = match &copy.from {
            Some(from) => {
                let origin = self.planner.graph.resolve(&from.raw, self.index, unit.at(from.span))?;
                self.planner.tree(&origin)
            }
            None if expanded.paths.is_empty() => None,
            None => {
                let paths = expanded.paths.iter().map(|(path, _)| path.as_str());
                paths.for_each(|path| self.warn_ignored(unit, "Copy", path));
                self.planner.main_context()
            }
        };
        let sources: Vec<String> = expanded
            .paths
            .iter()
            .map(|(text, _)| path::source(text, copy.parents))
            .collect();
        let mut groups = Vec::new();
        if !sources.is_empty() {
            groups.push(Group {
                from: CopyFrom::Step(from),
                sources,
                unpack: false,
            });
        }
        self.files(unit, "COPY", &copy.transfer, copy.parents, expanded, groups)
    }

    pub(crate) fn add(&mut self, unit: &Unit<'_>, add: &Add) -> Result<(), Diagnostic> {
        let (expanded, checksum) = self.transfer(unit, &add.transfer, add.checksum.as_ref())?;
        let checksum = checksum.as_deref().zip(add.checksum.as_ref());
        if let Some((_, word)) = checksum
            && expanded.paths.len() + expanded.files.len() != 1
        {
            let message = "checksum can't be specified for multiple sources";
            return Err(error("BadChecksum", word.span, message));
        }
        let mut groups: Vec<Group> = Vec::new();
        for (text, word) in &expanded.paths {
            let source = classify(text).map_err(|cause| error("BadUrl", word.span, cause))?;
            let group = match source {
                AddSource::Path => {
                    if let Some((_, word)) = checksum {
                        let message = "checksum requires HTTP(S) or Git sources";
                        return Err(error("BadChecksum", word.span, message));
                    }
                    self.warn_ignored(unit, "Add", text);
                    Group {
                        from: CopyFrom::Step(self.planner.main_context()),
                        sources: vec![path::source(text, false)],
                        unpack: add.unpack.unwrap_or(true),
                    }
                }
                AddSource::Http { file_name } => Group {
                    sources: vec![file_name.clone()],
                    from: CopyFrom::Step(Some(self.download(unit, text, file_name, checksum)?)),
                    unpack: add.unpack.unwrap_or(false),
                },
                AddSource::Git(git) => Group {
                    from: CopyFrom::Step(Some(self.repository(
                        unit,
                        git,
                        add.keep_git_dir,
                        checksum,
                        (text, word),
                    )?)),
                    sources: vec![".".to_owned()],
                    unpack: false,
                },
            };
            match groups.last_mut() {
                Some(last) if last.from == group.from => last.sources.extend(group.sources),
                _ => groups.push(group),
            }
        }
        self.files(unit, "ADD", &add.transfer, false, expanded, groups)
    }

    /// Expands what COPY and ADD share, and ADD's checksum.
    fn transfer(
        &mut self,
        unit: &Unit<'_>,
        transfer: &Transfer,
        checksum: Option<&Word>,
    ) -> Result<(Expanded, Option<String>), Diagnostic> {
        let (expanded, checksum) = self.expand(unit, |words| {
            let mut expanded = Expanded {
                chown: words.optional(transfer.chown.as_ref())?,
                chmod: words.optional(transfer.chmod.as_ref())?,
                destination: words.word(&transfer.destination)?,
                paths: Vec::new(),
                files: Vec::new(),
            };
            for source in &transfer.sources {
                match source {
                    SourcePath::Path(word) => expanded.paths.push((words.word(word)?, word.clone())),
                    SourcePath::Heredoc(Heredoc {
                        name,
                        content,
                        expand: true,
                        operator,
                        ..
                    }) => expanded
                        .files
                        .push((name.clone(), words.heredoc(content, operator.span)?)),
                    SourcePath::Heredoc(heredoc) => {
                        expanded.files.push((heredoc.name.clone(), heredoc.content.clone()));
                    }
                }
            }
            Ok((expanded, words.optional(checksum)?))
        })?;
        if let (Some(mode), Some(word)) = (&expanded.chmod, &transfer.chmod)
            && !good_mode(mode)
        {
            let message =
                format!("invalid chmod parameter: '{mode}'. it should be octal string and between 0 and 07777");
            return Err(error("BadMode", word.span, message));
        }
        Ok((expanded, checksum))
    }

    /// The step of a COPY or ADD. With `--link` the files are a tree of their own, put on top: what is below does
    /// not matter then. As in BuildKit `--chmod` switches that off; so does an owner by name, which only the tree
    /// below could tell the number of.
    fn files(
        &mut self,
        unit: &Unit<'_>,
        keyword: &str,
        transfer: &Transfer,
        parents: bool,
        expanded: Expanded,
        mut groups: Vec<Group>,
    ) -> Result<(), Diagnostic> {
        let chown = expanded.chown.filter(|owner| !owner.is_empty());
        let chmod = expanded.chmod.filter(|mode| !mode.is_empty());
        let numeric = chown.as_deref().is_none_or(is_numeric);
        let link = transfer.link && chmod.is_none() && numeric;
        if let (true, Some(word)) = (transfer.link && !numeric, &transfer.chown) {
            self.warn_of_owner(unit, keyword, word);
        }
        let mut text = keyword.to_owned();
        let mut say = |word: &str| {
            text.push(' ');
            text.push_str(word);
        };
        if parents {
            say("--parents");
        }
        if let Some(owner) = &chown {
            say(&format!("--chown={owner}"));
        }
        if let Some(mode) = &chmod {
            say(&format!("--chmod={mode}"));
        }
        expanded.paths.iter().for_each(|(path, _)| say(path));
        for (name, content) in expanded.files {
            say(&format!("<<{name}"));
            groups.push(Group {
                from: CopyFrom::Inline(content),
                sources: vec![name],
                unpack: false,
            });
        }
        say(&expanded.destination);
        let destination = path::destination(self.stage.directory(), &expanded.destination);
        let repeated = size::texts(transfer.exclude.iter().map(|word| &word.raw)) + size::text(&destination);
        let size = &self.planner.steps.size;
        size.room_for(groups.len().saturating_mul(repeated), unit.span())?;
        let actions = groups.into_iter().map(|group| {
            FileAction::Copy(CopyAction {
                from: group.from,
                sources: group.sources,
                destination: destination.clone(),
                chown: chown.clone(),
                chmod: chmod.clone(),
                parents,
                exclude: transfer.exclude.iter().map(|word| word.raw.clone()).collect(),
                unpack: group.unpack,
                link,
            })
        });
        let actions = actions.collect();
        self.push_files(unit, actions, link);
        self.history(text + " # buildkit", true);
        Ok(())
    }

    /// Warns of an owner that switches `--link` off.
    fn warn_of_owner(&mut self, unit: &Unit<'_>, keyword: &str, owner: &Word) {
        self.planner.report.push(Diagnostic {
            severity: Severity::Warning,
            help: Some("write the owner in numbers, `--chown=33:33`, or leave out --link".to_owned()),
            ..error(
                code::LINK_WITH_OWNER_NAME,
                unit.at(owner.span),
                format!(
                    "{keyword} --link does nothing for an owner by name, which is looked up in what is below; BuildKit \
                     fails here"
                ),
            )
        });
    }

    fn push_files(&mut self, unit: &Unit<'_>, actions: Vec<FileAction>, link: bool) {
        let shown = self.step_name(unit, &BTreeSet::new());
        let name = self.names.next(&shown, &self.stage.vars);
        let below = self.stage.root;
        let root = if link { None } else { below };
        let mut step = self.push(unit, Op::File(FileOp { root, actions }), name);
        if let (true, Some(below)) = (link, below) {
            let name = self.names.current(&format!("LINK {shown}"), &self.stage.vars);
            step = self.push(unit, Op::Merge(vec![below, step]), name);
        }
        self.stage.root = Some(step);
    }

    /// Warns of a source that the ignore file leaves out. Where it lets in again, nobody but the files can tell.
    fn warn_ignored(&mut self, unit: &Unit<'_>, verb: &str, written: &str) {
        let options = self.planner.graph.options;
        let Some(ignored) = options
            .ignored
            .as_ref()
            .filter(|_| !options.contexts.contains_key(MAIN_CONTEXT))
        else {
            return;
        };
        let excluded = match path::source(written, false).as_str() {
            "." => ignored.excludes_all(),
            path => ignored.decide(path).excluded,
        };
        if excluded && !ignored.has_inclusions() {
            let message = format!("Attempting to {verb} file \"{written}\" that is excluded by .dockerignore");
            self.planner.report.warn(code::COPY_IGNORED_FILE, unit.span(), message);
        }
    }

    fn download(
        &mut self,
        unit: &Unit<'_>,
        url: &str,
        file_name: String,
        checksum: Option<(&str, &Word)>,
    ) -> Result<StepId, Diagnostic> {
        let checksum = checksum.map(|(text, word)| {
            text.parse::<Digest>()
                .map_err(|cause| error("BadChecksum", word.span, cause.to_string()))
        });
        let source = Source::Http {
            url: url.to_owned(),
            checksum: checksum.transpose()?,
            file_name,
        };
        Ok(self
            .planner
            .steps
            .source(source, Some(unit.lines()), || without_password(url)))
    }

    fn repository(
        &mut self,
        unit: &Unit<'_>,
        git: GitSource,
        keep_git_dir: Option<bool>,
        checksum: Option<(&str, &Word)>,
        (text, word): (&str, &Word),
    ) -> Result<StepId, Diagnostic> {
        if let (Some(flag), Some(query)) = (keep_git_dir, git.keep_git_dir)
            && flag != query
        {
            return Err(error("BadUrl", word.span, "inconsistent keep-git-dir configuration"));
        }
        if let (Some((flag, flag_word)), Some(query)) = (checksum, &git.checksum)
            && flag != query
        {
            return Err(error("BadChecksum", flag_word.span, "checksum mismatch"));
        }
        let checksum = checksum.map(|(text, word)| (text.to_owned(), word));
        let checksum = checksum.or_else(|| Some((git.checksum.clone()?, word)));
        if let Some((text, word)) = &checksum
            && !is_commit(text)
        {
            let message = format!("invalid checksum {text:?}: it must be 7 to 64 hexadecimal digits of a commit");
            return Err(error("BadChecksum", word.span, message));
        }
        let source = GitSource {
            keep_git_dir: keep_git_dir.or(git.keep_git_dir),
            checksum: checksum.map(|(text, _)| text),
            ..git
        };
        let source = source.checked().map_err(|cause| error("BadUrl", word.span, cause))?;
        Ok(self
            .planner
            .steps
            .source(Source::Git(source), Some(unit.lines()), || without_password(text)))
    }

    /// WORKDIR: makes the directory in a layer of its own, even if it is there already; `/` always is.
    pub(crate) fn workdir(&mut self, unit: &Unit<'_>, word: &Word) -> Result<(), Diagnostic> {
        let written = self.expand_word(unit, word)?;
        if !self.stage.workdir_set && !written.starts_with('/') {
            self.planner.report.warn(
                code::WORKDIR_RELATIVE_PATH,
                unit.span(),
                format!("Relative workdir \"{written}\" can have unexpected results if the base image changes"),
            );
        }
        self.stage.workdir_set = true;
        let directory = path::absolute(self.stage.directory(), &written);
        self.stage.config.config.working_dir.clone_from(&directory);
        let layer = directory != "/";
        if layer {
            let mkdir = FileAction::Mkdir(MkdirAction {
                path: directory.clone(),
                mode: 0o755,
                owner: self.stage.config.config.user.clone(),
                time: self.planner.epoch,
            });
            self.push_files(unit, vec![mkdir], false);
        }
        self.history(format!("WORKDIR {directory}"), layer);
        Ok(())
    }
}

/// Octal up to 07777, or something symbolic, which whoever applies it reads.
fn good_mode(mode: &str) -> bool {
    if mode.is_empty() || !mode.bytes().all(|byte| byte.is_ascii_digit()) {
        return mode.is_empty() || mode.bytes().any(|byte| b"+-=".contains(&byte));
    }
    u32::from_str_radix(mode, 8).is_ok_and(|mode| mode <= 0o7777)
}

/// `user[:group]` in numbers; `root` is one, whatever an image says.
fn is_numeric(owner: &str) -> bool {
    owner
        .splitn(2, ':')
        .all(|part| part == "root" || part.bytes().all(|byte| byte.is_ascii_digit()))
}
