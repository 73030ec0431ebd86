//! What a program means: the image of its last stage, or that there is none.

use std::collections::BTreeMap;

use crate::oracle::program::{Command, Copy, Instruction, Program, Word};

/// The usual search path, which every image has.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A file or, without content, a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// A file's content.
    pub content: Option<String>,
    /// The twelve bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u64, u64),
}

/// Paths without a leading slash. The root is not one of them: it is always there.
pub type Tree = BTreeMap<String, Node>;

/// What became of a stage.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// Its files.
    pub tree: Tree,
    /// What ENV said, in the order of first mention.
    pub env: Vec<(String, String)>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The working directory.
    pub workdir: Option<String>,
    /// The user.
    pub user: Option<(u64, u64)>,
    /// What words see: ENV, and ARG over it.
    seen: BTreeMap<String, String>,
}

/// A program that cannot be built, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible(pub String);

type Possibly<T> = Result<T, Impossible>;

/// Builds all stages that the last one needs.
pub fn interpret(program: &Program) -> Possibly<Image> {
    stage(program, program.stages.len() - 1)
}

fn stage(program: &Program, number: usize) -> Possibly<Image> {
    let stated = &program.stages[number];
    let mut image = match stated.base {
        Some(base) => stage(program, base)?,
        None => Image {
            env: vec![("PATH".to_owned(), PATH.to_owned())],
            ..Image::default()
        },
    };
    // A stage begins with what the image says: an ARG over an ENV of its base is not seen any more.
    image.seen.extend(image.env.iter().cloned());
    for instruction in &stated.instructions {
        step(program, &mut image, instruction)?;
    }
    Ok(image)
}

fn step(program: &Program, image: &mut Image, instruction: &Instruction) -> Possibly<()> {
    match instruction {
        Instruction::Env(pairs) => {
            // All words see what was before the instruction.
            let before = image.seen.clone();
            for (name, value) in pairs {
                let value = value.expand(&before);
                image.seen.insert(name.clone(), value.clone());
                match image.env.iter_mut().find(|(known, _)| known == name) {
                    Some(known) => known.1 = value,
                    None => image.env.push((name.clone(), value)),
                }
            }
        }
        Instruction::Arg(name, default) => {
            let default = default.as_ref().map(|word| word.expand(&image.seen));
            if let Some(value) = program.arguments.get(name).cloned().or(default) {
                image.seen.insert(name.clone(), value);
            }
        }
        Instruction::Label(name, value) => {
            image.labels.insert(name.clone(), value.expand(&image.seen));
        }
        Instruction::Workdir(path) => {
            let path = absolute(image, &path.expand(&image.seen));
            let owner = image.user.unwrap_or((0, 0));
            make_directories(&mut image.tree, &path, owner, 0o755)?;
            image.workdir = Some(format!("/{path}"));
        }
        Instruction::User(user, group) => image.user = Some((*user, *group)),
        Instruction::Copy(copy) => copy_all(program, image, copy)?,
        Instruction::Heredoc(content, path) => {
            let node = Node {
                content: Some(content.expand(&image.seen) + "\n"),
                mode: 0o644,
                owner: (0, 0),
            };
            let (path, into) = destination(image, path);
            put_file(&mut image.tree, &node, "EOF", &path, into, ((0, 0), 0o755))?;
        }
        Instruction::Run(commands) => {
            image.user = Some((0, 0));
            // The step starts in the working directory, which is made if it is gone.
            let directory = clean(image.workdir.as_deref().unwrap_or_default());
            make_directories(&mut image.tree, &directory, (0, 0), 0o755)?;
            commands.iter().try_for_each(|command| run(&mut image.tree, command))?;
        }
    }
    Ok(())
}

