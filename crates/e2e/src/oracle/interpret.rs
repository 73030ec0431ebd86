//! What a program means: the image of its last stage, or that there is none.

use std::collections::BTreeMap;

use crate::oracle::program::{Command, Copy, Instruction, Program, Word};
use crate::oracle::tree::{
    Content, LINK_MODE, Made, Node, Possibly, Tree, above, below, clean, follow, impossible, is_directory, lay_over,
    make_directories, name, parent, put_directory, put_file, remove,
};

/// The usual search path, which every image has.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
            let real = follow(&image.tree, &path, true)?;
            make_directories(&mut image.tree, &real, (owner, 0o755))?;
            image.workdir = Some(format!("/{path}"));
        }
        Instruction::User(user, group) => image.user = Some((*user, *group)),
        Instruction::Copy(copy) => copy_all(program, image, copy)?,
        Instruction::Heredoc(content, path) => {
            let node = Node {
                content: Content::File(content.expand(&image.seen) + "\n"),
                mode: 0o644,
                owner: (0, 0),
            };
            let (path, into) = destination(image, path);
            let path = follow(&image.tree, &path, true)?;
            put_file(&mut image.tree, &node, "EOF", &path, into, ((0, 0), 0o755))?;
        }
        Instruction::Run(commands) => {
            image.user = Some((0, 0));
            // The step starts in the working directory, which is made if it is gone.
            let directory = clean(image.workdir.as_deref().unwrap_or_default());
            let directory = follow(&image.tree, &directory, true)?;
            make_directories(&mut image.tree, &directory, MADE_BY_ROOT)?;
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
    let made = (copy.owner.unwrap_or((0, 0)), copy.mode.unwrap_or(0o755));
    let (path, into) = destination(image, &copy.destination);
    // With --link the files are put on nothing first, and all of that over what is there. --chmod switches it off.
    let link = copy.link && copy.mode.is_none();
    let mut linked = Tree::new();
    let tree = if link { &mut linked } else { &mut image.tree };
    let path = follow(tree, &path, true)?;
    for word in &copy.sources {
        if copy.parents {
            put_directory(tree, with_parents(&source, word, copy)?.into_iter(), &path, made)?;
            continue;
        }
        for (name, found) in sources(&source, word)? {
            if let Some(file) = source.get(&found).filter(|node| !node.is_directory()) {
                put_file(tree, &changed(copy, file), &name, &path, into, made)?;
            } else {
                let kept = below(&source, &found).filter(|(name, _)| !excluded(&copy.exclude, name));
                put_directory(tree, kept.map(|(name, node)| (name, changed(copy, node))), &path, made)?;
            }
        }
    }
    lay_over(&mut image.tree, linked);
    Ok(())
}

/// A node with the owner and the mode that the flags say. Links have no mode.
fn changed(copy: &Copy, node: &Node) -> Node {
    let has_mode = !matches!(node.content, Content::Link(_));
    Node {
        content: node.content.clone(),
        mode: copy.mode.filter(|_| has_mode).unwrap_or(node.mode),
        owner: copy.owner.unwrap_or(node.owner),
    }
}

