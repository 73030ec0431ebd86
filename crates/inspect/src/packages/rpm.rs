//! rpm's database of what is installed: a table of package headers in a file of `SQLite` (rpm 4.16 and later).
//!
//! The file comes from an image, and `SQLite`'s own reader gets it from memory, as nothing but a table to go through: no view,
//! virtual table or computed column of it is asked for anything, and rows, their lengths and all bytes together have limits.
//! What a process that was cut short left in a log beside the file is not read, and that is said; rpm empties it when it ends.

use std::io::Read as _;

use rusqlite::Connection;
use rusqlite::limits::Limit;

use super::databases::Listed;
use super::{Ecosystem, Package, word};
use crate::licenses;

/// Why a database could not be read.
const DAMAGED: &str = "a database of rpm that is damaged";

/// Why not all of it could be read.
const DAMAGED_HEADER: &str = "a database of rpm of which a package's header is damaged";

/// Why what is in its log is not known.
pub(super) const LOG: &str = "a log of changes to a database of rpm, which is not read";

/// Where the file says whether it has a log, which a database in memory cannot have (`SQLite`'s file format, "File format
/// version numbers").
const VERSIONS: std::ops::Range<usize> = 18..20;

/// More packages no system has.
const MOST: usize = 200_000;

/// A larger header, in bytes, is refused: those of packages with very many files take a few MiB.
const LARGEST_HEADER: i32 = 64 << 20;

/// All headers together, in bytes: a damaged file may say the same ones again and again.
const LARGEST_SUM: usize = 512 << 20;

/// The packages that a database lists.
pub(crate) fn sqlite(bytes: &[u8]) -> Listed {
    read(bytes).unwrap_or((Vec::new(), Some(DAMAGED)))
}

/// `None` if it is no database of rpm's, is damaged, or has more than it may.
fn read(bytes: &[u8]) -> Option<Listed> {
    let (start, rest) = (bytes.get(..VERSIONS.start)?, bytes.get(VERSIONS.end..)?);
    let without_log = start.chain(&[1; VERSIONS.end - VERSIONS.start][..]).chain(rest);
    let mut connection = Connection::open_in_memory().ok()?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGEST_HEADER).ok()?;
    let opened = connection.deserialize_read_exact(rusqlite::MAIN_DB, without_log, bytes.len(), true);
    opened.ok()?;
    connection.pragma_update(None, "trusted_schema", false).ok()?;
    connection.pragma_update(None, "cell_size_check", true).ok()?;
    let made = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'Packages'";
    let made: String = connection.query_row(made, [], |row| row.get(0)).ok()?;
    if !is_plain(&made) {
        return None;
    }
    let (mut packages, mut unread) = (Vec::new(), None);
    let (mut count, mut sum) = (0, 0_usize);
    let mut statement = connection.prepare("SELECT blob FROM Packages").ok()?;
    let mut rows = statement.query([]).ok()?;
    while let Some(row) = rows.next().ok()? {
        let header = row.get_ref(0).ok()?.as_blob().ok()?;
        (count, sum) = (count + 1, sum + header.len());
        if count > MOST || sum > LARGEST_SUM {
            return None;
        }
        match self::header(header) {
            // Keys for signatures are kept as packages, and are none.
            Some(package) if package.name == KEY => {}
            Some(package) => packages.push(package),
            None => unread = Some(DAMAGED_HEADER),
        }
    }
    Some((packages, unread))
}

/// Whether a table is what rpm makes: `CREATE TABLE 'Packages' (hnum INTEGER …, blob BLOB …)`, and computes nothing.
fn is_plain(made: &str) -> bool {
    let words = made.to_ascii_lowercase();
    let mut words = words
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words.next() == Some("create")
        && words.next() == Some("table")
        && !words.any(|word| matches!(word, "as" | "generated"))
}

/// The package, or the key, that a header is of; `None` if it is damaged.
pub(crate) fn header(bytes: &[u8]) -> Option<Package> {
    Header::new(bytes)?.package()
}

