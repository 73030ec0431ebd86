//! Damage that is met while the store is used: it is out of the way before what was lost is made anew.

use std::sync::PoisonError;

use kiln_image::Digest;

use crate::check::{self, Fault};
use crate::contents::Kind;
use crate::error::{Error, Result};
use crate::schema::immediate;
use crate::upkeep::forget_item;
use crate::{LayerId, Store, families};

impl Store {
    /// What is wrong with a blob, for somebody who will copy it. Takes as long as it takes to read it, once in a process. One
    /// with other bytes than were written is dropped, though somebody may use it: it is of use to nobody.
    pub fn blob_fault(&self, digest: &Digest) -> Result<Option<Fault>> {
        if !self.has_blob(digest)? {
            return Ok(Some(Fault::Missing));
        }
        if self.is_known_whole(digest) {
            return Ok(None);
        }
        let fault = check::blob_fault(&self.blob_path(digest), &digest.hex())?;
        match fault {
            None => self.note_whole(*digest),
            Some(_) => self.drop_blob(digest)?,
        }
        Ok(fault)
    }

    /// Forgets a layer whose files are not those that were written, and all records of it and of those that share files with it.
    /// The files stay until nobody has them mounted: the next sweep removes them.
    pub fn forget_layer(&self, id: &LayerId) -> Result<()> {
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        families::distrust(&transaction, id.as_str())?;
        forget_item(&transaction, Kind::Layer, id.as_str())?;
        transaction.commit()?;
        Ok(())
    }

    fn drop_blob(&self, digest: &Digest) -> Result<()> {
        {
            let mut db = self.db();
            let transaction = immediate(&mut db)?;
            forget_item(&transaction, Kind::Blob, &digest.hex())?;
            transaction.commit()?;
        }
        let path = self.blob_path(digest);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn note_whole(&self, digest: Digest) {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
    }

    fn is_known_whole(&self, digest: &Digest) -> bool {
        self.whole
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(digest)
    }
}
