//! Users and groups by the root file system's own `/etc/passwd` and `/etc/group`.

use crate::path::open_in_root;
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

/// A user as an image defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Home directory; `/` where there is none.
    pub home: String,
}

/// Why a user could not be resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The name is not in the image's `/etc/passwd`.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    UnknownUser(String),
    /// The name is not in the image's `/etc/group`.
    #[error("unable to find group {0}: no matching entries in group file")]
    UnknownGroup(String),
    /// A numeric id beyond 2^31-1.
    #[error("user or group id {0} is out of range (0 to 2147483647)")]
    OutOfRange(String),
    /// One of the files cannot be read.
    #[error("cannot read {file} of the image: {source}")]
    Read {
        /// The file.
        file: &'static str,
        /// The kernel's answer.
        source: Errno,
    },
    /// One of the files is larger than 10 MiB.
    #[error("{0} of the image is larger than 10 MiB")]
    TooLarge(&'static str),
}

/// Resolves `USER`'s argument, `name|uid[:group|gid]`; empty means user 0.
///
/// A name or number found in `/etc/passwd` brings that entry's group and home, and the groups of `/etc/group` that list
/// the user; a number found nowhere has group 0. An explicit group replaces all others. `uid:gid` in numbers needs no
/// file.
pub fn resolve_user(root: BorrowedFd<'_>, spec: &str) -> Result<ResolvedUser, UserError> {
    let (user, group) = spec.split_once(':').unwrap_or((spec, ""));
    let user = if user.is_empty() { "0" } else { user };
    let passwd = read(root, PASSWD)?;
    let entry = passwd_entries(&passwd).find(|entry| entry.name == user || number(user) == Some(entry.uid));
    let mut resolved = match &entry {
        Some(entry) => ResolvedUser {
            uid: entry.uid,
            gid: entry.gid,
            groups: Vec::new(),
            home: home(entry.home),
        },
        None => ResolvedUser {
            uid: numeric_user(user)?,
            gid: 0,
            groups: Vec::new(),
            home: home(""),
        },
    };
    if !group.is_empty() {
        resolved.gid = match number(group) {
            Some(gid) => gid,
            None => find_group(root, group)?.ok_or_else(|| unknown_group(group))?,
        };
    } else if let Some(entry) = entry {
        let groups = read(root, GROUP)?;
        let listed = group_entries(&groups).filter(|group| group.members.split(',').any(|member| member == entry.name));
        resolved.groups = listed.map(|group| group.gid).collect();
    }
    Ok(resolved)
}

/// The user and group id that `--chown`'s argument, `user[:group]`, means.
///
/// A number alone is also the group; a name alone brings the group of its `/etc/passwd` entry; an empty user is 0. As in
/// `BuildKit`, `root` is 0 whatever the files say, a user that they do not define is 0, and a group that they do not
/// define changes nothing.
pub fn resolve_owner(root: BorrowedFd<'_>, spec: &str) -> Result<(u32, u32), UserError> {
    let (user, group) = spec.split_once(':').unwrap_or((spec, ""));
    let (uid, own_gid) = match owner_number(user)? {
        _ if user.is_empty() => (0, 0),
        Some(id) => (id, id),
        None => {
            let passwd = read(root, PASSWD)?;
            let entry = passwd_entries(&passwd).find(|entry| entry.name == user);
            entry.map_or((0, 0), |entry| (entry.uid, entry.gid))
        }
    };
    let gid = match owner_number(group)? {
        _ if group.is_empty() => None,
        Some(gid) => Some(gid),
        None => find_group(root, group)?,
    };
    Ok((uid, gid.unwrap_or(own_gid)))
}

