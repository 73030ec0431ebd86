//! Random programs. Few names, so that things meet.

use proptest::prelude::*;
use proptest::sample::select;

use crate::oracle::program::{Command, Copy, Instruction, Piece, Program, Stage, Word};

/// The files of every context.
const FILES: [&str; 7] = ["a", "b.txt", "d/a", "d/b.txt", "d/e/c", "d/e/a", "f/a"];

/// The links of some contexts, and where they may lead.
const LINKS: [(&str, &[&str]); 3] = [
    ("l", &["d", "d/e", "a", "/f/a", "nowhere", "../d"]),
    ("d/l", &["a", "e", "../f", "/b.txt", "l"]),
    ("f/l", &["../d/e/c", "/d", "."]),
];

/// Lines of ignore files; few, so that most sources are still there.
const IGNORED: &[&str] = &["d/e", "**/a", "*.txt", "d/*", "!d/a", "!**/b.txt", "f", "*/a", "!f/a"];

/// Values of `--exclude`.
const EXCLUDED: &[&str] = &["a", "*.txt", "**/a", "e", "e/c", "d/e", "*/*.txt", "*"];

/// Programs of one to four stages.
pub fn programs() -> impl Strategy<Value = Program> {
    let file = (select(vec![0o644, 0o600, 0o755]), select(vec!["one", "two", ""]));
    let files = prop::collection::vec(file, FILES.len());
    let links = LINKS.map(|(path, targets)| {
        let target = prop::option::weighted(0.4, select(targets));
        target.prop_map(move |target| target.map(|target| (path.to_owned(), target.to_owned())))
    });
    let ignored = prop_oneof![4 => Just(Vec::new()), 1 => patterns(1..4, IGNORED)];
    let arguments = prop::collection::btree_map(variable(), text(), 0..3);
    let stages = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), instructions()), 1..5);
    (files, links, ignored, arguments, stages).prop_map(|(files, links, ignored, arguments, stages)| {
        let files = files.into_iter().map(|(mode, content)| (mode, content.to_owned()));
        Program {
            context: FILES.map(str::to_owned).into_iter().zip(files).collect(),
            links: links.into_iter().flatten().collect(),
            ignored,
            arguments,
            stages: stages.into_iter().enumerate().map(stage).collect(),
        }
    })
}

/// Ties a stage to those before it.
fn stage((number, (base, scratch, mut instructions)): (usize, (prop::sample::Index, bool, Vec<Instruction>))) -> Stage {
    for instruction in &mut instructions {
        if let Instruction::Copy(copy) = instruction {
            copy.from = copy.from.filter(|_| number > 0).map(|from| from % number);
        }
    }
    Stage {
        base: (number > 0 && !scratch).then(|| base.index(number)),
        instructions,
    }
}

fn instructions() -> impl Strategy<Value = Vec<Instruction>> {
    let one = prop_oneof![
        3 => prop::collection::vec((variable(), word()), 1..3).prop_map(Instruction::Env),
        3 => (variable(), prop::option::of(word())).prop_map(|(name, value)| Instruction::Arg(name, value)),
        4 => (select(vec!["l", "m", "n"]), word()).prop_map(|(name, value)| Instruction::Label(name.to_owned(), value)),
        2 => path().prop_map(Instruction::Workdir),
        1 => (5_u64..7, 5_u64..7).prop_map(|(user, group)| Instruction::User(user, group)),
        6 => copy().prop_map(Instruction::Copy),
        1 => (word(), path()).prop_map(|(content, path)| Instruction::Heredoc(content, path)),
        2 => prop::collection::vec(command(), 1..5).prop_map(Instruction::Run),
    ];
    prop::collection::vec(one, 0..9)
}

fn command() -> impl Strategy<Value = Command> {
    let path =
        || select(vec!["/x", "/x/a", "/x/y", "/d", "/d/a", "/a", "/x/b.txt", "/l", "/x/l"]).prop_map(str::to_owned);
    let target = select(vec!["x", "/d", "a", "../x/y", "l"]).prop_map(str::to_owned);
    prop_oneof![
        2 => (text(), path()).prop_map(|(text, path)| Command::Write(text, path)),
        1 => (text(), path()).prop_map(|(text, path)| Command::Append(text, path)),
        3 => path().prop_map(Command::Mkdir),
        3 => path().prop_map(Command::Remove),
        2 => (target, path()).prop_map(|(target, path)| Command::Link(target, path)),
        1 => (select(vec![0o700, 0o755, 0o2750]), path()).prop_map(|(mode, path)| Command::Chmod(mode, path)),
    ]
}