/// What `--parents` copies for a source, by the paths that stay: what fits, what is below, and the directories that it is
/// in. Nothing is followed but for what stands before the pivot.
fn with_parents<'a>(source: &'a Tree, word: &'a str, copy: &Copy) -> Possibly<Vec<(&'a str, Node)>> {
    let (base, pattern) = word.split_once("/./").unwrap_or(("", word));
    let (base, pattern) = (follow(source, &clean(base), true)?, clean(pattern));
    let required = Some(pattern.clone()).filter(|path| !path.contains('*'));
    if !is_directory(source, &base) {
        return impossible(format!("{base} is no directory"));
    }
    // Of the tree the names are borrowed for longer than of `base`.
    let start = if base.is_empty() { 0 } else { base.len() + 1 };
    let inside = source
        .iter()
        .filter(|(path, _)| base.is_empty() || path.starts_with(&format!("{base}/")));
    let inside: Vec<(&str, &Node)> = inside.map(|(path, node)| (&path[start..], node)).collect();
    let pattern: Vec<&str> = pattern.split('/').collect();
    let chosen = |path: &str| {
        let fits = |path: &str| fits_at_depth(&pattern, &path.split('/').collect::<Vec<_>>());
        above(path).chain([path]).any(fits) && !excluded(&copy.exclude, path)
    };
    let named = |path: &str| {
        required
            .as_ref()
            .is_some_and(|required| above(path).chain([path]).any(|path| path == required))
    };
    if required.is_some() && !inside.iter().any(|(path, _)| named(path) && chosen(path)) {
        return impossible(format!("{word} is not there"));
    }
    let needed = |path: &str| {
        let mut below = inside
            .iter()
            .filter_map(|(name, _)| name.strip_prefix(path)?.strip_prefix('/').map(|_| *name));
        chosen(path) || below.any(chosen)
    };
    let kept = inside.iter().filter(|(path, _)| needed(path));
    Ok(kept.map(|(path, node)| (*path, changed(copy, node))).collect())
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

/// What root makes in a step.
const MADE_BY_ROOT: Made = ((0, 0), 0o755);

/// A command of a step, whose paths are clean but for the slash.
fn run(tree: &mut Tree, command: &Command) -> Possibly<()> {
    match command {
        Command::Write(text, path) => write(tree, &clean(path), |_| format!("{text}\n")),
        Command::Append(text, path) => write(tree, &clean(path), |before| format!("{before}{text}\n")),
        Command::Mkdir(path) => {
            let path = clean(path);
            for directory in above(&path).chain([path.as_str()]) {
                let real = follow(tree, directory, true)?;
                let dangling = !tree.contains_key(&real) && tree.contains_key(&follow(tree, directory, false)?);
                if dangling {
                    return impossible(format!("{directory} leads nowhere"));
                }
                make_directories(tree, &real, MADE_BY_ROOT)?;
            }
            Ok(())
        }
        Command::Remove(path) => {
            let path = follow(tree, &clean(path), false)?;
            if above(&path).any(|above| tree.get(above).is_some_and(|node| !node.is_directory())) {
                return impossible(format!("{path} is in a file"));
            }
            remove(tree, &path);
            Ok(())
        }
        Command::Chmod(mode, path) => match tree.get_mut(&follow(tree, &clean(path), true)?) {
            Some(node) => {
                node.mode = *mode;
                Ok(())
            }
            None => impossible(format!("{path} is not there")),
        },
        Command::Link(target, path) => {
            let path = clean(path);
            let real = follow(tree, &path, true)?;
            // Into a directory it goes under its own name.
            let path = if is_directory(tree, &real) {
                clean(&format!("{real}/{}", name(target)))
            } else {
                follow(tree, &path, false)?
            };
            if tree.contains_key(&path) || !is_directory(tree, parent(&path)) {
                return impossible(format!("{path} cannot be a link"));
            }
            tree.insert(path, link(target));
            Ok(())
        }
    }
}

fn link(target: &str) -> Node {
    Node {
        content: Content::Link(target.to_owned()),
        mode: LINK_MODE,
        owner: (0, 0),
    }
}

fn write(tree: &mut Tree, path: &str, content: impl Fn(&str) -> String) -> Possibly<()> {
    let path = follow(tree, path, true)?;
    if !is_directory(tree, parent(&path)) || is_directory(tree, &path) {
        return impossible(format!("{path} cannot be written"));
    }
    let new = Node {
        content: Content::File(String::new()),
        mode: 0o644,
        owner: (0, 0),
    };
    if let Content::File(text) = &mut tree.entry(path).or_insert(new).content {
        *text = content(text);
    }
    Ok(())
}

/// The context as a tree: everything is root's.
fn context(program: &Program) -> Tree {
    let file = |(path, (mode, content)): (&String, &(u32, String))| {
        let node = Node {
            content: Content::File(content.clone()),
            mode: *mode,
            owner: (0, 0),
        };
        (path.clone(), node)
    };
    let files = program.context.iter().map(file);
    let links = program.links.iter().map(|(path, target)| (path.clone(), link(target)));
    let mut tree = Tree::new();
    for (path, node) in files.chain(links) {
        let kept = !excluded(&program.ignored, &path);
        // A directory is there if nothing leaves it out, or for something in it.
        for directory in above(&path) {
            if !kept && excluded(&program.ignored, directory) {
                continue;
            }
            let node = Node {
                content: Content::Directory,
                mode: 0o755,
                owner: (0, 0),
            };
            tree.insert(directory.to_owned(), node);
        }
        if kept {
            tree.insert(path, node);
        }
    }
    tree
}

/// What a word of a COPY names, in order: the name it goes by, and where it really is. The empty path is the root. Links
/// are followed, but not where a star stands for them on the way.
fn sources(tree: &Tree, word: &str) -> Possibly<Vec<(String, String)>> {
    let word = clean(word);
    let Some(star) = word.find('*') else {
        let real = follow(tree, &word, true)?;
        if !real.is_empty() && !tree.contains_key(&real) {
            return impossible(format!("{word} is not there"));
        }
        return Ok(vec![(name(&word).to_owned(), real)]);
    };
    let fixed = parent(&word[..star]);
    // Where there is no such directory nothing fits.
    let Ok(directory) = follow(tree, fixed, true) else {
        return Ok(Vec::new());
    };
    let pattern = word[fixed.len()..].trim_start_matches('/');
    let mut found = Vec::new();
    for (path, _) in below(tree, &directory).filter(|(path, _)| fits(pattern, path)) {
        let real = follow(tree, &clean(&format!("{directory}/{path}")), true)?;
        if !real.is_empty() && !tree.contains_key(&real) {
            return impossible(format!("{path} leads nowhere"));
        }
        found.push((name(path).to_owned(), real));
    }
    Ok(found)
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
            parents: false,
            exclude: Vec::new(),
            sources: sources.iter().map(|&source| source.to_owned()).collect(),
            destination: word(destination),
        })
    }

    fn built(instructions: Vec<Instruction>) -> Possibly<Image> {
        let file = |path: &str| (path.to_owned(), (0o600, path.to_owned()));
        interpret(&Program {
            context: ["a", "d/b", "d/e/c"].map(file).into(),
            links: [("l", "d"), ("d/up", "../a")]
                .map(|(path, target)| (path.to_owned(), target.to_owned()))
                .into(),
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
            (vec![copy(&["d"], "/x")], "x x/b x/e x/e/c x/up"),
            (vec![copy(&["d/*"], "/x")], "! x is no directory"),
            (vec![copy(&["d/*", "a"], "/x/")], "x x/a x/b x/c x/up"),
            (vec![copy(&["a"], "/x"), copy(&["d"], "/x")], "! x is no directory"),
            (vec![copy(&["l/e"], "/x")], "x x/c"),
            (vec![copy(&["l*/up"], "/x")], ""),
            (vec![copy(&["l/u*"], "/x/")], "x x/up"),
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
            (
                vec![copy(&["d"], "/x"), run(&[Command::Remove(path("/x/e"))])],
                "x x/b x/up",
            ),
            (
                vec![run(&[
                    Command::Mkdir(path("/x")),
                    Command::Link(path("x"), path("/l")),
                    Command::Mkdir(path("/l/y")),
                    Command::Link(path("nowhere"), path("/l")),
                ])],
                "l x x/nowhere x/y",
            ),
            (
                vec![run(&[
                    Command::Link(path("x"), path("/l")),
                    Command::Mkdir(path("/l/y")),
                ])],
                "! l leads nowhere",
            ),
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
            (vec![copy(&["d"], "/x"), link("a", "/x/")], "x x/a x/b x/e x/e/c x/up"),
            (vec![copy(&["a"], "/x"), link("a", "/x/y")], "x x/y"),
        ];
        for (instructions, wanted) in table {
            assert_eq!(paths(instructions.clone()), wanted, "{instructions:?}");
        }
    }

    #[test]
    fn parents_stay() {
        let parents = |sources: &[&str], exclude: &[&str]| match copy(sources, "/x") {
            Instruction::Copy(copy) => vec![Instruction::Copy(Copy {
                parents: true,
                exclude: exclude.iter().map(|&pattern| pattern.to_owned()).collect(),
                ..copy
            })],
            other => vec![other],
        };
        let table = [
            (parents(&["d/e/c"], &[]), "x x/d x/d/e x/d/e/c"),
            (parents(&["d/./e"], &[]), "x x/e x/e/c"),
            (parents(&["l/./e/c"], &[]), "x x/e x/e/c"),
            (parents(&["l", "a"], &[]), "x x/a x/l"),
            (parents(&["d/nope"], &[]), "! d/nope is not there"),
            (parents(&["**/c"], &[]), "x x/d x/d/e x/d/e/c"),
            (parents(&["d"], &["**/c"]), "x x/d x/d/b x/d/e x/d/up"),
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
