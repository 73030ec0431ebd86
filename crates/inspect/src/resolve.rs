//! Paths of an image, looked up in its merged tree as the kernel would in the running container.

use crate::index::Kind;
use crate::tree::{Place, Tree};

/// How many symbolic links a look-up follows; the kernel's own limit.
const MOST_LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The node of the merged tree.
    pub node: u32,
    /// What is there; `None` of a root that no layer says anything of.
    pub place: Option<Place>,
    /// The directories that were gone through, the root first.
    pub through: Vec<u32>,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// This is not there, which may be where a link leads.
    Missing(Vec<u8>),
    /// This is no directory.
    NotADirectory(Vec<u8>),
    /// Links lead in a circle.
    Circle,
}

impl Tree<'_> {
    /// Where a path leads from `directory`; links and `..` stay inside.
    pub fn resolve(&self, directory: u32, path: &[u8]) -> Result<Resolved, Lost> {
        let mut todo: Vec<Vec<u8>> = Vec::new();
        let mut at = Resolved {
            node: directory,
            place: None,
            through: Vec::new(),
        };
        let mut links = 0;
        self.begin(&mut at, &mut todo, path);
        while let Some(name) = todo.pop() {
            match &name[..] {
                b"" | b"." => continue,
                b".." => {
                    at.node = self.parent(at.node);
                    at.place = self.version(at.node);
                    continue;
                }
                _ => {}
            }
            let is_directory = at.node == 0 || at.place.is_some_and(|place| self.entry(place).kind == Kind::Directory);
            if !is_directory {
                return Err(Lost::NotADirectory(self.path(at.node)));
            }
            at.through.push(at.node);
            let Some((node, place)) = self.look_up(at.node, &name) else {
                let directory = self.path(at.node);
                let path = if directory.is_empty() {
                    name
                } else {
                    [&directory[..], b"/", &name].concat()
                };
                return Err(Lost::Missing(path));
            };
            let entry = self.entry(place);
            if entry.kind == Kind::Symlink {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Lost::Circle);
                }
                let target = self.layers()[place.layer as usize].target(entry).to_vec();
                self.begin(&mut at, &mut todo, &target);
                continue;
            }
            (at.node, at.place) = (node, Some(place));
        }
        Ok(at)
    }

    fn begin(&self, at: &mut Resolved, todo: &mut Vec<Vec<u8>>, path: &[u8]) {
        if path.first() == Some(&b'/') {
            at.node = 0;
        }
        at.place = self.version(at.node);
        todo.extend(path.rsplit(|byte| *byte == b'/').map(<[u8]>::to_vec));
    }

    /// The file that a path leads to, from the root; `None` if that is no file.
    pub fn file(&self, path: &[u8]) -> Option<(u32, Place)> {
        let found = self.resolve(0, path).ok()?;
        let place = found.place?;
        (self.entry(place).kind == Kind::File).then_some((found.node, place))
    }
}
