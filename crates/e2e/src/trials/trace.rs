//! `--trace`: all that a build did is in it, wherever the build ends.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde::Deserialize;

use super::{Trial, trial};
use crate::running::Running;
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("trace::build", build),
    trial("trace::failure", failure),
    trial("trace::interrupted", interrupted),
];

/// An event as the format has it. Times are microseconds.
#[derive(Debug, Deserialize)]
struct Event {
    ph: String,
    name: String,
    pid: u32,
    tid: u32,
    ts: Option<f64>,
    dur: Option<f64>,
    #[serde(default)]
    args: BTreeMap<String, serde_json::Value>,
}

impl Event {
    fn begin(&self) -> f64 {
        self.ts.unwrap_or(f64::NAN)
    }

    fn end(&self) -> f64 {
        self.begin() + self.dur.unwrap_or(f64::NAN)
    }
}

/// Half of the nanosecond that times are told to.
const ROUNDING: f64 = 0.000_5;

/// The trace that is there. It must be one: of one process, its threads named, its spans within one another.
fn read(stage: &Stage) -> Result<Vec<Event>> {
    let text = stage.shell_ok("cat ../out/trace")?;
    let events: Vec<Event> = serde_json::from_str(&text).with_context(|| text.clone())?;
    let (names, mut spans): (Vec<Event>, Vec<Event>) = events.into_iter().partition(|event| event.ph == "M");
    spans.sort_by(|a, b| {
        let by_thread = a.tid.cmp(&b.tid).then(a.begin().total_cmp(&b.begin()));
        by_thread.then(b.end().total_cmp(&a.end()))
    });
    let mut open: Vec<&Event> = Vec::new();
    for span in &spans {
        ensure!(span.ph == "X" && span.pid == names[0].pid, "{span:?}");
        ensure!(span.begin() >= 0.0 && span.end() >= span.begin(), "{span:?}");
        let names_it = |name: &Event| name.name == "thread_name" && name.tid == span.tid;
        ensure!(names.iter().any(names_it), "a thread without a name: {span:?}");
        open.retain(|outer| outer.tid == span.tid && outer.end() > span.begin() + ROUNDING);
        let outer = open.last().map_or(f64::INFINITY, |outer| outer.end());
        ensure!(span.end() <= outer + ROUNDING, "{span:?} does not end within {open:?}");
        open.push(span);
    }
    Ok(spans)
}

/// How the task ended whose name ends so.
fn outcome<'e>(events: &'e [Event], task: &str) -> Result<&'e str> {
    let found = events.iter().find(|event| event.name.ends_with(task));
    let outcome = found.and_then(|event| event.args.get("outcome")?.as_str());
    outcome.with_context(|| format!("{task} is not in {events:?}"))
}

const DOCKERFILE: &str = "\
FROM busybox:1.35 AS one
RUN --mount=type=secret,id=key cat /run/secrets/key && echo 1 > /1
FROM busybox:1.35 AS two
COPY Dockerfile /2
FROM busybox:1.35
COPY --from=one /1 /
COPY --from=two /2 /
RUN cat /1 /2
";

const STEPS: &[&str] = &["echo 1 > /1", "COPY Dockerfile /2", "/1 /", "/2 /", "RUN cat /1 /2"];

fn build(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", DOCKERFILE)?;
    stage.write("key", "Xyzzy")?;
    let build = "kiln build --secret id=key,src=key --trace ../out/trace -o type=oci,dest=../out/image .";
    for (end, work) in [("done", &["run", "unpack", "compress", "write"][..]), ("cached", &[])] {
        stage.shell_ok(build)?;
        let events = read(stage)?;
        for step in STEPS {
            ensure!(outcome(&events, step)? == end, "{step}: {events:?}");
        }
        for name in [
            "kiln build",
            "start",
            "parse",
            "plan",
            "resolve",
            "check",
            "exporting to oci image format",
        ]
        .iter()
        .chain(work)
        {
            ensure!(events.iter().any(|event| event.name == *name), "no {name}: {events:?}");
        }
        // The step prints it, even.
        stage.shell_ok("! grep Xyzzy ../out/trace")?;
    }
    Ok(())
}

fn failure(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", "FROM busybox:1.35\nRUN true\nRUN exit 3\nRUN never\n")?;
    stage.shell_ok("! kiln build --trace ../out/trace .")?;
    let events = read(stage)?;
    ensure!(outcome(&events, "RUN true")? == "done", "{events:?}");
    ensure!(outcome(&events, "RUN exit 3")? == "failed", "{events:?}");
    ensure!(outcome(&events, "RUN never").is_err(), "{events:?}");
    stage.write("Dockerfile", "FROM busybox:1.35\nRUM\n")?;
    stage.shell_ok("! kiln build --trace ../out/trace .")?;
    ensure!(read(stage)?.iter().any(|event| event.name == "parse"));
    Ok(())
}

fn interrupted(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", "FROM busybox:1.35\nRUN echo sta''rted; sleep 1000\n")?;
    let arguments = ["build", "--progress=plain", "--trace=../out/trace", "."];
    let mut build = Running::start(stage, stage.kiln(&arguments))?;
    build.wrote("started")?;
    build.signal(Signal::INT)?;
    build.end()?.expect(&[130])?;
    ensure!(outcome(&read(stage)?, "sleep 1000")? == "canceled");
    Ok(())
}
