//! What Kiln says.

use kiln_dockerfile::ast::{
    Add, Command, Copy, Declaration, Healthcheck, Heredoc, Instruction, Kind, Pair, SourcePath, Transfer, Word,
};
use kiln_dockerfile::diagnostic::Severity;
use kiln_dockerfile::parse;

use super::Said;

/// All instructions, or the first error.
pub(super) fn said(text: &str) -> Result<Vec<Said>, String> {
    let (tree, found) = parse(text);
    if let Some(error) = found.into_iter().find(|one| one.severity == Severity::Error) {
        return Err(error.message);
    }
    let stages = tree.stages.iter();
    let of_stages = stages.flat_map(|stage| std::iter::once(&stage.instruction).chain(&stage.instructions));
    Ok(tree
        .globals
        .iter()
        .chain(of_stages)
        .map(|each| instruction(each, text))
        .collect())
}

fn instruction(each: &Instruction, text: &str) -> Said {
    let mut said = Said {
        keyword: each.keyword.span.range(),
        flags: Vec::new(),
        arguments: Vec::new(),
        documents: Vec::new(),
    };
    match &each.kind {
        Kind::Add(add) => self::add(add, &mut said),
        Kind::Copy(copy) => self::copy(copy, &mut said),
        Kind::Arg(all) => said.arguments = vec![all.iter().map(declaration).collect()],
        Kind::Env(pairs) | Kind::Label(pairs) => said.arguments = vec![pairs.iter().map(pair).collect()],
        Kind::Cmd(command) | Kind::Entrypoint(command) | Kind::Healthcheck(Healthcheck::Check { command, .. }) => {
            said.arguments = self::command(command, text);
        }
        Kind::Expose(words) | Kind::Volume(words) => said.arguments = raw(words),
        Kind::From(from) => {
            said.flag("platform", from.platform.as_ref());
            said.arguments = raw([&from.image].into_iter().chain(&from.name));
        }
        Kind::Healthcheck(Healthcheck::None) => said.arguments = vec!["NONE".to_owned()],
        Kind::Maintainer(word) | Kind::Stopsignal(word) | Kind::User(word) | Kind::Workdir(word) => {
            said.arguments = raw([word]);
        }
        Kind::Onbuild(onbuild) => {
            let inner = instruction(&onbuild.instruction, text);
            return Said {
                keyword: said.keyword,
                ..inner
            };
        }
        Kind::Run(run) => {
            run.mounts.iter().for_each(|mount| said.flag("mount", Some(mount)));
            run.devices.iter().for_each(|device| said.flag("device", Some(device)));
            said.flag("network", run.network.as_ref());
            said.flag("security", run.security.as_ref());
            said.arguments = command(&run.command, text);
            said.documents = run.heredocs.iter().map(document).collect();
        }
        Kind::Shell(words) => said.arguments.clone_from(words),
    }
    said.flags.sort();
    said
}

fn add(add: &Add, said: &mut Said) {
    said.flag("checksum", add.checksum.as_ref());
    said.switch("keep-git-dir", add.keep_git_dir.unwrap_or_default());
    said.switch("unpack", add.unpack.unwrap_or_default());
    transfer(&add.transfer, said);
}

fn copy(copy: &Copy, said: &mut Said) {
    said.flag("from", copy.from.as_ref());
    said.switch("parents", copy.parents);
    transfer(&copy.transfer, said);
}

fn transfer(transfer: &Transfer, said: &mut Said) {
    said.flag("chown", transfer.chown.as_ref());
    said.flag("chmod", transfer.chmod.as_ref());
    said.switch("link", transfer.link);
    transfer
        .exclude
        .iter()
        .for_each(|word| said.flag("exclude", Some(word)));
    for source in &transfer.sources {
        match source {
            SourcePath::Path(word) => said.arguments.push(word.raw.clone()),
            SourcePath::Heredoc(heredoc) => said.documents.push(document(heredoc)),
        }
    }
    said.arguments.push(transfer.destination.raw.clone());
}

impl Said {
    fn flag(&mut self, name: &str, value: Option<&Word>) {
        self.flags
            .extend(value.map(|value| (name.to_owned(), value.raw.clone())));
    }

    fn switch(&mut self, name: &str, on: bool) {
        if on {
            self.flags.push((name.to_owned(), "true".to_owned()));
        }
    }
}

fn raw<'a>(words: impl IntoIterator<Item = &'a Word>) -> Vec<String> {
    words.into_iter().map(|word| word.raw.clone()).collect()
}

/// The text of the shell as it stands in the file: theirs is not joined.
fn command(command: &Command, text: &str) -> Vec<String> {
    match command {
        Command::Shell(word) => vec!["shell".to_owned(), text[word.span.range()].to_owned()],
        Command::Exec(words) => ["exec".to_owned()].into_iter().chain(words.iter().cloned()).collect(),
    }
}

fn document(heredoc: &Heredoc) -> (String, bool) {
    (heredoc.content.clone(), heredoc.expand)
}

/// Without blanks, which theirs keeps as they are between pairs.
fn declaration(declaration: &Declaration) -> String {
    let default = declaration.default.as_ref().map(|word| format!("={}", word.raw));
    solid(&(declaration.name.raw.clone() + &default.unwrap_or_default()))
}

fn pair(pair: &Pair) -> String {
    let between = if pair.legacy { "" } else { "=" };
    solid(&format!("{}{between}{}", pair.key.raw, pair.value.raw))
}

/// Without blanks.
pub(super) fn solid(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