/// A header of rpm's: entries of 16 bytes, which say where in the store behind them their values are (rpm's "Header
/// format").
struct Header<'b> {
    entries: &'b [u8],
    store: &'b [u8],
}

/// Tags of rpm's `rpmtag.h`.
mod tag {
    pub(super) const NAME: u32 = 1000;
    pub(super) const VERSION: u32 = 1001;
    pub(super) const RELEASE: u32 = 1002;
    pub(super) const EPOCH: u32 = 1003;
    pub(super) const SIZE: u32 = 1009;
    pub(super) const LICENSE: u32 = 1014;
    pub(super) const ARCH: u32 = 1022;
    pub(super) const SOURCE_RPM: u32 = 1044;
    pub(super) const LONG_SIZE: u32 = 5009;
}

/// What all keys are called.
const KEY: &str = "gpg-pubkey";

/// Types of values.
const INT32: u32 = 4;
const INT64: u32 = 5;
const STRING: u32 = 6;

impl<'b> Header<'b> {
    fn new(bytes: &'b [u8]) -> Option<Self> {
        let (counts, rest) = bytes.split_first_chunk::<8>()?;
        let count = usize::try_from(word_at(counts, 0)?).ok()?;
        let (entries, store) = rest.split_at_checked(count.checked_mul(16)?)?;
        Some(Self { entries, store })
    }

    /// What the header is of.
    fn package(&self) -> Option<Package> {
        let name = self.text(tag::NAME)?;
        let (version, release) = (self.text(tag::VERSION)?, self.text(tag::RELEASE)?);
        let epoch = self
            .number(tag::EPOCH)
            .map(|epoch| format!("{epoch}:"))
            .unwrap_or_default();
        let source = self.text(tag::SOURCE_RPM);
        // NAME-VERSION-RELEASE.src.rpm
        let source = source
            .as_deref()
            .and_then(|file| Some(file.rsplitn(3, '-').nth(2)?.to_owned()));
        let licenses = self.text(tag::LICENSE).and_then(|text| licenses::named(&text));
        Some(Package {
            architecture: self.text(tag::ARCH),
            source: source.filter(|source| *source != name),
            licenses: licenses.into_iter().collect(),
            bytes: self.number(tag::LONG_SIZE).or_else(|| self.number(tag::SIZE)),
            ..Package::new(Ecosystem::Rpm, name, format!("{epoch}{version}-{release}"))
        })
    }

    /// Type of a value, and what begins there.
    fn value(&self, tag: u32) -> Option<(u32, &'b [u8])> {
        let entry = self
            .entries
            .chunks_exact(16)
            .find(|entry| word_at(entry, 0) == Some(tag))?;
        let offset = usize::try_from(word_at(entry, 8)?).ok()?;
        Some((word_at(entry, 4)?, self.store.get(offset..)?))
    }

    fn text(&self, tag: u32) -> Option<String> {
        let (STRING, bytes) = self.value(tag)? else { return None };
        let length = bytes.iter().position(|byte| *byte == 0)?;
        word(&String::from_utf8_lossy(&bytes[..length]))
    }

    fn number(&self, tag: u32) -> Option<u64> {
        match self.value(tag)? {
            (INT32, bytes) => Some(u64::from(word_at(bytes, 0)?)),
            (INT64, bytes) => Some(u64::from_be_bytes(*bytes.first_chunk()?)),
            _ => None,
        }
    }
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// What rpm 4.18.0 wrote of two packages that its `rpmbuild` made.
    const REAL: &[u8] = include_bytes!("../../../../tests/cases/inspect/rpm/rpmdb.sqlite");

