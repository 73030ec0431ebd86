//! The user that an image's command is started as.

use super::{Fault, Look, Problem, Report};
use crate::error::Error;
use crate::index::{Entry, Kind};

/// More of `/etc/passwd` and `/etc/group` is not read.
const LARGEST: u64 = 10 << 20;

/// A user, as far as the image defines it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Further groups.
    pub(super) groups: Vec<u32>,
}

impl User {
    /// Whether it may execute a file, or enter a directory.
    pub(super) fn may_execute(&self, entry: &Entry) -> bool {
        if self.uid == 0 {
            return entry.mode & 0o111 != 0;
        }
        self.has(entry, 0o1)
    }

    /// Whether it may write to a file, or in a directory that it may enter.
    pub(super) fn may_write(&self, entry: &Entry) -> bool {
        self.uid == 0 || self.has(entry, 0o2) && (entry.kind != Kind::Directory || self.has(entry, 0o1))
    }

    fn has(&self, entry: &Entry, right: u16) -> bool {
        let shift = if entry.uid == self.uid {
            6
        } else if entry.gid == self.gid || self.groups.contains(&entry.gid) {
            3
        } else {
            0
        };
        entry.mode & (right << shift) != 0
    }
}

impl Look<'_> {
    /// What `USER` means. A name that is not known is a problem; what it may do is then what root may.
    pub(super) fn user(&self, report: &mut Report) -> Result<User, Error> {
        let spec = &self.image.config.config.user;
        let (name, group) = spec.split_once(':').unwrap_or((spec, ""));
        let mut problem = |fault| {
            report.problems.push(Problem {
                path: Vec::new(),
                layer: None,
                is_of_command: true,
                fault,
            });
        };
        let passwd = self.lines(b"etc/passwd")?;
        let has_passwd = passwd.is_some();
        let entries = passwd.as_deref().unwrap_or_default();
        let known = entries
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.len() > 3 && (fields[0] == name || (fields[2] == name && !name.is_empty())));
        let number = |text: &str| text.parse::<u32>().ok();
        let mut user = User::default();
        match &known {
            Some(fields) => {
                user.uid = number(fields[2]).unwrap_or_default();
                user.gid = number(fields[3]).unwrap_or_default();
            }
            None if name.is_empty() || name == "root" && !has_passwd => {}
            None => match number(name) {
                Some(uid) => user.uid = uid,
                None => problem(Fault::UnknownUser {
                    name: name.to_owned(),
                    has_passwd,
                }),
            },
        }
        let groups = self.lines(b"etc/group")?.unwrap_or_default();
        let groups: Vec<Vec<&str>> = groups.lines().map(|line| line.split(':').collect()).collect();
        if group.is_empty() {
            let own = known.as_ref().map(|fields| fields[0]);
            let has = |fields: &&Vec<&str>| {
                own.is_some()
                    && fields
                        .get(3)
                        .is_some_and(|all| all.split(',').any(|one| Some(one) == own))
            };
            user.groups = groups
                .iter()
                .filter(has)
                .filter_map(|fields| number(fields[2]))
                .collect();
        } else if let Some(gid) = number(group) {
            user.gid = gid;
        } else {
            match groups.iter().find(|fields| fields.len() > 2 && fields[0] == group) {
                Some(fields) => user.gid = number(fields[2]).unwrap_or_default(),
                None => problem(Fault::UnknownGroup { name: group.to_owned() }),
            }
        }
        Ok(user)
    }

    /// A small file of the image as text; `None` if it is not there.
    pub(super) fn lines(&self, path: &[u8]) -> Result<Option<String>, Error> {
        let Some((_, place)) = self.tree.file(path) else {
            return Ok(None);
        };
        let bytes = self.image.read_file(self.tree, place, LARGEST)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_execute() {
        let entry = |mode, uid, gid| {
            let mut entry = Entry::new(0, Kind::File);
            (entry.mode, entry.uid, entry.gid) = (mode, uid, gid);
            entry
        };
        let user = User {
            uid: 5,
            gid: 6,
            groups: vec![7],
        };
        let root = User::default();
        for (entry, by_user, by_root) in [
            (entry(0o755, 0, 0), true, true),
            (entry(0o700, 0, 0), false, true),
            (entry(0o644, 5, 6), false, false),
            (entry(0o700, 5, 0), true, true),
            // The owner's permissions are the owner's alone.
            (entry(0o077, 5, 6), false, true),
            (entry(0o010, 0, 6), true, true),
            (entry(0o010, 0, 7), true, true),
            (entry(0o001, 0, 7), false, true),
            (entry(0o001, 0, 8), true, true),
        ] {
            assert_eq!(
                (user.may_execute(&entry), root.may_execute(&entry)),
                (by_user, by_root),
                "{entry:?}"
            );
        }
    }
}
