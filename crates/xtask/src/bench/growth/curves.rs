//! The curves, as data: sizes, and the workload of each.

use super::super::context::Context;
use super::super::workload::{BASE, Build, Contender, Line, Output, Run, Workload, dockerfile};

/// What grows, and what is done with it.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    /// What one of the size is.
    pub(super) unit: &'static str,
    full: &'static [u32],
    quick: &'static [u32],
    pub(super) workload: fn(u32) -> Workload,
}

impl Curve {
    /// In ascending order.
    pub(super) fn sizes(&self, quick: bool) -> &'static [u32] {
        if quick { self.quick } else { self.full }
    }
}

const FILES: &[u32] = &[1_000, 3_000, 10_000, 30_000, 100_000, 300_000];
const STEPS: &[u32] = &[10, 30, 100, 300, 1000];
const STAGES: &[u32] = &[1, 10, 50, 200];
const MEGABYTES: &[u32] = &[1, 10, 100, 1000, 4000];
const IMAGES: &[u32] = &[1, 100, 1000, 10_000];
const BUILDS: &[u32] = &[1, 2, 4, 8, 16];

/// All of them.
pub(super) fn all() -> Vec<Curve> {
    let curve = |name, unit, full, quick, workload| Curve {
        name,
        unit,
        full,
        quick,
        workload,
    };
    vec![
        curve("files-copied", "file", FILES, &[10, 20], files_copied),
        curve("files-unchanged", "file", FILES, &[10, 20], files_unchanged),
        curve("steps", "step", STEPS, &[1, 3], steps),
        curve("steps-cached", "step", STEPS, &[1, 3], steps_cached),
        curve("stages", "stage", STAGES, &[1, 3], stages),
        curve("bytes-copied", "MB", MEGABYTES, &[1, 2], bytes_copied),
        curve("bytes-exported", "MB", MEGABYTES, &[1, 2], bytes_exported),
        curve("store-start", "image", IMAGES, &[1, 4], store_start),
        curve("store-cached", "image", IMAGES, &[1, 4], store_cached),
        curve("store-images", "image", IMAGES, &[1, 4], store_images),
        curve("store-du", "image", IMAGES, &[1, 4], store_du),
        curve("builds", "build", BUILDS, &[1, 2], builds),
    ]
}

/// A build by Kiln alone.
fn build(name: &'static str, build: Build) -> Workload {
    Workload::build(name, "", build).kiln_only()
}

/// The same build, once it was done.
fn cached(name: &'static str, of: Build) -> Workload {
    let line = of.kiln(&dockerfile(name));
    build(name, of).preceded(&line)
}

fn files(count: u32) -> Build {
    let context = Context::Files { count, bytes: 400 };
    Build::of("FROM scratch\nCOPY . /all\n")
        .context(context)
        .output(Output::Nothing)
}

fn files_copied(count: u32) -> Workload {
    build("files-copied", files(count).fresh())
}

fn files_unchanged(count: u32) -> Workload {
    cached("files-unchanged", files(count))
}

fn trivial(count: u32) -> Build {
    let text = (1..=count).fold(format!("FROM {BASE}\n"), |text, step| format!("{text}RUN : {step}\n"));
    Build::of(text).output(Output::Nothing)
}

fn steps(count: u32) -> Workload {
    build("steps", trivial(count).fresh())
}

fn steps_cached(count: u32) -> Workload {
    cached("steps-cached", trivial(count))
}

/// Stages that nothing joins but the last one.
fn stages(count: u32) -> Workload {
    let each = (1..=count).fold(String::new(), |text, stage| {
        format!("{text}FROM {BASE} AS s{stage}\nRUN echo {stage} >/file\n")
    });
    let text = (1..=count).fold(format!("{each}FROM scratch\n"), |text, stage| {
        format!("{text}COPY --from=s{stage} /file /{stage}\n")
    });
    build("stages", Build::of(text).output(Output::Nothing).fresh())
}

fn bytes(megabytes: u32, output: Output) -> Build {
    let context = Context::Random {
        megabytes: megabytes.into(),
    };
    Build::of("FROM scratch\nCOPY . /all\n")
        .context(context)
        .output(output)
        .fresh()
}

