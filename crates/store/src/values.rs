//! Values of the database as they are here.

use kiln_image::Digest;

use crate::error::{Error, Result};

pub(crate) fn parse_digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|error| Error::Damaged(format!("{error}")))
}

/// `SQLite`'s integers have a sign.
pub(crate) fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn from_sql(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
