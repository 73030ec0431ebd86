//! `COPY --parents`: what is copied keeps the directories that lead to it.

use kiln_dockerfile::glob;
use kiln_dockerfile::ignore::Ignore;
use rustix::fs::FileType;

use super::sources::{Source, Tree, as_text, clean};
use crate::error::{StepError, StepResult};

/// What `--parents` copies for one source word.
#[derive(Debug)]
pub(super) struct Kept {
    /// The directory that the kept paths are relative to: what is before the pivot `/./`, else the root (empty).
    pub(super) base: String,
    pub(super) sources: Vec<Source>,
}

impl Kept {
    /// The path that a source keeps.
    pub(super) fn relative<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&self.base).unwrap_or(path).trim_start_matches('/')
    }

    /// The directories between the base and `path`, uppermost first.
    pub(super) fn ancestors(&self, path: &str) -> Vec<String> {
        let above = path.len() - self.relative(path).len();
        let slashes = path
            .bytes()
            .enumerate()
            .filter(|&(at, byte)| byte == b'/' && at > above);
        slashes.map(|(at, _)| path[..at].to_owned()).collect()
    }
}

impl Tree<'_> {
    /// What a source word of `COPY --parents` names. Patterns are those of ignore files, `**` too, and may match
    /// nothing; a plain path that is not there is an error.
    pub(super) fn find_with_parents(&self, word: &str) -> StepResult<Kept> {
        let (base, rest) = word.split_once("/./").unwrap_or(("", word));
        let (base, rest) = (clean(base), clean(rest));
        let sources = if glob::is_pattern(&rest) {
            self.matches_below(&base, &rest)?
        } else {
            self.find(&join(&base, &rest))?
        };
        Ok(Kept { base, sources })
    }

    fn matches_below(&self, base: &str, pattern: &str) -> StepResult<Vec<Source>> {
        let matcher = Ignore::from_patterns(&[pattern])
            .map_err(|error| StepError::Invalid(format!("pattern `{pattern}`: {error}")))?;
        let mut sources = Vec::new();
        let mut directories = vec![String::new()];
        while let Some(directory) = directories.pop() {
            let parent = join(base, &directory);
            for name in self.entries(&parent)? {
                let below = join(&directory, &name.to_string_lossy());
                if name.to_str().is_none() && !matcher.decide(&below).excluded {
                    continue;
                }
                let below = join(&directory, as_text(&name, &parent)?);
                let path = join(base, &below);
                let Some(kind) = self.kind_of_entry(&path)? else {
                    continue;
                };
                if self.excluded(&path, kind) {
                    continue;
                }
                if matcher.decide(&below).excluded {
                    sources.extend(self.visible(&path)?);
                } else if kind == FileType::Directory {
                    directories.push(below);
                }
            }
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(sources)
    }
}

fn join(directory: &str, name: &str) -> String {
    match (directory, name) {
        ("", path) | (path, "") => path.to_owned(),
        _ => format!("{directory}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Kept;

    #[test]
    fn ancestors_lie_between_base_and_path() {
        let kept = |base: &str| Kept {
            base: base.to_owned(),
            sources: Vec::new(),
        };
        assert_eq!(kept("").ancestors("a/b/c"), ["a", "a/b"]);
        assert_eq!(kept("a").ancestors("a/b/c"), ["a/b"]);
        assert_eq!(kept("a/b").ancestors("a/b/c"), [""; 0]);
        assert_eq!(kept("a").relative("a/b/c"), "b/c");
        assert_eq!(kept("").relative("a"), "a");
    }
}
