//! Docker's `config.json` and containers' `auth.json`: credentials per registry.
//!
//! `auths` holds user names and passwords in base64; `credHelpers` and `credsStore` name programs that keep
//! them elsewhere. Everything else in the file is for others and is kept as it is.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::helper::Helper;
use crate::host::DOCKER_HUB;
use crate::{Credential, Credentials, Error, Found};

/// The key of Docker Hub, which docker keeps for the sake of its version 1.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Credentials from files in the format of docker's `config.json`.
#[derive(Debug, Clone, Default)]
pub struct DockerConfig {
    paths: Vec<PathBuf>,
    helper_directory: Option<PathBuf>,
}

impl DockerConfig {
    /// Reads from `paths`: the first file that knows the registry decides. [`store`](Self::store) and
    /// [`erase`](Self::erase) change the first. Files may be missing.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            helper_directory: None,
        }
    }

    /// Looks for helper programs in `directory` instead of where programs are.
    #[must_use]
    pub fn with_helper_directory(mut self, directory: PathBuf) -> Self {
        self.helper_directory = Some(directory);
        self
    }

    /// Keeps `credential` for `registry`, with the helper that the first file names or else in that file,
    /// which is created with mode 0600 if it is missing. Returns where it is kept now.
    pub fn store(&self, registry: &str, credential: &Credential) -> Result<String, Error> {
        let path = self.first()?;
        let mut file = read(path)?;
        let key = key_for(registry);
        if let Some(helper) = self.helper(&file, registry) {
            helper.store(&key, credential)?;
            auths(&mut file, path)?.insert(key, Value::Object(Map::new()));
            write(path, &file)?;
            return Ok(helper.program().to_owned());
        }
        let mut entry = Map::new();
        match credential {
            Credential::Basic { username, password } => {
                let auth = STANDARD.encode(format!("{username}:{password}"));
                entry.insert("auth".to_owned(), Value::String(auth));
            }
            Credential::IdentityToken(token) => {
                // docker wants some user name beside an identity token.
                entry.insert("auth".to_owned(), Value::String(STANDARD.encode("<token>:")));
                entry.insert("identitytoken".to_owned(), Value::String(token.clone()));
            }
        }
        auths(&mut file, path)?.insert(key, Value::Object(entry));
        write(path, &file)?;
        Ok(path.display().to_string())
    }

    /// Forgets the credential for `registry`; whether there was one.
    pub fn erase(&self, registry: &str) -> Result<bool, Error> {
        let path = self.first()?;
        let mut file = read(path)?;
        let helper = self.helper(&file, registry);
        let mut erased = false;
        if let Some(helper) = helper {
            let key = key_for(registry);
            erased = helper.get(&key)?.is_some();
            if erased {
                helper.erase(&key)?;
            }
        }
        if let Some(entries) = file.get_mut("auths").and_then(Value::as_object_mut) {
            let before = entries.len();
            entries.retain(|key, _| normalise(key) != registry);
            if entries.len() < before {
                erased = true;
                write(path, &file)?;
            }
        }
        Ok(erased)
    }

    fn first(&self) -> Result<&Path, Error> {
        let none = || {
            error(
                Path::new("config.json"),
                "no configuration file is known to keep credentials in",
            )
        };
        self.paths.first().map(PathBuf::as_path).ok_or_else(none)
    }

    /// What one file knows.
    fn find(&self, path: &Path, registry: &str, repository: &str) -> Result<Option<Found>, Error> {
        let file = read(path)?;
        if let Some(helper) = self.helper(&file, registry)
            && let Some(credential) = helper.get(&key_for(registry))?
        {
            let source = format!("{} ({})", helper.program(), path.display());
            return Ok(Some(Found { credential, source }));
        }
        let Some(entries) = file.get("auths").and_then(Value::as_object) else {
            return Ok(None);
        };
        for name in candidates(registry, repository) {
            for (key, entry) in entries.iter().filter(|(key, _)| normalise(key) == name) {
                if let Some(credential) = decode(path, key, entry)? {
                    let source = path.display().to_string();
                    return Ok(Some(Found { credential, source }));
                }
            }
        }
        Ok(None)
    }

    /// The helper in charge of `registry`: its own, else the one for all.
    fn helper(&self, file: &Value, registry: &str) -> Option<Helper> {
        let own = file.get("credHelpers").and_then(Value::as_object).and_then(|helpers| {
            let entry = helpers.iter().find(|(key, _)| normalise(key) == registry);
            entry?.1.as_str()
        });
        let name = own.or_else(|| file.get("credsStore").and_then(Value::as_str))?;
        (!name.is_empty()).then(|| Helper::new(name, self.helper_directory.clone()))
    }
}