fn bytes_copied(megabytes: u32) -> Workload {
    build("bytes-copied", bytes(megabytes, Output::Nothing))
}

fn bytes_exported(megabytes: u32) -> Workload {
    build("bytes-exported", bytes(megabytes, Output::Oci))
}

/// Where the store of so many images is.
fn store(images: u32) -> String {
    format!("@dir/stores/{images}")
}

/// The Dockerfile of the images that fill a store.
const FILLER: &str = "FROM scratch\nARG NUMBER\nCOPY <<EOF /number\n$NUMBER\nEOF\n";

/// Something done in a store with so many images, each with a layer, a record and a build of its own. The store is filled once for
/// all curves.
fn in_store(name: &'static str, images: u32, dockerfile_of_run: &str, run: impl Into<Run>) -> Workload {
    let root = store(images);
    let filler = dockerfile("filler");
    let empty = Context::Empty.path();
    let fill = Line::shell(format!(
        "seq {images} | xargs -P2 -I@@ @kiln --root {root} build -q -f {filler} --build-arg NUMBER=@@ -t filler:@@ {empty} \
         >@dir/filled; @kiln --root {root} pull -q {BASE} >@dir/filled; @kiln --root {root} build -q -o type=cacheonly -f {} {empty}",
        dockerfile("one")
    ));
    let one = format!("FROM {BASE}\nRUN : one\n");
    let mut workload = build(name, Build::of(dockerfile_of_run).output(Output::Nothing))
        .setup(("one", one), [])
        .setup(("filler", FILLER.to_owned()), [fill])
        .with(Contender::Kiln, run);
    // The stores have it themselves.
    workload.bases.clear();
    workload
}

fn store_start(images: u32) -> Workload {
    let name = "store-start";
    let text = format!("FROM {BASE}\nARG ROUND\nRUN : $ROUND\n");
    let build = format!(
        "--root {} build -q -o type=cacheonly --build-arg ROUND=@round -f {} {}",
        store(images),
        dockerfile(name),
        Context::Empty.path()
    );
    in_store(name, images, &text, Line::kiln(&build))
}

fn store_cached(images: u32) -> Workload {
    let build = format!(
        "--root {} build -q -o type=cacheonly -f {} {}",
        store(images),
        dockerfile("one"),
        Context::Empty.path()
    );
    in_store("store-cached", images, "FROM scratch\n", Line::kiln(&build))
}

fn store_images(images: u32) -> Workload {
    let line = Line::kiln(&format!("--root {} images", store(images)));
    in_store("store-images", images, "FROM scratch\n", line)
}

fn store_du(images: u32) -> Workload {
    let line = Line::kiln(&format!("--root {} du", store(images)));
    in_store("store-du", images, "FROM scratch\n", line)
}

/// Builds of the same Dockerfile at the same time, none of which can use a step of another.
fn builds(count: u32) -> Workload {
    let name = "builds";
    let text = (1..=10).fold(format!("FROM {BASE}\nARG ROUND\n"), |text, step| {
        format!("{text}RUN : {step} $ROUND\n")
    });
    let line = Line::shell(format!(
        "jobs=; for n in $(seq {count}); do \
         @kiln build -q -o type=cacheonly --build-arg ROUND=@round-$n -f {} {} & jobs=\"$jobs $!\"; done; \
         for job in $jobs; do wait $job; done",
        dockerfile(name),
        Context::Empty.path()
    ));
    build(name, Build::of(text)).with(Contender::Kiln, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_ascend() {
        for curve in all() {
            for quick in [false, true] {
                let sizes = curve.sizes(quick);
                assert!(sizes.len() > 1 && sizes.is_sorted(), "{}", curve.name);
            }
        }
    }

    #[test]
    fn each_has_its_name_and_something_to_do() {
        for curve in all() {
            let workload = (curve.workload)(2);
            assert_eq!(workload.name, curve.name);
            assert!(!workload.run(Contender::Kiln).timed.is_empty());
        }
    }
}
