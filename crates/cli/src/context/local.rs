//! Contexts and Dockerfiles that are on this machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_dockerfile::suggest;

use super::include::Named;
use super::text::{as_text, read_bounded, read_text};
use crate::failure::{Context as _, Failure};

/// Ignore files that are larger are none.
const LARGEST_IGNORE: u64 = 16 << 20;

/// The directory that is the context.
pub(super) fn directory(path: &str) -> Result<PathBuf, Failure> {
    let metadata = fs::metadata(path).or_failed(|| format!("cannot use `{path}` as the build context"))?;
    if !metadata.is_dir() {
        return Err(Failure::usage(format!("the build context `{path}` is not a directory"))
            .hint("the context is a directory; name a Dockerfile with -f"));
    }
    Ok(PathBuf::from(path))
}

/// The Dockerfile of a context for which none is named. `shown` gives the path to a name in the context.
pub(super) fn default_dockerfile(context: &Path, shown: &dyn Fn(&str) -> PathBuf) -> Result<PathBuf, Failure> {
    for name in ["Dockerfile", "dockerfile"] {
        if context.join(name).exists() {
            return Ok(shown(name));
        }
    }
    let hint = match fs::read_dir(context)
        .ok()
        .and_then(|entries| likely_dockerfile(entries, &|_| true))
    {
        Some(name) => format!("did you mean `-f {}`?", shown(&name).display()),
        None => "name it with -f FILE, or the directory that it is in as the context".to_owned(),
    };
    Err(Failure::failed(anyhow::anyhow!("there is no Dockerfile in {}", context.display())).hint(hint))
}

/// A file whose name says that it is a Dockerfile, and that may be meant.
pub(super) fn likely_dockerfile(entries: fs::ReadDir, may_be: &dyn Fn(&str) -> bool) -> Option<String> {
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let like = |name: &String| {
        let name = name.to_ascii_lowercase();
        (name.contains("dockerfile") || name == "containerfile") && !name.ends_with(".dockerignore")
    };
    names.filter(like).filter(|name| may_be(name)).min()
}

/// Reads a Dockerfile by its path. `context` is where a user may have thought it to be looked for.
pub(super) fn read_dockerfile(file: &Path, context: &str) -> Result<Named, Failure> {
    let name = file.display().to_string();
    let opened = fs::File::open(file);
    let missing = opened
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let inside = Path::new(context).join(file);
    let mut opened = opened
        .or_failed(|| format!("cannot read the Dockerfile {name}"))
        .map_err(|failure| {
            if missing && file.is_relative() && inside.exists() {
                failure.hint(format!(
                    "-f is relative to the current directory: did you mean `-f {}`?",
                    inside.display()
                ))
            } else if let Some(similar) = similar(file).filter(|_| missing) {
                failure.hint(format!("did you mean `-f {}`?", similar.display()))
            } else {
                failure
            }
        })?;
    if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Failure::failed(anyhow::anyhow!("the Dockerfile {name} is a directory")));
    }
    let text = read_text(&mut opened, &name)?;
    Ok(Named::new(name, text))
}

/// A file beside that one with a similar name, or one that is a Dockerfile by its name.
fn similar(file: &Path) -> Option<PathBuf> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = || fs::read_dir(directory.unwrap_or(Path::new("."))).ok();
    let names: Vec<String> = entries()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let wanted = file.file_name()?.to_str()?;
    let name = suggest::closest(wanted, names.iter().map(String::as_str))
        .map(ToOwned::to_owned)
        .or_else(|| likely_dockerfile(entries()?, &|_| true))?;
    Some(file.with_file_name(name))
}

/// `NAME.dockerignore` beside the Dockerfile, else `.dockerignore` in the context.
pub(crate) fn read_ignore(context: &Path, dockerfile: Option<&Path>) -> Result<Option<(String, String)>, Failure> {
    let own = dockerfile.map(|file| {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".dockerignore");
        file.with_file_name(name)
    });
    for file in own.into_iter().chain([context.join(".dockerignore")]) {
        let name = file.strip_prefix("./").unwrap_or(&file).display().to_string();
        match fs::File::open(&file) {
            Ok(mut opened) => {
                let text = as_text(read_bounded(&mut opened, &name, LARGEST_IGNORE)?, &name)?;
                return Ok(Some((text, name)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).or_failed(|| format!("cannot read {name}")),
        }
    }
    Ok(None)
}
