//! A cache in object storage that speaks S3: a document by its name, blobs by their digests. The signature of a request is
//! in its address (AWS Signature Version 4, "Authenticating requests: using query parameters").

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kiln_image::{Descriptor, Digest};
use kiln_registry::{Client, Content, Download, Error, Exchange};
use rusty_s3::actions::{CompleteMultipartUploadResponse, CreateMultipartUpload, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};

use super::backend::{Backend, Verified, let_others_write};
use super::document::Document;
use super::ranged::Ranged;
use super::upload::Upload;
use crate::error::{StepError, StepResult};
use crate::images::MAX_DOCUMENT;

/// How long a signature is good. Each attempt has its own.
const SIGNED_FOR: Duration = Duration::from_secs(3600);
/// Larger blobs go in parts of so many bytes, so that a cut costs no more than one.
const PART: u64 = 64 << 20;
/// As many parts as an object may have.
const MOST_PARTS: u64 = 10_000;
/// Larger objects cannot be copied by one request.
const MOST_COPIED: u64 = 5 << 30;
/// 412: the condition does not hold; 409: others write at the same moment.
const OVERTAKEN: [u16; 2] = [412, 409];
/// 404: what the condition is about was deleted.
const DELETED: u16 = 404;
/// 501: the server knows no conditions.
const NOT_IMPLEMENTED: u16 = 501;
/// No honest answer about an upload is longer.
const MOST_ANSWER: u64 = 64 << 10;

/// Where in object storage a cache is, and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Place {
    bucket: Bucket,
    credentials: Option<Credentials>,
    documents: Vec<String>,
    blobs: String,
    refresh: Duration,
}

/// What an [`S3Place`] is made of.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region.
    pub region: String,
    /// `http://…` or `https://…`; Amazon's for the region where not given.
    pub endpoint: Option<String>,
    /// Whether the bucket is in the path of addresses, and not in their host.
    pub path_style: bool,
    /// Before the keys of documents: the cache's name follows.
    pub manifests: String,
    /// Before the keys of blobs: the digest follows.
    pub blobs: String,
    /// The cache's names, at least one: all of them are read and written.
    pub names: Vec<String>,
    /// Key ID, secret and, for temporary ones, token; requests are not signed where there are none.
    pub keys: Option<(String, String, Option<String>)>,
    /// Blobs that are needed and were written so long ago are copied onto themselves, so that rules that remove old objects
    /// let them stay.
    pub refresh: Duration,
}

impl S3Place {
    /// The place, or what is wrong with it.
    pub fn new(options: S3Options) -> Result<Self, String> {
        let S3Options { bucket, region, .. } = options;
        let amazon = || format!("https://s3.{region}.amazonaws.com");
        let endpoint = options.endpoint.unwrap_or_else(amazon);
        let style = if options.path_style {
            UrlStyle::Path
        } else {
            UrlStyle::VirtualHost
        };
        let url = endpoint
            .parse()
            .map_err(|error| format!("`{endpoint}` is no address: {error}"))?;
        let bucket = Bucket::new(url, style, bucket, region).map_err(|error| format!("`{endpoint}`: {error}"))?;
        let credentials = options.keys.map(|(id, secret, token)| match token {
            Some(token) => Credentials::new_with_token(id, secret, token),
            None => Credentials::new(id, secret),
        });
        if options.names.is_empty() {
            return Err("a cache needs a name".to_owned());
        }
        let names = options.names.iter();
        Ok(Self {
            bucket,
            credentials,
            documents: names.map(|name| format!("{}{name}", options.manifests)).collect(),
            blobs: options.blobs,
            refresh: options.refresh,
        })
    }

    fn blob(&self, digest: &Digest) -> String {
        format!("{}{digest}", self.blobs)
    }
}

/// A cache of a bucket.
pub(super) struct S3 {
    client: Client,
    place: S3Place,
    /// Whether all names had the same when they were last read.
    agreed: AtomicBool,
    /// The versions (`ETag`s) of the names' documents when they were last read, and when that was.
    seen: Mutex<(Instant, Vec<Option<Seen>>)>,
}

/// What is known of the version of an object that is there; nothing where the server does not say.
type Seen = Option<String>;

impl S3 {
    pub(super) fn new(client: &Client, place: &S3Place) -> Self {
        Self {
            client: client.clone(),
            place: place.clone(),
            agreed: AtomicBool::new(false),
            seen: Mutex::new((Instant::now(), Vec::new())),
        }
    }

    fn credentials(&self) -> Option<&Credentials> {
        self.place.credentials.as_ref()
    }

