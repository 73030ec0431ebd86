//! What is named on the command line: Dockerfiles, or files that name Dockerfiles, Compose's and bake's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kiln_lint::Context;
use serde::Deserialize;

use crate::context::read_ignore;
use crate::failure::Failure;

/// Longer chains of targets that inherit are refused.
const DEEPEST: usize = 100;

/// A Dockerfile and what it is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dockerfile: PathBuf,
    /// `None` for standard input.
    pub(super) context: Option<PathBuf>,
}

impl Entry {
    /// A Dockerfile that lies beside what it is built from.
    fn alone(path: &Path) -> Self {
        let directory = path.parent().unwrap_or(Path::new("."));
        let here = if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        };
        Self {
            dockerfile: path.to_owned(),
            context: (path.as_os_str() != "-").then(|| here.to_owned()),
        }
    }

    /// What rules may know of its context.
    pub(super) fn context(&self) -> Result<Option<Context>, Failure> {
        let Some(directory) = self.context.as_deref().filter(|directory| directory.is_dir()) else {
            return Ok(None);
        };
        let ignore = read_ignore(directory, Some(&self.dockerfile))?.map(|(text, _)| text);
        let names = Context::asked().filter(|name| directory.join(name).symlink_metadata().is_ok());
        Ok(Some(Context {
            ignore,
            names: names.collect(),
        }))
    }
}

/// What may name Dockerfiles.
enum Kind {
    Dockerfile,
    Compose,
    Bake,
    Hcl,
}

fn kind(path: &Path) -> Kind {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "yaml" | "yml" => Kind::Compose,
        "json" => Kind::Bake,
        "hcl" => Kind::Hcl,
        _ => Kind::Dockerfile,
    }
}

/// Whether a path names Dockerfiles instead of being one.
pub(super) fn is_list(path: &Path) -> bool {
    !matches!(kind(path), Kind::Dockerfile)
}

/// The Dockerfiles that a file of Compose's or bake's names, each once; `text` is what is in it.
pub(super) fn listed(path: &Path, text: &str) -> Result<Vec<Entry>, Failure> {
    let builds = match kind(path) {
        Kind::Dockerfile => return Ok(vec![Entry::alone(path)]),
        Kind::Compose => compose(path, text)?,
        Kind::Bake => bake(path, text)?,
        Kind::Hcl => {
            let failure = Failure::failed(anyhow::anyhow!("{} is HCL, which is not read", path.display()));
            return Err(failure.hint("`docker buildx bake --print` writes the same as JSON: give that"));
        }
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for (name, build) in builds {
        let entry = build
            .entry(directory)
            .map_err(|why| Failure::failed(anyhow::anyhow!("{}: `{name}`: {why}", path.display())))?;
        if !found.contains(&entry) {
            found.push(entry);
        }
    }
    if found.is_empty() {
        let failure = Failure::failed(anyhow::anyhow!("{} names no Dockerfile", path.display()));
        return Err(failure.hint("nothing in it has a `build` or a target"));
    }
    Ok(found)
}

/// The Dockerfile itself.
pub(super) fn alone(path: &Path) -> Entry {
    Entry::alone(path)
}

/// What is built: as Compose's `build` and bake's `target` say it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Build {
    context: Option<String>,
    dockerfile: Option<String>,
    #[serde(rename = "dockerfile_inline", alias = "dockerfile-inline")]
    inline: Option<String>,
    inherits: Vec<String>,
}

impl Build {
    fn entry(&self, directory: &Path) -> Result<Entry, String> {
        if self.inline.is_some() {
            return Err(
                "its Dockerfile is written there: put it into a file of its own to have it looked at".to_owned(),
            );
        }
        let context = local("context", self.context.as_deref().unwrap_or("."))?;
        let dockerfile = local("dockerfile", self.dockerfile.as_deref().unwrap_or("Dockerfile"))?;
        let context = directory.join(context);
        let context: PathBuf = context.components().filter(|part| part.as_os_str() != ".").collect();
        let dockerfile = context.join(dockerfile);
        let here = context.as_os_str().is_empty();
        Ok(Entry {
            dockerfile,
            context: Some(if here { PathBuf::from(".") } else { context }),
        })
    }
}