fn copy() -> impl Strategy<Value = Copy> {
    prop_oneof![
        4 => copy_of(Just(None), plain().boxed()),
        2 => copy_of((0_usize..4).prop_map(Some), pattern().boxed()),
        1 => copy_of(Just(None), with_parents().boxed()).prop_map(keep_parents),
        1 => copy_of((0_usize..4).prop_map(Some), with_parents().boxed()).prop_map(keep_parents),
    ]
}

fn keep_parents(copy: Copy) -> Copy {
    Copy {
        add: false,
        parents: true,
        ..copy
    }
}

/// Sources of `--parents`; no link is on their way, of which nobody says what it means.
fn with_parents() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        2 => select(vec!["a", "/d", "d/", "d/e", "./d/e/c", "d/./e", "f/./a", "l"]),
        3 => select(vec!["*", "**/a", "d/*", "*/a", "d/**/c", "**/*.txt", "d/./*", "x/*", "nothing/*"]),
    ]
}

/// Of the context: most of them are there.
fn plain() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        20 => select(vec![".", "a", "/b.txt", "d", "d/", "d/e", "d/a", "../f", "d/./e/../b.txt"]),
        5 => pattern(),
        1 => select(vec!["nothing", "a/x", "l", "l/", "l/a", "d/l", "f/l", "f/l/a"]),
    ]
}

/// Of a stage, of which one cannot know what it holds.
fn pattern() -> impl Strategy<Value = &'static str> {
    select(vec![
        "/", "*", "*.txt", "d/*", "*/a", "/x*", "x/*/*", "nothing*", "l*", "*/l", "l/*", "x/l/*",
    ])
}

fn copy_of(
    from: impl Strategy<Value = Option<usize>>,
    source: BoxedStrategy<&'static str>,
) -> impl Strategy<Value = Copy> {
    let sources = prop::collection::vec(source.prop_map(str::to_owned), 1..3);
    let owner = prop::option::weighted(0.2, (7_u64..9, 7_u64..9));
    let mode = prop::option::weighted(0.2, select(vec![0o700, 0o640, 0o4755]));
    let exclude = prop_oneof![4 => Just(Vec::new()), 1 => patterns(1..3, EXCLUDED)];
    let flags = (any::<bool>(), owner, mode, prop::bool::weighted(0.2), exclude);
    (from, flags, sources, path()).prop_map(|(from, (add, owner, mode, link, exclude), sources, destination)| Copy {
        // Only COPY has --from.
        add: add && from.is_none(),
        from,
        owner,
        mode,
        link,
        parents: false,
        exclude,
        sources,
        destination,
    })
}

fn patterns(count: std::ops::Range<usize>, of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(select(of).prop_map(str::to_owned), count)
}

fn variable() -> impl Strategy<Value = String> {
    select(vec!["A", "B", "C"]).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    select(vec!["x", "y", "xy", "a1"]).prop_map(str::to_owned)
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        text().prop_map(Piece::Text),
        variable().prop_map(Piece::Value),
        (variable(), text()).prop_map(|(name, text)| Piece::OrElse(name, text)),
        (variable(), text()).prop_map(|(name, text)| Piece::Instead(name, text)),
    ]
}

fn word() -> impl Strategy<Value = Word> {
    prop::collection::vec(piece(), 1..3).prop_map(Word)
}

/// Paths begin with text, so that none is empty, and may end in a slash.
fn path() -> impl Strategy<Value = Word> {
    let start = select(vec![
        "/", "/x", "/x/", "/d/", "x", ".", "./", "../", "/x/y/", "/l", "/l/", "/x/l/",
    ]);
    let end = select(vec!["", "", "/"]);
    (start, prop::option::of(piece()), end).prop_map(|(start, middle, end)| {
        let start = Piece::Text(start.to_owned());
        let end = Piece::Text(end.to_owned());
        Word([start].into_iter().chain(middle).chain([end]).collect())
    })
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::oracle::interpret::interpret;

    /// Programs that nobody can build say little.
    #[test]
    fn most_programs_can_be_built_and_not_all() {
        let mut runner = TestRunner::deterministic();
        let mut program = || programs().new_tree(&mut runner).expect("a program").current();
        let possible = (0..300).filter(|_| interpret(&program()).is_ok()).count();
        assert!((150..290).contains(&possible), "{possible} of 300");
    }
}
