//! COPY of large files and of many.

use super::super::aim::Aim;
use super::super::context::{Context, SMALL_FILES};
use super::super::options::Sizes;
use super::super::workload::{BASE, Build, Contender, Line, Output, Workload};
use super::floors;

pub(super) fn all(sizes: &Sizes) -> Vec<Workload> {
    [large(sizes), many(sizes), changed(sizes), vec![from_stage(sizes)]]
        .into_iter()
        .flatten()
        .collect()
}

fn large(sizes: &Sizes) -> Vec<Workload> {
    let megabytes = sizes.large;
    let context = Context::Large { megabytes };
    let what = format!("COPY of {megabytes} MB and {SMALL_FILES} files");
    let build = |output| {
        let text = format!("FROM {BASE}\nCOPY . /large\n");
        Build::of(text).context(context).output(output).fresh()
    };
    vec![
        Workload::build("large", format!("{what}, and an image"), build(Output::Image)).floor(floors::copy(context)),
        Workload::build(
            "large-archive",
            format!("{what}, and an OCI archive"),
            build(Output::Oci),
        )
        .floor(vec![floors::copy(context), floors::pack(&context.path(), floors::GZIP)]),
    ]
}

/// The context of many files, of a size that counts.
fn files(sizes: &Sizes) -> Context {
    Context::Files {
        count: sizes.files,
        bytes: sizes.file_bytes,
    }
}

/// All files in one step, and a step that has them below.
fn copy_all(context: Context) -> Build {
    Build::of(format!("FROM {BASE}\nCOPY . /all\nRUN :\n")).context(context)
}

fn many(sizes: &Sizes) -> Vec<Workload> {
    let context = files(sizes);
    let more = Context::Files {
        count: sizes.many_files,
        bytes: 400,
    };
    // Each step but two looks at one file: what a context costs must not be paid for each of them.
    let one: String = (2..sizes.steps).fold(String::new(), |text, step| format!("{text}COPY d0/f1 /one/{step}\n"));
    let cached = |context| {
        let text = format!("FROM {BASE}\n{one}COPY . /all\nRUN :\n");
        Build::of(text).context(context).output(Output::Nothing)
    };
    let (count, more_count, steps) = (sizes.files, sizes.many_files, sizes.steps);
    vec![
        Workload::build(
            "files-export",
            format!("COPY of {count} files and RUN, and an OCI archive"),
            copy_all(context).output(Output::Oci).fresh(),
        )
        .floor(vec![floors::copy(context), floors::pack(&context.path(), floors::GZIP)])
        .aims(&[Aim::Floors(0.55)]),
        Workload::build(
            "files-cached",
            format!("{steps} steps over {count} files, fully cached"),
            cached(context),
        )
        .floor(floors::walk(context))
        .aims(&[
            Aim::Within(100.0),
            Aim::Floors(1.8),
            Aim::Ahead(Contender::Docker, 12.0),
        ]),
        Workload::build(
            "files-100k",
            format!("{steps} steps over {more_count} files, fully cached"),
            cached(more),
        )
        .floor(floors::walk(more))
        .aims(&[
            Aim::Within(400.0),
            Aim::Floors(1.4),
            Aim::Ahead(Contender::Docker, 23.0),
        ]),
    ]
}

fn changed(sizes: &Sizes) -> Vec<Workload> {
    let context = files(sizes);
    let count = sizes.files;
    let edit = Line::shell(format!("echo @round >{}/d1/f100", context.path()));
    let row = |name, end: &str, output| {
        let what = format!("one of {count} files changed, COPY of all and RUN{end}");
        Workload::build(name, what, copy_all(context).output(output)).preceded(&edit)
    };
    vec![
        row("changed", "", Output::Nothing)
            .floor(floors::walk(context))
            .aims(&[Aim::Within(400.0)]),
        row("changed-image", ", and an image", Output::Image)
            .kiln_only()
            .floor(floors::walk(context)),
        row("files-changed", ", and an OCI archive", Output::Oci)
            .floor(floors::pack(&context.path(), floors::GZIP))
            .aims(&[Aim::Floors(0.31)]),
    ]
}

fn from_stage(sizes: &Sizes) -> Workload {
    let context = files(sizes);
    let text =
        format!("FROM {BASE} AS files\nCOPY . /all\nFROM {BASE}\nARG ROUND\nCOPY --from=files /all /all-$ROUND\n");
    Workload::build(
        "copy-from",
        format!("COPY --from a stage of {} files", sizes.files),
        Build::of(text).context(context).output(Output::Nothing).rounds(),
    )
    .floor(floors::link(context))
    .aims(&[Aim::Floors(2.0), Aim::Ahead(Contender::Docker, 9.0)])
}
