//! A workload: the same work for Kiln, for its peers and for the machine's own tools, as data.
//!
//! Words may hold `@dir` (where all files are), `@scratch` (a directory that is empty at the start of each run; an
//! output there called `image.tar` is weighed), `@round` (a number that no other run had), `@registry`, and, for a shell,
//! `@kiln` (the program with its environment).

use serde::Serialize;

use super::aim::Aim;
use super::context::Context;

/// The base that the workloads stand on.
pub(super) const BASE: &str = "debian:bookworm-slim";

/// What the builds name their images.
pub(super) const TAG: &str = "bench";

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Contender {
    Kiln,
    Buildah,
    Docker,
    /// The machine's own tools, as far as they need be.
    Floor,
}

impl Contender {
    pub(super) const ALL: [Self; 4] = [Self::Kiln, Self::Buildah, Self::Docker, Self::Floor];

    /// As a table's heading has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kiln => "Kiln",
            Self::Buildah => "buildah",
            Self::Docker => "BuildKit",
            Self::Floor => "floor",
        }
    }
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Kiln's, buildah's and docker's arguments.
    Kiln(Vec<String>),
    Buildah(Vec<String>),
    Docker(Vec<String>),
    /// A program and its arguments.
    Program(Vec<String>),
    /// A text for bash.
    Shell(String),
}

impl Line {
    /// A contender's program with these words; none of them holds a space.
    pub(super) fn of(contender: Contender, words: &str) -> Self {
        let words = split(words);
        match contender {
            Contender::Kiln => Self::Kiln(words),
            Contender::Buildah => Self::Buildah(words),
            Contender::Docker => Self::Docker(words),
            Contender::Floor => Self::Program(words),
        }
    }

    pub(super) fn kiln(words: &str) -> Self {
        Self::of(Contender::Kiln, words)
    }

    pub(super) fn program(words: &str) -> Self {
        Self::of(Contender::Floor, words)
    }

    pub(super) fn shell(text: impl Into<String>) -> Self {
        Self::Shell(text.into())
    }

    /// Whether the word occurs in it.
    fn mentions(&self, word: &str) -> bool {
        match self {
            Self::Kiln(words) | Self::Buildah(words) | Self::Docker(words) | Self::Program(words) => {
                words.iter().any(|found| found.contains(word))
            }
            Self::Shell(text) => text.contains(word),
        }
    }
}

fn split(words: &str) -> Vec<String> {
    words.split(' ').map(str::to_owned).collect()
}

/// What one contender does in one run; nothing, if it does not take part.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    /// What comes before and is not measured.
    pub(super) before: Vec<Line>,
    /// One after the other; their times are added.
    pub(super) timed: Vec<Line>,
    /// What comes afterwards and is not measured.
    pub(super) after: Vec<Line>,
    /// Whether only root can do it.
    pub(super) as_root: bool,
}

impl From<Line> for Run {
    fn from(line: Line) -> Self {
        Self::from(vec![line])
    }
}