fn copy_all(program: &Program, image: &mut Image, copy: &Copy) -> Possibly<()> {
    let source = match copy.from {
        Some(number) => stage(program, number)?.tree,
        None => context(program),
    };
    let changed = |node: &Node| Node {
        content: node.content.clone(),
        mode: copy.mode.unwrap_or(node.mode),
        owner: copy.owner.unwrap_or(node.owner),
    };
    let above = (copy.owner.unwrap_or((0, 0)), copy.mode.unwrap_or(0o755));
    let (path, into) = destination(image, &copy.destination);
    // With --link the files are put on nothing first, and all of that over what is there. --chmod switches it off.
    let link = copy.link && copy.mode.is_none();
    let mut linked = Tree::new();
    let tree = if link { &mut linked } else { &mut image.tree };
    for found in sources(&source, &copy.sources)? {
        if let Some(file) = source.get(&found).filter(|node| node.content.is_some()) {
            let name = found.rsplit('/').next().unwrap_or_default();
            put_file(tree, &changed(file), name, &path, into, above)?;
        } else {
            let kept = below(&source, &found).filter(|(name, _)| !excluded(&copy.exclude, name));
            put_directory(tree, kept.map(|(name, node)| (name, changed(node))), &path, above)?;
        }
    }
    lay_over(&mut image.tree, linked);
    Ok(())
}

/// Puts a tree over another: what is of another kind goes, directories come together and are as the upper one says.
fn lay_over(tree: &mut Tree, upper: Tree) {
    for (path, node) in upper {
        if node.content.is_some() {
            let inside = format!("{path}/");
            tree.retain(|name, _| !name.starts_with(&inside));
        }
        tree.insert(path, node);
    }
}

/// What lies below a directory, by its path from there.
fn below<'a>(tree: &'a Tree, directory: &'a str) -> impl Iterator<Item = (&'a str, &'a Node)> {
    tree.iter().filter_map(move |(name, node)| {
        let below = match directory {
            "" => name.as_str(),
            directory => name.strip_prefix(directory)?.strip_prefix('/')?,
        };
        Some((below, node))
    })
}

/// Whether patterns leave a path out: the last one that fits it, or a directory it is in, decides.
fn excluded(patterns: &[String], path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let mut excluded = false;
    for pattern in patterns {
        let (lets_in, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern.as_str()),
        };
        let pattern: Vec<&str> = pattern.split('/').collect();
        if (1..=parts.len()).any(|end| fits_at_depth(&pattern, &parts[..end])) {
            excluded = !lets_in;
        }
    }
    excluded
}

/// As [`fits`]; two stars are any number of directories.
fn fits_at_depth(pattern: &[&str], path: &[&str]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ["**", rest @ ..] => (0..=path.len()).any(|skipped| fits_at_depth(rest, &path[skipped..])),
        [first, rest @ ..] => !path.is_empty() && fits(first, path[0]) && fits_at_depth(rest, &path[1..]),
    }
}

/// A command of a step, whose paths are clean but for the slash.
fn run(tree: &mut Tree, command: &Command) -> Possibly<()> {
    match command {
        Command::Write(text, path) => write(tree, &clean(path), |_| format!("{text}\n")),
        Command::Append(text, path) => write(tree, &clean(path), |before| format!("{before}{text}\n")),
        Command::Mkdir(path) => make_directories(tree, &clean(path), (0, 0), 0o755),
        Command::Remove(path) => {
            let path = clean(path);
            if above(&path).any(|above| tree.get(above).is_some_and(|node| node.content.is_some())) {
                return Err(Impossible(format!("{path} is in a file")));
            }
            let inside = format!("{path}/");
            tree.retain(|name, _| *name != path && !name.starts_with(&inside));
            Ok(())
        }
        Command::Chmod(mode, path) => {
            let node = tree.get_mut(&clean(path));
            let node = node.ok_or_else(|| Impossible(format!("{path} is not there")))?;
            node.mode = *mode;
            Ok(())
        }
    }
}

/// The directories that a path is in, but for the root.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn write(tree: &mut Tree, path: &str, content: impl Fn(&str) -> String) -> Possibly<()> {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    if !is_directory(tree, parent) || is_directory(tree, path) {
        return Err(Impossible(format!("{path} cannot be written")));
    }
    let new = Node {
        content: Some(String::new()),
        mode: 0o644,
        owner: (0, 0),
    };
    let file = tree.entry(path.to_owned()).or_insert(new);
    file.content = file.content.as_deref().map(content);
    Ok(())
}