/// The number that a part of an owner is without any file.
fn owner_number(part: &str) -> Result<Option<u32>, UserError> {
    if part == "root" {
        return Ok(Some(0));
    }
    checked_number(part)
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Larger files are not read: they come from the image.
const MAX_FILE: u64 = 10 << 20;

/// Largest id that container tools accept.
const MAX_ID: u32 = i32::MAX.cast_unsigned();

/// A file of the image as text; empty if it does not exist.
fn read(root: BorrowedFd<'_>, file: &'static str) -> Result<String, UserError> {
    let failed = |source| UserError::Read { file, source };
    // Not blocking: it may be a FIFO.
    let fd = match open_in_root(
        root,
        file,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
    ) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(String::new()),
        result => result.map_err(failed)?,
    };
    if FileType::from_raw_mode(fstat(&fd).map_err(failed)?.st_mode) != FileType::RegularFile {
        return Err(failed(Errno::INVAL));
    }
    let mut bytes = Vec::new();
    let limited = File::from(fd).take(MAX_FILE + 1).read_to_end(&mut bytes);
    limited.map_err(|e| failed(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(UserError::TooLarge(file));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// The well-formed lines of a passwd file.
fn passwd_entries(text: &str) -> impl Iterator<Item = PasswdEntry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (number(fields.next()?)?, number(fields.next()?)?);
        let home = fields.nth(1).unwrap_or_default();
        (!name.is_empty()).then_some(PasswdEntry { name, uid, gid, home })
    })
}

struct GroupEntry<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// The well-formed lines of a group file.
fn group_entries(text: &str) -> impl Iterator<Item = GroupEntry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let gid = number(fields.next()?)?;
        let members = fields.next().unwrap_or_default();
        (!name.is_empty()).then_some(GroupEntry { name, gid, members })
    })
}

fn find_group(root: BorrowedFd<'_>, name: &str) -> Result<Option<u32>, UserError> {
    let text = read(root, GROUP)?;
    Ok(group_entries(&text)
        .find(|group| group.name == name)
        .map(|group| group.gid))
}

fn unknown_group(name: &str) -> UserError {
    match checked_number(name) {
        Err(error) => error,
        Ok(_) => UserError::UnknownGroup(name.to_owned()),
    }
}

/// The id of a user who is in no file.
fn numeric_user(user: &str) -> Result<u32, UserError> {
    checked_number(user)?.ok_or_else(|| UserError::UnknownUser(user.to_owned()))
}

/// An id in range.
fn number(text: &str) -> Option<u32> {
    checked_number(text).ok().flatten()
}

/// `None` if it is not a number at all.
fn checked_number(text: &str) -> Result<Option<u32>, UserError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let id = text.parse().ok().filter(|id| *id <= MAX_ID);
    id.map(Some).ok_or_else(|| UserError::OutOfRange(text.to_owned()))
}

