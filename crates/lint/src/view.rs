//! A Dockerfile as rules look at it.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::Joined;
use kiln_dockerfile::ast::{Command, Instruction, Kind, Run, Span, Stage};

use crate::config::Config;
use crate::scripts::{self, Remarks};
use crate::shell::{self, Reader, Script};
use crate::state::{self, State};

/// How many stages of those are looked at that a stage is built on.
const MOST_ANCESTORS: usize = 50;

/// A file and what is known of all of it.
pub(crate) struct View<'a> {
    pub(crate) file: &'a Dockerfile,
    pub(crate) config: &'a Config,
    /// All instructions in order, ARGs before the first FROM included; by number. Who goes through them takes
    /// [`items`](Self::items).
    pub(crate) items: Vec<Item<'a>>,
    /// For each stage the earlier one that it is built on.
    pub(crate) parents: Vec<Option<usize>>,
    /// The stages that others are built on.
    built_on: HashSet<usize>,
    /// The stages that have each name, in lower case.
    named: HashMap<&'a str, Vec<usize>>,
    /// How many instructions and stages were gone through.
    #[cfg(test)]
    pub(crate) work: std::cell::Cell<usize>,
    /// What is said of the scripts, once somebody asks.
    remarks: OnceCell<Remarks>,
    /// The variables of ARG and ENV, once somebody asks.
    variables: OnceCell<HashSet<String>>,
}

/// An instruction in its place.
pub(crate) struct Item<'a> {
    /// The instruction, ONBUILD itself where it is one.
    pub(crate) instruction: &'a Instruction,
    /// What it does, or what ONBUILD puts off.
    pub(crate) kind: &'a Kind,
    /// Whether it is ONBUILD's.
    pub(crate) onbuild: bool,
    /// The number of its stage.
    pub(crate) stage: Option<usize>,
    /// What a RUN runs.
    pub(crate) script: Option<RunScript>,
    /// What holds where it stands.
    pub(crate) state: State<'a>,
}

/// The script of a RUN, and where it stands.
pub(crate) struct RunScript {
    pub(crate) script: Script,
    /// Who reads it.
    pub(crate) reader: Reader,
    text: Text,
}

enum Text {
    /// In the instruction's own lines.
    Line(Joined),
    /// In a here-document: where it starts, and what it is.
    Document(usize, String),
    /// In several here-documents, or one without its tabs.
    Pieces(String),
    /// In a JSON array.
    Nowhere,
}

impl<'a> View<'a> {
    pub(crate) fn new(file: &'a Dockerfile, config: &'a Config) -> Self {
        let mut names: HashMap<&str, usize> = HashMap::new();
        let mut named: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut parents = Vec::new();
        for stage in &file.stages {
            if let Some(name) = &stage.name {
                named.entry(name).or_default().push(stage.index);
            }
            parents.push(names.get(stage.from.image.raw.as_str()).copied());
            if let Some(name) = &stage.from.name {
                names.insert(&name.raw, stage.index);
            }
        }
        let globals = file.globals.iter().map(|each| item(file, each, None));
        let stages = file.stages.iter().flat_map(|stage| {
            let all = std::iter::once(&stage.instruction).chain(&stage.instructions);
            all.map(|each| item(file, each, Some(stage.index)))
        });
        let mut items: Vec<Item<'a>> = globals.chain(stages).collect();
        state::fill(&mut items, &parents, config);
        Self {
            file,
            config,
            items,
            built_on: parents.iter().flatten().copied().collect(),
            parents,
            named,
            #[cfg(test)]
            work: std::cell::Cell::default(),
            remarks: OnceCell::new(),
            variables: OnceCell::new(),
        }
    }

    /// Somebody looks at an instruction or a stage.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests count"))]
    fn look(&self) {
        #[cfg(test)]
        self.work.set(self.work.get() + 1);
    }