/// The context as a tree: everything is root's.
fn context(program: &Program) -> Tree {
    let mut tree = Tree::new();
    for (path, (mode, content)) in &program.context {
        let kept = !excluded(&program.ignored, path);
        // A directory is there if nothing leaves it out, or for something in it.
        for (at, _) in path.match_indices('/') {
            if !kept && excluded(&program.ignored, &path[..at]) {
                continue;
            }
            let directory = Node {
                content: None,
                mode: 0o755,
                owner: (0, 0),
            };
            tree.insert(path[..at].to_owned(), directory);
        }
        if !kept {
            continue;
        }
        let file = Node {
            content: Some(content.clone()),
            mode: *mode,
            owner: (0, 0),
        };
        tree.insert(path.clone(), file);
    }
    tree
}

/// What the words of a COPY name, in order. The empty path is the root.
fn sources(tree: &Tree, words: &[String]) -> Possibly<Vec<String>> {
    let mut all = Vec::new();
    for word in words {
        let word = clean(word);
        if word.contains('*') {
            all.extend(tree.keys().filter(|path| fits(&word, path)).cloned());
        } else if word.is_empty() || tree.contains_key(&word) {
            all.push(word);
        } else {
            return Err(Impossible(format!("{word} is not there")));
        }
    }
    Ok(all)
}

/// A star is anything in one segment; patterns here have at most one in each.
fn fits(pattern: &str, path: &str) -> bool {
    let segment = |(pattern, text): (&str, &str)| match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
    };
    pattern.split('/').count() == path.split('/').count() && pattern.split('/').zip(path.split('/')).all(segment)
}

/// Where a word leads, and whether it demands a directory.
fn destination(image: &Image, word: &Word) -> (String, bool) {
    let text = word.expand(&image.seen);
    let into = text.ends_with('/') || text == "." || text.is_empty();
    (absolute(image, &text), into)
}

fn absolute(image: &Image, path: &str) -> String {
    if path.starts_with('/') {
        return clean(path);
    }
    clean(&format!("{}/{path}", image.workdir.as_deref().unwrap_or_default()))
}

fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn make_directories(tree: &mut Tree, path: &str, owner: (u64, u64), mode: u32) -> Possibly<()> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends.filter(|&end| end > 0) {
        let directory = Node {
            content: None,
            mode,
            owner,
        };
        let there = tree.entry(path[..end].to_owned()).or_insert(directory);
        if there.content.is_some() {
            return Err(Impossible(format!("{} is a file", &path[..end])));
        }
    }
    Ok(())
}

fn is_directory(tree: &Tree, path: &str) -> bool {
    path.is_empty() || tree.get(path).is_some_and(|node| node.content.is_none())
}

fn put_file(
    tree: &mut Tree,
    file: &Node,
    name: &str,
    path: &str,
    into: bool,
    (owner, mode): ((u64, u64), u32),
) -> Possibly<()> {
    let target = if into || is_directory(tree, path) {
        clean(&format!("{path}/{name}"))
    } else {
        path.to_owned()
    };
    let parent = target.rsplit_once('/').map_or("", |(parent, _)| parent);
    make_directories(tree, parent, owner, mode)?;
    if is_directory(tree, &target) {
        return Err(Impossible(format!("{target} is a directory")));
    }
    tree.insert(target, file.clone());
    Ok(())
}