fn home(home: &str) -> String {
    if home.is_empty() {
        "/".to_owned()
    } else {
        home.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::{AsFd, OwnedFd};

    const PASSWD_TEXT: &str = "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nbad:x:one:1::/:\n\
        app:x:1000:1001:App:/home/app:/bin/sh\n7up:x:7000:7001::/seven:\n7:x:70:71:::\nhomeless:x:5:6\n";
    const GROUP_TEXT: &str = "root:x:0:\nwheel:x:10:root,app\nvideo:x:44:app\napp:x:1001:\nbig:x:4294967295:app\n";

    fn root(passwd: Option<&str>, group: Option<&str>) -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        for (name, text) in [("passwd", passwd), ("group", group)] {
            if let Some(text) = text {
                fs::write(dir.path().join("etc").join(name), text).unwrap();
            }
        }
        let fd = fs::File::open(dir.path()).unwrap().into();
        (dir, fd)
    }

    #[test]
    fn users() {
        let (_dir, root) = root(Some(PASSWD_TEXT), Some(GROUP_TEXT));
        let check = |spec: &str, uid, gid, groups: &[u32], home: &str| {
            let user = resolve_user(root.as_fd(), spec).unwrap();
            assert_eq!(
                user,
                ResolvedUser {
                    uid,
                    gid,
                    groups: groups.to_vec(),
                    home: home.to_owned()
                },
                "{spec:?}"
            );
        };
        check("", 0, 0, &[10], "/root");
        check("root", 0, 0, &[10], "/root");
        check("app", 1000, 1001, &[10, 44], "/home/app");
        check("1000", 1000, 1001, &[10, 44], "/home/app");
        check("app:video", 1000, 44, &[], "/home/app");
        check("app:5", 1000, 5, &[], "/home/app");
        check("app:", 1000, 1001, &[10, 44], "/home/app");
        check(":video", 0, 44, &[], "/root");
        check("4242", 4242, 0, &[], "/");
        check("4242:4343", 4242, 4343, &[], "/");
        check("7up", 7000, 7001, &[], "/seven");
        check("7", 70, 71, &[], "/");
        check("homeless", 5, 6, &[], "/");
    }

    #[test]
    fn unknown_users() {
        let (_dir, root) = root(Some(PASSWD_TEXT), Some(GROUP_TEXT));
        let check = |spec: &str, expected: &str| {
            assert_eq!(resolve_user(root.as_fd(), spec).unwrap_err().to_string(), expected);
        };
        check(
            "nosuch",
            "unable to find user nosuch: no matching entries in passwd file",
        );
        check("bad", "unable to find user bad: no matching entries in passwd file");
        check(
            "app:nosuch",
            "unable to find group nosuch: no matching entries in group file",
        );
        check(
            "4294967296",
            "user or group id 4294967296 is out of range (0 to 2147483647)",
        );
        check(
            "1:2147483648",
            "user or group id 2147483648 is out of range (0 to 2147483647)",
        );
    }

    #[test]
    fn without_files() {
        let (_dir, root) = root(None, None);
        assert_eq!(resolve_user(root.as_fd(), "").unwrap().home, "/");
        assert_eq!(resolve_user(root.as_fd(), "12:34").unwrap().gid, 34);
        assert!(matches!(
            resolve_user(root.as_fd(), "root"),
            Err(UserError::UnknownUser(_))
        ));
        assert_eq!(resolve_owner(root.as_fd(), "root").unwrap(), (0, 0));
    }

    #[test]
    fn owners() {
        let (_dir, root) = root(Some(PASSWD_TEXT), Some(GROUP_TEXT));
        let check = |spec: &str, uid, gid| {
            assert_eq!(resolve_owner(root.as_fd(), spec).unwrap(), (uid, gid), "{spec:?}");
        };
        check("root", 0, 0);
        check("1000", 1000, 1000);
        check("7", 7, 7);
        check("app", 1000, 1001);
        check("app:", 1000, 1001);
        check("app:wheel", 1000, 10);
        check("12:34", 12, 34);
        check(":7", 0, 7);
        check("nosuch", 0, 0);
        check("nosuch:5", 0, 5);
        check("app:nosuch", 1000, 1001);
        check("12:nosuch", 12, 12);
        assert!(resolve_owner(root.as_fd(), "99999999999").is_err());
    }

    #[test]
    fn root_owns_as_0_whatever_the_image_says() {
        let (_dir, root) = root(Some("root:x:7:8::/:\n"), Some("root:x:9:\n"));
        for (spec, owner) in [("root", (0, 0)), ("root:root", (0, 0)), ("5:root", (5, 0))] {
            assert_eq!(resolve_owner(root.as_fd(), spec).unwrap(), owner, "{spec}");
        }
    }

    #[test]
    fn hostile_files() {
        let (dir, root) = root(None, None);
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("etc/passwd")).unwrap();
        // The link resolves inside the root, where there is no /dev.
        assert!(resolve_user(root.as_fd(), "").is_ok());
        fs::remove_file(dir.path().join("etc/passwd")).unwrap();
        rustix::fs::mknodat(&root, "etc/passwd", FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(matches!(resolve_user(root.as_fd(), ""), Err(UserError::Read { .. })));
        fs::remove_file(dir.path().join("etc/passwd")).unwrap();
        fs::File::create(dir.path().join("etc/passwd"))
            .unwrap()
            .set_len(MAX_FILE + 1)
            .unwrap();
        assert!(matches!(resolve_user(root.as_fd(), ""), Err(UserError::TooLarge(_))));
    }
}