impl From<Vec<Line>> for Run {
    fn from(timed: Vec<Line>) -> Self {
        Self {
            timed,
            ..Self::default()
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    /// What it is, for people.
    pub(super) what: String,
    /// Base images.
    pub(super) bases: Vec<&'static str>,
    pub(super) contexts: Vec<Context>,
    /// Further small files: paths below `@dir`, and texts.
    pub(super) files: Vec<(String, String)>,
    /// What is done once, before the first run; what several workloads have alike is done once for all.
    pub(super) setup: Vec<Line>,
    /// Whether what earlier runs made is removed before each.
    pub(super) fresh: bool,
    runs: [Run; 4],
    pub(super) aims: Vec<Aim>,
}

impl Workload {
    /// The same build by all builders.
    pub(super) fn build(name: &'static str, what: impl Into<String>, build: Build) -> Self {
        let file = dockerfile(name);
        Self {
            name,
            what: what.into(),
            bases: vec![BASE],
            runs: [
                build.kiln(&file).into(),
                build.buildah(&file).into(),
                build.docker(&file).into(),
                Run::default(),
            ],
            contexts: vec![build.context],
            fresh: build.flags.contains(&"--no-cache"),
            files: vec![(file, build.dockerfile)],
            setup: Vec::new(),
            aims: Vec::new(),
        }
    }

    pub(super) fn run(&self, contender: Contender) -> &Run {
        &self.runs[contender as usize]
    }

    /// Has this contender do something else.
    pub(super) fn with(mut self, contender: Contender, run: impl Into<Run>) -> Self {
        self.runs[contender as usize] = run.into();
        self
    }

    pub(super) fn floor(self, run: impl Into<Run>) -> Self {
        self.with(Contender::Floor, run)
    }

    /// What no peer can do, or not in this way.
    pub(super) fn kiln_only(mut self) -> Self {
        self.drop_peers();
        self
    }

    /// Leaves Kiln and the floor.
    pub(super) fn drop_peers(&mut self) {
        for peer in [Contender::Buildah, Contender::Docker] {
            self.runs[peer as usize] = Run::default();
        }
    }

    /// Before each run of a builder, after what else there is.
    pub(super) fn preceded(mut self, line: &Line) -> Self {
        for run in self.runs.iter_mut().filter(|run| !run.timed.is_empty()) {
            run.before.push(line.clone());
        }
        self
    }

    /// Once before all runs, with the Dockerfile that it needs.
    pub(super) fn setup(mut self, (name, text): (&str, String), lines: impl IntoIterator<Item = Line>) -> Self {
        self.files.push((dockerfile(name), text));
        self.contexts.push(Context::Empty);
        self.setup.extend(lines);
        self
    }

    pub(super) fn aims(mut self, aims: &[Aim]) -> Self {
        self.aims = aims.to_vec();
        self
    }

    /// Whether the word occurs in any of its commands.
    pub(super) fn mentions(&self, word: &str) -> bool {
        let of_runs = self
            .runs
            .iter()
            .flat_map(|run| [&run.before, &run.timed, &run.after].into_iter().flatten());
        self.setup.iter().chain(of_runs).any(|line| line.mentions(word))
    }
}

/// Where the Dockerfile of this name is, below `@dir`: not in a context, so that several can have the same one.
pub(super) fn dockerfile(name: &str) -> String {
    format!("@dir/dockerfiles/{name}")
}

/// What becomes of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// The builder's own records only. Peers cannot do without an image in their store.
    Nothing,
    /// An image in the builder's store.
    Image,
    /// An OCI archive, compressed by gzip. The daemon of Debian's docker.io can write none.
    Oci,
    /// The same by zstd.
    OciZstd,
    /// An image in the registry, under this name.
    Registry(&'static str),
}

/// A build, in terms that all builders know.
#[derive(Debug)]
pub(super) struct Build {
    /// The text.
    pub(super) dockerfile: String,
    pub(super) context: Context,
    /// Flags that all know.
    pub(super) flags: Vec<&'static str>,
    pub(super) output: Output,
    /// Stages at the same time, for those that have to be told.
    pub(super) jobs: u32,
}

impl Build {
    /// Cached where it can be, with nothing in the context, to an image.
    pub(super) fn of(dockerfile: impl Into<String>) -> Self {
        Self {
            dockerfile: dockerfile.into(),
            context: Context::Empty,
            flags: Vec::new(),
            output: Output::Image,
            jobs: 2,
        }
    }

    pub(super) fn context(self, context: Context) -> Self {
        Self { context, ..self }
    }

    pub(super) fn output(self, output: Output) -> Self {
        Self { output, ..self }
    }

    /// Every step anew in each run.
    pub(super) fn fresh(mut self) -> Self {
        self.flags.push("--no-cache");
        self
    }

    /// The steps that use the argument ROUND anew in each run.
    pub(super) fn rounds(mut self) -> Self {
        self.flags.push("--build-arg=ROUND=@round");
        self
    }

    fn words(&self, file: &str, own: &str) -> Vec<String> {
        let mut words = split(&format!("build -q -f {file}"));
        words.extend(own.split(' ').filter(|word| !word.is_empty()).map(str::to_owned));
        words.extend(self.flags.iter().map(|&flag| flag.to_owned()));
        words.push(self.context.path());
        words
    }

    pub(super) fn kiln(&self, file: &str) -> Line {
        let output = match self.output {
            Output::Nothing => "-o type=cacheonly".to_owned(),
            Output::Image => format!("-t {TAG}"),
            Output::Oci => "-o type=oci,dest=@scratch/image.tar".to_owned(),
            Output::OciZstd => "-o type=oci,dest=@scratch/image.tar,compression=zstd".to_owned(),
            Output::Registry(name) => format!("--push -t @registry/{name}"),
        };
        Line::Kiln(self.words(file, &format!("--jobs {} {output}", self.jobs)))
    }

    fn buildah(&self, file: &str) -> Vec<Line> {
        // A cache, and stages at the same time, are what buildah does when asked.
        let build = Line::Buildah(self.words(file, &format!("-t {TAG} --layers --jobs {}", self.jobs)));
        let push = |words: &str| Line::of(Contender::Buildah, &format!("push -q {words}"));
        match self.output {
            Output::Nothing | Output::Image => vec![build],
            Output::Oci => vec![build, push(&format!("{TAG} oci-archive:@scratch/image.tar"))],
            Output::OciZstd => vec![
                build,
                push(&format!(
                    "--compression-format zstd {TAG} oci-archive:@scratch/image.tar"
                )),
            ],
            Output::Registry(name) => vec![
                build,
                push(&format!("--tls-verify=false {TAG} docker://@registry/{name}")),
            ],
        }
    }

    fn docker(&self, file: &str) -> Vec<Line> {
        let build = |tag: &str| Line::Docker(self.words(file, &format!("-t {tag} --network host")));
        match self.output {
            Output::Nothing | Output::Image => vec![build(TAG)],
            Output::Oci | Output::OciZstd => Vec::new(),
            Output::Registry(name) => {
                let tag = format!("@registry/{name}");
                vec![build(&tag), Line::of(Contender::Docker, &format!("push -q {tag}"))]
            }
        }
    }
}

/// A row that is computed: what one workload takes more than another, in equal parts.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) name: &'static str,
    pub(super) what: String,
    pub(super) more: &'static str,
    pub(super) less: &'static str,
    pub(super) parts: u32,
    pub(super) aims: Vec<Aim>,
}