    #[test]
    fn what_rpm_wrote() {
        let (found, unread) = sqlite(REAL);
        assert_eq!(unread, None);
        let mut shown: Vec<String> = found
            .iter()
            .map(|package| {
                format!(
                    "{} {} {} {} {} {}",
                    package.name,
                    package.version,
                    package.architecture.as_deref().unwrap_or("-"),
                    package.source.as_deref().unwrap_or("-"),
                    package.bytes.unwrap_or_default(),
                    package.licenses.join(", ")
                )
            })
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "kiln-a 1.2-3 noarch - 6 Apache-2.0",
                "kiln-b 2:0.9~rc1-1.el9 x86_64 kiln-whole 0 Apache-2.0"
            ]
        );
    }

    #[test]
    fn what_is_damaged_is_said_or_left_out() {
        for damaged in [
            b"",
            &b"SQLite format 3\0"[..],
            &[0; 19],
            &[0; 5000],
            &REAL[..REAL.len() / 2],
        ] {
            assert_eq!(sqlite(damaged), (Vec::new(), Some(DAMAGED)));
        }
        for at in (0..REAL.len()).step_by(97) {
            let mut bytes = REAL.to_vec();
            bytes[at] ^= 0x55;
            drop(sqlite(&bytes));
        }
    }

    fn made(statements: &str) -> Listed {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(statements).unwrap();
        sqlite(&connection.serialize(rusqlite::MAIN_DB).unwrap())
    }

    #[test]
    fn only_a_plain_table_is_read() {
        assert_eq!(
            made("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)"),
            (Vec::new(), None)
        );
        for other in [
            "CREATE TABLE other (blob BLOB)",
            "CREATE VIEW Packages AS WITH RECURSIVE n(blob) AS (SELECT 1 UNION ALL SELECT blob FROM n) SELECT blob FROM n",
            "CREATE TABLE Packages (a BLOB, blob BLOB GENERATED ALWAYS AS (zeroblob(1000000000)))",
            "CREATE TABLE Packages (a BLOB, blob BLOB AS(zeroblob(1000000000)) STORED)",
            "CREATE TABLE Packages (blob); INSERT INTO Packages VALUES (5)",
        ] {
            assert_eq!(made(other), (Vec::new(), Some(DAMAGED)), "{other}");
        }
    }

    /// A header with the texts of some tags.
    fn header_of(texts: &[(u32, &str)]) -> String {
        let (mut entries, mut store) = (String::new(), String::new());
        for (tag, text) in texts {
            let _ = write!(entries, "{tag:08x}{STRING:08x}{:08x}{:08x}", store.len() / 2, 1);
            for byte in text.bytes().chain([0]) {
                let _ = write!(store, "{byte:02x}");
            }
        }
        format!("{:08x}{:08x}{entries}{store}", texts.len(), store.len() / 2)
    }

    /// Keys are no packages; of what cannot be read it is said that there is more.
    #[test]
    fn headers_that_are_of_no_package() {
        let table = |headers: &[&str]| {
            let rows = headers.iter().map(|header| format!("(x'{header}')"));
            let rows = rows.collect::<Vec<_>>().join(", ");
            let (packages, unread) = made(&format!(
                "CREATE TABLE Packages (blob BLOB); INSERT INTO Packages VALUES {rows}"
            ));
            let names: Vec<String> = packages.into_iter().map(|package| package.name).collect();
            (names.join(" "), unread)
        };
        let [name, version, release] = [tag::NAME, tag::VERSION, tag::RELEASE];
        let good = header_of(&[(name, "good"), (version, "1"), (release, "2")]);
        let key = header_of(&[(name, "gpg-pubkey"), (version, "1"), (release, "2")]);
        assert_eq!(table(&[&good, &key]), ("good".to_owned(), None));
        for damaged in [
            "",
            "00000001",
            "ffffffffffffffff",
            "0000000100000004000003e800000006ffffffff0000000161626300",
            &header_of(&[(name, "bad"), (version, "1")]),
            &header_of(&[(name, "b\u{1b}d"), (version, "1"), (release, "2")]),
        ] {
            let expected = ("good".to_owned(), Some(DAMAGED_HEADER));
            assert_eq!(table(&[damaged, &good]), expected, "{damaged}");
        }
    }
}
