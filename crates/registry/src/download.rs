//! Files by HTTP, for ADD: not the distribution protocol, but the same connections, proxies and certificates.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Buf as _, Bytes};
use reqwest::header::{
    AUTHORIZATION, DATE, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
    RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode, Url};

use crate::ask::message;
use crate::client::Inner;
use crate::error::{DOWNLOAD, Refusal, What};
use crate::http::{Answer, Call, Payload, Trust};
use crate::retry::RetryAfter;
use crate::site::without_query;
use crate::{Client, Error};

/// As many as Go's client follows, and so docker.
const MOST_REDIRECTS: usize = 10;

/// By what a server knows whether a file is still the one that it was (RFC 9110 section 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`, as the server wrote it, where it tells one version from the next: of a file that changed in the
    /// second in which it was sent it does not (section 8.8.2.2).
    pub last_modified: Option<String>,
}

impl Validators {
    fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// A file, or another answer, on its way. Reading fails where the connection breaks or ends early.
pub struct Download {
    inner: Arc<Inner>,
    what: What,
    response: Response,
    pending: Bytes,
    left: Option<u64>,
    /// Its validators, for the next time.
    pub validators: Validators,
    /// `Last-Modified`, in seconds since 1970.
    pub modified: Option<i64>,
    /// Its length, if the server says it.
    pub length: Option<u64>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download")
            .field("what", &self.what)
            .field("validators", &self.validators)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Asks for the file at `url`; `None` if it still is the one of `known`. Redirects are followed; the `authorization`
    /// header goes to the host of `url` alone.
    pub fn download(
        &self,
        url: &str,
        known: &Validators,
        authorization: Option<&str>,
    ) -> Result<Option<Download>, Error> {
        let what = What::new(DOWNLOAD, &without_password(url), "", "");
        let invalid = |reason: String| Error::Protocol {
            what: what.clone(),
            reason,
        };
        let start = Url::parse(url).map_err(|error| invalid(format!("the URL is none: {error}")))?;
        let mut headers = conditions(known);
        if let Some(value) = authorization {
            let value =
                HeaderValue::from_str(value).map_err(|_| invalid("the authorization is no header".to_owned()))?;
            headers.insert(AUTHORIZATION, value);
        }
        self.inner
            .retry(false, || self.inner.follow_to_file(&what, &start, &headers))
            .map(|answer| {
                if answer.status() == StatusCode::NOT_MODIFIED && !known.is_empty() {
                    return None;
                }
                Some(self.file(what, answer))
            })
    }

    pub(crate) fn file(&self, what: What, answer: Answer<'_>) -> Download {
        let text = |name| answer.header(name).map(ToOwned::to_owned);
        let time = |name| answer.header(name).and_then(seconds);
        let (modified, sent) = (time(LAST_MODIFIED), time(DATE));
        let validators = Validators {
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED).filter(|_| modified < sent),
        };
        let length = answer.length();
        Download {
            inner: Arc::clone(&self.inner),
            what,
            response: answer.into_response(),
            pending: Bytes::new(),
            left: length,
            validators,
            modified,
            length,
        }
    }
}

/// A time of HTTP (section 5.6.7) in seconds since 1970.
fn seconds(text: &str) -> Option<i64> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(time.as_second())
}

/// The URL as it may be shown.
fn without_password(url: &str) -> String {
    let shown = || {
        let mut parsed = Url::parse(url).ok()?;
        parsed.password()?;
        parsed.set_password(Some("xxxxx")).ok()?;
        Some(parsed.into())
    };
    shown().unwrap_or_else(|| url.to_owned())
}

fn conditions(known: &Validators) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name, value: Option<&String>| {
        if let Some(value) = value.and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(name, value);
        }
    };
    set(IF_NONE_MATCH, known.etag.as_ref());
    set(IF_MODIFIED_SINCE, known.last_modified.as_ref());
    headers
}

impl Inner {
    fn follow_to_file(&self, what: &What, start: &Url, headers: &HeaderMap) -> Result<Answer<'_>, Error> {
        let mut url = start.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut headers = headers.clone();
            if url.origin() != start.origin() {
                headers.remove(AUTHORIZATION);
            }
            let call = Call {
                method: Method::GET,
                url: url.clone(),
                headers,
                payload: Payload::Empty,
                trust: trust(what, &url)?,
                patience: self.settings.timeouts.stall,
            };
            let answer = self.transport.send(&self.settings, &self.stop, what, call)?;
            let status = answer.status();
            if status.is_success() || status == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            let next = answer.header(LOCATION).and_then(|to| answer.url().join(to).ok());
            match next.filter(|_| status.is_redirection()) {
                Some(next) => url = next,
                None => return Err(refused(what, answer)),
            }
        }
        Err(Error::Redirect {
            what: what.clone(),
            to: url.to_string(),
            reason: "too many redirects".to_owned(),
        })
    }
}

pub(crate) fn trust(what: &What, url: &Url) -> Result<Trust, Error> {
    match url.scheme() {
        "https" => Ok(Trust::Verified),
        "http" => Ok(Trust::Plain),
        other => Err(Error::Redirect {
            what: what.clone(),
            to: without_query(url),
            reason: format!("Kiln does not speak `{other}`"),
        }),
    }
}

/// What an answer that is no success means, with what the server says of it.
pub(crate) fn refused(what: &What, answer: Answer<'_>) -> Error {
    let status = answer.status();
    let retry_after = answer
        .header(RETRY_AFTER)
        .and_then(|text| RetryAfter::parse(text, SystemTime::now()));
    let registry = answer.url().host_str().unwrap_or_default().to_owned();
    let refusal = Box::new(Refusal {
        status: status.as_u16(),
        message: message(&answer.text(what)),
        registry,
        credentials: None,
        retry_after,
    });
    match status {
        StatusCode::NOT_FOUND => Error::NotFound(what.clone(), refusal),
        _ => Error::Status(what.clone(), refusal),
    }
}

impl Download {
    /// The whole of it, if it has no more than `limit` bytes.
    pub fn bytes(mut self, limit: u64) -> Result<Vec<u8>, Error> {
        let what = self.what.clone();
        let mut all = Vec::new();
        let read = self.by_ref().take(limit + 1).read_to_end(&mut all);
        read.map_err(|error| Error::Transport {
            what: what.clone(),
            doing: "receiving",
            reason: error.to_string(),
            connect: false,
        })?;
        if all.len() as u64 > limit {
            return Err(Error::TooLarge { what, limit });
        }
        Ok(all)
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pending.is_empty() {
            let stall = self.inner.settings.timeouts.stall;
            let chunk = self
                .inner
                .transport
                .chunk(&mut self.response, &self.inner.stop, &self.what, stall);
            match chunk.map_err(io::Error::other)? {
                Some(chunk) => self.pending = chunk,
                None if self.left.unwrap_or(0) == 0 => return Ok(0),
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server ended early")),
            }
        }
        let count = self.pending.len().min(buffer.len());
        self.pending.copy_to_slice(&mut buffer[..count]);
        self.left = self.left.map(|left| left.saturating_sub(count as u64));
        Ok(count)
    }
}