fn put_directory<'a>(
    tree: &mut Tree,
    below: impl Iterator<Item = (&'a str, Node)>,
    path: &str,
    (owner, mode): ((u64, u64), u32),
) -> Possibly<()> {
    make_directories(tree, path, owner, mode)?;
    for (name, node) in below {
        let target = clean(&format!("{path}/{name}"));
        let same_kind = |there: &Node| there.content.is_some() == node.content.is_some();
        if !tree.get(&target).is_none_or(same_kind) {
            return Err(Impossible(format!("{target} is of another kind")));
        }
        tree.insert(target, node);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::program::{Piece, Stage};

    fn word(text: &str) -> Word {
        Word(vec![Piece::Text(text.to_owned())])
    }

    fn copy(sources: &[&str], destination: &str) -> Instruction {
        Instruction::Copy(Copy {
            add: false,
            from: None,
            owner: None,
            mode: None,
            link: false,
            exclude: Vec::new(),
            sources: sources.iter().map(|&source| source.to_owned()).collect(),
            destination: word(destination),
        })
    }

    fn built(instructions: Vec<Instruction>) -> Possibly<Image> {
        let file = |path: &str| (path.to_owned(), (0o600, path.to_owned()));
        interpret(&Program {
            context: ["a", "d/b", "d/e/c"].map(file).into(),
            ignored: Vec::new(),
            arguments: BTreeMap::new(),
            stages: vec![Stage {
                base: None,
                instructions,
            }],
        })
    }

    fn paths(instructions: Vec<Instruction>) -> String {
        match built(instructions) {
            Ok(image) => image.tree.into_keys().collect::<Vec<_>>().join(" "),
            Err(why) => format!("! {}", why.0),
        }
    }

    #[test]
    fn copies() {
        let table = [
            (vec![copy(&["a"], "/x/y")], "x x/y"),
            (vec![copy(&["a"], "/x/")], "x x/a"),
            (vec![copy(&["d"], "/x")], "x x/b x/e x/e/c"),
            (vec![copy(&["d/*"], "/x")], "! x is a file"),
            (vec![copy(&["d/*", "a"], "/x/")], "x x/a x/b x/c"),
            (vec![copy(&["a"], "/x"), copy(&["d"], "/x")], "! x is a file"),
            (vec![copy(&["nope"], "/x")], "! nope is not there"),
            (vec![copy(&["nope*"], "/x")], ""),
            (vec![Instruction::Workdir(word("w")), copy(&["a"], "../x")], "w x"),
        ];
        for (instructions, wanted) in table {
            assert_eq!(paths(instructions.clone()), wanted, "{instructions:?}");
        }
    }

    #[test]
    fn patterns_leave_out() {
        let table = [
            ("d", "d/b", true),
            ("*.txt", "d/b.txt", false),
            ("**/*.txt", "b.txt", true),
            ("**/*.txt", "d/e/b.txt", true),
            ("d !d/b", "d/b", false),
            ("d !d/b", "d/c", true),
            ("!d/b d", "d/b", true),
            ("*/a", "a", false),
        ];
        for (patterns, path, wanted) in table {
            let patterns: Vec<String> = patterns.split(' ').map(str::to_owned).collect();
            assert_eq!(excluded(&patterns, path), wanted, "{patterns:?} {path}");
        }
    }

    #[test]
    fn steps_change_files() {
        let run = |commands: &[Command]| Instruction::Run(commands.to_vec());
        let path = |path: &str| path.to_owned();
        let table = [
            (
                vec![run(&[
                    Command::Mkdir(path("/x/y")),
                    Command::Write(path("a"), path("/x/f")),
                ])],
                "x x/f x/y",
            ),
            (vec![copy(&["d"], "/x"), run(&[Command::Remove(path("/x/e"))])], "x x/b"),
            (
                vec![run(&[Command::Write(path("a"), path("/x/f"))])],
                "! x/f cannot be written",
            ),
            (
                vec![copy(&["a"], "/x"), run(&[Command::Remove(path("/x/y"))])],
                "! x/y is in a file",
            ),
            (vec![run(&[Command::Chmod(0o700, path("/x"))])], "! /x is not there"),
        ];
        for (instructions, wanted) in table {
            assert_eq!(paths(instructions.clone()), wanted, "{instructions:?}");
        }
    }

    #[test]
    fn links_lie_over_what_is_there() {
        let link = |source, destination| match copy(&[source], destination) {
            Instruction::Copy(copy) => Instruction::Copy(Copy { link: true, ..copy }),
            other => other,
        };
        let table = [
            (vec![copy(&["d"], "/x"), link("a", "/x")], "x"),
            (vec![copy(&["d"], "/x"), link("a", "/x/")], "x x/a x/b x/e x/e/c"),
            (vec![copy(&["a"], "/x"), link("a", "/x/y")], "x x/y"),
        ];
        for (instructions, wanted) in table {
            assert_eq!(paths(instructions.clone()), wanted, "{instructions:?}");
        }
    }

    #[test]
    fn an_argument_is_seen_but_not_kept() {
        let image = built(vec![
            Instruction::Env(vec![("A".to_owned(), word("env"))]),
            Instruction::Arg("A".to_owned(), Some(word("arg"))),
            Instruction::Label("l".to_owned(), Word(vec![Piece::Value("A".to_owned())])),
        ])
        .expect("it can be built");
        assert_eq!(image.labels["l"], "arg");
        assert_eq!(image.env[1], ("A".to_owned(), "env".to_owned()));
    }
}
