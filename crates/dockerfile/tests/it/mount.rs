//! `RUN --mount`, section 1.6 of the reference.

use kiln_dockerfile::expand::ExpandError;
use kiln_dockerfile::mount::{CacheKey, Mount, MountType, Sharing, from_of};

fn parse(csv: &str) -> Result<Mount, String> {
    let mut expand = |value: &str| -> Result<String, ExpandError> { Ok(value.replace("$X", "x")) };
    Mount::parse(csv, &mut expand).map_err(|error| error.to_string())
}

#[test]
fn defaults_per_type() {
    let cases = [
        ("target=/t", MountType::Bind, true, 0o755),
        ("type=bind,target=/t,rw", MountType::Bind, false, 0o755),
        ("type=cache,target=/t", MountType::Cache, false, 0o755),
        ("type=cache,target=/t,ro", MountType::Cache, true, 0o755),
        ("type=tmpfs,target=/t", MountType::Tmpfs, false, 0o755),
        ("type=secret,id=a", MountType::Secret, true, 0o400),
        ("TYPE=SSH", MountType::Ssh, true, 0o600),
        ("type=bind,readonly=false", MountType::Bind, false, 0o755),
        ("type=bind,readwrite=true", MountType::Bind, false, 0o755),
        ("type=bind,rw=0", MountType::Bind, true, 0o755),
    ];
    for (csv, kind, read_only, mode) in cases {
        let mount = parse(csv).unwrap();
        assert_eq!(
            (mount.kind, mount.read_only, mount.mode_or_default()),
            (kind, read_only, mode),
            "{csv}"
        );
        assert_eq!(mount.sharing, Sharing::Shared);
    }
}

#[test]
fn all_keys() {
    let cache = parse("type=cache,id=i,dst=/d$X,src=/s,from=f,sharing=LOCKED,mode=0750,uid=10,gid=20").unwrap();
    assert_eq!(cache.id.as_deref(), Some("i"));
    assert_eq!(cache.target.as_deref(), Some("/dx"));
    assert_eq!(cache.source.as_deref(), Some("/s"));
    assert_eq!(cache.from.as_deref(), Some("f"));
    assert_eq!(cache.sharing, Sharing::Locked);
    assert_eq!((cache.mode, cache.uid, cache.gid), (Some(0o750), Some(10), Some(20)));
    let tmpfs = parse("type=tmpfs,destination=/t,size=64m").unwrap();
    assert_eq!(tmpfs.size, Some(64 << 20));
    let secret = parse("type=secret,required,env=E,source=s").unwrap();
    assert_eq!(
        (secret.id.as_deref(), secret.env.as_deref(), secret.required),
        (Some("s"), Some("E"), true)
    );
    let ssh = parse("type=ssh,required=true,id=k").unwrap();
    assert_eq!((ssh.ssh_id(), ssh.required), ("k", true));
    assert_eq!(parse("type=ssh").unwrap().ssh_id(), "default");
}

#[test]
fn keys_are_of_caches_only() {
    let mount = parse("key=file:$X.lock,type=cache,target=/c,key=a$X,key=BASE").unwrap();
    let file = CacheKey::File("x.lock".to_owned());
    assert_eq!(mount.key, [CacheKey::Base, file, CacheKey::Text("ax".to_owned())]);
    assert_eq!(mount.cache_id(), "/c");
    for (csv, expected) in [
        ("key=a,target=/c", "key not allowed for \"bind\" type mounts"),
        ("type=secret,id=a,key=b", "key not allowed for \"secret\" type mounts"),
        (
            "type=cache,target=/c,key=",
            "key= has no value: write a text, platform, base or file:PATTERN",
        ),
        (
            "type=cache,target=/c,key=file:",
            "key= has no value: write a text, platform, base or file:PATTERN",
        ),
        (
            "type=cache,target=/c,key",
            "invalid field 'key' must be a key=value pair",
        ),
    ] {
        assert_eq!(parse(csv).unwrap_err(), expected, "{csv}");
    }
}

#[test]
fn names_of_caches_and_secrets() {
    for (csv, expected) in [("target=/c/", "/c"), ("target=/c//d/..", "/c"), ("target=/c,id=x", "x")] {
        assert_eq!(
            parse(&format!("type=cache,{csv}")).unwrap().cache_id(),
            expected,
            "{csv}"
        );
    }
    let cases = [
        ("id=a", "a", Some("/run/secrets/a")),
        ("id=a/b", "a/b", Some("/run/secrets/b")),
        ("target=/x/tok", "tok", Some("/x/tok")),
        ("id=a,env=E", "a", None),
        ("id=a,env=E,target=/t", "a", Some("/t")),
    ];
    for (csv, id, target) in cases {
        let secret = parse(&format!("type=secret,{csv}")).unwrap();
        assert_eq!(
            (secret.secret_id().as_str(), secret.secret_target().as_deref()),
            (id, target),
            "{csv}"
        );
    }
}

#[test]
fn errors() {
    let cases = [
        ("type=tmp", "unsupported mount type \"tmp\" (did you mean tmpfs?)"),
        ("type=nonsense", "unsupported mount type \"nonsense\""),
        (
            "type=cache,sharing=lockd",
            "unsupported sharing value \"lockd\" (did you mean locked?)",
        ),
        (
            "required,type=secret",
            "unexpected key 'required' for mount type 'bind'",
        ),
        (
            "required=true,type=ssh",
            "unexpected key 'required' for mount type 'bind'",
        ),
        ("size=1m,type=tmpfs", "unexpected key 'size' for mount type 'bind'"),
        ("type=tmpfs,size=big", "invalid value for size: big"),
        ("target", "invalid field 'target' must be a key=value pair"),
        (
            "tagret=/x",
            "unexpected key 'tagret' in 'tagret=/x' (did you mean target?)",
        ),
        ("qqqq=/x", "unexpected key 'qqqq' in 'qqqq=/x'"),
        ("mode=755", "mode not allowed for \"bind\" type mounts"),
        ("type=tmpfs,uid=1", "uid not allowed for \"tmpfs\" type mounts"),
        ("type=cache,mode=9", "invalid value 9 for mode"),
        ("type=cache,uid=-1", "invalid value -1 for uid"),
        ("type=cache,gid=+1", "invalid value +1 for gid"),
        ("ro=maybe", "invalid value for ro: maybe"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        (
            "type=secret,id=a,sharing=shared",
            "secret mount should not define sharing",
        ),
        ("type=bind,sharing=shared", "invalid cache sharing set for bind mount"),
        ("type=ssh,source=a", "ssh does not support source"),
        ("", "failed to parse csv mounts: EOF"),
        ("a\"b", "failed to parse csv mounts: bare \" in non-quoted-field"),
    ];
    for (csv, expected) in cases {
        assert_eq!(parse(csv), Err(expected.to_owned()), "{csv}");
    }
}

#[test]
fn the_first_pass_sees_only_from() {
    assert_eq!(from_of("type=nonsense,FROM=a,target=$B").unwrap().as_deref(), Some("a"));
    assert_eq!(from_of("from=a$").unwrap().as_deref(), Some("a$"));
    assert_eq!(from_of("target=/x").unwrap(), None);
    assert!(from_of("from=$a").is_err());
}