    /// All instructions in order, ARGs before the first FROM included.
    pub(crate) fn items(&self) -> impl DoubleEndedIterator<Item = &Item<'a>> {
        self.items.iter().inspect(|_| self.look())
    }

    /// The items of a stage without its FROM.
    pub(crate) fn stage(&self, index: usize) -> impl DoubleEndedIterator<Item = &Item<'a>> {
        let start = self.items.partition_point(|item| item.stage < Some(index));
        let end = self.items.partition_point(|item| item.stage <= Some(index));
        self.items[start..end]
            .iter()
            .inspect(|_| self.look())
            .filter(|item| !matches!(item.kind, Kind::From(_)))
    }

    /// The last stage of that name before stage number `before`; case does not count.
    pub(crate) fn stage_by_name(&self, name: &str, before: usize) -> Option<usize> {
        let stages = self.named.get(name.to_lowercase().as_str())?;
        let after = stages.partition_point(|stage| *stage < before);
        after.checked_sub(1).map(|place| stages[place])
    }

    /// Whether a stage from number `from` on has that name; case does not count.
    pub(crate) fn comes_later(&self, name: &str, from: usize) -> bool {
        let stages = self.named.get(name.to_lowercase().as_str());
        stages
            .and_then(|stages| stages.last())
            .is_some_and(|last| *last >= from)
    }

    /// The items of a stage that add something to its tree.
    pub(crate) fn steps(&self, index: usize) -> impl Iterator<Item = &Item<'a>> {
        let adds = |item: &&Item<'a>| matches!(item.kind, Kind::Run(_) | Kind::Copy(_) | Kind::Add(_));
        self.stage(index).filter(move |item| !item.onbuild && adds(item))
    }

    /// All RUNs, put off ones too.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (&Item<'a>, &Run, &RunScript)> {
        self.items().filter_map(|item| match (item.kind, &item.script) {
            (Kind::Run(run), Some(script)) => Some((item, run, script)),
            _ => None,
        })
    }

    /// What `ShellCheck`'s rules say of the scripts.
    pub(crate) fn remarks(&self) -> &Remarks {
        self.remarks.get_or_init(|| scripts::read(self))
    }

    /// Whether any ARG or ENV of the file sets a variable of that name.
    pub(crate) fn declares(&self, name: &str) -> bool {
        let all = || self.items().flat_map(Item::variables).map(str::to_owned).collect();
        self.variables.get_or_init(all).contains(name)
    }

    /// Whether what a stage leaves is in an image that somebody sees: it is the last, or another is built on it.
    pub(crate) fn is_built_on(&self, stage: usize) -> bool {
        stage + 1 == self.file.stages.len() || self.built_on.contains(&stage)
    }

    /// Whether that name is a context's that the build is given, and so no image's.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.config
            .context
            .as_ref()
            .is_some_and(|context| context.has_named(name))
    }

    /// A stage and those that it is built on, the nearest first; not all of more than any file has, since they are gone
    /// through for each instruction.
    pub(crate) fn ancestors(&self, stage: usize) -> impl Iterator<Item = &'a Stage> {
        let file = self.file;
        std::iter::successors(Some(stage), |stage| self.parents[*stage])
            .take(MOST_ANCESTORS)
            .inspect(|_| self.look())
            .map(move |stage| &file.stages[stage])
    }
}

impl<'a> Item<'a> {
    /// The variables that it declares or sets.
    pub(crate) fn variables(&self) -> Vec<&'a str> {
        match self.kind {
            Kind::Arg(all) => all.iter().map(|each| each.name.raw.as_str()).collect(),
            Kind::Env(pairs) => pairs.iter().map(|pair| pair.key.raw.as_str()).collect(),
            _ => Vec::new(),
        }
    }
}

fn item<'a>(file: &Dockerfile, instruction: &'a Instruction, stage: Option<usize>) -> Item<'a> {
    let (kind, onbuild) = match &instruction.kind {
        Kind::Onbuild(onbuild) => (&onbuild.instruction.kind, true),
        kind => (kind, false),
    };
    let script = match kind {
        Kind::Run(run) => Some(script(file, run)),
        _ => None,
    };
    Item {
        instruction,
        kind,
        onbuild,
        stage,
        script,
        state: State::default(),
    }
}

fn script(file: &Dockerfile, run: &Run) -> RunScript {
    match &run.command {
        Command::Exec(words) => RunScript {
            script: Script::parse(&words.join(" ")),
            reader: Reader::Stage,
            text: Text::Nowhere,
        },
        Command::Shell(word) => match &run.heredocs[..] {
            [document] if is_script(&word.raw, &document.operator.raw) => RunScript {
                script: Script::parse(&document.content),
                reader: match word.raw[document.operator.raw.len()..].split_ascii_whitespace().next() {
                    Some(program) => Reader::of(program),
                    None => Reader::of_first_line(&document.content),
                },
                text: if document.strip_tabs {
                    Text::Pieces(document.content.clone())
                } else {
                    Text::Document(document.body.start, document.content.clone())
                },
            },
            [] => {
                let joined = file.joined(word.span);
                RunScript {
                    script: Script::parse(joined.text()),
                    reader: Reader::Stage,
                    text: Text::Line(joined),
                }
            }
            documents => {
                let mut text = word.raw.clone();
                for document in documents {
                    text.push('\n');
                    text.push_str(&document.content);
                    text.push_str(&document.name);
                }
                RunScript {
                    script: Script::parse(&text),
                    reader: Reader::Stage,
                    text: Text::Pieces(text),
                }
            }
        },
    }
}

/// Whether a here-document is what runs: nothing stands before it but perhaps a shell behind it.
fn is_script(line: &str, operator: &str) -> bool {
    line.strip_prefix(operator)
        .is_some_and(|rest| !rest.contains(['>', '<', '|', ';', '&']))
}

impl RunScript {
    /// Where a range of the script stands in the file, if that is known exactly.
    pub(crate) fn span(&self, command: &shell::Command, range: &std::ops::Range<usize>) -> Option<Span> {
        if !command.exact {
            return None;
        }
        self.place(range.clone())
    }

    /// The text, where it stands in the instruction's own lines.
    pub(crate) fn line(&self) -> Option<&str> {
        match &self.text {
            Text::Line(joined) => Some(joined.text()),
            Text::Document(..) | Text::Pieces(_) | Text::Nowhere => None,
        }
    }

    /// The text that the shell reads; `None` where there is no shell.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.text {
            Text::Line(joined) => Some(joined.text()),
            Text::Document(_, text) | Text::Pieces(text) => Some(text),
            Text::Nowhere => None,
        }
    }

    /// The same for a place that is known to be exact.
    pub(crate) fn place(&self, range: std::ops::Range<usize>) -> Option<Span> {
        match &self.text {
            Text::Line(joined) => Some(joined.span(range)),
            Text::Document(start, _) => Some(Span {
                start: start + range.start,
                end: start + range.end,
            }),
            Text::Pieces(_) | Text::Nowhere => None,
        }
    }
}
