//! What counts in a step's identity, and what does not.

use kiln_plan::definition::{digest, ingredients};
use kiln_plan::{
    CacheKey, CopyAction, CopyFrom, Exec, FileAction, FileOp, MkdirAction, Mount, MountKind, Network, Op, Sharing,
    StepId,
};

fn exec() -> Exec {
    Exec {
        root: Some(StepId(0)),
        platform: "linux/amd64".parse().expect("a platform"),
        args: vec!["/bin/sh".to_owned(), "-c".to_owned(), "make".to_owned()],
        env: vec![("A".to_owned(), "1".to_owned())],
        transient_env: vec![],
        cwd: "/".to_owned(),
        user: String::new(),
        network: Network::Host,
        insecure: false,
        mounts: vec![],
        devices: vec![],
        hostname: "buildkitsandbox".to_owned(),
        extra_hosts: vec![],
        shm_size: 64 << 20,
        ulimits: vec![],
    }
}

fn with_mount(kind: MountKind) -> Exec {
    let target = "/m".to_owned();
    Exec {
        mounts: vec![Mount { target, kind }],
        ..exec()
    }
}

fn cache() -> MountKind {
    MountKind::Cache {
        id: "/m".to_owned(),
        key: Vec::new(),
        from: None,
        source: String::new(),
        sharing: Sharing::Shared,
        read_only: false,
        mode: 0o755,
        uid: 0,
        gid: 0,
    }
}

fn copy() -> CopyAction {
    CopyAction {
        from: CopyFrom::Step(Some(StepId(1))),
        sources: vec!["a".to_owned()],
        destination: "/".to_owned(),
        chown: None,
        chmod: None,
        parents: false,
        exclude: vec![],
        unpack: false,
        link: false,
    }
}

fn file(action: CopyAction) -> Op {
    Op::File(FileOp {
        root: None,
        actions: vec![FileAction::Copy(action)],
    })
}

/// Operations that all do something else. Neighbours differ in one thing.
fn different() -> Vec<Op> {
    let text = |text: &str| text.to_owned();
    let texts = |all: &[&str]| all.iter().map(|each| (*each).to_owned()).collect::<Vec<_>>();
    let pairs = |all: &[(&str, &str)]| all.iter().map(|(a, b)| (text(a), text(b))).collect::<Vec<_>>();
    let mut execs = vec![
        exec(),
        Exec { root: None, ..exec() },
        Exec {
            platform: "linux/arm64".parse().expect("a platform"),
            ..exec()
        },
        Exec {
            args: texts(&["/bin/sh", "-c", "make all"]),
            ..exec()
        },
        Exec {
            args: texts(&["/bin/sh", "-c"]),
            ..exec()
        },
        Exec {
            args: texts(&["/bin/sh", "-cmake"]),
            ..exec()
        },
        Exec { env: vec![], ..exec() },
        Exec {
            env: pairs(&[("A", "2")]),
            ..exec()
        },
        Exec {
            env: pairs(&[("B", "1")]),
            ..exec()
        },
        Exec {
            env: pairs(&[("A", "1"), ("B", "1")]),
            ..exec()
        },
        Exec {
            env: pairs(&[("B", "1"), ("A", "1")]),
            ..exec()
        },
        Exec {
            env: pairs(&[("A", "1B1")]),
            ..exec()
        },
        Exec {
            cwd: text("/x"),
            ..exec()
        },
        Exec {
            user: text("app"),
            ..exec()
        },
        Exec {
            network: Network::None,
            ..exec()
        },
        Exec {
            insecure: true,
            ..exec()
        },
        Exec {
            hostname: text("other"),
            ..exec()
        },
        Exec {
            extra_hosts: pairs(&[("h", "10.0.0.1")]),
            ..exec()
        },
        Exec {
            extra_hosts: pairs(&[("h", "10.0.0.2")]),
            ..exec()
        },
    ];
    let bind = |from, source: &str, writable| MountKind::Bind {
        from,
        source: text(source),
        writable,
    };
    let mounts = vec![
        bind(None, "", false),
        bind(Some(StepId(1)), "", false),
        bind(None, "x", false),
        bind(None, "", true),
        cache(),
        MountKind::Tmpfs { size: None },
        MountKind::Tmpfs { size: Some(1) },
        MountKind::SecretEnv {
            id: text("s"),
            required: false,
            variable: text("S"),
        },
        MountKind::SecretEnv {
            id: text("s"),
            required: false,
            variable: text("T"),
        },
        MountKind::Secret {
            id: text("s"),
            required: false,
            mode: 0o400,
            uid: 0,
            gid: 0,
        },
        MountKind::Secret {
            id: text("s"),
            required: true,
            mode: 0o400,
            uid: 0,
            gid: 0,
        },
        MountKind::Ssh {
            id: text("s"),
            required: false,
            mode: 0o400,
            uid: 0,
            gid: 0,
        },
        MountKind::Inline {
            content: text("make"),
            mode: 0o755,
        },
        MountKind::Inline {
            content: text("make all"),
            mode: 0o755,
        },
        MountKind::Inline {
            content: text("make"),
            mode: 0o644,
        },
    ];
    execs.extend(mounts.into_iter().map(with_mount));
    let files = [
        copy(),
        CopyAction {
            from: CopyFrom::Step(None),
            ..copy()
        },
        CopyAction {
            from: CopyFrom::Inline(text("a")),
            ..copy()
        },
        CopyAction {
            from: CopyFrom::Inline(text("b")),
            ..copy()
        },
        CopyAction {
            sources: texts(&["b"]),
            ..copy()
        },
        CopyAction {
            sources: texts(&["a", "b"]),
            ..copy()
        },
        CopyAction {
            sources: vec![],
            exclude: texts(&["a"]),
            ..copy()
        },
        CopyAction {
            destination: text("/a/"),
            ..copy()
        },
        CopyAction {
            chown: Some(text("1")),
            ..copy()
        },
        CopyAction {
            chown: Some(String::new()),
            ..copy()
        },
        CopyAction {
            chmod: Some(text("1")),
            ..copy()
        },
        CopyAction {
            parents: true,
            ..copy()
        },
        CopyAction {
            exclude: texts(&["b"]),
            ..copy()
        },
        CopyAction { unpack: true, ..copy() },
        CopyAction { link: true, ..copy() },
    ];
    let mkdir = |path: &str, mode, owner: &str, time| {
        let action = MkdirAction {
            path: text(path),
            mode,
            owner: text(owner),
            time,
        };
        Op::File(FileOp {
            root: None,
            actions: vec![FileAction::Mkdir(action)],
        })
    };
    let directories = [
        mkdir("/a", 0o755, "", None),
        mkdir("/b", 0o755, "", None),
        mkdir("/a", 0o700, "", None),
        mkdir("/a", 0o755, "app", None),
        mkdir("/a", 0o755, "", Some(0)),
    ];
    let merges = [Op::Merge(vec![]), Op::Merge(vec![StepId(0)])];
    let execs = execs.into_iter().map(Op::Exec);
    execs.chain(files.map(file)).chain(directories).chain(merges).collect()
}

