//! Stages that stand side by side, and a stage that compiles for another.

use super::super::aim::Aim;
use super::super::context::Context;
use super::super::options::Sizes;
use super::super::workload::{BASE, Build, Line, Output, Run, Workload};

/// What the program is compiled with.
const GCC: &str = "gcc:12";

pub(super) fn all(sizes: &Sizes) -> Vec<Workload> {
    vec![two(sizes), four(sizes), compile(sizes)]
}

fn two(sizes: &Sizes) -> Workload {
    let sleep = sizes.sleep;
    let stage = |name: &str| format!("FROM {BASE} AS {name}\nRUN sleep {sleep} && echo {name} > /{name}\n");
    let text = [stage("a"), stage("b"), together(&["a", "b"])].concat();
    Workload::build(
        "two-stages",
        format!("two stages that sleep {sleep} s, and an image"),
        Build::of(text).fresh(),
    )
    .floor(Line::shell(format!("sleep {sleep} & sleep {sleep} & wait")))
}

fn four(sizes: &Sizes) -> Workload {
    let (sleep, megabytes) = (sizes.sleep, sizes.stage);
    let work = |file: &str| format!("sleep {sleep} && head -c {megabytes}000000 /dev/urandom >{file}");
    let names = ["a", "b", "c", "d"];
    let stage = |name: &&str| format!("FROM {BASE} AS {name}\nRUN {}\n", work(&format!("/{name}")));
    let text = names.iter().map(stage).collect::<String>() + &together(&names);
    let jobs = names.map(|name| format!("({}) &", work(&format!("@scratch/{name}"))));
    Workload::build(
        "stages",
        format!(
            "{} stages that sleep {sleep} s and write {megabytes} MB, COPY from all",
            names.len()
        ),
        Build {
            jobs: 4,
            ..Build::of(text).output(Output::Nothing).fresh()
        },
    )
    .floor(Line::shell(format!(
        "{} wait; mkdir @scratch/all; cp --reflink=never @scratch/[a-d] @scratch/all",
        jobs.join(" ")
    )))
    .aims(&[Aim::Floors(1.05)])
}

/// A stage with a file of each of the others.
fn together(names: &[&str]) -> String {
    names.iter().fold(format!("FROM {BASE}\n"), |text, name| {
        format!("{text}COPY --from={name} /{name} /\n")
    })
}

fn compile(sizes: &Sizes) -> Workload {
    let source = Context::Source {
        functions: sizes.functions,
    };
    let commands = |to: &str| {
        format!("for file in *.c; do gcc -O2 -c -o {to}/$file.o $file; done && gcc -static -o {to}/program {to}/*.o")
    };
    let text = format!(
        "FROM {GCC} AS build\nCOPY . /source\nWORKDIR /source\nRUN {}\nFROM scratch\nCOPY --from=build /source/program /\n",
        commands(".")
    );
    let edit = Line::shell(format!(
        "echo 'const char *edited = \"@round\";' >{}/edited.c",
        source.path()
    ));
    let floor = Run {
        before: vec![edit.clone()],
        ..Line::shell(format!("cd {}; {}", source.path(), commands("@scratch"))).into()
    };
    let mut workload = Workload::build(
        "compile",
        "a C program with one source edited, COPY of it into scratch, and an image",
        Build::of(text).context(source),
    )
    .preceded(&edit)
    .floor(floor)
    .aims(&[Aim::OverFloor(100.0)]);
    workload.bases.push(GCC);
    workload
}
