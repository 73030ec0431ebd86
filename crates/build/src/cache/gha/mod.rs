//! A cache in that of GitHub Actions. Its entries have keys and never change: blobs are entries by their digests, and each
//! new document is an entry with the next number behind its key.

mod v1;
mod v2;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln_image::{Descriptor, Digest};
use kiln_registry::{Client, Content, Download, Exchange};
use serde::de::DeserializeOwned;

use self::v1::V1;
use self::v2::V2;
use super::backend::{Backend, Verified};
use super::document::Document;
use super::ranged::Ranged;
use super::upload::Upload;
use crate::error::{StepError, StepResult};
use crate::images::MAX_DOCUMENT;

/// What keys begin with. Another meaning gets another number.
const PREFIX: &str = "kiln-1";
/// No honest answer is longer.
const MOST_ANSWER: u64 = 256 << 10;
/// 409: there is an entry with that key.
const CONFLICT: u16 = 409;

/// Where the service is, and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct GhaPlace {
    /// The service's API.
    pub api: GhaApi,
    /// What it gave to the job (`ACTIONS_RUNTIME_TOKEN`).
    pub token: String,
    /// Tells the caches of one repository apart.
    pub scope: String,
}

/// A version of the service, with its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GhaApi {
    /// `ACTIONS_CACHE_URL`.
    V1(String),
    /// `ACTIONS_RESULTS_URL`.
    V2(String),
}

impl fmt::Debug for GhaPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GhaPlace")
            .field("api", &self.api)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// An entry of the service.
struct Stored {
    key: String,
    /// From where its content is to be had, for a while, without token.
    url: String,
}

/// What both versions can do.
trait Service: Send + Sync {
    /// The newest entry whose key is `key` or begins with it.
    fn find(&self, key: &str) -> StepResult<Option<Stored>>;

    /// Makes an entry; `false` where there is one with the key, or somebody else is making it.
    fn save(&self, key: &str, upload: &Upload<'_>) -> StepResult<bool>;
}

/// A scope of the service.
pub(super) struct Gha {
    client: Client,
    service: Box<dyn Service>,
    scope: String,
    /// The highest number of a document that is known to be taken.
    taken: AtomicU64,
}

/// Asks the service.
struct Asker {
    client: Client,
    token: String,
}

impl Asker {
    /// Asks the service itself, with its token.
    fn ask<T: DeserializeOwned>(&self, exchange: Exchange<'_>) -> StepResult<Option<T>> {
        let own = [("authorization", format!("Bearer {}", self.token))];
        let headers = &[&own[..], exchange.headers].concat();
        let answer = self.client.exchange(&Exchange { headers, ..exchange })?;
        let bytes = answer.bytes(MOST_ANSWER)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let Exchange { action, object, .. } = exchange;
        let unclear =
            |error| StepError::Invalid(format!("{action} {object}: the service's answer is unclear: {error}"));
        serde_json::from_slice(&bytes).map(Some).map_err(unclear)
    }
}

impl Gha {
    pub(super) fn new(client: &Client, place: &GhaPlace) -> Self {
        let asker = Asker {
            client: client.clone(),
            token: place.token.clone(),
        };
        let service: Box<dyn Service> = match &place.api {
            GhaApi::V1(url) => Box::new(V1::new(asker, url)),
            GhaApi::V2(url) => Box::new(V2::new(asker, url)),
        };
        Self {
            client: client.clone(),
            service,
            scope: place.scope.clone(),
            taken: AtomicU64::new(0),
        }
    }

    /// The number follows.
    fn documents(&self) -> String {
        format!("{PREFIX}-index-{}#", self.scope)
    }

    fn find_blob(&self, digest: &Digest) -> StepResult<Option<Stored>> {
        let key = blob_key(digest);
        Ok(self.service.find(&key)?.filter(|found| found.key == key))
    }

    /// The newest document, with its number.
    fn newest(&self) -> StepResult<Option<(u64, Stored)>> {
        let key = self.documents();
        Ok(self.service.find(&key)?.and_then(|found| {
            let number = found.key.strip_prefix(&key)?.parse().ok()?;
            Some((number, found))
        }))
    }

    fn get(&self, stored: &Stored, offset: u64) -> StepResult<Download> {
        let range = [("range", format!("bytes={offset}-"))];
        let headers = if offset == 0 { &[][..] } else { &range };
        Ok(self.client.exchange(&Exchange {
            action: "read",
            object: &stored.key,
            method: "GET",
            url: &|| stored.url.clone(),
            headers,
            content: Content::Empty,
        })?)
    }
}

impl Backend for Gha {
    fn name(&self) -> String {
        format!("gha:{}", self.scope)
    }

    fn read(&self) -> StepResult<Option<Document>> {
        let Some((number, stored)) = self.newest()? else {
            return Ok(None);
        };
        self.taken.fetch_max(number, Ordering::SeqCst);
        Document::parse(&self.get(&stored, 0)?.bytes(MAX_DOCUMENT)?).map(Some)
    }

    fn open<'r>(
        &'r self,
        blob: &Descriptor,
        report: Box<dyn Fn(u64) + Send + 'r>,
    ) -> StepResult<Box<dyn Read + Send + 'r>> {
        let digest = blob.digest;
        let from = move |offset| -> StepResult<Box<dyn Read + Send>> {
            // An address is good for a while only.
            let stored = self.find_blob(&digest)?.ok_or_else(|| gone(&digest))?;
            Ok(Box::new(self.get(&stored, offset)?))
        };
        let reader = Ranged::open(Box::new(from), blob.size, report)?;
        Ok(Box::new(Verified::new(reader, blob)))
    }

    /// The service removes what nobody asked for in a week; who needs it finds out.
    fn still_has(&self, _: &Descriptor) -> bool {
        true
    }

    /// To ask for it keeps it.
    fn keep(&self, blob: &Descriptor) -> StepResult<bool> {
        Ok(self.find_blob(&blob.digest)?.is_some())
    }

    fn put(&self, blob: &Descriptor, file: &Path, report: &dyn Fn(u64)) -> StepResult<()> {
        if self.keep(blob)? {
            report(blob.size);
            return Ok(());
        }
        let upload = Upload::File {
            path: file,
            size: blob.size,
            report,
        };
        // Whoever makes the same entry makes it of the same bytes.
        self.service.save(&blob_key(&blob.digest), &upload).map(drop)
    }

    /// A number that somebody else takes and gives up stays taken: each attempt is one with another.
    fn write(&self, document: &Document) -> StepResult<bool> {
        let packed = document.pack()?;
        let number = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
        let key = format!("{}{number}", self.documents());
        if !self.service.save(&key, &Upload::Bytes(&packed.config))? {
            return Ok(false);
        }
        // Who took a higher number may not have read this document.
        Ok(self.newest()?.is_none_or(|(newest, _)| newest <= number))
    }
}

/// `None` where the service says that somebody has made the entry, or is making it.
fn unless_taken<T>(answer: StepResult<Option<T>>) -> StepResult<Option<T>> {
    match answer {
        Err(StepError::Registry(error)) if error.status() == Some(CONFLICT) => Ok(None),
        answer => answer,
    }
}

fn blob_key(digest: &Digest) -> String {
    format!("{PREFIX}-blob-{digest}")
}

fn gone(digest: &Digest) -> StepError {
    StepError::Invalid(format!("the cache has no blob {digest} any more"))
}
