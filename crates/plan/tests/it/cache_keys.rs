//! `key=` of cache mounts: whose it is, and what it comes to.

use kiln_dockerfile::mount::CacheKey as Said;
use kiln_dockerfile::parse;
use kiln_image::Platform;
use kiln_plan::{CacheKey, Images, MountKind, Op, Options, Outcome, Plan, StepId, plan};

fn planned(text: &str, options: &Options) -> Plan {
    let (tree, found) = parse(&format!("# kiln=cache-key\n{text}"));
    assert!(found.is_empty(), "{found:?}");
    match plan(&tree, options, &Images::new()) {
        Outcome::Plan(plan, _) => *plan,
        other => panic!("{other:?}"),
    }
}

/// The keys of all cache mounts, in order.
fn keys(plan: &Plan) -> Vec<Vec<CacheKey>> {
    let execs = plan.steps.iter().filter_map(|step| match &step.op {
        Op::Exec(exec) => Some(exec),
        _ => None,
    });
    let key = |kind: &MountKind| match kind {
        MountKind::Cache { key, .. } => Some(key.clone()),
        _ => None,
    };
    execs
        .flat_map(|exec| exec.mounts.iter().filter_map(|mount| key(&mount.kind)))
        .collect()
}

fn text(text: &str) -> CacheKey {
    CacheKey::Text(text.to_owned())
}

fn platform(text: &str) -> CacheKey {
    CacheKey::Platform(text.to_owned())
}

fn for_platform(target: &str) -> Options {
    Options {
        platforms: vec![target.parse().expect("it is a platform")],
        build_platform: Platform::linux("amd64"),
        ..Options::default()
    }
}

#[test]
fn platforms_are_those_of_the_programs_and_of_the_target() {
    let options = for_platform("linux/arm64");
    let lines = "RUN --mount=type=cache,target=/c,key=platform x\n";
    let plan = planned(&format!("FROM scratch\n{lines}"), &options);
    assert_eq!(keys(&plan), [[platform("linux/arm64")]]);
    let plan = planned(&format!("FROM --platform=$BUILDPLATFORM scratch\n{lines}"), &options);
    assert_eq!(keys(&plan), [[platform("linux/amd64:linux/arm64")]]);
}

#[test]
fn files_are_waited_for_and_do_not_count() {
    let run = |key: &str| format!("FROM scratch\nARG v=1\nRUN --mount=type=cache,target=/c{key} x\n");
    let plan = planned(&run(",key=file:*.lock,key=go$v"), &Options::default());
    let files = CacheKey::Files {
        from: Some(StepId(0)),
        pattern: "*.lock".to_owned(),
        required: true,
    };
    assert_eq!(keys(&plan), [[files, text("go1")]]);
    let last = plan.steps.last().expect("there are steps");
    assert_eq!((last.inputs(), last.waits_for()), (vec![], vec![StepId(0)]));
    let without = planned(&run(""), &Options::default());
    assert_eq!(
        without.steps.last().expect("there are steps").definition,
        last.definition
    );
}

#[test]
fn mounts_without_a_key_get_that_of_their_target() {
    let usual = |target: &str, key: &str| (target.to_owned(), vec![Said::parse(key).expect("it is a key")]);
    let options = Options {
        cache_keys: [
            usual("/root/.npm/", "usual"),
            usual("target", "base"),
            usual("/f", "file:f"),
        ]
        .into(),
        ..for_platform("linux/amd64")
    };
    let plan = planned(
        "FROM scratch\nWORKDIR /root\n\
         RUN --mount=type=cache,target=/root/.npm --mount=type=cache,target=.npm,id=x --mount=type=cache,target=target x\n\
         RUN --mount=type=cache,target=/root/.npm,key=own --mount=type=cache,target=/target --mount=type=cache,target=/f x\n",
        &options,
    );
    let file = CacheKey::Files {
        from: Some(StepId(1)),
        pattern: "f".to_owned(),
        required: false,
    };
    let found = keys(&plan);
    let expected = [
        vec![text("usual")],
        vec![text("usual")],
        vec![CacheKey::Base],
        vec![text("own")],
        vec![],
    ];
    assert_eq!(found[..5], expected);
    assert!(
        matches!(&found[5][..], [CacheKey::Files { required: false, .. }]),
        "{found:?} {file:?}"
    );
}

#[test]
fn usual_keys_are_the_same_in_whatever_order_they_stand() {
    let keys_of = |parts: &[&str]| {
        let key = parts
            .iter()
            .map(|part| Said::parse(part).expect("it is a key"))
            .collect();
        let options = Options {
            cache_keys: [("/c".to_owned(), key)].into(),
            ..for_platform("linux/amd64")
        };
        keys(&planned("FROM scratch\nRUN --mount=type=cache,target=/c x\n", &options))
    };
    let said = "FROM scratch\nRUN --mount=type=cache,target=/c,key=base,key=go1,key=platform x\n";
    let said = keys(&planned(said, &for_platform("linux/amd64")));
    assert_eq!(keys_of(&["go1", "base", "platform", "go1"]), said);
    assert_eq!(keys_of(&["platform", "go1", "base"]), said);
}
