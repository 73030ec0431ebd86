//! Blobs to a registry: skipped where they are, mounted where a neighbour has them, else uploaded.

use std::io::{self, Read};

use kiln_image::{Descriptor, Reference};
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};

use crate::ask::Request;
use crate::auth::Scopes;
use crate::client::Inner;
use crate::pull::found;
use crate::site::Site;
use crate::upload::{Session, Upload};
use crate::{Client, Error};

/// No more repositories than this are asked for a mount: each asks the registry once.
const MOST_MOUNTS: usize = 3;

/// How a blob came to be in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was there already.
    Existed,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was uploaded.
    Uploaded,
}

impl Client {
    /// Makes sure that the repository of `reference` has the blob `descriptor`.
    ///
    /// `open` gives its content from the start, and may be called again after a cut. `mount_from` names
    /// repositories that may have the blob; those of other registries are passed over. `progress` is told
    /// how many bytes of the blob are on their way; it may go back after a cut.
    pub fn push_blob<'r>(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        open: &dyn Fn() -> io::Result<Box<dyn Read + Send + 'r>>,
        mount_from: &[Reference],
        progress: &dyn Fn(u64),
    ) -> Result<Pushed, Error> {
        let inner = &self.inner;
        let place = inner.push_place(reference)?;
        let site = inner.retry(false, || inner.site(&place))?;
        let scopes = Scopes::push(&place.repository);
        if found(inner.retry(false, || inner.head_blob(&site, &descriptor.digest, &scopes)))? {
            progress(descriptor.size);
            return Ok(Pushed::Existed);
        }
        let session = match self.mount(&site, descriptor, mount_from)? {
            Mount::Mounted => {
                progress(descriptor.size);
                return Ok(Pushed::Mounted);
            }
            Mount::Session(session) => Some(session),
            Mount::None => None,
        };
        Upload::new(inner, &site, descriptor, open, progress).run(session)?;
        Ok(Pushed::Uploaded)
    }

    fn mount(&self, site: &Site, descriptor: &Descriptor, mount_from: &[Reference]) -> Result<Mount, Error> {
        let mut asked: Vec<String> = Vec::new();
        let mut outcome = Mount::None;
        for candidate in mount_from {
            let from = self.inner.push_place(candidate)?;
            let fits = from.registry == site.place.registry && from.repository != site.place.repository;
            if !fits || asked.contains(&from.repository) || asked.len() == MOST_MOUNTS {
                continue;
            }
            if let Mount::Session(session) = outcome {
                self.inner.cancel(site, session);
            }
            outcome = match self
                .inner
                .retry(false, || self.inner.mount(site, descriptor, &from.repository))
            {
                // Repositories that we may not read, and registries that do not mount: upload then.
                Err(Error::Unauthorized(..) | Error::Denied(..) | Error::NotFound(..) | Error::Status(..)) => {
                    Mount::None
                }
                other => other?,
            };
            if matches!(outcome, Mount::Mounted) {
                return Ok(outcome);
            }
            asked.push(from.repository);
        }
        Ok(outcome)
    }
}

/// What came of a request to mount.
enum Mount {
    Mounted,
    /// Not mounted, but the registry opened an upload.
    Session(Session),
    None,
}

impl Inner {
    fn mount(&self, site: &Site, descriptor: &Descriptor, from: &str) -> Result<Mount, Error> {
        let what = site.what("push blob", &descriptor.digest.to_string());
        let mut url = site.url(&what, "blobs/uploads/")?;
        url.query_pairs_mut()
            .append_pair("mount", &descriptor.digest.to_string())
            .append_pair("from", from);
        let scopes = Scopes::push(&site.place.repository).and_pull(from);
        let answer = self.ask(site, Request::new(what.clone(), Method::POST, url, &scopes))?;
        if answer.status() == StatusCode::CREATED {
            return Ok(Mount::Mounted);
        }
        match answer.header(LOCATION) {
            Some(_) => Session::of(&answer, &what).map(Mount::Session),
            None => Ok(Mount::None),
        }
    }
}
