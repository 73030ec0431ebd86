//! SIGKILL at random moments of builds, pulls, prunes and exports of caches: the next build is right, the store is whole,
//! and what has a name is still there.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{Trial, rounds, trial};
use crate::forged::noise;
use crate::running::Running;
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("killed::at_random_moments", at_random_moments),
    trial("killed::with_a_cache_mount", with_a_cache_mount),
];

/// Moments, unless more are asked for.
const MOMENTS: u32 = 12;

const DOCKERFILE: &str = "FROM busybox:1.35 AS one
COPY tree /tree
RUN --mount=type=cache,target=/cache cp -r /tree /again && cp /tree/1 /cache/
FROM busybox:1.35 AS two
RUN head -c 1000000 /dev/urandom >/noise
FROM busybox:1.35
COPY --from=one /again /again
COPY --from=two /noise /noise
COPY edit /edit
";

/// What is killed. `IMAGE` is one of a registry.
const COMMANDS: [&str; 5] = [
    "build --no-cache -t other -o type=image -o type=oci,dest=../out/archive .",
    "build --cache-to type=local,dest=../out/cache,mode=max .",
    "build --no-cache --cache-to type=local,dest=../out/cache,mode=max --cache-from type=local,src=../out/cache .",
    "prune --all --force",
    "pull IMAGE",
];

fn at_random_moments(stage: &Stage) -> Result<()> {
    for file in 0..100 {
        stage.write(&format!("tree/{file}"), file.to_string())?;
    }
    stage.write("tree/big", noise(1 << 20))?;
    stage.write("Dockerfile", DOCKERFILE)?;
    stage.write("edit", "kept")?;
    let image = format!("{}/killed-{}:1", stage.registry(), std::process::id());
    stage.shell_ok(&format!("kiln build -q -t kept -t {image} --push ."))?;
    let commands: Vec<Vec<String>> = COMMANDS
        .iter()
        .map(|line| line.replace("IMAGE", &image).split(' ').map(str::to_owned).collect())
        .collect();
    let lengths = commands
        .iter()
        .map(|command| {
            // The copy of the tree runs again, and shares files with the one before.
            stage.write("tree/0", command.concat())?;
            let start = Instant::now();
            run(stage, command)?.end()?.expect(&[0])?;
            Ok(start.elapsed())
        })
        .collect::<Result<Vec<Duration>>>()?;
    let mut chance = Chance::new();
    let mut killed = 0;
    for moment in 0..rounds(MOMENTS) {
        let which = chance.below(commands.len());
        let after = lengths[which].mul_f64(chance.fraction());
        let context = || format!("moment {moment}: `kiln {}` killed after {after:?}", COMMANDS[which]);
        if COMMANDS[which].starts_with("pull") {
            stage.shell_ok(&format!("kiln rmi {image}"))?;
        }
        stage.write("edit", moment.to_string())?;
        stage.write("tree/0", moment.to_string())?;
        let mut running = run(stage, &commands[which])?;
        sleep(after);
        killed += u32::from(running.signal(Signal::KILL)?);
        running.end()?;
        stage.wait_until_nothing_runs().with_context(context)?;
        whole(stage).with_context(context)?;
        if COMMANDS[which].starts_with("pull") {
            stage.shell_ok(&format!("kiln pull -q {image}")).with_context(context)?;
        }
        if moment % 4 == 3 {
            next_build(stage, moment).with_context(context)?;
        }
    }
    ensure!(killed > 0, "nothing was killed: all were too quick");
    Ok(())
}

fn run(stage: &Stage, command: &[String]) -> Result<Running> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    Running::start(stage, stage.kiln(&words))
}

/// Nothing is damaged, and the image that has a name can be had.
fn whole(stage: &Stage) -> Result<()> {
    stage.shell_ok("kiln doctor --store")?;
    stage.shell_ok("kiln run --rm kept sh -c 'cat /edit' | grep -qx kept")?;
    stage.shell_ok("kiln save kept >/dev/null").map(drop)
}

/// A build with what is there, and one of a new store with the cache that was written, come to the same.
fn next_build(stage: &Stage, moment: u32) -> Result<()> {
    for (root, cache) in [
        ("../store", ""),
        ("../out/other", "--cache-from type=local,src=../out/cache"),
    ] {
        stage.shell_ok(&format!(
            "rm -rf ../out/files && kiln --root {root} build -q {cache} -o type=local,dest=../out/files ."
        ))?;
        let edit = fs::read_to_string(stage.path("out/files/edit"))?;
        ensure!(edit == moment.to_string(), "{root}: /edit is {edit:?}");
        stage.shell_ok("diff -r tree ../out/files/again && test \"$(stat -c %s ../out/files/noise)\" = 1000000")?;
    }
    stage.shell_ok("kiln --root ../out/other prune -a -f").map(drop)
}

const MOUNTS: &str = "FROM busybox:1.35
ARG DO
RUN --mount=type=cache,id=it,target=/cache case $DO in \\
    stop) echo half >/cache/state; echo writ''ten; sleep 1000;; \\
    fail) exit 3;; \\
    *) cat /cache/state;; \\
    esac
";

/// What a killed build left in a cache mount stays, does not travel, and is told of until a step is well with it.
fn with_a_cache_mount(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", MOUNTS)?;
    let build = |what: &str| format!("kiln build --progress plain --build-arg DO={what} . 2>&1");
    let export = "kiln cache export it ../out/cache 2>&1";
    for signal in [Signal::KILL, Signal::INT] {
        let mut running = run(stage, &["build", "--build-arg", "DO=stop", "."].map(str::to_owned))?;
        running.wrote("written")?;
        ensure!(running.signal(signal)?, "it ended by itself");
        running.end()?;
        stage.wait_until_nothing_runs()?;
        let said = stage.shell_ok(&format!("! {export}"))?;
        ensure!(said.contains("a step that was killed left it"), "{said}");
        let said = stage.shell_ok(&format!("! {}", build("fail")))?;
        ensure!(said.contains("in the middle of whatever it wrote"), "{said}");
        ensure!(
            said.contains("may be the cause: `kiln cache rm it` empties it"),
            "{said}"
        );
        let said = stage.shell_ok(&build(&format!("{signal:?}")))?;
        ensure!(said.contains("in the middle of whatever it wrote"), "{said}");
        ensure!(said.contains(" half\n"), "{said}");
        let said = stage.shell_ok(&format!("! {}; {export}", build("fail")))?;
        ensure!(!said.contains("killed"), "{said}");
        ensure!(said.contains("Exported: it"), "{said}");
    }
    Ok(())
}

/// Random numbers (xorshift); other ones in each run.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(now.as_secs() << 20 | u64::from(now.subsec_nanos()) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }

    /// Between 0 and 1.
    fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}
