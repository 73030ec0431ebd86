//! What is named on the command line: Dockerfiles, or files that name Dockerfiles, Compose's and bake's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use kiln_lint::Context;

use super::inline::{Host, Inline, Place};
use super::{bake, compose};
use crate::context::read_ignore;
use crate::failure::Failure;
use crate::settings::Environment;
use crate::values::csv;

/// A Dockerfile and what it is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dockerfile: Written,
    /// `None` for standard input, and for what is elsewhere.
    pub(super) context: Option<PathBuf>,
    /// Names of further contexts.
    pub(super) named: BTreeSet<String>,
}

/// Where a Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// `-` is standard input.
    File(PathBuf),
    /// In the file that names it.
    Inline(Inline),
}

impl Entry {
    /// A Dockerfile that lies beside what it is built from.
    fn alone(path: &Path) -> Self {
        Self {
            dockerfile: Written::File(path.to_owned()),
            context: (path.as_os_str() != "-").then(|| or_here(directory(path)).to_owned()),
            named: BTreeSet::new(),
        }
    }

    /// The path of the Dockerfile, if it is a file.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.dockerfile {
            Written::File(path) if path.as_os_str() != "-" => Some(path),
            _ => None,
        }
    }

    /// The directory that has what lies beside the Dockerfile.
    pub(super) fn directory(&self) -> Option<&Path> {
        match &self.dockerfile {
            Written::File(_) => self.path().map(directory).map(or_here),
            Written::Inline(_) => self.context.as_deref(),
        }
    }

    /// What rules may know of its context.
    pub(super) fn context(&self) -> Result<Option<Context>, Failure> {
        let Some(directory) = self.context.as_deref().filter(|directory| directory.is_dir()) else {
            return Ok(None);
        };
        let ignore = read_ignore(directory, self.path())?.map(|(text, _)| text);
        let names = Context::asked().filter(|name| directory.join(name).symlink_metadata().is_ok());
        Ok(Some(Context {
            ignore,
            names: names.collect(),
            named: self.named.iter().map(|name| name.to_lowercase()).collect(),
        }))
    }
}

/// What may name Dockerfiles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dockerfile,
    Compose,
    /// Bake's, in HCL or JSON.
    Bake,
}

pub(super) fn kind(path: &Path) -> Kind {
    match ending(path).as_str() {
        "yaml" | "yml" => Kind::Compose,
        "json" | "hcl" => Kind::Bake,
        _ => Kind::Dockerfile,
    }
}

fn ending(path: &Path) -> String {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ending.to_ascii_lowercase()
}

/// What was found, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Each once.
    pub(super) entries: Vec<Entry>,
    pub(super) failures: Vec<Failure>,
}

impl Listed {
    /// Adds the Dockerfile of a service or a target.
    fn add(&mut self, entry: Result<Entry, String>) {
        match entry {
            Ok(entry) => {
                let is_same =
                    |known: &&mut Entry| (&known.dockerfile, &known.context) == (&entry.dockerfile, &entry.context);
                match self.entries.iter_mut().find(is_same) {
                    Some(known) => known.named.extend(entry.named),
                    None => self.entries.push(entry),
                }
            }
            Err(why) => self.failures.push(failed(why)),
        }
    }

    /// A file that names nothing is not what somebody meant.
    fn or_nothing(mut self, path: &Path) -> Self {
        if self.entries.is_empty() && self.failures.is_empty() {
            let failure = failed(format!("{} names no Dockerfile", path.display()));
            let hint = "nothing in it has a `build` or a target whose Dockerfile is there";
            self.failures.push(failure.hint(hint));
        }
        self
    }
}

fn failed(why: String) -> Failure {
    Failure::failed(anyhow::anyhow!(why))
}

/// The Dockerfiles that a file of Compose's names.
pub(super) fn composed(path: &Path, text: &str) -> Result<Listed, Failure> {
    let mut listed = Listed::default();
    let mut hosts = Hosts::new([(path, text)]);
    let builds = compose::builds(text);
    let builds = builds.map_err(|why| failed(format!("{} is no Compose file: {why}", path.display())))?;
    for (name, build) in builds {
        let named = |why: String| format!("{}: `{name}`: {why}", path.display());
        let entry = build.and_then(|build| build.entry(directory(path), &mut hosts));
        listed.add(entry.map_err(named));
    }
    Ok(listed.or_nothing(path))
}

/// Docker's own switch for that variables are not looked up in the environment.
const CLOSED: &str = "BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP";

