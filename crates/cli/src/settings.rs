//! What Kiln is told besides its arguments: the environment, configuration files and their usual places.
//! Nothing else in Kiln reads the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use kiln_dockerfile::mount::CacheKey;
use kiln_image::Platform;
use kiln_plan::SOURCE_DATE_EPOCH;
use kiln_store::Cap;
use serde::Deserialize;

use crate::check::budget::Budget;
use crate::failure::{Context as _, Failure};
use crate::values::cap;

/// The environment, read once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect(),
        )
    }

    /// The environment with these variables only.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        Self(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.into()))
                .collect(),
        )
    }

    /// A variable as it is.
    pub(crate) fn raw(&self, name: &str) -> Option<OsString> {
        self.0.get(name).cloned()
    }

    /// A variable that must be text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.raw(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(format!("the environment variable {name} is not UTF-8")),
        }
    }

    /// A variable that counts only if it is text and not empty.
    pub(crate) fn filled(&self, name: &str) -> Option<String> {
        self.text(name).ok().flatten().filter(|text| !text.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// A variable that the XDG base directory specification defines: relative paths are to be ignored.
    fn xdg(&self, name: &str) -> Option<PathBuf> {
        self.path(name).filter(|path| path.is_absolute())
    }

    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.path("HOME")
    }
}

/// Options that every command has.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct GlobalArgs {
    /// Directory of the store [default: $KILN_ROOT, else $XDG_DATA_HOME/kiln, /var/lib/kiln for root]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) root: Option<PathBuf>,
    /// The most that the store may hold: a size like 20g, a share of the disk like 40%, or none [default: $KILN_STORE_MAX,
    /// else 80% of the disk, at most 100 GB, and less where under 20% of it is free]
    #[arg(long, global = true, value_name = "SIZE", help_heading = "Global options")]
    pub(crate) store_max: Option<String>,
    /// Mirrors and insecure registries [default: $CONTAINERS_REGISTRIES_CONF, else the usual places]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) registries_conf: Option<PathBuf>,
    /// Certificate authorities (PEM) that Kiln and the steps of a build trust besides their own [default:
    /// $KILN_CA_BUNDLE]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Say more about errors
    #[arg(short = 'D', long, global = true, help_heading = "Global options")]
    pub(crate) debug: bool,
}

/// Where the container device interface has its files.
const CDI_DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// `kiln.toml`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    root: Option<PathBuf>,
    store_max: Option<String>,
    ca_bundle: Option<PathBuf>,
    registries_conf: Option<PathBuf>,
    #[serde(default)]
    vulnerability_db: Vec<PathBuf>,
    jobs: Option<usize>,
    summary: Option<bool>,
    #[serde(default)]
    cache_mounts: BTreeMap<String, CacheMounts>,
    #[serde(default)]
    check: Budget,
    #[serde(default)]
    lint: LintFile,
}

/// What `kiln.toml` says of the linter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LintFile {
    during_build: Option<DuringBuild>,
}

/// What the linter looks for during a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(crate) enum DuringBuild {
    /// Nothing.
    Nothing,
    /// What Kiln's own rules find, and hadolint's where it has settings.
    #[default]
    Own,
    /// What all rules find.
    All,
}

impl TryFrom<toml::Value> for DuringBuild {
    type Error = &'static str;

    fn try_from(value: toml::Value) -> Result<Self, Self::Error> {
        match value {
            toml::Value::Boolean(false) => Ok(Self::Nothing),
            toml::Value::Boolean(true) => Ok(Self::Own),
            toml::Value::String(text) if text == "all" => Ok(Self::All),
            _ => Err("during-build is true, false or \"all\""),
        }
    }
}

/// What `kiln.toml` says of the cache mounts of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct CacheMounts {
    key: Vec<KeyPart>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct KeyPart(CacheKey);

impl TryFrom<String> for KeyPart {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let key = CacheKey::parse(&text).map(Self);
        key.ok_or("a key is a text, `platform`, `base` or `file:PATTERN`")
    }
}

/// Everything that was found.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The environment.
    pub(crate) environment: Environment,
    /// When the process began.
    pub(crate) began: Instant,
    global: GlobalArgs,
    file: File,
    superuser: bool,
}

