//! What images of the store were made from.

use kiln_image::{Digest, Reference};
use rusqlite::{OptionalExtension as _, params};

use crate::Store;
use crate::error::{Error, Result};
use crate::values::parse_digest;

/// An image that another was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    /// As the Dockerfile named it, normalised: with a digest only if that was written there.
    pub reference: Reference,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The first line that named it.
    pub line: u32,
}

impl Store {
    /// Notes what an image of the store was made from, in the place of what was noted before.
    pub fn put_image_sources(&self, id: &Digest, sources: &[ImageSource]) -> Result<()> {
        let line = |source: &ImageSource| format!("{} {} {}", source.reference, source.manifest, source.line);
        let lines: Vec<String> = sources.iter().map(line).collect();
        self.db().execute(
            "UPDATE images SET sources = ? WHERE id = ?",
            params![lines.join("\n"), id.to_string()],
        )?;
        Ok(())
    }

    /// What an image was made from; `None` if the store does not know it, as of one that was not built here.
    pub fn image_sources(&self, id: &Digest) -> Result<Option<Vec<ImageSource>>> {
        let noted: Option<Option<String>> = {
            let db = self.db();
            let mut statement = db.prepare_cached("SELECT sources FROM images WHERE id = ?")?;
            statement.query_row([id.to_string()], |row| row.get(0)).optional()?
        };
        noted
            .flatten()
            .map(|text| text.lines().map(parse).collect())
            .transpose()
    }
}

fn parse(line: &str) -> Result<ImageSource> {
    let damaged = || Error::Damaged(format!("`{line}` says of no image what it was made from"));
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or_else(damaged);
    Ok(ImageSource {
        reference: word()?.parse().map_err(|_| damaged())?,
        manifest: parse_digest(word()?)?,
        line: word()?.parse().map_err(|_| damaged())?,
    })
}
