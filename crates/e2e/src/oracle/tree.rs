//! File trees in memory.

use std::collections::BTreeMap;

/// Something with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub content: Content,
    /// The twelve bits; all of the lower nine for a link, which has none of its own.
    pub mode: u32,
    /// User and group.
    pub owner: (u64, u64),
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file with this in it.
    File(String),
    /// A directory.
    Directory,
    /// A symbolic link to there.
    Link(String),
}

/// Paths without a leading slash. The root is not one of them: it is always there.
pub type Tree = BTreeMap<String, Node>;

/// What cannot be done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible(pub String);

/// What can be done or not.
pub type Possibly<T> = Result<T, Impossible>;

/// Owner and mode of directories that are made on the way.
pub type Made = ((u64, u64), u32);

/// As many links as Linux follows.
const MOST_LINKS: usize = 40;

/// The mode of every link.
pub const LINK_MODE: u32 = 0o777;

impl Node {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.content == Content::Directory
    }
}

/// Says why not.
pub fn impossible<T>(why: impl Into<String>) -> Possibly<T> {
    Err(Impossible(why.into()))
}

/// The path without empty parts, `.` and `..`, which does not lead above the root.
pub fn clean(path: &str) -> String {
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

/// The directory that a path is in.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The last part of a path.
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The directories that a path is in, but for the root.
pub fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Where a clean path leads when links are followed, all within this tree: those on the way, and a last one if `last`
/// says so. What is not there is no link.
pub fn follow(tree: &Tree, path: &str, last: bool) -> Possibly<String> {
    let mut rest: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let mut at: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                at.pop();
                continue;
            }
            _ => at.push(part),
        }
        let Some(Content::Link(target)) = tree.get(&at.join("/")).map(|node| &node.content) else {
            continue;
        };
        if rest.is_empty() && !last {
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return impossible(format!("{path} leads in a circle"));
        }
        at.pop();
        if target.starts_with('/') {
            at.clear();
        }
        rest.extend(target.rsplit('/').map(str::to_owned));
    }
    Ok(at.join("/"))
}

/// Whether there is a directory, no link to one.
pub fn is_directory(tree: &Tree, path: &str) -> bool {
    path.is_empty() || tree.get(path).is_some_and(Node::is_directory)
}

/// What lies below a directory, by its path from there.
pub fn below<'a>(tree: &'a Tree, directory: &'a str) -> impl Iterator<Item = (&'a str, &'a Node)> {
    tree.iter().filter_map(move |(name, node)| {
        let below = match directory {
            "" => name.as_str(),
            directory => name.strip_prefix(directory)?.strip_prefix('/')?,
        };
        Some((below, node))
    })
}

/// Removes a path and what is below.
pub fn remove(tree: &mut Tree, path: &str) {
    let inside = format!("{path}/");
    tree.retain(|name, _| name != path && !name.starts_with(&inside));
}

/// Makes what is not there of a path that has no links in it.
pub fn make_directories(tree: &mut Tree, path: &str, (owner, mode): Made) -> Possibly<()> {
    for directory in above(path).chain([path]).filter(|path| !path.is_empty()) {
        let new = Node {
            content: Content::Directory,
            mode,
            owner,
        };
        if !tree.entry(directory.to_owned()).or_insert(new).is_directory() {
            return impossible(format!("{directory} is no directory"));
        }
    }
    Ok(())
}

/// Puts a file at a path that has no links in it, or into the directory there: `into` demands one.
pub fn put_file(tree: &mut Tree, file: &Node, name: &str, path: &str, into: bool, made: Made) -> Possibly<()> {
    let target = if into || is_directory(tree, path) {
        clean(&format!("{path}/{name}"))
    } else {
        path.to_owned()
    };
    make_directories(tree, parent(&target), made)?;
    if is_directory(tree, &target) {
        return impossible(format!("{target} is a directory"));
    }
    tree.insert(target, file.clone());
    Ok(())
}

/// Puts what lies below a directory below a path that has no links in it.
pub fn put_directory<'a>(
    tree: &mut Tree,
    below: impl Iterator<Item = (&'a str, Node)>,
    path: &str,
    made: Made,
) -> Possibly<()> {
    make_directories(tree, path, made)?;
    for (name, node) in below {
        let target = clean(&format!("{path}/{name}"));
        let fits = |there: &Node| there.is_directory() == node.is_directory();
        if !tree.get(&target).is_none_or(fits) {
            return impossible(format!("{target} is of another kind"));
        }
        tree.insert(target, node);
    }
    Ok(())
}

/// Puts a tree over another: what is of another kind goes, directories come together and are as the upper one says.
pub fn lay_over(tree: &mut Tree, upper: Tree) {
    for (path, node) in upper {
        if !node.is_directory() {
            remove(tree, &path);
        }
        tree.insert(path, node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_within_the_tree() {
        let node = |content| Node {
            content,
            mode: LINK_MODE,
            owner: (0, 0),
        };
        let link = |path: &str, target: &str| (path.to_owned(), node(Content::Link(target.to_owned())));
        let tree: Tree = [
            ("d".to_owned(), node(Content::Directory)),
            link("l", "d"),
            link("d/up", "../../../e"),
            link("d/root", "/l/f"),
            link("d/self", "self"),
        ]
        .into();
        for (path, last, wanted) in [
            ("l", false, Some("l")),
            ("l", true, Some("d")),
            ("l/f", false, Some("d/f")),
            ("l/up/g", false, Some("e/g")),
            ("d/root", true, Some("d/f")),
            ("no/such", true, Some("no/such")),
            ("l/self", true, None),
            ("l/self", false, Some("d/self")),
        ] {
            assert_eq!(follow(&tree, path, last).ok().as_deref(), wanted, "{path} {last}");
        }
    }
}