impl Credentials for DockerConfig {
    fn get(&self, registry: &str, repository: &str) -> Result<Option<Found>, Error> {
        for path in &self.paths {
            if let Some(found) = self.find(path, registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The names to look for, the closest first: `auth.json` may have entries for a namespace or repository.
fn candidates<'a>(registry: &'a str, repository: &'a str) -> impl Iterator<Item = String> + 'a {
    let mut path = Some(repository).filter(|path| !path.is_empty());
    let paths = std::iter::from_fn(move || {
        let current = path?;
        path = current.rsplit_once('/').map(|(parent, _)| parent);
        Some(format!("{registry}/{current}"))
    });
    paths.chain(std::iter::once(registry.to_owned()))
}

/// The key that docker writes for `registry`.
fn key_for(registry: &str) -> String {
    if registry == DOCKER_HUB {
        DOCKER_HUB_KEY
    } else {
        registry
    }
    .to_owned()
}

/// The registry (and path, in `auth.json`) that a key means.
fn normalise(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = bare.unwrap_or(key).split_once('/').unwrap_or((bare.unwrap_or(key), ""));
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        other => other,
    };
    match path.trim_end_matches('/') {
        "" | "v1" | "v2" => host.to_owned(),
        // Docker's keys with a scheme mean the host, whatever follows.
        _ if bare.is_some() => host.to_owned(),
        path => format!("{host}/{path}"),
    }
}

/// The credential of one entry of `auths`; `None` for the empty entries that mark what a helper keeps.
fn decode(path: &Path, key: &str, entry: &Value) -> Result<Option<Credential>, Error> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credential::IdentityToken(token.to_owned())));
    }
    if let Some(auth) = text("auth") {
        let wrong = || error(path, &format!("the `auth` of `{key}` is not base64 of `user:password`"));
        let decoded = STANDARD.decode(auth.trim()).map_err(|_| wrong())?;
        let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
        let (username, password) = decoded.split_once(':').ok_or_else(wrong)?;
        return Ok(Some(Credential::Basic {
            username: username.to_owned(),
            // Old versions of docker padded with zero bytes.
            password: password.trim_end_matches('\0').to_owned(),
        }));
    }
    let pair = text("username").zip(text("password"));
    Ok(pair.map(|(username, password)| Credential::Basic {
        username: username.to_owned(),
        password: password.to_owned(),
    }))
}

fn read(path: &Path) -> Result<Value, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => String::new(),
        Err(e) => return Err(error(path, &format!("cannot be read: {e}"))),
    };
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let value: Value = serde_json::from_str(&text).map_err(|e| error(path, &format!("is not JSON: {e}")))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(error(path, "is not a JSON object"))
    }
}

fn auths<'a>(file: &'a mut Value, path: &Path) -> Result<&'a mut Map<String, Value>, Error> {
    let object = file
        .as_object_mut()
        .ok_or_else(|| error(path, "is not a JSON object"))?;
    let auths = object.entry("auths").or_insert_with(|| Value::Object(Map::new()));
    auths
        .as_object_mut()
        .ok_or_else(|| error(path, "`auths` is not an object"))
}

