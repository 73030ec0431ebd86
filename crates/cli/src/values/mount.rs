//! `--mount type=bind,src=PATH,dst=PATH[,ro]` and `--mount type=tmpfs,dst=PATH[,tmpfs-size=BYTES]`.

use kiln_build::shell::{ShellMount, ShellMountKind};

use super::{csv, size};

/// `--mount`, as `docker run` has it. Volumes have no place here: nothing is kept.
pub(crate) fn parse(text: &str) -> Result<ShellMount, String> {
    let (mut kind, mut source, mut target, mut read_only, mut bytes) = (None, None, None, false, None);
    for (key, value) in csv::pairs(text)? {
        let given = || value.clone().ok_or_else(|| format!("`{text}`: `{key}` needs a value"));
        match key.as_str() {
            "type" => kind = Some(given()?),
            "source" | "src" => source = Some(given()?),
            "target" | "dst" | "destination" => target = Some(given()?),
            "readonly" | "ro" => read_only = csv::boolean(&key, value.as_deref())?,
            "tmpfs-size" => bytes = Some(size::parse(&given()?)?),
            _ => {
                return Err(format!(
                    "`{text}`: there is no `{key}`; there are type, source, target, readonly and tmpfs-size"
                ));
            }
        }
    }
    let target = target.filter(|target| target.starts_with('/'));
    let target = target.ok_or_else(|| format!("`{text}`: an absolute target is needed"))?;
    let kind = match (kind.as_deref(), source) {
        (Some("bind"), Some(source)) if bytes.is_none() => ShellMountKind::Bind {
            source: std::path::absolute(source).map_err(|error| format!("`{text}`: {error}"))?,
            read_only,
        },
        (Some("tmpfs"), None) if !read_only => ShellMountKind::Tmpfs { size: bytes },
        (Some("bind"), None) => return Err(format!("`{text}`: a bind mount needs a source")),
        (Some("bind" | "tmpfs"), _) => return Err(format!("`{text}`: its options are not of that type")),
        _ => return Err(format!("`{text}`: the type is bind or tmpfs")),
    };
    Ok(ShellMount { target, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mounts() {
        let mount = |kind| {
            Ok(ShellMount {
                target: "/b".to_owned(),
                kind,
            })
        };
        let bind = |read_only| ShellMountKind::Bind {
            source: "/a".into(),
            read_only,
        };
        assert_eq!(parse("type=bind,source=/a,target=/b"), mount(bind(false)));
        assert_eq!(parse("type=bind,src=/a,dst=/b,ro"), mount(bind(true)));
        assert_eq!(
            parse("type=bind,src=/a,destination=/b,readonly=false"),
            mount(bind(false))
        );
        let tmpfs = |size| ShellMountKind::Tmpfs { size };
        assert_eq!(parse("type=tmpfs,dst=/b"), mount(tmpfs(None)));
        assert_eq!(parse("type=tmpfs,dst=/b,tmpfs-size=1m"), mount(tmpfs(Some(1 << 20))));
        for text in [
            "",
            "type=bind,src=/a",
            "type=bind,dst=/b",
            "type=bind,src=/a,dst=b",
            "type=volume,src=a,dst=/b",
            "type=tmpfs,src=/a,dst=/b",
            "type=tmpfs,dst=/b,ro",
            "src=/a,dst=/b",
            "type=bind,src=/a,dst=/b,propagation=shared",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
