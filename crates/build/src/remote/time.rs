//! When what was fetched was made, for `SOURCE_DATE_EPOCH`.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;

use kiln_plan::Source;

use super::{Fetched, Fetcher};
use crate::cancel::Watched;
use crate::error::{StepError, StepResult};
use crate::event::TaskId;

impl Fetcher<'_> {
    /// Fetches a source of `SOURCE_DATE_EPOCH`, and says when it was made: in seconds since 1970; `None` if nobody knows.
    pub(crate) fn time(&self, task: TaskId, source: &Source) -> StepResult<Option<i64>> {
        match source {
            Source::Git(git) => self.time_of_commit(&self.commit(task, git, false)?),
            Source::Http {
                url,
                checksum,
                file_name,
            } => {
                let fetched = self.http(task, url, *checksum, file_name, false)?;
                self.time_of_file(&fetched, file_name)
            }
            Source::Local { .. } | Source::Image { .. } => Ok(None),
        }
    }

    /// That of what [`Fetcher::commit`] gave: all its files have it.
    pub(super) fn time_of_commit(&self, fetched: &Fetched) -> StepResult<Option<i64>> {
        let path = self.store.layer_path(&fetched.layer);
        let read = |error| StepError::io("read", &path)(error);
        let Some(any) = std::fs::read_dir(&path).map_err(read)?.next() else {
            return Ok(None);
        };
        let found = any.and_then(|any| any.metadata()).map_err(read)?;
        Ok(Some(found.mtime()))
    }

    /// That of a file: as the server said, which is its time; else, of an archive, that of its newest entry.
    pub(super) fn time_of_file(&self, fetched: &Fetched, name: &str) -> StepResult<Option<i64>> {
        let path = self.store.layer_path(&fetched.layer).join(name);
        let file = File::open(&path).map_err(StepError::io("open", &path))?;
        let modified = file.metadata().map_err(StepError::io("read", &path))?.mtime();
        if modified != 0 {
            return Ok(Some(modified));
        }
        if !kiln_layer::is_archive(&file).map_err(StepError::io("read", &path))? {
            return Ok(None);
        }
        let archive = Watched {
            inner: file,
            cancel: self.cancel,
        };
        let newest = kiln_layer::newest_entry(archive);
        newest.map_err(|source| StepError::Unpack {
            what: format!("the archive {name}"),
            source,
        })
    }
}
