//! Bytes that leave the builder or come to it: archives, registries.

use super::super::aim::Aim;
use super::super::context::Context;
use super::super::options::Sizes;
use super::super::workload::{BASE, Build, Contender, Line, Output, Run, Workload, dockerfile};
use super::floors;

pub(super) fn all(sizes: &Sizes) -> Vec<Workload> {
    vec![
        written(sizes, "run-export", Output::Oci, 0.65),
        written(sizes, "run-export-zstd", Output::OciZstd, 0.61),
        packed_beside(sizes),
        pull(sizes),
        push(sizes),
        push_nothing(sizes),
    ]
}

/// A step that copies a tree several times.
fn copies(sizes: &Sizes) -> String {
    let (tree, copies) = (sizes.tree, sizes.copies);
    format!("RUN for copy in $(seq {copies}); do cp -a {tree} /copy$copy; done")
}

/// The same by the machine's own tools.
fn copies_of_floor(sizes: &Sizes) -> Line {
    let (tree, copies) = (sizes.tree, sizes.copies);
    Line::shell(format!(
        "mkdir @scratch/copies; for copy in $(seq {copies}); do cp -a --reflink=never @dir/lower{tree} @scratch/copies/$copy; done"
    ))
}

/// Files that a step writes, packed.
fn written(sizes: &Sizes, name: &'static str, output: Output, floors: f64) -> Workload {
    let (tree, count) = (sizes.tree, sizes.copies);
    let (compressor, end) = match output {
        Output::OciZstd => (floors::ZSTD, "zstd"),
        _ => (floors::GZIP, "gzip"),
    };
    let workload = Workload::build(
        name,
        format!("RUN that copies {tree} {count} times, and an OCI archive by {end}"),
        Build::of(format!("FROM {BASE}\n{}\n", copies(sizes)))
            .output(output)
            .fresh(),
    );
    floors::with_base(workload)
        .floor(vec![
            copies_of_floor(sizes),
            floors::pack("@scratch/copies", compressor),
        ])
        .aims(&[Aim::Floors(floors)])
}

/// The same, and a step that leaves the processors alone: a download, or a test that waits.
fn packed_beside(sizes: &Sizes) -> Workload {
    let sleep = sizes.sleep;
    let workload = Workload::build(
        "packed-beside",
        format!(
            "RUN that copies {} {} times, RUN that sleeps, and an OCI archive by gzip",
            sizes.tree, sizes.copies
        ),
        Build::of(format!("FROM {BASE}\n{}\nRUN sleep {sleep}\n", copies(sizes)))
            .output(Output::Oci)
            .fresh(),
    );
    floors::with_base(workload).floor(vec![
        copies_of_floor(sizes),
        floors::pack_beside("@scratch/copies", floors::GZIP, &format!("sleep {sleep}")),
    ])
}

/// An image that the builder has nothing of. Kiln is given a step too, because only that makes it unpack the layers.
fn pull(sizes: &Sizes) -> Workload {
    let (tree, copies) = (sizes.tree, sizes.copies);
    let image = "@registry/pulled";
    // Peers have the base: no layer may be the same.
    let first = format!("FROM {BASE} AS base\nRUN : >/pulled\nFROM scratch\nCOPY --from=base / /\n");
    let text = (1..=copies).fold(first, |text, copy| format!("{text}RUN cp -a {tree} /copy{copy}\n"));
    let empty = Context::Empty.path();
    let kiln = format!(
        "--root @scratch/store build -q -o type=cacheonly -f {} {empty}",
        dockerfile("pull")
    );
    let remove = format!("rmi --force {image}");
    Workload::build(
        "pull",
        format!("pull of Debian with {copies} copies of {tree}, unpacked"),
        Build::of(format!("FROM {image}\nRUN :\n")),
    )
    .setup(
        ("pulled", text),
        [Line::kiln(&format!(
            "build -q --push -t {image} -f {} {empty}",
            dockerfile("pulled")
        ))],
    )
    .with(Contender::Kiln, Line::kiln(&kiln))
    .with(
        Contender::Buildah,
        Run {
            after: vec![Line::of(Contender::Buildah, &remove)],
            ..Line::of(Contender::Buildah, &format!("pull -q --tls-verify=false {image}")).into()
        },
    )
    .with(
        Contender::Docker,
        Run {
            after: vec![Line::of(Contender::Docker, &remove)],
            ..Line::of(Contender::Docker, &format!("pull -q {image}")).into()
        },
    )
    .floor(Line::shell(
        "mkdir @scratch/root; \
         for digest in $(curl -fsS -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
         http://@registry/v2/pulled/manifests/latest | jq -r '.layers[].digest'); do \
         curl -fsS http://@registry/v2/pulled/blobs/$digest | tee >(sha256sum >@scratch/digest) | \
         igzip -d -c | tar -C @scratch/root -xf -; done",
    ))
    .aims(&[Aim::Floors(0.69)])
}

fn random(sizes: &Sizes) -> Context {
    Context::Random {
        megabytes: sizes.pushed,
    }
}

fn build_and_push(sizes: &Sizes, name: &'static str, end: &str) -> Workload {
    let build = Build::of(format!("FROM {BASE}\nCOPY random /\n"))
        .context(random(sizes))
        .output(Output::Registry(name));
    Workload::build(name, format!("build and push of {} MB, {end}", sizes.pushed), build)
}

fn push(sizes: &Sizes) -> Workload {
    let path = random(sizes).path();
    let edit = Line::shell(format!("head -c {}000000 /dev/urandom >{path}/random", sizes.pushed));
    let floor = Run {
        before: vec![edit.clone()],
        ..Line::shell(format!(
            "tar -C {path} -cf - . | tee >(sha256sum >@scratch/tar.digest) | {} >@scratch/blob; \
             digest=$(sha256sum <@scratch/blob | cut -d' ' -f1); \
             url=$(curl -fsS -o /dev/null -w '%header{{location}}' -X POST http://@registry/v2/floor/blobs/uploads/); \
             curl -fsS -o /dev/null -H 'Content-Type: application/octet-stream' --upload-file @scratch/blob \
             \"$url&digest=sha256:$digest\"",
            floors::GZIP
        ))
        .into()
    };
    build_and_push(sizes, "push", "all new")
        .preceded(&edit)
        .floor(floor)
        .aims(&[Aim::Floors(1.0)])
}

fn push_nothing(sizes: &Sizes) -> Workload {
    build_and_push(sizes, "push-nothing", "nothing new").floor(Line::shell(
        "for request in 1 2; do curl -fsS -o /dev/null http://@registry/v2/; done",
    ))
}