/// A path of this machine, which needs no variable.
fn local<'t>(what: &str, text: &'t str) -> Result<&'t str, String> {
    if text.contains('$') {
        return Err(format!(
            "its {what} `{text}` depends on a variable: name the Dockerfile itself"
        ));
    }
    if text.contains("://") || text.starts_with("git@") || text.starts_with("target:") {
        return Err(format!("its {what} `{text}` is not on this machine"));
    }
    Ok(text)
}

type Builds = BTreeMap<String, Build>;

/// `services.*.build`: a path, or a mapping.
fn compose(path: &Path, text: &str) -> Result<Builds, Failure> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        services: Option<BTreeMap<String, Option<Service>>>,
    }
    #[derive(Deserialize)]
    struct Service {
        #[serde(default)]
        build: Option<Written>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Path(String),
        Whole(Build),
    }
    let file: File = serde_saphyr::from_str(text)
        .map_err(|error| Failure::failed(anyhow::anyhow!("{} is no Compose file: {error}", path.display())))?;
    let services = file.services.unwrap_or_default().into_iter();
    let builds = services.filter_map(|(name, service)| {
        let build = match service?.build? {
            Written::Path(context) => Build {
                context: Some(context),
                ..Build::default()
            },
            Written::Whole(build) => build,
        };
        Some((name, build))
    });
    Ok(builds.collect())
}

/// `target.*`, with what they inherit.
fn bake(path: &Path, text: &str) -> Result<Builds, Failure> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        target: Builds,
    }
    let wrong = |why: String| Failure::failed(anyhow::anyhow!("{} is no bake file: {why}", path.display()));
    let file: File = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let names = file.target.keys();
    let whole = names.map(|name| Ok((name.clone(), inherited(&file.target, name, &mut BTreeSet::new())?)));
    whole.collect::<Result<_, String>>().map_err(wrong)
}

/// A target with what it has from others: its own words win, then those of the last that it names.
fn inherited<'t>(targets: &'t Builds, name: &'t str, seen: &mut BTreeSet<&'t str>) -> Result<Build, String> {
    let Some(own) = targets.get(name) else {
        return Err(format!("there is no target `{name}`"));
    };
    if !seen.insert(name) || seen.len() > DEEPEST {
        return Err(format!("`{name}` inherits from itself, or over too many others"));
    }
    let mut whole = own.clone();
    for parent in own.inherits.iter().rev() {
        let parent = inherited(targets, parent, seen)?;
        whole.context = whole.context.or(parent.context);
        whole.dockerfile = whole.dockerfile.or(parent.dockerfile);
        whole.inline = whole.inline.or(parent.inline);
    }
    seen.remove(name);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(name: &str, text: &str) -> Vec<(String, String)> {
        let entries = listed(Path::new(name), text).unwrap();
        let shown = |entry: Entry| {
            (
                entry.dockerfile.display().to_string(),
                entry.context.unwrap().display().to_string(),
            )
        };
        entries.into_iter().map(shown).collect()
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
    fn bake_files() {
        let text = r#"{"group": {"default": {"targets": ["a"]}}, "target": {
            "base": {"context": "src"}, "a": {"inherits": ["base"], "dockerfile": "a.Dockerfile"}, "b": {"dockerfile": "b"}}}"#;
        let wanted = [("src/a.Dockerfile", "src"), ("b", "."), ("src/Dockerfile", "src")];
        assert_eq!(entries("docker-bake.json", text), pairs(&wanted));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (name, text, wanted) in [
            ("docker-bake.hcl", "target \"a\" {}", "HCL"),
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
                "services: {a: {build: {dockerfile_inline: FROM b}}}",
                "a file of its own",
            ),
            ("bake.json", "{", "is no bake file"),
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
            let failure = listed(Path::new(name), text).unwrap_err();
            let shown = format!("{failure:?}");
            assert!(shown.contains(wanted), "{name}: {text}: {shown}");
        }
    }
}
