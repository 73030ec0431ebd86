//! Books: many small cases in one file, `tests/cases/AREA/TOPIC.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use toml::{Table, Value};

use crate::case::{Context, Found};
use crate::expect::{Build, Case, Rung, Then};
use crate::stage::Stage;
use crate::text_or;

/// A book: what all its cases share, and the cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    /// One sentence: what the book is about.
    about: String,
    /// What is said of every case; a case's own words win.
    #[serde(default)]
    every: Table,
    case: Vec<Table>,
}

/// What a case says besides the words of its one build, which stand beside these.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Small {
    name: String,
    #[serde(default)]
    about: Option<String>,
    #[serde(default)]
    only: Option<Rung>,
    #[serde(default)]
    steps_for: Option<String>,
    #[serde(default)]
    once: bool,
    #[serde(default)]
    dockerfile: Option<String>,
    #[serde(default, deserialize_with = "text_or::map")]
    files: BTreeMap<String, File>,
    #[serde(default)]
    setup: Option<String>,
    /// Several builds, or one with other words than those of the case.
    #[serde(default)]
    build: Vec<Build>,
    #[serde(default)]
    then: Vec<Then>,
}

const WORDS: [&str; 10] = [
    "name",
    "about",
    "only",
    "steps_for",
    "once",
    "dockerfile",
    "files",
    "setup",
    "build",
    "then",
];

/// A file of a context; a text alone is its content. A path that ends in a slash is an empty directory.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Its bytes, as text.
    content: String,
    /// Octal; 0644 and, for directories, 0755 where not given.
    mode: Option<String>,
    /// It is a symbolic link, to this.
    link: Option<String>,
}

impl From<String> for File {
    fn from(content: String) -> Self {
        Self {
            content,
            ..Self::default()
        }
    }
}

/// Reads a book; its cases are named `AREA::TOPIC::NAME`.
pub fn read(area: &str, path: &Path) -> Result<Vec<Found>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let book = || -> Result<Vec<Found>> {
        let book: Book = toml::from_str(&text)?;
        let topic = path.file_stem().unwrap_or_default().to_string_lossy();
        let found = |case: &Table| found(&format!("{area}::{topic}"), path, &book, case);
        book.case.iter().map(found).collect()
    };
    book().with_context(|| format!("in {}", path.display()))
}

fn found(topic: &str, path: &Path, book: &Book, case: &Table) -> Result<Found> {
    let named = case.get("name").and_then(Value::as_str).unwrap_or("without a name");
    let (small, build) = split(&book.every, case).with_context(|| format!("case {named}"))?;
    let mut files = small.files;
    if let Some(dockerfile) = small.dockerfile {
        files.insert("Dockerfile".to_owned(), dockerfile.into());
    }
    Ok(Found {
        name: format!("{topic}::{}", small.name),
        file: path.to_owned(),
        case: Case {
            about: small.about.unwrap_or_else(|| book.about.clone()),
            only: small.only,
            steps_for: small.steps_for,
            once: small.once,
            setup: small.setup,
            build,
            then: small.then,
        },
        context: Context::Files(files),
    })
}

/// Tells the words of the case from those of its build.
fn split(every: &Table, case: &Table) -> Result<(Small, Vec<Build>)> {
    let mut all = every.clone();
    for (key, value) in case {
        match (all.get_mut(key), value) {
            (Some(Value::Table(shared)), Value::Table(own)) => shared.extend(own.clone()),
            _ => drop(all.insert(key.clone(), value.clone())),
        }
    }
    let (small, build): (Table, Table) = all.into_iter().partition(|(key, _)| WORDS.contains(&key.as_str()));
    let mut small: Small = small.try_into()?;
    let builds = std::mem::take(&mut small.build);
    match (builds.is_empty(), build.is_empty()) {
        (false, true) => Ok((small, builds)),
        (false, false) => bail!("`[[case.build]]` beside words of a build"),
        // Without any word the build has to succeed, no more.
        (true, _) => Ok((small, vec![build.try_into()?])),
    }
}

/// Puts files where a stage's context is.
pub fn write(files: &BTreeMap<String, File>, stage: &Stage) -> Result<()> {
    fs::create_dir(stage.context())?;
    for (name, file) in files {
        write_one(name, file, stage).with_context(|| format!("cannot write {name}"))?;
    }
    stage.hand_over()
}

fn write_one(name: &str, file: &File, stage: &Stage) -> Result<()> {
    let path = stage.context().join(name);
    let parent = path.parent().unwrap_or(&path);
    fs::create_dir_all(parent)?;
    if let Some(target) = &file.link {
        return symlink(target, path).map_err(Into::into);
    }
    let usual = if name.ends_with('/') {
        fs::create_dir_all(&path)?;
        0o755
    } else {
        fs::write(&path, &file.content)?;
        0o644
    };
    let mode = match &file.mode {
        Some(mode) => u32::from_str_radix(mode, 8).context("a mode is octal")?,
        None => usual,
    };
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Result<(Small, Vec<Build>)> {
        let every = "once = true\nfiles = { a = '1', b = '2' }".parse()?;
        split(&every, &text.parse()?)
    }

    #[test]
    fn words_of_the_build_stand_beside_those_of_the_case() {
        let (small, builds) = case("name = 'x'\nexit = 1\nfiles = { b = '3' }\ntree = { '/a' = 'b' }").unwrap();
        assert!(small.once);
        assert_eq!(small.files["b"].content, "3");
        assert_eq!(small.files["a"].content, "1");
        assert_eq!(builds[0].exit, 1);
        assert_eq!(builds[0].tree["/a"].content.as_deref(), Some("b"));
    }

    #[test]
    fn unknown_words_are_told() {
        for (text, part) in [
            ("name = 'x'\nexti = 1", "exti"),
            ("name = 'x'\ntree = { '/a' = { contet = 'b' } }", "contet"),
            ("name = 'x'\nexit = 1\n[[build]]\nexit = 1", "beside"),
        ] {
            let error = format!("{:#}", case(text).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }
}