#[test]
fn what_is_different_has_another_digest_and_other_ingredients() {
    let all = different();
    for (index, one) in all.iter().enumerate() {
        for other in &all[..index] {
            assert_ne!(digest(one), digest(other), "{one:?}\n{other:?}");
            assert_ne!(ingredients(one), ingredients(other), "{one:?}\n{other:?}");
        }
    }
}

#[test]
fn each_option_of_a_cache_mount_counts() {
    let other = |change: fn(&mut MountKind)| {
        let mut kind = cache();
        change(&mut kind);
        digest(&Op::Exec(with_mount(kind)))
    };
    macro_rules! set {
        ($field:ident, $value:expr) => {
            other(|kind| {
                if let MountKind::Cache { $field, .. } = kind {
                    *$field = $value;
                }
            })
        };
    }
    let digests = [
        other(|_| ()),
        set!(id, "x".to_owned()),
        set!(from, Some(StepId(3))),
        set!(source, "x".to_owned()),
        set!(sharing, Sharing::Private),
        set!(sharing, Sharing::Locked),
        set!(read_only, true),
        set!(mode, 0o700),
        set!(uid, 1),
        set!(gid, 1),
    ];
    let distinct: std::collections::HashSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), digests.len());
}

#[test]
fn what_changes_no_result_does_not_count() {
    let same = [
        Exec {
            transient_env: vec![("http_proxy".to_owned(), "x".to_owned())],
            ..exec()
        },
        Exec { shm_size: 1, ..exec() },
        Exec {
            ulimits: vec![("nofile".to_owned(), 1, 1)],
            ..exec()
        },
        Exec {
            root: Some(StepId(7)),
            ..exec()
        },
    ];
    for other in same {
        assert_eq!(digest(&Op::Exec(other)), digest(&Op::Exec(exec())));
    }
    let mut keyed = cache();
    if let MountKind::Cache { key, .. } = &mut keyed {
        key.push(CacheKey::Text("x".to_owned()));
    }
    assert_eq!(
        digest(&Op::Exec(with_mount(keyed))),
        digest(&Op::Exec(with_mount(cache())))
    );
}
