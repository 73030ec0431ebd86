//! Random programs. Few names, so that things meet.

use proptest::prelude::*;
use proptest::sample::select;

use crate::oracle::program::{Copy, Instruction, Piece, Program, Stage, Word};

/// Programs of one to four stages.
pub fn programs() -> impl Strategy<Value = Program> {
    let names = select(vec!["a", "b.txt", "d/a", "d/b.txt", "d/e/c", "d/e/a", "f/a"]);
    let file = (select(vec![0o644, 0o600, 0o755]), select(vec!["one", "two", ""]));
    let context = prop::collection::btree_map(names.prop_map(str::to_owned), file, 1..6);
    let arguments = prop::collection::btree_map(variable(), text(), 0..2);
    let stages = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), instructions()), 1..5);
    (context, arguments, stages).prop_map(|(context, arguments, stages)| Program {
        context: context
            .into_iter()
            .map(|(path, (mode, content))| (path, (mode, content.to_owned())))
            .collect(),
        arguments,
        stages: stages.into_iter().enumerate().map(stage).collect(),
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
        2 => prop::collection::vec((variable(), word()), 1..3).prop_map(Instruction::Env),
        2 => (variable(), prop::option::of(word())).prop_map(|(name, value)| Instruction::Arg(name, value)),
        1 => (select(vec!["l", "m"]), word()).prop_map(|(name, value)| Instruction::Label(name.to_owned(), value)),
        2 => path().prop_map(Instruction::Workdir),
        1 => (5_u64..7, 5_u64..7).prop_map(|(user, group)| Instruction::User(user, group)),
        6 => copy().prop_map(Instruction::Copy),
        1 => (word(), path()).prop_map(|(content, path)| Instruction::Heredoc(content, path)),
    ];
    prop::collection::vec(one, 0..6)
}

fn copy() -> impl Strategy<Value = Copy> {
    let names = vec![
        ".", "a", "b.txt", "d", "d/", "d/e", "d/a", "f", "*", "*.txt", "d/*", "*/a", "/", "/x", "x/a", "../d",
        "nothing*",
    ];
    let sources = prop::collection::vec(select(names).prop_map(str::to_owned), 1..3);
    (
        any::<bool>(),
        prop::option::of(0_usize..4),
        prop::option::weighted(0.2, (7_u64..9, 7_u64..9)),
        prop::option::weighted(0.2, select(vec![0o700, 0o640, 0o4755])),
        sources,
        path(),
    )
        .prop_map(|(add, from, owner, mode, sources, destination)| Copy {
            // Only COPY has --from.
            add: add && from.is_none(),
            from,
            owner,
            mode,
            sources,
            destination,
        })
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
    let start = select(vec!["/", "/x", "/x/", "/d/", "x", ".", "./", "../", "/x/y/"]);
    let end = select(vec!["", "", "/"]);
    (start, prop::option::of(piece()), end).prop_map(|(start, middle, end)| {
        let start = Piece::Text(start.to_owned());
        let end = Piece::Text(end.to_owned());
        Word([start].into_iter().chain(middle).chain([end]).collect())
    })
}
