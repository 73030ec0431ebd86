//! What is measured: the same work for Kiln and for buildah.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{BASE, Options};
use crate::command;

/// One thing to measure.
#[derive(Clone)]
pub(super) struct Subject {
    /// A line of the table.
    pub(super) what: String,
    /// Kiln's arguments.
    pub(super) kiln: Vec<String>,
    /// A shell's words before each time.
    pub(super) edit: Option<String>,
    /// Kiln's arguments before each time, after those.
    pub(super) before: Option<Vec<String>>,
    /// buildah's arguments: one command, or several whose times are added; none where there is nothing to compare.
    pub(super) buildah: Vec<Vec<String>>,
    /// Milliseconds that Kiln may need.
    pub(super) at_most: Option<f64>,
}

/// Steps of one build of those that fill a cache.
const BATCH: u32 = 100;

/// Files of the large context besides the one that is nearly all of it.
const SMALL_FILES: usize = 1000;

/// Contexts and Dockerfiles.
pub(super) fn write_contexts(directory: &Path, options: &Options) -> Result<()> {
    let (small, large) = (directory.join("small"), directory.join("large"));
    fs::create_dir_all(&small)?;
    fs::create_dir_all(large.join("files"))?;
    for (name, files) in [("many", options.files), ("more", 5 * options.files)] {
        write_many(&directory.join(name), files, options.steps)?;
    }
    let stamped = "FROM scratch\nCOPY <<EOF /stamp\nstamp\nEOF\n".to_owned();
    let hundred: String = (2..=100).fold(stamped, |text, step| format!("{text}COPY <<EOF /{step}\n{step}\nEOF\n"));
    fs::write(small.join("hundred"), hundred)?;
    let batch: String = (1..=BATCH).fold("FROM scratch\nARG BATCH\n".to_owned(), |text, step| {
        format!("{text}COPY <<EOF /{step}\n$BATCH {step}\nEOF\n")
    });
    fs::write(small.join("batch"), batch)?;
    fs::write(small.join("new"), "FROM scratch\nCOPY <<EOF /stamp\nstamp\nEOF\n")?;
    let none = format!("FROM {BASE}\nLABEL benchmark=none\n");
    let all: String = (1..=options.steps).fold(none.clone(), |text, step| format!("{text}RUN : {step}\n"));
    let stage = |name: &str| format!("FROM {BASE} AS {name}\nRUN sleep 1 && echo {name} > /{name}\n");
    let stages = format!(
        "{}{}FROM {BASE}\nCOPY --from=a /a /\nCOPY --from=b /b /\n",
        stage("a"),
        stage("b")
    );
    for (name, text) in [
        ("none", none),
        ("all", all),
        ("stages", stages),
        ("base", format!("FROM {BASE}\n")),
    ] {
        fs::write(small.join(name), text)?;
    }
    fs::write(large.join("Dockerfile"), format!("FROM {BASE}\nCOPY . /large\n"))?;
    for number in 0..SMALL_FILES {
        fs::write(large.join(format!("files/{number}")), number.to_string())?;
    }
    let count = format!("count={}", options.megabytes);
    let of = format!("of={}", large.join("random").display());
    command::quietly(Command::new("dd").args(["if=/dev/urandom", "bs=1M", "status=none", &count, &of])).map(drop)
}

/// A context of many files in directories of a hundred, and steps that read all of it and one.
fn write_many(directory: &Path, files: u32, steps: u32) -> Result<()> {
    for number in 0..files {
        let parent = directory.join(format!("d{}", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&parent)?;
        }
        fs::write(parent.join(format!("f{number}")), format!("{number:400}"))?;
    }
    let copies: String = (2..steps).fold(String::new(), |text, step| format!("{text}COPY d0/f1 /one/{step}\n"));
    fs::write(
        directory.join("Dockerfile"),
        format!("FROM {BASE}\n{copies}COPY . /all\nRUN :\n"),
    )?;
    Ok(())
}