impl Settings {
    /// Looks around. Call it before a user namespace is entered: in there, everybody is root.
    pub(crate) fn of_process(global: GlobalArgs, began: Instant) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let file = read_file(&environment)?;
        Ok(Self {
            environment,
            began,
            global,
            file,
            superuser: rustix::process::geteuid().is_root(),
        })
    }

    /// Those of nobody.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self {
            environment: Environment::default(),
            began: Instant::now(),
            global: GlobalArgs::default(),
            file: File::default(),
            superuser: false,
        }
    }

    /// The directory of the store.
    pub(crate) fn root(&self) -> Result<PathBuf, Failure> {
        let environment = &self.environment;
        let said = self
            .global
            .root
            .clone()
            .or_else(|| environment.path("KILN_ROOT"))
            .or_else(|| self.file.root.clone());
        if let Some(root) = said {
            return std::path::absolute(&root).or_failed(|| format!("cannot use {} as the store", root.display()));
        }
        if self.superuser {
            return Ok(PathBuf::from("/var/lib/kiln"));
        }
        let data = environment
            .xdg("XDG_DATA_HOME")
            .or_else(|| Some(environment.home()?.join(".local/share")));
        data.map(|data| data.join("kiln")).ok_or_else(|| {
            Failure::usage("there is no place for the store: neither HOME nor XDG_DATA_HOME is set")
                .hint("name a directory with --root or KILN_ROOT")
        })
    }

    /// The most that the store may hold.
    pub(crate) fn store_max(&self) -> Result<Cap, Failure> {
        let sources = [
            ("--store-max", self.global.store_max.clone()),
            ("KILN_STORE_MAX", self.environment.filled("KILN_STORE_MAX")),
            ("store-max in kiln.toml", self.file.store_max.clone()),
        ];
        let said = sources.into_iter().find_map(|(source, text)| Some((source, text?)));
        said.map_or(Ok(Cap::OfDisk), |(source, text)| {
            cap::parse(&text).map_err(|message| Failure::usage(format!("{source}: {message}")))
        })
    }

    /// The proxies that docker's configuration has for builds and containers, as variables.
    pub(crate) fn docker_proxies(&self) -> Result<Vec<(String, String)>, Failure> {
        self.docker_config()
            .map_or(Ok(Vec::new()), |file| crate::docker_config::proxies(&file))
    }

    fn docker_config(&self) -> Option<PathBuf> {
        let environment = &self.environment;
        let directory = environment
            .path("DOCKER_CONFIG")
            .or_else(|| Some(environment.home()?.join(".docker")));
        directory.map(|directory| directory.join("config.json"))
    }

    /// The files that hold credentials; `login` writes the first.
    pub(crate) fn credential_files(&self) -> Vec<PathBuf> {
        let environment = &self.environment;
        let mut files: Vec<PathBuf> = self.docker_config().into_iter().collect();
        files.extend(environment.path("REGISTRY_AUTH_FILE"));
        files.extend(
            environment
                .xdg("XDG_RUNTIME_DIR")
                .map(|directory| directory.join("containers/auth.json")),
        );
        files.extend(
            self.config_home()
                .map(|directory| directory.join("containers/auth.json")),
        );
        files
    }

    fn config_home(&self) -> Option<PathBuf> {
        config_home(&self.environment)
    }

    /// `registries.conf` and the directories of its drop-ins, the one that others override first
    /// (containers-registries.conf(5)).
    pub(crate) fn registries_conf(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
        let said = self
            .global
            .registries_conf
            .clone()
            .or_else(|| self.file.registries_conf.clone());
        if let Some(path) = said {
            // A file that was asked for by name must be there.
            std::fs::metadata(&path).or_failed(|| format!("cannot read {}", path.display()))?;
            return Ok((vec![path], Vec::new()));
        }
        if let Some(path) = self.environment.path("CONTAINERS_REGISTRIES_CONF") {
            return Ok((vec![path], Vec::new()));
        }
        let system = Path::new("/etc/containers");
        let user = self.config_home().map(|directory| directory.join("containers"));
        let own = user
            .as_deref()
            .map(|directory| directory.join("registries.conf"))
            .filter(|path| path.exists());
        let file = own.unwrap_or_else(|| system.join("registries.conf"));
        let drop_ins = [Some(system.to_owned()), user];
        Ok((
            vec![file],
            drop_ins
                .into_iter()
                .flatten()
                .map(|directory| directory.join("registries.conf.d"))
                .collect(),
        ))
    }

    /// Where devices are described (CDI): later directories win.
    pub(crate) fn device_directories(&self) -> Vec<PathBuf> {
        match self.environment.filled("KILN_CDI_DIRS") {
            Some(text) => paths(&text),
            None => CDI_DIRECTORIES.map(PathBuf::from).to_vec(),
        }
    }

    /// Where known vulnerabilities are, if an argument does not say it.
    pub(crate) fn vulnerability_db(&self) -> Vec<PathBuf> {
        match self.environment.filled("KILN_VULNERABILITY_DB") {
            Some(text) => paths(&text),
            None => self.file.vulnerability_db.clone(),
        }
    }

    /// Certificate authorities for Kiln and for the steps of a build.
    pub(crate) fn ca_bundle(&self) -> Result<Option<PathBuf>, Failure> {
        let said = self
            .global
            .ca_bundle
            .clone()
            .or_else(|| self.environment.path("KILN_CA_BUNDLE"));
        let Some(path) = said.or_else(|| self.file.ca_bundle.clone()) else {
            return Ok(None);
        };
        let text = std::fs::read(&path).or_failed(|| format!("cannot read the CA bundle {}", path.display()))?;
        if !String::from_utf8_lossy(&text).contains("-----BEGIN CERTIFICATE-----") {
            return Err(
                Failure::usage(format!("the CA bundle {} has no certificate in it", path.display()))
                    .hint("a bundle is a PEM file: `-----BEGIN CERTIFICATE-----` and base64"),
            );
        }
        std::path::absolute(&path)
            .map(Some)
            .or_failed(|| format!("cannot use {}", path.display()))
    }

    /// Certificate authorities for Kiln alone.
    pub(crate) fn own_certificates(&self) -> Option<PathBuf> {
        self.environment.path("SSL_CERT_FILE")
    }

    /// How to ask registries.
    pub(crate) fn registry(&self) -> Result<kiln_registry::Settings, Failure> {
        let (files, drop_ins) = self.registries_conf()?;
        let registries = kiln_registry::RegistriesConf::load(&files, &drop_ins).map_err(Failure::failed)?;
        Ok(kiln_registry::Settings {
            credentials: std::sync::Arc::new(kiln_registry::DockerConfig::new(self.credential_files())),
            registries,
            ca_bundles: self.ca_bundle()?.into_iter().chain(self.own_certificates()).collect(),
            proxies: self.proxies(),
            ..kiln_registry::Settings::default()
        })
    }

    fn proxies(&self) -> kiln_registry::Proxies {
        let either = |upper: &str| {
            let lower = upper.to_ascii_lowercase();
            self.environment
                .filled(&lower)
                .or_else(|| self.environment.filled(upper))
        };
        let all = either("ALL_PROXY");
        kiln_registry::Proxies {
            http: either("HTTP_PROXY").or_else(|| all.clone()),
            https: either("HTTPS_PROXY").or(all),
            no_proxy: either("NO_PROXY"),
        }
    }

    /// Whether to write in colours to a stream (<https://no-color.org>).
    pub(crate) fn colours(&self, terminal: bool) -> bool {
        let dumb = self.environment.filled("TERM").is_some_and(|term| term == "dumb");
        match self.environment.filled("CLICOLOR_FORCE") {
            _ if self.environment.filled("NO_COLOR").is_some() => false,
            Some(force) if force != "0" => true,
            _ => terminal && !dumb,
        }
    }

    /// Whether the terminal can be expected to show more than ASCII.
    pub(crate) fn unicode(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| self.environment.filled(name));
        // Without any locale (a container, a service) nearly every terminal is a UTF-8 one today.
        let locale = locale.unwrap_or_else(|| "C.UTF-8".to_owned()).to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    }

    /// Whether the terminal moves its cursor when told to.
    pub(crate) fn cursor(&self) -> bool {
        self.environment.filled("TERM").is_none_or(|term| term != "dumb")
    }

    /// `BUILDKIT_PROGRESS`.
    pub(crate) fn progress(&self) -> Option<String> {
        self.environment.filled("BUILDKIT_PROGRESS")
    }

    /// `KILN_TRACE`.
    pub(crate) fn trace(&self) -> Option<PathBuf> {
        self.environment.path("KILN_TRACE")
    }

    /// Where the user's `ssh` keeps the keys of servers.
    pub(crate) fn known_hosts(&self) -> Option<PathBuf> {
        Some(self.environment.home()?.join(".ssh/known_hosts"))
    }

    /// `SOURCE_DATE_EPOCH`, as a build argument.
    pub(crate) fn epoch(&self) -> Option<String> {
        Some(self.environment.filled(SOURCE_DATE_EPOCH)?.trim().to_owned())
    }

    /// `DOCKER_DEFAULT_PLATFORM`.
    pub(crate) fn default_platform(&self) -> Result<Option<Platform>, Failure> {
        let Some(text) = self.environment.filled("DOCKER_DEFAULT_PLATFORM") else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|error| Failure::usage(format!("DOCKER_DEFAULT_PLATFORM: {error}")))
    }

    /// What images may be.
    pub(crate) fn budget(&self) -> Budget {
        self.file.check.clone()
    }

    /// Whether a build says in the end what it did, where nobody says.
    pub(crate) fn summary(&self) -> bool {
        self.file.summary.unwrap_or(true)
    }

    /// What the linter looks for during a build.
    pub(crate) fn lint_during_build(&self) -> DuringBuild {
        self.file.lint.during_build.unwrap_or_default()
    }

    /// How many steps run at the same time where nobody says.
    pub(crate) fn jobs(&self) -> Option<usize> {
        self.file.jobs
    }

    /// The keys of cache mounts that say none, by their targets.
    pub(crate) fn cache_keys(&self) -> BTreeMap<String, Vec<CacheKey>> {
        let keys = |mounts: &CacheMounts| mounts.key.iter().map(|part| part.0.clone()).collect();
        let of_target = |(target, mounts): (&String, &CacheMounts)| (target.clone(), keys(mounts));
        self.file.cache_mounts.iter().map(of_target).collect()
    }

    /// Whether errors are to be told with everything that is known.
    pub(crate) fn debug(&self) -> bool {
        self.global.debug
    }
}