/// Writes atomically; the file is for its owner's eyes only from its first moment.
fn write(path: &Path, file: &Value) -> Result<(), Error> {
    let failed = |e: io::Error| error(path, &format!("cannot be written: {e}"));
    // Where the file is a link into somebody's dotfiles, the link stays.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // What exists keeps its mode.
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    serde::Serialize::serialize(file, &mut serializer).map_err(|e| failed(e.into()))?;
    text.push(b'\n');
    // `tempfile` creates files with mode 0600.
    let mut temporary = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    temporary.write_all(&text).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(&target).map_err(|e| failed(e.error))?;
    Ok(())
}

fn error(path: &Path, reason: &str) -> Error {
    Error::Config {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn basic(username: &str, password: &str) -> Credential {
        Credential::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    fn with(text: &str) -> (tempfile::TempDir, DockerConfig) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, text).unwrap();
        let config = DockerConfig::new(vec![path]).with_helper_directory(directory.path().to_owned());
        (directory, config)
    }

    fn get(config: &DockerConfig, registry: &str, repository: &str) -> Option<Credential> {
        config.get(registry, repository).unwrap().map(|found| found.credential)
    }

    #[test]
    fn finds_by_any_spelling() {
        // base64 of u:p and user:pass:word
        let (_directory, config) = with(
            r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "dTpw"},
            "https://legacy.example/v2/": {"auth": "dTpw"},
            "plain.example:5000": {"auth": "dXNlcjpwYXNzOndvcmQ="},
            "ns.example": {"auth": "dTpw"},
            "ns.example/team": {"username": "t", "password": "q"},
            "ns.example/team/app": {"identitytoken": "tok", "auth": "dTpw"},
            "empty.example": {},
            "http://h.example": {"auth": "dTpw"}
        }}"#,
        );
        for (registry, repository, expected) in [
            ("docker.io", "library/debian", Some(basic("u", "p"))),
            ("legacy.example", "", Some(basic("u", "p"))),
            ("plain.example:5000", "x", Some(basic("user", "pass:word"))),
            ("plain.example", "x", None),
            ("ns.example", "other", Some(basic("u", "p"))),
            ("ns.example", "team/x/y", Some(basic("t", "q"))),
            ("ns.example", "teammate", Some(basic("u", "p"))),
            (
                "ns.example",
                "team/app",
                Some(Credential::IdentityToken("tok".to_owned())),
            ),
            ("empty.example", "", None),
            ("h.example", "", Some(basic("u", "p"))),
            ("unknown.example", "", None),
        ] {
            assert_eq!(get(&config, registry, repository), expected, "{registry}/{repository}");
        }
    }

    #[test]
    fn broken_files_are_named() {
        for (text, word) in [
            ("{", "is not JSON"),
            ("[]", "is not a JSON object"),
            (r#"{"auths":{"a":{"auth":"%%"}}}"#, "base64"),
            (r#"{"auths":{"a":{"auth":"dQ=="}}}"#, "base64"),
        ] {
            let (_directory, config) = with(text);
            let error = config.get("a", "").unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("config.json"), "{error}");
        }
    }

    #[test]
    fn missing_and_empty_files_know_nothing() {
        let (directory, config) = with(" \n");
        assert_eq!(get(&config, "a", ""), None);
        let missing = DockerConfig::new(vec![directory.path().join("none/config.json")]);
        assert_eq!(get(&missing, "a", ""), None);
    }

    #[test]
    fn stores_and_erases_and_keeps_the_rest() {
        let (directory, config) = with(r#"{"HttpHeaders":{"X":"y"},"auths":{"other":{"auth":"dTpw"}},"psFormat":"z"}"#);
        let path = directory.path().join("config.json");
        config.store("docker.io", &basic("me", "secret")).unwrap();
        let token = Credential::IdentityToken("tok".to_owned());
        config.store("ghcr.io", &token).unwrap();
        assert_eq!(get(&config, "docker.io", "x"), Some(basic("me", "secret")));
        assert_eq!(get(&config, "ghcr.io", "x"), Some(token));
        assert_eq!(get(&config, "other", "x"), Some(basic("u", "p")));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(config.erase("docker.io").unwrap());
        assert!(!config.erase("docker.io").unwrap());
        assert_eq!(get(&config, "docker.io", "x"), None);
        let file = read(&path).unwrap();
        assert_eq!(file["HttpHeaders"]["X"], "y");
        assert_eq!(file["psFormat"], "z");
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn a_link_stays_a_link() {
        let (directory, config) = with("{}");
        let link = directory.path().join("link.json");
        std::os::unix::fs::symlink("config.json", &link).unwrap();
        DockerConfig::new(vec![link.clone()])
            .store("a", &basic("u", "p"))
            .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(get(&config, "a", ""), Some(basic("u", "p")));
    }

    #[test]
    fn creates_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let config = DockerConfig::new(vec![directory.path().join("a/b/config.json")]);
        config.store("r.example", &basic("u", "p")).unwrap();
        assert_eq!(get(&config, "r.example", ""), Some(basic("u", "p")));
    }

    /// A helper that keeps one credential per server in files beside itself.
    const HELPER: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
case $1 in
get) read -r url; f=kept-$(echo "$url" | tr -c 'a-z0-9.\n' _); [ -f "$f" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "$f";;
store) read -r json; url=$(echo "$json" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/'); echo "$json" > "kept-$(echo "$url" | tr -c 'a-z0-9.\n' _)";;
erase) read -r url; rm "kept-$(echo "$url" | tr -c 'a-z0-9.\n' _)";;
esac
"#;

    fn install_helper(directory: &Path, name: &str, text: &str) {
        let path = directory.join(format!("docker-credential-{name}"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn helpers_keep_credentials() {
        let (directory, config) = with(r#"{"credsStore":"all","credHelpers":{"own.example":"own"}}"#);
        install_helper(directory.path(), "all", HELPER);
        install_helper(
            directory.path(),
            "own",
            "#!/bin/sh\necho '{\"ServerURL\":\"x\",\"Username\":\"<token>\",\"Secret\":\"t\"}'\n",
        );
        assert_eq!(get(&config, "docker.io", ""), None);
        let kept = config.store("docker.io", &basic("me", "secret")).unwrap();
        assert_eq!(kept, "docker-credential-all");
        assert!(directory.path().join("kept-https___index.docker.io_v1_").exists());
        let found = config.get("docker.io", "").unwrap().unwrap();
        assert_eq!(found.credential, basic("me", "secret"));
        assert!(found.source.starts_with("docker-credential-all"), "{}", found.source);
        let text = fs::read_to_string(directory.path().join("config.json")).unwrap();
        assert!(!text.contains("secret") && text.contains("index.docker.io"), "{text}");
        assert!(config.erase("docker.io").unwrap());
        assert_eq!(get(&config, "docker.io", ""), None);
        assert_eq!(
            get(&config, "own.example", ""),
            Some(Credential::IdentityToken("t".to_owned()))
        );
    }

    #[test]
    fn helpers_that_fail_are_named() {
        let (directory, config) = with(r#"{"credsStore":"bad","credHelpers":{"a":"missing","b":"../x"}}"#);
        install_helper(directory.path(), "bad", "#!/bin/sh\necho 'keyring is locked'; exit 1\n");
        let message = |registry| config.get(registry, "").unwrap_err().to_string();
        assert!(message("c").contains("docker-credential-bad") && message("c").contains("keyring is locked"));
        assert!(message("a").contains("docker-credential-missing") && message("a").contains("cannot be started"));
        assert!(message("b").contains('/'));
    }
}