/// All subjects. The first has no steps, the second has all of them.
pub(super) fn all(directory: &Path, options: &Options) -> Vec<Subject> {
    let steps = options.steps;
    let megabytes = options.megabytes;
    let build = |what: String, dockerfile: &str, context: &str, flags: &[&str]| {
        let context = directory.join(context);
        let words = |more: &[&str]| {
            let mut words = vec![
                "build".to_owned(),
                "-q".into(),
                "-t".into(),
                "bench".into(),
                "-f".into(),
            ];
            words.push(context.join(dockerfile).display().to_string());
            words.extend(flags.iter().chain(more).map(|&word| word.to_owned()));
            words.push(context.display().to_string());
            words
        };
        Subject {
            what,
            kiln: words(&[]),
            edit: None,
            before: None,
            // Stages at the same time, and a cache, are what buildah does when asked.
            buildah: vec![words(&["--layers", "--jobs", "2"])],
            at_most: None,
        }
    };
    let fresh = &["--no-cache"];
    let mut archive = build(
        "the same, and an OCI archive of it".to_owned(),
        "Dockerfile",
        "large",
        fresh,
    );
    let file = directory.join("archive.tar").display().to_string();
    archive.kiln.extend(["-o".to_owned(), format!("type=oci,dest={file}")]);
    archive.buildah.push(
        ["push", "-q", "bench", &format!("oci-archive:{file}")]
            .map(str::to_owned)
            .into(),
    );
    let mut cached = build(format!("{steps} trivial RUN steps, fully cached"), "all", "small", &[]);
    cached.at_most = Some(30.0);
    let (files, more) = (options.files, 5 * options.files);
    let mut many = build(
        format!("{steps} steps, fully cached, {files} files"),
        "Dockerfile",
        "many",
        &[],
    );
    many.at_most = Some(100.0);
    let mut most = build(
        format!("{steps} steps, fully cached, {more} files"),
        "Dockerfile",
        "more",
        &[],
    );
    most.at_most = Some(400.0);
    let mut changed = build(
        format!("one of {files} files changed, COPY of all and RUN"),
        "Dockerfile",
        "many",
        &[],
    );
    changed.edit = Some(format!("date +%N >{}", directory.join("many/d1/f100").display()));
    let image = Subject {
        what: "the same, and an image of it".to_owned(),
        buildah: Vec::new(),
        ..changed.clone()
    };
    // buildah cannot do without one.
    changed.kiln.extend(["-o", "type=cacheonly"].map(str::to_owned));
    changed.at_most = Some(400.0);
    vec![
        build("no step".to_owned(), "none", "small", fresh),
        build(format!("{steps} trivial RUN steps"), "all", "small", fresh),
        cached,
        written(directory, build(String::new(), "all", "small", &[])),
        build("two stages that sleep 1 s".to_owned(), "stages", "small", fresh),
        build(
            format!("COPY of {megabytes} MiB and {SMALL_FILES} files"),
            "Dockerfile",
            "large",
            fresh,
        ),
        archive,
        many,
        most,
        changed,
        image,
        why(directory, build(String::new(), "hundred", "small", &[])),
        new_step(directory, build("a COPY that is new".to_owned(), "new", "small", &[])),
        imported(directory, options, build(String::new(), "new", "small", &[])),
    ]
}

/// A build that is cached, and writes its cache to a directory that has it.
fn written(directory: &Path, build: Subject) -> Subject {
    let cache = format!("type=local,mode=max,dest={}", directory.join("cache").display());
    let kiln = [&build.kiln[..], &["--cache-to".to_owned(), cache]].concat();
    Subject {
        what: "the same, and --cache-to type=local".to_owned(),
        before: Some(kiln.clone()),
        kiln,
        buildah: Vec::new(),
        at_most: Some(80.0),
        ..build
    }
}

/// A step that neither the store nor a cache has.
fn new_step(directory: &Path, mut build: Subject) -> Subject {
    let dockerfile = directory.join("small/new").display().to_string();
    build.edit = Some(format!("sed -i \"s/^stamp.*/stamp $(date +%N)/\" {dockerfile}"));
    build.buildah.clear();
    build
}

/// The same with a cache, which is read for it.
fn imported(directory: &Path, options: &Options, build: Subject) -> Subject {
    let mut build = new_step(directory, build);
    build.what = format!("the same, --cache-from type=local with {} records", options.records);
    build.kiln.extend([
        "--cache-from".to_owned(),
        format!("type=local,src={}", records(directory)),
    ]);
    build
}

/// The cache directory with many records.
fn records(directory: &Path) -> String {
    directory.join("records").display().to_string()
}

/// Kiln's arguments to fill it, one build after the other.
pub(super) fn fill_records(directory: &Path, options: &Options) -> impl Iterator<Item = Vec<String>> {
    let context = directory.join("small").display().to_string();
    let cache = format!("type=local,mode=max,dest={}", records(directory));
    (0..options.records.div_ceil(BATCH)).map(move |batch| {
        let (argument, file) = (format!("BATCH={batch}"), format!("{context}/batch"));
        [
            "build",
            "-q",
            "--build-arg",
            &argument,
            "--cache-to",
            &cache,
            "-f",
            &file,
            &context,
        ]
        .map(str::to_owned)
        .into()
    })
}

/// Why steps ran that a change of the first one made run: each is compared with its earlier runs.
fn why(directory: &Path, hundred: Subject) -> Subject {
    let dockerfile = directory.join("small/hundred").display().to_string();
    Subject {
        what: "kiln why, after 100 steps".to_owned(),
        kiln: vec!["why".to_owned()],
        edit: Some(format!("sed -i \"s/^stamp.*/stamp $(date +%N)/\" {dockerfile}")),
        before: Some(hundred.kiln),
        buildah: Vec::new(),
        at_most: Some(50.0),
    }
}

/// Kiln's arguments to write the base's files to a directory.
pub(super) fn unpack_base(directory: &Path, to: &Path) -> Vec<String> {
    let context = directory.join("small").display().to_string();
    let output = format!("type=local,dest={}", to.display());
    let file = format!("{context}/base");
    ["build", "-q", "-o", &output, "-f", &file, &context]
        .map(str::to_owned)
        .into()
}
