//! Sources that are no files of this machine: URLs and git repositories, of ADD and as contexts.

use kiln_dockerfile::boolean;

/// A git repository, and what of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSource {
    /// Where, without fragment and query.
    pub url: String,
    /// Branch, tag or commit; the server's own branch where empty.
    pub reference: String,
    /// The directory of it that is wanted, without `..`; all where empty.
    pub subdirectory: String,
    /// The commit it must be, possibly shortened (`checksum=`, `commit=`).
    pub checksum: Option<String>,
    /// Whether `.git` stays (`keep-git-dir=`), where the URL says so.
    pub keep_git_dir: Option<bool>,
    /// Whether its submodules are fetched as well (`submodules=`).
    pub submodules: bool,
    /// Whether the commit is taken from the checksum, without asking what the reference is now (`fetch-by-commit=`).
    pub fetch_by_commit: bool,
    /// Whether files have the time at which they were fetched (`mtime=checkout`), and not that of the commit.
    pub checkout_times: bool,
}

/// A place that is no directory of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// A git repository.
    Git(GitSource),
    /// A file by HTTP.
    Http(String),
}

impl Remote {
    /// What a context's address means (`BuildKit`: `dfgitutil.ParseGitRef`); `None` for a path.
    ///
    /// # Errors
    ///
    /// It is a repository's, and its fragment or query makes no sense.
    pub fn parse(address: &str) -> Result<Option<Self>, String> {
        if address.starts_with("github.com/") {
            return git(&format!("https://{address}"))?
                .checked()
                .map(|git| Some(Self::Git(git)));
        }
        match classify(address)? {
            AddSource::Path => Ok(None),
            AddSource::Http { .. } => Ok(Some(Self::Http(address.to_owned()))),
            AddSource::Git(git) => git.checked().map(|git| Some(Self::Git(git))),
        }
    }
}

impl GitSource {
    /// All of what is at that URL.
    pub fn of(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            reference: String::new(),
            subdirectory: String::new(),
            checksum: None,
            keep_git_dir: None,
            submodules: true,
            fetch_by_commit: false,
            checkout_times: false,
        }
    }

    /// The source, if its parts go together.
    pub(crate) fn checked(self) -> Result<Self, String> {
        let url = without_password(&self.url);
        if let Some(text) = self.checksum.as_deref().filter(|text| !is_commit(text)) {
            return Err(format!(
                "{url}: invalid checksum {text:?}: it must be 7 to 64 hexadecimal digits of a commit"
            ));
        }
        let known = is_whole_commit(&self.reference) || self.checksum.as_deref().is_some_and(is_whole_commit);
        if self.fetch_by_commit && !known {
            return Err(format!(
                "{url}: fetch-by-commit needs the whole number of a commit: add checksum=COMMIT"
            ));
        }
        Ok(self)
    }
}

/// A whole commit number; shortened ones are not understood by servers.
pub fn is_whole_commit(reference: &str) -> bool {
    matches!(reference.len(), 40 | 64) && is_commit(reference)
}

/// A commit's number, possibly shortened.
pub(crate) fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The password in a URL.
pub fn password(url: &str) -> Option<&str> {
    let (_, rest) = scheme(url)?;
    let (user, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// The URL as it may be shown: its password, if it has one, replaced.
pub fn without_password(url: &str) -> String {
    match password(url).filter(|password| !password.is_empty()) {
        Some(password) => url.replacen(&format!(":{password}@"), ":xxxxx@", 1),
        None => url.to_owned(),
    }
}

/// What a source of ADD is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AddSource {
    /// A path or pattern in the context.
    Path,
    /// A file by HTTP, with its name.
    Http { file_name: String },
    /// A repository.
    Git(GitSource),
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
    match percent_decoded(name) {
        Some(text) if !text.contains(['/', '\0']) && !matches!(text.as_str(), "" | "." | "..") => text,
        _ => name.to_owned(),
    }
}

/// Percent-encoding undone; `None` where that gives no text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
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
    String::from_utf8(bytes).ok()
}

/// A repository's URL, with a fragment (`#ref:dir`), a query, or both.
fn git(source: &str) -> Result<GitSource, String> {
    let (rest, fragment) = source.split_once('#').unwrap_or((source, ""));
    let (url, query) = rest.split_once('?').unwrap_or((rest, ""));
    let fragment = percent_decoded(fragment).unwrap_or_else(|| fragment.to_owned());
    let (reference, subdirectory) = fragment.split_once(':').unwrap_or((&fragment, ""));
    let mut found = Query {
        shown: without_password(url),
        source: GitSource::of(url),
        tag: None,
        branch: None,
        seen: Vec::new(),
    };
    found.set_reference(reference)?;
    found.set_subdirectory(subdirectory)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.replace('+', " ");
        found.parameter(name, &percent_decoded(&value).unwrap_or(value))?;
    }
    found.finish()
}

/// A repository while its URL's query is read.
struct Query<'a> {
    /// The URL, for messages.
    shown: String,
    source: GitSource,
    tag: Option<String>,
    branch: Option<String>,
    seen: Vec<&'a str>,
}

