//! What fixes say that they change of an image.

/// What is different in an image after a fix, because its rule is about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Paths, with what is below them; those that begin with a dot wherever they are.
    pub files: &'static [&'static str],
    /// Fields of the config, by their names in it.
    pub config: &'static [&'static str],
}

/// What the fixes of a rule announce; the rest of the image is the same after them, or they are wrong.
pub fn announced(code: &str) -> Announced {
    let (files, config): (&[&str], &[&str]) = match code {
        "DL3002" | "DL3066" => (&[], &["User"]),
        "DL3003" => (&[], &["WorkingDir"]),
        "DL3009" => (&["var/lib/apt/lists"], &[]),
        "DL3019" => (&["var/cache/apk"], &[]),
        "DL3025" => (&[], &["Cmd", "Entrypoint", "Healthcheck"]),
        "DL3032" | "DL3040" => (&["var/cache/yum", "var/cache/dnf", "var/cache/libdnf5"], &[]),
        "DL3036" => (&["var/cache/zypp"], &[]),
        "DL3042" | "DL3060" => (&[".cache"], &[]),
        "DL3044" => (&[], &["Env"]),
        "DL3046" => (&["var/log/lastlog", "var/log/faillog"], &[]),
        "DL3048" | "DL4000" => (&[], &["Labels"]),
        "K2010" => (&[".npm"], &[]),
        "DL4005" => (&["bin/sh", "usr/bin/sh"], &["Shell"]),
        "DL4006" => (&[], &["Shell"]),
        _ => (&[], &[]),
    };
    Announced { files, config }
}

impl Announced {
    /// Whether a path, without a slash before it, may differ.
    pub fn has_file(&self, path: &[u8]) -> bool {
        let path = String::from_utf8_lossy(path);
        self.files.iter().any(|wanted| {
            let below = path
                .strip_prefix(wanted)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            below || wanted.starts_with('.') && path.split('/').any(|name| name == *wanted)
        })
    }

    /// Whether a field of the config may differ: `Labels a` is one of `Labels`.
    pub fn has_setting(&self, name: &str) -> bool {
        let field = name.split(' ').next().unwrap_or_default();
        self.config.contains(&field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced() {
        let lists = announced("DL3009");
        assert!(lists.has_file(b"var/lib/apt/lists/partial") && lists.has_file(b"var/lib/apt/lists"));
        assert!(!lists.has_file(b"var/lib/apt/lists2") && !lists.has_file(b"var/lib") && !lists.has_setting("Cmd"));
        assert!(announced("DL3042").has_file(b"home/me/.cache/pip/x"));
        assert!(announced("DL3048").has_setting("Labels a") && !announced("DL3048").has_setting("Env a"));
        assert!(!announced("DL3059").has_file(b""));
    }
}