fn config_home(environment: &Environment) -> Option<PathBuf> {
    environment
        .xdg("XDG_CONFIG_HOME")
        .or_else(|| Some(environment.home()?.join(".config")))
}

fn read_file(environment: &Environment) -> Result<File, Failure> {
    if let Some(path) = environment.path("KILN_CONFIG") {
        let text = std::fs::read_to_string(&path).or_failed(|| format!("cannot read {}", path.display()))?;
        return parse_file(&path, &text);
    }
    let user = config_home(environment).map(|directory| directory.join("kiln/kiln.toml"));
    for path in user.into_iter().chain([PathBuf::from("/etc/kiln/kiln.toml")]) {
        match std::fs::read_to_string(&path) {
            Ok(text) => return parse_file(&path, &text),
            // A home that others may not look into is as good as one without the file.
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied
                ) => {}
            Err(error) => return Err(error).or_failed(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(File::default())
}

fn parse_file(path: &Path, text: &str) -> Result<File, Failure> {
    let mut file: File = toml::from_str(text)
        .map_err(|error| Failure::usage(format!("{}: {}", path.display(), error.to_string().trim_end())))?;
    // Relative paths are those of the file, wherever Kiln is started.
    let directory = path.parent().unwrap_or(Path::new("/"));
    let paths = [&mut file.root, &mut file.ca_bundle, &mut file.registries_conf];
    for path in paths.into_iter().flatten().chain(&mut file.vulnerability_db) {
        *path = directory.join(&*path);
    }
    Ok(file)
}

/// Paths that are separated by colons.
fn paths(text: &str) -> Vec<PathBuf> {
    text.split(':')
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)], superuser: bool) -> Settings {
        Settings {
            environment: Environment::of(variables),
            began: Instant::now(),
            global: GlobalArgs::default(),
            file: File::default(),
            superuser,
        }
    }

    #[test]
    fn finds_the_store() {
        let root = |variables: &[(&str, &str)], superuser| settings(variables, superuser).root().unwrap();
        assert_eq!(root(&[("HOME", "/h")], true), Path::new("/var/lib/kiln"));
        assert_eq!(root(&[("HOME", "/h")], false), Path::new("/h/.local/share/kiln"));
        assert_eq!(
            root(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")], false),
            Path::new("/d/kiln")
        );
        assert_eq!(
            root(&[("HOME", "/h"), ("XDG_DATA_HOME", "d")], false),
            Path::new("/h/.local/share/kiln")
        );
        assert_eq!(root(&[("KILN_ROOT", "/k"), ("HOME", "/h")], true), Path::new("/k"));
        assert!(settings(&[], false).root().is_err());
        let mut said = settings(&[("KILN_ROOT", "/k")], true);
        said.global.root = Some("/r".into());
        assert_eq!(said.root().unwrap(), Path::new("/r"));
    }

    #[test]
    fn finds_how_much_the_store_may_hold() {
        let mut said = settings(&[], false);
        assert_eq!(said.store_max().unwrap(), Cap::OfDisk);
        said.file.store_max = Some("1g".to_owned());
        assert_eq!(said.store_max().unwrap(), Cap::Bytes(1 << 30));
        said.environment = Environment::of(&[("KILN_STORE_MAX", "40%")]);
        assert_eq!(said.store_max().unwrap(), Cap::Percent(40));
        said.global.store_max = Some("none".to_owned());
        assert_eq!(said.store_max().unwrap(), Cap::None);
        said.global.store_max = Some("much".to_owned());
        assert!(said.store_max().is_err());
    }

    #[test]
    fn finds_credentials() {
        let files = settings(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/u")], false).credential_files();
        let expected = [
            "/h/.docker/config.json",
            "/run/u/containers/auth.json",
            "/h/.config/containers/auth.json",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
        let files = settings(&[("DOCKER_CONFIG", "/d")], false).credential_files();
        assert_eq!(files, [PathBuf::from("/d/config.json")]);
    }

    #[test]
    fn decides_about_colours() {
        let colours = |variables: &[(&str, &str)], terminal| settings(variables, false).colours(terminal);
        assert!(colours(&[], true));
        assert!(!colours(&[], false));
        assert!(!colours(&[("NO_COLOR", "1")], true));
        assert!(colours(&[("NO_COLOR", "")], true));
        assert!(!colours(&[("TERM", "dumb")], true));
        assert!(colours(&[("CLICOLOR_FORCE", "1")], false));
    }

    #[test]
    fn reads_kiln_toml() {
        let file = parse_file(Path::new("/etc/kiln/kiln.toml"), "ca-bundle = \"ca.pem\"\njobs = 3\n").unwrap();
        assert_eq!(file.ca_bundle.as_deref(), Some(Path::new("/etc/kiln/ca.pem")));
        assert_eq!(file.jobs, Some(3));
        assert!(parse_file(Path::new("kiln.toml"), "job = 3\n").is_err());
        let lint = |value: &str| {
            let text = format!("[lint]\nduring-build = {value}\n");
            parse_file(Path::new("kiln.toml"), &text).map(|file| file.lint.during_build)
        };
        assert_eq!(lint("false").unwrap(), Some(DuringBuild::Nothing));
        assert_eq!(lint("true").unwrap(), Some(DuringBuild::Own));
        assert_eq!(lint("\"all\"").unwrap(), Some(DuringBuild::All));
        assert!(lint("\"some\"").is_err());
    }

    #[test]
    fn reads_the_keys_of_cache_mounts() {
        let read = |text: &str| parse_file(Path::new("kiln.toml"), text);
        let mut said = settings(&[], false);
        said.file = read("[cache-mounts.\"/root/.npm\"]\nkey = [\"platform\", \"file:*.lock\", \"a\"]\n").unwrap();
        let key = vec![
            CacheKey::Platform,
            CacheKey::File("*.lock".to_owned()),
            CacheKey::Text("a".to_owned()),
        ];
        assert_eq!(said.cache_keys(), [("/root/.npm".to_owned(), key)].into());
        for wrong in [
            "key = [\"\"]",
            "key = [\"file:\"]",
            "key = \"platform\"",
            "keys = []",
            "",
        ] {
            assert!(read(&format!("[cache-mounts.\"/c\"]\n{wrong}\n")).is_err(), "{wrong}");
        }
    }
}