    /// Makes a request, signed anew for each attempt.
    fn ask<'a, A: S3Action<'a>>(
        &self,
        what: &'static str,
        key: &str,
        action: &A,
        headers: &[(&'static str, String)],
        content: Content<'_>,
    ) -> Result<Download, Error> {
        self.client.exchange(&Exchange {
            action: what,
            object: &format!("{}/{key}", self.place.bucket.name()),
            method: A::METHOD.to_str(),
            url: &|| action.sign(SIGNED_FOR).to_string(),
            headers,
            content,
        })
    }

    fn document(&self, key: &str) -> StepResult<(Option<Document>, Option<Seen>)> {
        let answer = match self.get(key, 0) {
            Err(error) if error.is_not_found() => return Ok((None, None)),
            answer => answer?,
        };
        let seen = answer.validators.etag.clone();
        Ok((Some(Document::parse(&answer.bytes(MAX_DOCUMENT)?)?), Some(seen)))
    }

    /// What is said of the object; `None` where there is none.
    fn head(&self, key: &str) -> Result<Option<Download>, Error> {
        let action = self.place.bucket.head_object(self.credentials(), key);
        match self.ask("look for", key, &action, &[], Content::Empty) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a document in the place of the one that was seen. `false` where another one is there: servers compare
    /// ("Conditional writes"), and for those that do not it is looked at again.
    fn replace(&self, key: &str, (start, seen): (Instant, Option<&Seen>), bytes: &[u8]) -> StepResult<bool> {
        let action = self.place.bucket.put_object(self.credentials(), key);
        let put = |headers: &[_]| self.ask("write", key, &action, headers, Content::Bytes(bytes));
        let condition = condition(seen);
        let answer = match put(condition.as_slice()) {
            Err(error)
                if error
                    .status()
                    .is_some_and(|status| is_overtaken(status, condition.as_ref())) =>
            {
                return Ok(false);
            }
            Err(error) if error.status() == Some(NOT_IMPLEMENTED) => put(&[])?,
            answer => answer?,
        };
        let Some(own) = answer.validators.etag else {
            return Ok(true);
        };
        let_others_write(start);
        let there = self.head(key)?.and_then(|there| there.validators.etag);
        Ok(there.is_none_or(|there| there == own))
    }

    fn get(&self, key: &str, offset: u64) -> Result<Download, Error> {
        let action = self.place.bucket.get_object(self.credentials(), key);
        let range = [("range", format!("bytes={offset}-"))];
        let headers = if offset == 0 { &[][..] } else { &range };
        self.ask("read", key, &action, headers, Content::Empty)
    }

    fn put_object(&self, key: &str, upload: &Upload<'_>) -> StepResult<()> {
        if upload.size() > PART {
            return self.put_parts(key, upload);
        }
        let action = self.place.bucket.put_object(self.credentials(), key);
        upload.send_whole(|content| self.ask("write", key, &action, &[], content))?;
        Ok(())
    }

    /// Writes a large object. What is there of one that failed is removed.
    fn put_parts(&self, key: &str, upload: &Upload<'_>) -> StepResult<()> {
        let (bucket, credentials) = (&self.place.bucket, self.credentials());
        let begin = bucket.create_multipart_upload(credentials, key);
        let answer = text(self.ask("write", key, &begin, &[], Content::Empty)?)?;
        let begun = CreateMultipartUpload::parse_response(&answer).map_err(|error| unclear(key, &error))?;
        let id = begun.upload_id();
        self.send_parts(key, id, upload).inspect_err(|_| {
            let abort = bucket.abort_multipart_upload(credentials, key, id);
            // The first error says more.
            let _aborted = self.ask("give up", key, &abort, &[], Content::Empty);
        })
    }

    fn send_parts(&self, key: &str, id: &str, upload: &Upload<'_>) -> StepResult<()> {
        let (bucket, credentials) = (&self.place.bucket, self.credentials());
        let mut tags = Vec::new();
        for (number, part) in (1..).zip(upload.parts(PART.max(upload.size().div_ceil(MOST_PARTS)))) {
            let action = bucket.upload_part(credentials, key, number, id);
            let answer = upload.send(part, |content| self.ask("write", key, &action, &[], content))?;
            tags.push(answer.validators.etag.unwrap_or_default());
        }
        let finish = bucket.complete_multipart_upload(credentials, key, id, tags.iter().map(String::as_str));
        let body = finish.clone().body();
        let answer = text(self.ask("write", key, &finish, &[], Content::Bytes(body.as_bytes()))?)?;
        // It may fail after it said 200.
        CompleteMultipartUploadResponse::parse(&answer).map_err(|error| unclear(key, &error))?;
        Ok(())
    }

    /// Copies an object onto itself, which makes it a new one.
    fn refresh(&self, key: &str) -> Result<(), Error> {
        let bucket = &self.place.bucket;
        let object = bucket.object_url(key);
        let encoded = object.path().strip_prefix(bucket.base_url().path()).unwrap_or(key);
        let headers = [
            ("x-amz-copy-source", format!("/{}/{encoded}", bucket.name())),
            ("x-amz-metadata-directive", "REPLACE".to_owned()),
        ];
        let mut action = bucket.put_object(self.credentials(), key);
        for (name, value) in &headers {
            action.headers_mut().insert(*name, value.clone());
        }
        self.ask("refresh", key, &action, &headers, Content::Empty).map(drop)
    }
}

/// A header that lets a server write only in the place of what was seen.
type Condition = (&'static str, String);

/// Weak versions (`W/"…"`) match nothing (RFC 9110, 13.1.1).
fn condition(seen: Option<&Seen>) -> Option<Condition> {
    match seen {
        None => Some(("if-none-match", "*".to_owned())),
        Some(Some(tag)) if !tag.starts_with("W/") => Some(("if-match", tag.clone())),
        Some(_) => None,
    }
}

/// Whether the status says that somebody else was first. Where nothing was expected, what is not found is the bucket.
fn is_overtaken(status: u16, condition: Option<&Condition>) -> bool {
    let deleted = status == DELETED && condition.is_some_and(|(name, _)| *name == "if-match");
    deleted || OVERTAKEN.contains(&status)
}

/// The whole of an answer about an upload.
fn text(answer: Download) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&answer.bytes(MOST_ANSWER)?).into_owned())
}

fn unclear(key: &str, error: &dyn std::fmt::Display) -> StepError {
    StepError::Invalid(format!("write {key}: the server's answer is not one of S3: {error}"))
}

impl Backend for S3 {
    fn name(&self) -> String {
        format!("s3://{}/{}", self.place.bucket.name(), self.place.documents.join(";"))
    }