impl<'a> Query<'a> {
    fn parameter(&mut self, name: &'a str, value: &str) -> Result<(), String> {
        let shown = self.shown.clone();
        if self.seen.contains(&name) {
            return Err(format!("{shown}: query {name:?} has multiple values"));
        }
        self.seen.push(name);
        let switch = matches!(name, "submodules" | "keep-git-dir" | "fetch-by-commit");
        if value.is_empty() && !switch {
            return Err(format!("{shown}: query {name:?} has no value"));
        }
        match name {
            "ref" => return self.set_reference(value),
            "subdir" => return self.set_subdirectory(value),
            "tag" => self.tag = Some(full_name("refs/tags/", value)),
            "branch" => self.branch = Some(full_name("refs/heads/", value)),
            "checksum" | "commit" => {
                if self.source.checksum.as_deref().is_some_and(|known| known != value) {
                    return Err(format!("{shown}: checksum mismatch between checksum= and commit="));
                }
                self.source.checksum = Some(value.to_owned());
            }
            "keep-git-dir" => self.source.keep_git_dir = Some(self.switch(name, value)?),
            "submodules" => self.source.submodules = self.switch(name, value)?,
            "fetch-by-commit" => self.source.fetch_by_commit = self.switch(name, value)?,
            "mtime" if matches!(value, "commit" | "checkout") => self.source.checkout_times = value == "checkout",
            "mtime" => return Err(format!("{shown}: mtime is checkout or commit, not {value:?}")),
            _ => return Err(format!("{shown}: unexpected query {name:?}")),
        }
        Ok(())
    }

    /// As Go's `strconv.ParseBool` reads it; the name alone is true.
    fn switch(&self, name: &str, value: &str) -> Result<bool, String> {
        let said = if value.is_empty() {
            Some(true)
        } else {
            boolean::parse(value)
        };
        said.ok_or_else(|| format!("{}: {name} is true or false, not {value:?}", self.shown))
    }

    fn set_reference(&mut self, reference: &str) -> Result<(), String> {
        let known = &mut self.source.reference;
        if !known.is_empty() && known != reference {
            return Err(format!(
                "{}: ref conflicts: it is both {known:?} and {reference:?}",
                self.shown
            ));
        }
        reference.clone_into(known);
        Ok(())
    }

    fn set_subdirectory(&mut self, written: &str) -> Result<(), String> {
        let subdirectory = crate::path::absolute("/", written).trim_start_matches('/').to_owned();
        let known = &mut self.source.subdirectory;
        if !known.is_empty() && *known != subdirectory {
            return Err(format!(
                "{}: subdir conflicts: it is both {known:?} and {subdirectory:?}",
                self.shown
            ));
        }
        *known = subdirectory;
        Ok(())
    }

    fn finish(mut self) -> Result<GitSource, String> {
        if self.tag.is_some() && self.branch.is_some() {
            return Err(format!("{}: branch conflicts with tag", self.shown));
        }
        if let Some(reference) = self.tag.take().or_else(|| self.branch.take()) {
            self.set_reference(&reference)?;
        }
        Ok(self.source)
    }
}

fn full_name(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) {
        name.to_owned()
    } else {
        format!("{prefix}{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(url: &str, reference: &str, subdirectory: &str) -> GitSource {
        GitSource {
            reference: reference.to_owned(),
            subdirectory: subdirectory.to_owned(),
            ..GitSource::of(url)
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
            ("git@example.com:a/b.git?ref=x", "git@example.com:a/b.git", "x", ""),
            ("ssh://git@example.com:22/b", "ssh://git@example.com:22/b", "", ""),
            ("git://example.com/b?ref=x#:a/../../c", "git://example.com/b", "x", "c"),
            ("git://example.com/b?ref=x%2Fy#x/y", "git://example.com/b", "x/y", ""),
            ("git://example.com/b#%C3%A4:a%20b", "git://example.com/b", "ä", "a b"),
            (
                "git://example.com/b?tag=refs/tags/v1",
                "git://example.com/b",
                "refs/tags/v1",
                "",
            ),
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
            "https://example.com/b.git?tag=x&branch=y",
            "https://example.com/b.git?subdir=x#:y",
            "https://example.com/b.git?ref=",
            "https://example.com/b.git?ref=x&ref=x",
            "https://example.com/b.git?mtime=now",
            "https://example.com/b.git?submodules=perhaps",
        ] {
            assert!(classify(source).is_err(), "{source}");
        }
    }

    #[test]
    fn switches_of_repositories() {
        let AddSource::Git(git) = classify(
            "https://example.com/b.git?submodules=0&keep-git-dir&mtime=checkout&fetch-by-commit=T&commit=0123456",
        )
        .unwrap() else {
            panic!("no repository")
        };
        let expected = GitSource {
            submodules: false,
            keep_git_dir: Some(true),
            fetch_by_commit: true,
            checkout_times: true,
            checksum: Some("0123456".to_owned()),
            ..GitSource::of("https://example.com/b.git")
        };
        assert_eq!(git, expected);
        assert!(git.checked().unwrap_err().contains("whole number"));
    }

    #[test]
    fn addresses_of_contexts() {
        let git = |url| Ok(Some(Remote::Git(GitSource::of(url))));
        for (address, remote) in [
            (".", Ok(None)),
            ("my.git", Ok(None)),
            ("dir/a:b", Ok(None)),
            ("https://example.com/a.git", git("https://example.com/a.git")),
            ("github.com/a/b", git("https://github.com/a/b")),
            ("git@example.com:a/b", git("git@example.com:a/b")),
            (
                "https://example.com/a.tgz",
                Ok(Some(Remote::Http("https://example.com/a.tgz".to_owned()))),
            ),
        ] {
            assert_eq!(Remote::parse(address), remote, "{address}");
        }
        assert!(Remote::parse("github.com/a/b?what=x").is_err());
        assert!(Remote::parse("git://example.com/a?checksum=xyz").is_err());
    }

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            (
                "https://ann:secret@example.com/b.git#x",
                "https://ann:xxxxx@example.com/b.git#x",
            ),
            ("https://ann@example.com/a:b@c", "https://ann@example.com/a:b@c"),
            ("git@example.com:a/b", "git@example.com:a/b"),
        ] {
            assert_eq!(without_password(url), shown);
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