/// The Dockerfiles that files of bake's name, which are read as one; all lie in one directory.
pub(super) fn baked(files: &[(PathBuf, String)], environment: &Environment) -> Result<Listed, Failure> {
    let read: Vec<bake::File<'_>> = files
        .iter()
        .map(|(path, text)| bake::File {
            name: path.display().to_string(),
            text,
            is_json: ending(path) == "json",
        })
        .collect();
    let closed = environment.filled(CLOSED).map_or(Ok(false), |value| {
        csv::boolean(CLOSED, Some(&value)).map_err(|why| Failure::usage(format!("the environment variable {why}")))
    })?;
    let find = |name: &str| environment.text(name).ok().flatten().filter(|_| !closed);
    let targets = bake::targets(&read, &find).map_err(failed)?;
    let mut listed = Listed::default();
    let mut hosts = Hosts::new(files.iter().map(|(path, text)| (path.as_path(), text.as_str())));
    let directory = files.first().map_or(Path::new(""), |(path, _)| directory(path));
    for target in targets {
        let target = match target {
            Ok(target) => target,
            Err(why) => {
                listed.failures.push(failed(why));
                continue;
            }
        };
        let entry = target.build.entry(directory, &mut hosts);
        // It need not be buildable by itself.
        let is_missing = |entry: &Entry| entry.path().is_some_and(|path| !path.exists());
        if target.is_pattern && entry.as_ref().is_ok_and(is_missing) {
            continue;
        }
        listed.add(entry.map_err(|why| format!("{}: the target `{}`: {why}", target.place, target.name)));
    }
    Ok(files
        .first()
        .map_or_else(Listed::default, |(path, _)| listed.or_nothing(path)))
}

/// A path that is not empty.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// The directory of a file; paths in the file count from there.
pub(super) fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// The Dockerfile itself.
pub(super) fn alone(path: &Path) -> Entry {
    Entry::alone(path)
}

/// What is built, as Compose's `build` and bake's `target` say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Build {
    pub(super) context: Option<String>,
    pub(super) dockerfile: Option<String>,
    pub(super) inline: Option<Embedded>,
    /// Names of further contexts; what they are does not matter.
    pub(super) named: BTreeSet<String>,
}

/// A Dockerfile that is written where it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Embedded {
    /// The number of the file, from 0, of those that were read together.
    pub(super) file: usize,
    /// Where it is written, or the name of its target where nobody knows.
    pub(super) place: Result<Place, String>,
    /// What it stands for.
    pub(super) text: String,
}

/// The files that name Dockerfiles, once one of these is written there.
struct Hosts<'f> {
    files: Vec<(&'f Path, &'f str)>,
    read: BTreeMap<usize, Rc<Host>>,
}

impl<'f> Hosts<'f> {
    fn new(files: impl IntoIterator<Item = (&'f Path, &'f str)>) -> Self {
        Self {
            files: files.into_iter().collect(),
            read: BTreeMap::new(),
        }
    }

    fn inline(&mut self, text: Embedded) -> Inline {
        let (path, whole) = self.files[text.file];
        let read = || Rc::new(Host::new(path.to_owned(), whole));
        let host = self.read.entry(text.file).or_insert_with(read);
        Inline {
            host: Rc::clone(host),
            place: text.place,
            text: text.text,
        }
    }
}

impl Build {
    fn entry(self, directory: &Path, hosts: &mut Hosts<'_>) -> Result<Entry, String> {
        let context = place(directory, "context", self.context.as_deref().unwrap_or("."));
        let plain = |context: PathBuf| context.components().filter(|part| part.as_os_str() != ".").collect();
        let context: Result<PathBuf, String> = context.map(plain);
        // An empty one is none.
        if let Some(text) = self.inline.filter(|inline| !inline.text.is_empty()) {
            return Ok(Entry {
                dockerfile: Written::Inline(hosts.inline(text)),
                context: context.ok().map(|context| or_here(&context).to_owned()),
                named: self.named,
            });
        }
        let context = context?;
        let dockerfile = place(
            &context,
            "dockerfile",
            self.dockerfile.as_deref().unwrap_or("Dockerfile"),
        )?;
        Ok(Entry {
            dockerfile: Written::File(dockerfile),
            context: Some(or_here(&context).to_owned()),
            named: self.named,
        })
    }
}

