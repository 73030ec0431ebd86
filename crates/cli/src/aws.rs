//! What Amazon's tools know of their user: variables, `~/.aws/credentials` and `~/.aws/config` (AWS SDKs and tools reference
//! guide, "Shared config and credentials files").

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::settings::Environment;

/// Key ID, secret and, for temporary ones, token.
pub(crate) type Keys = (String, String, Option<String>);

/// What applies to this process.
pub(crate) struct Profile {
    pub(crate) keys: Option<Keys>,
    pub(crate) region: Option<String>,
}

impl Profile {
    /// Variables come before files.
    pub(crate) fn of(environment: &Environment) -> Result<Self, String> {
        let variable = |name: &str| environment.filled(name);
        let name = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
        let credentials = section(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials", &[&name])?;
        let titles = [format!("profile {name}"), name];
        // Only the default profile's section has no word before its name.
        let titles: Vec<&str> = match titles[1].as_str() {
            "default" => titles.iter().map(String::as_str).collect(),
            _ => vec![&titles[0]],
        };
        let config = section(environment, "AWS_CONFIG_FILE", "config", &titles)?;
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        Ok(Self {
            keys: keys(|name| variable(&name.to_uppercase()))
                .or_else(|| keys(|name| credentials.get(name).cloned()))
                .or_else(|| keys(|name| config.get(name).cloned())),
            region: region.or_else(|| config.get("region").cloned()),
        })
    }
}

fn keys(get: impl Fn(&str) -> Option<String>) -> Option<Keys> {
    Some((
        get("aws_access_key_id")?,
        get("aws_secret_access_key")?,
        get("aws_session_token"),
    ))
}

/// The settings of the sections with these titles in a file that a variable names, or that lies in `~/.aws`.
fn section(
    environment: &Environment,
    variable: &str,
    name: &str,
    titles: &[&str],
) -> Result<HashMap<String, String>, String> {
    let home = || Some(environment.home()?.join(".aws").join(name));
    let path = environment.filled(variable).map(PathBuf::from).or_else(home);
    path.map_or(Ok(HashMap::new()), |path| Ok(parse(&read(&path)?, titles)))
}

fn read(path: &Path) -> Result<String, String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| format!("cannot read {}: {error}", path.display())),
    }
}

fn parse(text: &str, titles: &[&str]) -> HashMap<String, String> {
    let mut settings = HashMap::new();
    let mut wanted = false;
    for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(title) = line.trim().strip_prefix('[') {
            let title = title.split(']').next().unwrap_or_default();
            let words: Vec<_> = title.split_whitespace().collect();
            wanted = titles.contains(&words.join(" ").as_str());
        } else if let Some((name, value)) = line.split_once('=').filter(|_| wanted) {
            // Lines that are indented belong to a setting with parts, none of which are asked for here.
            if !name.starts_with(char::is_whitespace) {
                settings.insert(name.trim().to_lowercase(), value.trim().to_owned());
            }
        }
    }
    settings.retain(|_, value| !value.is_empty());
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(variables: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let credentials = write(
            "credentials",
            "[default]\naws_access_key_id = A\naws_secret_access_key=a\n; no\n\n[ci]\naws_access_key_id=C\n\
             aws_secret_access_key=c\naws_session_token=t\n[half]\naws_access_key_id=H\n",
        );
        let config = write(
            "config",
            "[default]\nregion = eu-north-1\ns3 =\n    region = no\n[profile  ci]\nregion=us-west-2\n[ci]\nregion=no\n",
        );
        let mut all = vec![
            ("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str()),
            ("AWS_CONFIG_FILE", config.as_str()),
        ];
        all.extend(variables);
        let found = Profile::of(&Environment::of(&all)).unwrap();
        let keys = found
            .keys
            .map(|(id, secret, token)| format!("{id}{secret}{}", token.unwrap_or_default()));
        (keys, found.region)
    }

    #[test]
    fn variables_come_before_files() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(profile(&[]), (some("Aa"), some("eu-north-1")));
        assert_eq!(profile(&[("AWS_PROFILE", "ci")]), (some("Cct"), some("us-west-2")));
        assert_eq!(profile(&[("AWS_PROFILE", "half")]), (None, None));
        let variables = [
            ("AWS_ACCESS_KEY_ID", "V"),
            ("AWS_SECRET_ACCESS_KEY", "v"),
            ("AWS_DEFAULT_REGION", "b"),
        ];
        assert_eq!(profile(&variables), (some("Vv"), some("b")));
        assert_eq!(
            profile(&[("AWS_REGION", "a"), ("AWS_DEFAULT_REGION", "b")]).1,
            some("a")
        );
    }

    #[test]
    fn there_may_be_none() {
        let found = Profile::of(&Environment::of(&[("HOME", "/nonexistent")])).unwrap();
        assert!(found.keys.is_none() && found.region.is_none());
    }
}
