//! `proxies` of docker's `config.json`: what docker gives to every build as build arguments and to every container as
//! environment. Credentials in the same file are the registry client's.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::failure::{Context as _, Failure};

#[derive(Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    proxies: BTreeMap<String, Proxies>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are docker's")]
struct Proxies {
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Option<String>,
    ftp_proxy: Option<String>,
    all_proxy: Option<String>,
}

/// The variables that the `default` proxies stand for, in both spellings; none if there is no such file.
pub(crate) fn proxies(file: &Path) -> Result<Vec<(String, String)>, Failure> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).or_failed(|| format!("cannot read {}", file.display())),
    };
    let mut file: File = serde_json::from_slice(&bytes).or_failed(|| format!("{} is not valid", file.display()))?;
    Ok(file.proxies.remove("default").map(variables).unwrap_or_default())
}

fn variables(proxies: Proxies) -> Vec<(String, String)> {
    let all = [
        ("HTTP_PROXY", proxies.http_proxy),
        ("HTTPS_PROXY", proxies.https_proxy),
        ("NO_PROXY", proxies.no_proxy),
        ("FTP_PROXY", proxies.ftp_proxy),
        ("ALL_PROXY", proxies.all_proxy),
    ];
    let set = all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    set.flat_map(|(name, value)| [(name.to_owned(), value.clone()), (name.to_ascii_lowercase(), value)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_default_proxies() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        assert!(proxies(&path).unwrap().is_empty());
        std::fs::write(
            &path,
            r#"{"auths": {}, "proxies": {"default": {"httpProxy": "http://p:1", "noProxy": ""}}}"#,
        )
        .unwrap();
        let pair = |name: &str| (name.to_owned(), "http://p:1".to_owned());
        assert_eq!(proxies(&path).unwrap(), [pair("HTTP_PROXY"), pair("http_proxy")]);
        std::fs::write(&path, "{").unwrap();
        assert!(proxies(&path).is_err());
    }
}
