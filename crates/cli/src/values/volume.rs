//! `-v SOURCE:TARGET[:OPTIONS]` and `-p HOST:CONTAINER`.

use std::path::PathBuf;

/// A directory or file of this machine that appears in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Where it is; absolute.
    pub(crate) source: PathBuf,
    /// Where it appears; absolute.
    pub(crate) target: String,
    /// Whether it cannot be written.
    pub(crate) read_only: bool,
}

/// `-v`
pub(crate) fn parse(text: &str) -> Result<Volume, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => {
            return Err(format!(
                "`{text}`: wanted SOURCE:TARGET[:ro]; volumes without a source are not supported"
            ));
        }
    };
    if !source.contains('/') && source != "." && source != ".." {
        return Err(format!(
            "`{text}`: named volumes are not supported; a path has a `/`, like ./{source}"
        ));
    }
    if !target.starts_with('/') {
        return Err(format!("`{text}`: `{target}` must be absolute"));
    }
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" | "readonly" => read_only = true,
            // Labels of SELinux and propagation, which a bind mount here does not need.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" | "rprivate" | "private" => {}
            other => return Err(format!("`{text}`: the option `{other}` is not supported")),
        }
    }
    let source = std::path::absolute(source).map_err(|error| format!("`{text}`: {error}"))?;
    Ok(Volume {
        source,
        target: target.to_owned(),
        read_only,
    })
}

/// `-p`: with the host's network every port is published as it is; only renaming is not possible.
pub(crate) fn check_port(text: &str) -> Result<(), String> {
    let ports = text.split('/').next().unwrap_or(text);
    let parts: Vec<&str> = ports.rsplitn(3, ':').collect();
    match parts[..] {
        [_] => Ok(()),
        [container, host, ..] if container == host => Ok(()),
        _ => Err(format!(
            "`{text}`: the container has this machine's network, so ports cannot be renamed"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_volumes() {
        let volume = |read_only| Volume {
            source: "/a".into(),
            target: "/b".to_owned(),
            read_only,
        };
        assert_eq!(parse("/a:/b"), Ok(volume(false)));
        assert_eq!(parse("/a:/b:ro,z"), Ok(volume(true)));
        for text in ["/a", "name:/b", "/a:b", "/a:/b:shared", "a:b:c:d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ports_keep_their_numbers() {
        for text in ["80", "80:80", "127.0.0.1:80:80", "80:80/tcp"] {
            assert!(check_port(text).is_ok(), "{text}");
        }
        assert!(check_port("8080:80").is_err());
    }
}
