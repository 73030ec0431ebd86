//! rpm's database of what is installed: a table of package headers in a file of `SQLite` (rpm 4.16 and later).
//!
//! The file comes from an image, and `SQLite`'s own reader gets it from memory, as nothing but a table to go through: no view,
//! virtual table or computed column of it is asked for anything, and rows, their lengths and all bytes together have limits.
//! What a process that was cut short left in a log beside the file is not looked at; rpm empties it when it ends.

use rusqlite::limits::Limit;
use rusqlite::{Connection, OptionalExtension as _};

use super::databases::package;
use super::{Ecosystem, Package, word};
use crate::licenses;

/// Why a database could not be read.
const DAMAGED: &str = "a database of rpm that is damaged";

/// More packages no system has.
const MOST: usize = 200_000;

/// A larger header, in bytes, is refused: those of packages with very many files take a few MiB.
const LARGEST_HEADER: i32 = 64 << 20;

/// All headers together, in bytes: a damaged file may say the same ones again and again.
const LARGEST_SUM: usize = 512 << 20;

/// The packages that a database lists.
pub(crate) fn sqlite(bytes: &[u8]) -> Result<Vec<Package>, &'static str> {
    read(bytes).map_err(|_| DAMAGED)?.ok_or(DAMAGED)
}

/// `None` if it is no database of rpm's, or has more than it may.
fn read(bytes: &[u8]) -> rusqlite::Result<Option<Vec<Package>>> {
    let mut connection = Connection::open_in_memory()?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGEST_HEADER)?;
    connection.deserialize_read_exact(rusqlite::MAIN_DB, &*without_log(bytes), bytes.len(), true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let made = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'Packages'";
    let made: Option<String> = connection.query_row(made, [], |row| row.get(0)).optional()?;
    if !made.is_some_and(|made| is_plain(&made)) {
        return Ok(None);
    }
    let mut packages = Vec::new();
    let (mut count, mut sum) = (0, 0_usize);
    let mut statement = connection.prepare("SELECT blob FROM Packages")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Ok(header) = row.get_ref(0)?.as_blob() else {
            return Ok(None);
        };
        (count, sum) = (count + 1, sum + header.len());
        if count > MOST || sum > LARGEST_SUM {
            return Ok(None);
        }
        packages.extend(self::header(header));
    }
    Ok(Some(packages))
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

/// The same file for a reader that has no log: of a database in memory there can be none (`SQLite`'s file format, "File
/// format version numbers").
fn without_log(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(versions) = bytes.get_mut(18..20) {
        versions.fill(1);
    }
    bytes
}

/// The package that a header is of, if it is of one.
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

    /// What the header is of. Keys for signatures are kept as packages, and are none.
    fn package(&self) -> Option<Package> {
        let name = self.text(tag::NAME).filter(|name| name != "gpg-pubkey")?;
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
            ..package(Ecosystem::Rpm, name, format!("{epoch}{version}-{release}"))
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
    use super::*;

    /// What rpm 4.18.0 wrote of two packages that its `rpmbuild` made.
    const REAL: &[u8] = include_bytes!("../../../../tests/cases/inspect/rpm/rpmdb.sqlite");

    #[test]
    fn what_rpm_wrote() {
        let found: Vec<_> = sqlite(REAL).unwrap();
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
        assert_eq!(sqlite(b""), Err(DAMAGED));
        assert_eq!(sqlite(b"SQLite format 3\0"), Err(DAMAGED));
        assert_eq!(sqlite(&[0; 5000]), Err(DAMAGED));
        assert_eq!(sqlite(&REAL[..REAL.len() / 2]), Err(DAMAGED));
        for at in (0..REAL.len()).step_by(97) {
            let mut bytes = REAL.to_vec();
            bytes[at] ^= 0x55;
            drop(sqlite(&bytes));
        }
    }

    fn made(statements: &str) -> Result<Vec<Package>, &'static str> {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(statements).unwrap();
        sqlite(&connection.serialize(rusqlite::MAIN_DB).unwrap())
    }

    #[test]
    fn only_a_plain_table_is_read() {
        assert_eq!(
            made("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)"),
            Ok(Vec::new())
        );
        for other in [
            "CREATE TABLE other (blob BLOB)",
            "CREATE VIEW Packages AS WITH RECURSIVE n(blob) AS (SELECT 1 UNION ALL SELECT blob FROM n) SELECT blob FROM n",
            "CREATE TABLE Packages (a BLOB, blob BLOB GENERATED ALWAYS AS (zeroblob(1000000000)))",
            "CREATE TABLE Packages (a BLOB, blob BLOB AS(zeroblob(1000000000)) STORED)",
            "CREATE TABLE Packages (blob); INSERT INTO Packages VALUES (5)",
        ] {
            assert_eq!(made(other), Err(DAMAGED), "{other}");
        }
        // Headers that say what is not there.
        let damaged = "CREATE TABLE Packages (hnum INTEGER, blob BLOB);
            INSERT INTO Packages VALUES (1, x''), (2, x'00000001'), (3, x'ffffffffffffffff'),
            (4, x'0000000100000004000003e800000006ffffffff0000000161626300')";
        assert_eq!(made(damaged), Ok(Vec::new()));
    }
}