/// A path of this machine; `cwd://` of bake's means the directory where it was started.
fn place(directory: &Path, what: &str, text: &str) -> Result<PathBuf, String> {
    if let Some(path) = text.strip_prefix("cwd://") {
        return Ok(PathBuf::from(path));
    }
    let elsewhere = ["git@", "target:", "docker-image:", "oci-layout:"];
    if text.contains("://") || elsewhere.iter().any(|start| text.starts_with(start)) {
        return Err(format!("its {what} `{text}` is not on this machine"));
    }
    Ok(directory.join(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, text: &str) -> Result<Listed, Failure> {
        match kind(Path::new(name)) {
            Kind::Bake => baked(&[(PathBuf::from(name), text.to_owned())], &Environment::of(&[])),
            _ => composed(Path::new(name), text),
        }
    }

    fn entries(name: &str, text: &str) -> Vec<(String, String)> {
        let listed = listed(name, text).unwrap();
        assert!(listed.failures.is_empty(), "{:?}", listed.failures);
        let shown = |entry: Entry| {
            (
                entry.path().unwrap().display().to_string(),
                entry.context.unwrap().display().to_string(),
            )
        };
        listed.entries.into_iter().map(shown).collect()
    }

    fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
        wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn compose_files() {
        let text = "x-a: &a\n  context: ./web\nservices:\n  a:\n    build: .\n  b:\n    build: *a\n  c:\n    build:\n      context: web\n      \
                    dockerfile: ../d.Dockerfile\n      args: { A: 1 }\n  d:\n    image: redis\n  e:\n    build: web\n";
        let wanted = [
            ("Dockerfile", "."),
            ("web/Dockerfile", "web"),
            ("web/../d.Dockerfile", "web"),
        ];
        assert_eq!(entries("compose.yaml", text), pairs(&wanted));
        assert_eq!(
            entries("in/compose.yml", "services: {a: {build: .}}"),
            pairs(&[("in/Dockerfile", "in")])
        );
    }

    #[test]
    fn further_contexts() {
        let compose =
            "services: {a: {build: {additional_contexts: {one: '.'}}}, b: {build: {additional_contexts: [two=x]}}}";
        let bake = "target \"p\" { contexts = { one = \"target:x\" } }\ntarget \"x\" {}\n\
                    target \"a\" {\n inherits = [\"p\"]\n contexts = { two = \"docker-image://b\" }\n}\ngroup \"g\" { targets = [\"p\"] }";
        for (name, text) in [("compose.yaml", compose), ("docker-bake.hcl", bake)] {
            let entries = listed(name, text).unwrap().entries;
            let named: Vec<_> = entries.iter().map(|entry| &entry.named).collect();
            assert_eq!(named, [&BTreeSet::from(["one".to_owned(), "two".to_owned()])], "{name}");
        }
    }

    #[test]
    fn bake_files() {
        let text = r#"{"group": {"default": {"targets": ["a"]}}, "target": {
            "base": {"context": "src"}, "a": {"inherits": ["base"], "dockerfile": "a.Dockerfile"}, "b": {"dockerfile": "b"}}}"#;
        // `base` is there to be inherited from: it has no Dockerfile.
        let wanted = [("src/a.Dockerfile", "src"), ("b", ".")];
        assert_eq!(entries("docker-bake.json", text), pairs(&wanted));
        let text =
            "target \"a\" {\n context = \"cwd://web\"\n dockerfile = \"cwd://d\"\n}\ntarget \"b\" {}\ntarget \"c\" {}";
        assert_eq!(
            entries("in/docker-bake.hcl", text),
            pairs(&[("d", "web"), ("in/Dockerfile", "in")])
        );
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (name, text, wanted) in [
            ("docker-bake.hcl", "target \"a\" {", "docker-bake.hcl:1: no HCL"),
            (
                "docker-bake.hcl",
                "\ntarget \"a\" { context = \"https://example.com/a.git\" }",
                "docker-bake.hcl:2: the target `a`: its context",
            ),
            ("docker-bake.hcl", "X = 1", "names no Dockerfile"),
            ("compose.yaml", "services: [", "is no Compose file"),
            ("compose.yaml", "services: {a: {image: b}}", "names no Dockerfile"),
            (
                "compose.yaml",
                "services: {a: {build: 'https://example.com/a.git'}}",
                "`a`: its context",
            ),
            (
                "compose.yaml",
                "services: {a: {build: '${DIR}'}}",
                "depends on a variable",
            ),
            (
                "compose.yaml",
                "services: {a: {build: {dockerfile_inline: 'FROM b:${TAG}'}}}",
                "`a`: its dockerfile_inline has `${TAG}`, which Compose puts something else for",
            ),
            (
                "compose.yaml",
                "services: {a: {build: {dockerfile_inline: 'FROM b:$TAG-x'}}}",
                "`a`: its dockerfile_inline has `$TAG`, which Compose puts",
            ),
            (
                "compose.yaml",
                "services: {a: {build: {dockerfile_inline: 'RUN echo $$A $(date) $1'}}}",
                "`a`: its dockerfile_inline has `$(date) $1`, which Compose refuses: `$$` stands for",
            ),
            (
                "compose.yaml",
                "services: {a: {build: {dockerfile_inline: 'RUN echo $1 and ${A'}}}",
                "`a`: its dockerfile_inline has `$1 and ${A`, which Compose refuses",
            ),
            (
                "compose.yaml",
                "services: {a: {build: {dockerfile_inline: 'RUN echo ${A and much more'}}}",
                "`a`: its dockerfile_inline has `${A and much…`, which Compose refuses",
            ),
            (
                "compose.yaml",
                "services: {a: {build: {dockerfile: a, dockerfile_inline: FROM b}}}",
                "`a`: it has both dockerfile and dockerfile_inline",
            ),
            ("bake.json", "{", "no bake file"),
            (
                "bake.json",
                r#"{"target": {"a": {"inherits": ["a"]}}}"#,
                "inherits from itself",
            ),
            (
                "bake.json",
                r#"{"target": {"a": {"inherits": ["b"]}}}"#,
                "there is no target `b`",
            ),
        ] {
            let shown = match listed(name, text) {
                Err(failure) => format!("{failure:?}"),
                Ok(listed) => format!("{:?}", listed.failures),
            };
            assert!(shown.contains(wanted), "{name}: {text}: {shown}");
        }
    }
}
