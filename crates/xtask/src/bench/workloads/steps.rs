//! RUN steps that do nothing: what a step costs by itself.

use super::super::aim::Aim;
use super::super::options::Sizes;
use super::super::workload::{BASE, Build, Contender, Difference, Output, Workload};
use super::floors;

pub(super) fn all(sizes: &Sizes) -> Vec<Workload> {
    let (count, deep) = (sizes.steps, sizes.deep);
    let steps = trivial(count);
    let nothing = format!("FROM {BASE}\nLABEL benchmark=none\n");
    let one = format!("FROM {BASE}\nARG ROUND\nRUN : $ROUND\n");
    let unwritten = |text: String| Build::of(text).output(Output::Nothing);
    vec![
        Workload::build("none", "no step, and an image", Build::of(nothing).fresh()),
        floors::with_base(Workload::build(
            "steps-image",
            format!("{count} trivial RUN steps, and an image"),
            Build::of(steps.clone()).fresh(),
        ))
        .floor(floors::steps(count)),
        floors::with_base(Workload::build(
            "steps",
            format!("{count} trivial RUN steps"),
            unwritten(steps.clone()).fresh(),
        ))
        .floor(floors::steps(count))
        .aims(&[Aim::Floors(1.9), Aim::Ahead(Contender::Docker, 17.0)]),
        floors::with_base(Workload::build(
            "hundred-steps",
            format!("{deep} trivial RUN steps"),
            unwritten(trivial(deep)).fresh(),
        ))
        .floor(floors::steps(deep))
        .aims(&[Aim::Floors(2.0)]),
        floors::with_base(Workload::build(
            "start",
            "a RUN step that is new",
            unwritten(one).rounds(),
        ))
        .floor(floors::steps(1))
        .aims(&[Aim::OverFloor(8.0)]),
        Workload::build(
            "cached",
            format!("{count} RUN steps, fully cached"),
            unwritten(steps.clone()),
        )
        .floor(floors::read("cached"))
        .aims(&[Aim::Within(30.0), Aim::Ahead(Contender::Docker, 8.0)]),
        Workload::build(
            "cached-image",
            format!("{count} RUN steps, fully cached, and an image"),
            Build::of(steps),
        )
        .floor(floors::read("cached-image"))
        .aims(&[Aim::Within(30.0)]),
    ]
}

/// What a step costs, without what a build does.
pub(super) fn one_more(sizes: &Sizes) -> Difference {
    Difference {
        name: "step",
        what: "one more trivial RUN step".to_owned(),
        more: "steps-image",
        less: "none",
        parts: sizes.steps,
        aims: vec![Aim::Within(10.0)],
    }
}

fn trivial(steps: u32) -> String {
    (1..=steps).fold(format!("FROM {BASE}\nLABEL benchmark=none\n"), |text, step| {
        format!("{text}RUN : {step}\n")
    })
}