    fn read(&self) -> StepResult<Option<Document>> {
        let start = Instant::now();
        let documents = self.place.documents.iter();
        let read = documents
            .map(|key| self.document(key))
            .collect::<StepResult<Vec<_>>>()?;
        let (found, seen): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (start, seen);
        let agree = found.windows(2).all(|two| two[0] == two[1]);
        self.agreed.store(agree, Ordering::SeqCst);
        Ok(found.into_iter().flatten().reduce(|mut all, later| {
            all.update(&later);
            all
        }))
    }

    fn is_current(&self) -> bool {
        self.agreed.load(Ordering::SeqCst)
    }

    fn open<'r>(
        &'r self,
        blob: &Descriptor,
        report: Box<dyn Fn(u64) + Send + 'r>,
    ) -> StepResult<Box<dyn Read + Send + 'r>> {
        let key = self.place.blob(&blob.digest);
        let from = move |offset| -> StepResult<Box<dyn Read + Send>> { Ok(Box::new(self.get(&key, offset)?)) };
        let reader = Ranged::open(Box::new(from), blob.size, report)?;
        Ok(Box::new(Verified::new(reader, blob)))
    }

    /// Rules of the bucket may have removed it; who needs it finds out.
    fn still_has(&self, _: &Descriptor) -> bool {
        true
    }

    fn keep(&self, blob: &Descriptor) -> StepResult<bool> {
        let key = self.place.blob(&blob.digest);
        let Some(there) = self.head(&key)? else {
            return Ok(false);
        };
        let written = there.modified.unwrap_or(0);
        let age = jiff::Timestamp::now().as_second().saturating_sub(written);
        if blob.size <= MOST_COPIED && age >= i64::try_from(self.place.refresh.as_secs()).unwrap_or(i64::MAX) {
            self.refresh(&key)?;
        }
        Ok(true)
    }

    fn put(&self, blob: &Descriptor, file: &Path, report: &dyn Fn(u64)) -> StepResult<()> {
        if self.keep(blob)? {
            report(blob.size);
            return Ok(());
        }
        let size = blob.size;
        let upload = Upload::File {
            path: file,
            size,
            report,
        };
        self.put_object(&self.place.blob(&blob.digest), &upload)
    }

    fn write(&self, document: &Document) -> StepResult<bool> {
        let packed = document.pack()?;
        let (start, seen) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all = true;
        for (key, seen) in self.place.documents.iter().zip(&seen) {
            all &= self.replace(key, (start, seen.as_ref()), &packed.config)?;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_first() {
        let strong = condition(Some(&Some("\"1\"".to_owned())));
        assert_eq!(strong, Some(("if-match", "\"1\"".to_owned())));
        let nothing = condition(None);
        assert_eq!(nothing, Some(("if-none-match", "*".to_owned())));
        assert_eq!(condition(Some(&Some("W/\"1\"".to_owned()))), None);
        assert_eq!(condition(Some(&None)), None);
        for status in [412, 409] {
            assert!(is_overtaken(status, strong.as_ref()) && is_overtaken(status, nothing.as_ref()));
        }
        assert!(is_overtaken(404, strong.as_ref()));
        assert!(!is_overtaken(404, nothing.as_ref()) && !is_overtaken(404, None));
        assert!(!is_overtaken(403, strong.as_ref()));
    }
}
