//! One plan for several platforms.

use kiln_dockerfile::parse;
use kiln_image::Platform;
use kiln_plan::{Images, Options, Outcome, Plan, StepId, plan};

const TEXT: &str = "FROM --platform=$BUILDPLATFORM scratch AS build\nCOPY a /a\nRUN one\nARG TARGETARCH\nRUN two\n\
    FROM scratch\nCOPY --from=build /a /a\nRUN three\n";

fn planned(text: &str, platforms: &[&str]) -> Plan {
    let options = Options {
        platforms: platforms
            .iter()
            .map(|text| text.parse().expect("it is a platform"))
            .collect(),
        build_platform: Platform::linux("amd64"),
        ..Options::default()
    };
    match plan(&parse(text).0, &options, &Images::new()) {
        Outcome::Plan(plan, _) => *plan,
        other => panic!("{other:?}"),
    }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.name.as_str()).collect()
}

#[test]
fn what_platforms_share_is_there_once() {
    let plan = planned(TEXT, &["linux/amd64", "linux/arm/v7"]);
    assert_eq!(
        names(&plan),
        [
            "[internal] load build context",
            "[linux/amd64 build 1/3] COPY a /a",
            "[linux/amd64 build 2/3] RUN one",
            "[linux/amd64 build 3/3] RUN two",
            "[linux/amd64 stage-1 1/2] COPY --from=build /a /a",
            "[linux/amd64 stage-1 2/2] RUN three",
            "[linux/amd64->arm build 3/3] RUN two",
            "[linux/arm/v7 stage-1 1/2] COPY --from=build /a /a",
            "[linux/arm/v7 stage-1 2/2] RUN three",
        ]
    );
    let inputs = |step: usize| plan.steps[step].inputs();
    assert_eq!((inputs(3), inputs(6)), (vec![StepId(2)], vec![StepId(2)]));
    assert_eq!((inputs(4), inputs(7)), (vec![StepId(3)], vec![StepId(6)]));
    let targets: Vec<_> = plan
        .targets
        .iter()
        .map(|target| (target.platform.to_string(), target.root))
        .collect();
    let target = |platform: &str, root| (platform.to_owned(), Some(StepId(root)));
    assert_eq!(targets, [target("linux/amd64", 5), target("linux/arm/v7", 8)]);
    let stage = |step: usize| {
        plan.steps[step]
            .stage
            .map(|stage| plan.stages[stage].platform.to_string())
    };
    assert_eq!(
        (stage(0), stage(5), stage(8)),
        (None, Some("linux/amd64".into()), Some("linux/arm/v7".into()))
    );
}

#[test]
fn a_platform_alone_has_the_same_steps() {
    let (both, one) = (
        planned(TEXT, &["linux/amd64", "linux/arm64"]),
        planned(TEXT, &["linux/arm64"]),
    );
    let definitions = |plan: &Plan| plan.steps.iter().map(|step| step.definition).collect::<Vec<_>>();
    let of_both = definitions(&both);
    assert!(definitions(&one).iter().all(|definition| of_both.contains(definition)));
    assert_eq!(names(&one)[3], "[build 3/3] RUN two");
}

#[test]
fn the_same_file_operations_are_shared_whatever_the_platform() {
    let plan = planned("FROM scratch\nCOPY a /a\n", &["linux/amd64", "linux/arm64"]);
    assert_eq!(
        names(&plan),
        ["[internal] load build context", "[linux/amd64 1/1] COPY a /a"]
    );
    assert_eq!(plan.targets[0].root, plan.targets[1].root);
    assert_eq!(plan.targets[1].config.architecture, "arm64");
}

#[test]
fn a_final_stage_for_this_machine_still_makes_an_image_for_each() {
    let plan = planned(
        "FROM --platform=$BUILDPLATFORM scratch\nCOPY a /a\n",
        &["linux/s390x", "linux/arm64"],
    );
    let platforms: Vec<_> = plan.targets.iter().map(|target| target.platform.to_string()).collect();
    assert_eq!(platforms, ["linux/s390x", "linux/arm64"]);
}

#[test]
fn who_knows_its_target_says_so() {
    for (arg, platform, name) in [
        ("TARGETARCH", "linux/arm64", "[linux/amd64->arm64 1/1] RUN a"),
        ("TARGETPLATFORM", "linux/arm/v6", "[linux/amd64->arm/v6 1/1] RUN a"),
        (
            "TARGETPLATFORM",
            "windows/arm64",
            "[linux/amd64->windows/arm64 1/1] RUN a",
        ),
    ] {
        let text = format!("FROM --platform=$BUILDPLATFORM scratch\nARG {arg}\nRUN a\n");
        let plan = planned(&text, &["linux/amd64", platform]);
        assert_eq!(names(&plan), ["[linux/amd64 1/1] RUN a", name]);
    }
}

#[test]
fn what_is_wrong_is_said_once() {
    let options = Options {
        platforms: vec![Platform::linux("amd64"), Platform::linux("arm64")],
        ..Options::default()
    };
    let diagnostics = |text: &str| match plan(&parse(text).0, &options, &Images::new()) {
        Outcome::Plan(_, diagnostics) | Outcome::Invalid(diagnostics) => diagnostics.len(),
        Outcome::Needs(needs) => panic!("{needs:?}"),
    };
    assert_eq!(diagnostics("FROM scratch\nCOPY $A$B /\n"), 2);
    assert_eq!(diagnostics("FROM scratch\nCOPY --from=1 a b\n"), 1);
    let Outcome::Needs(needs) = plan(&parse("FROM base\n").0, &options, &Images::new()) else {
        panic!("an image is needed");
    };
    assert_eq!(needs.len(), 2);
}
