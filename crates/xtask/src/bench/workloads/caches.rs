//! Caches that leave the store and come back, and questions to the store.

use super::super::aim::Aim;
use super::super::context::Context;
use super::super::options::Sizes;
use super::super::workload::{BASE, Build, Contender, Difference, Line, Run, Workload, dockerfile};
use super::floors;

/// Steps of one build of those that fill a cache.
const BATCH: u32 = 100;

/// A step that is new in each run.
const NEW: &str = "FROM scratch\nARG ROUND\nCOPY <<EOF /stamp\nstamp $ROUND\nEOF\n";

pub(super) fn all(sizes: &Sizes) -> Vec<Workload> {
    vec![
        cache_to(sizes),
        why(),
        Workload::build("new", "a COPY that is new, and an image", Build::of(NEW).rounds()).kiln_only(),
        cache_from(sizes),
    ]
}

/// What the records of a cache cost that is read.
pub(super) fn import(sizes: &Sizes) -> Difference {
    Difference {
        name: "import",
        what: format!("import of {} records", sizes.records),
        more: "cache-from",
        less: "new",
        parts: 1,
        aims: vec![Aim::Within(100.0)],
    }
}

/// A build that is cached, and writes its cache to a directory that has it.
fn cache_to(sizes: &Sizes) -> Workload {
    let name = "cache-to";
    let text = (1..=sizes.steps).fold(format!("FROM {BASE}\n"), |text, step| format!("{text}RUN : {step}\n"));
    let build = Build {
        flags: vec!["--cache-to=type=local,mode=max,dest=@dir/cache"],
        ..Build::of(text)
    };
    let line = build.kiln(&dockerfile(name));
    Workload::build(
        name,
        format!(
            "{} RUN steps, fully cached, an image, and --cache-to type=local",
            sizes.steps
        ),
        build,
    )
    .kiln_only()
    .preceded(&line)
    .floor(floors::read(name))
    .aims(&[Aim::Within(80.0)])
}

/// Why steps ran that a change of the first one made run: each is compared with its earlier runs.
fn why() -> Workload {
    let name = "why";
    let text = (2..=100).fold(NEW.to_owned(), |text, step| {
        format!("{text}COPY <<EOF /{step}\n{step}\nEOF\n")
    });
    let build = Build::of(text).rounds();
    let kiln = Run {
        before: vec![build.kiln(&dockerfile(name))],
        ..Line::kiln("why").into()
    };
    Workload::build(name, "kiln why, after 100 steps", build)
        .kiln_only()
        .with(Contender::Kiln, kiln)
        .aims(&[Aim::Within(50.0)])
}

/// The same as `new`, but that a cache is read for it, which has other steps.
fn cache_from(sizes: &Sizes) -> Workload {
    let name = "records";
    let text = (1..=BATCH).fold("FROM scratch\nARG BATCH\n".to_owned(), |text, step| {
        format!("{text}COPY <<EOF /{step}\n$BATCH {step}\nEOF\n")
    });
    let fill = |batch| {
        Line::kiln(&format!(
            "build -q --build-arg BATCH={batch} --cache-to type=local,mode=max,dest=@dir/records -f {} {}",
            dockerfile(name),
            Context::Empty.path()
        ))
    };
    let mut build = Build::of(NEW).rounds();
    build.flags.push("--cache-from=type=local,src=@dir/records");
    Workload::build(
        "cache-from",
        format!("the same, --cache-from type=local with {} records", sizes.records),
        build,
    )
    .kiln_only()
    .setup((name, text), (0..sizes.records.div_ceil(BATCH)).map(fill))
}
