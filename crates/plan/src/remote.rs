//! ADD's sources that are no files of the context: URLs and git repositories.

/// A git repository as ADD names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GitUrl {
    /// Where, without fragment and query.
    pub(crate) url: String,
    /// Branch, tag or commit.
    pub(crate) reference: String,
    /// Directory in it.
    pub(crate) subdirectory: String,
    /// `checksum=`
    pub(crate) checksum: Option<String>,
    /// `keep-git-dir=`
    pub(crate) keep_git_dir: Option<bool>,
}

/// What a source of ADD is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AddSource {
    /// A path or pattern in the context.
    Path,
    /// A file by HTTP, with its name.
    Http { file_name: String },
    /// A repository.
    Git(GitUrl),
}

/// What a download is called whose URL ends in no name.
const UNNAMED: &str = "__unnamed__";

/// Tells paths, URLs and repositories apart; an error where a repository's URL cannot be understood.
pub(crate) fn classify(source: &str) -> Result<AddSource, String> {
    if is_git(source) {
        return git(source).map(AddSource::Git);
    }
    if is_http(source) {
        let file_name = file_name(source);
        return Ok(AddSource::Http { file_name });
    }
    Ok(AddSource::Path)
}

fn scheme(source: &str) -> Option<(&str, &str)> {
    source.split_once("://")
}

fn is_http(source: &str) -> bool {
    matches!(scheme(source), Some(("http" | "https", rest)) if !rest.is_empty())
}

/// `git://`, `ssh://`, `user@host:path`, and HTTP URLs whose path ends in `.git`.
fn is_git(source: &str) -> bool {
    match scheme(source) {
        Some(("git" | "ssh", rest)) => !rest.is_empty(),
        Some(("http" | "https", _)) => path_of(source).strip_suffix(".git").is_some(),
        Some(_) => false,
        None => is_scp(source),
    }
}

/// `git@host:path`: a user, a host, a colon, all before any slash.
fn is_scp(source: &str) -> bool {
    let Some((host, path)) = source.split_once(':') else {
        return false;
    };
    let Some((user, host)) = host.split_once('@') else {
        return false;
    };
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    word(user) && word(host) && !path.is_empty()
}

/// The URL without query and fragment.
fn path_of(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn file_name(url: &str) -> String {
    let path = path_of(url);
    let path = scheme(path).map_or(path, |(_, rest)| rest);
    let name = path.split_once('/').map_or("", |(_, path)| path).rsplit('/').next();
    match name {
        None | Some("" | "." | "..") => UNNAMED.to_owned(),
        Some(name) => decoded(name),
    }
}

/// Percent-encoding undone; left as it is where that gives no sensible file name.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'%').then(|| after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()));
        if let Some(byte) = code.flatten().and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains(['/', '\0']) && !matches!(text.as_str(), "" | "." | "..") => text,
        _ => name.to_owned(),
    }
}

fn git(source: &str) -> Result<GitUrl, String> {
    let (rest, fragment) = source.split_once('#').unwrap_or((source, ""));
    let (url, query) = if scheme(rest).is_some() {
        rest.split_once('?').unwrap_or((rest, ""))
    } else {
        (rest, "")
    };
    let (reference, subdirectory) = fragment.split_once(':').unwrap_or((fragment, ""));
    let mut found = GitUrl {
        url: url.to_owned(),
        reference: reference.to_owned(),
        subdirectory: subdirectory.trim_matches('/').to_owned(),
        ..GitUrl::default()
    };
    if !query.is_empty() && !fragment.is_empty() {
        return Err(format!(
            "{source}: a git URL has either a fragment (#ref:dir) or a query (?ref=…), not both"
        ));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        found.parameter(source, name, value)?;
    }
    Ok(found)
}

impl GitUrl {
    fn parameter(&mut self, source: &str, name: &str, value: &str) -> Result<(), String> {
        match name {
            "ref" => self.set_reference(source, value.to_owned()),
            "tag" => self.set_reference(source, format!("refs/tags/{value}")),
            "branch" => self.set_reference(source, format!("refs/heads/{value}")),
            "subdir" => {
                value.trim_matches('/').clone_into(&mut self.subdirectory);
                Ok(())
            }
            "checksum" | "commit" => {
                if self.checksum.as_deref().is_some_and(|known| known != value) {
                    return Err(format!("{source}: checksum mismatch between checksum= and commit="));
                }
                self.checksum = Some(value.to_owned());
                Ok(())
            }
            "keep-git-dir" => {
                self.keep_git_dir = Some(match value {
                    "" | "1" | "true" => true,
                    "0" | "false" => false,
                    _ => return Err(format!("{source}: keep-git-dir is true or false, not {value:?}")),
                });
                Ok(())
            }
            "submodules" | "mtime" | "fetch-by-commit" => {
                Err(format!("{source}: the query parameter {name} is not supported yet"))
            }
            _ => Err(format!("{source}: unexpected query {name:?}")),
        }
    }

    fn set_reference(&mut self, source: &str, reference: String) -> Result<(), String> {
        if !self.reference.is_empty() && self.reference != reference {
            return Err(format!("{source}: ref, tag and branch conflict: give one of them"));
        }
        self.reference = reference;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(url: &str, reference: &str, subdirectory: &str) -> GitUrl {
        GitUrl {
            url: url.to_owned(),
            reference: reference.to_owned(),
            subdirectory: subdirectory.to_owned(),
            ..GitUrl::default()
        }
    }

    #[test]
    fn repositories() {
        for (source, url, reference, subdirectory) in [
            ("https://example.com/a/b.git", "https://example.com/a/b.git", "", ""),
            ("https://example.com/b.git#v1", "https://example.com/b.git", "v1", ""),
            (
                "https://example.com/b.git#v1:/sub/dir/",
                "https://example.com/b.git",
                "v1",
                "sub/dir",
            ),
            ("git@example.com:a/b.git#:sub", "git@example.com:a/b.git", "", "sub"),
            ("ssh://git@example.com:22/b", "ssh://git@example.com:22/b", "", ""),
            ("git://example.com/b?ref=x&subdir=y", "git://example.com/b", "x", "y"),
            (
                "https://example.com/b.git?branch=m",
                "https://example.com/b.git",
                "refs/heads/m",
                "",
            ),
        ] {
            let expected = AddSource::Git(repository(url, reference, subdirectory));
            assert_eq!(classify(source), Ok(expected), "{source}");
        }
        for source in [
            "https://example.com/b.git?ref=x#y",
            "https://example.com/b.git?ref=x&tag=y",
            "https://example.com/b.git?what=x",
            "https://example.com/b.git?checksum=a&commit=b",
        ] {
            assert!(classify(source).is_err(), "{source}");
        }
    }

    #[test]
    fn downloads_and_their_names() {
        for (source, name) in [
            ("https://example.com/a/b.tar.gz", "b.tar.gz"),
            ("https://example.com/a/b?x=/y#z", "b"),
            ("https://example.com/a/", UNNAMED),
            ("https://example.com", UNNAMED),
            ("http://example.com/a%20b", "a b"),
            ("http://example.com/%2e%2e", "%2e%2e"),
            ("http://example.com/a%2fb", "a%2fb"),
        ] {
            let expected = AddSource::Http {
                file_name: name.to_owned(),
            };
            assert_eq!(classify(source), Ok(expected), "{source}");
        }
        for source in [
            "a",
            "./b.git",
            "a:b",
            "ftp://example.com/x",
            "user@host/x:y",
            "github.com/a/b",
        ] {
            assert_eq!(classify(source), Ok(AddSource::Path), "{source}");
        }
    }
}
