//! One upload (distribution specification 1.1, "Pushing a blob in chunks"): begun, fed, taken up again after
//! a cut, finished.

use std::io::{self, Read};

use kiln_image::Descriptor;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Url};

use crate::Error;
use crate::ask::Request;
use crate::auth::Scopes;
use crate::client::Inner;
use crate::error::What;
use crate::http::{Answer, Payload, Stream};
use crate::pull::found;
use crate::retry::Patience;
use crate::site::Site;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// What a registry takes whose limits others do not fit.
const SMALL_CHUNK: u64 = 4 << 20;
const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// An upload that the registry opened.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    url: Url,
    /// The least that a chunk but the last must have.
    least: u64,
}

impl Session {
    /// Reads where the upload goes on.
    pub(crate) fn of(answer: &Answer<'_>, what: &What) -> Result<Self, Error> {
        let location = answer.header(LOCATION).and_then(|to| answer.url().join(to).ok());
        let least = answer
            .header(OCI_CHUNK_MIN_LENGTH)
            .and_then(|text| text.trim().parse().ok());
        Ok(Self {
            url: location.ok_or_else(|| Error::Protocol {
                what: what.clone(),
                reason: "it opens an upload and does not say where".to_owned(),
            })?,
            least: least.unwrap_or(0),
        })
    }

    /// The same upload, where this answer says that it goes on.
    fn moved(&mut self, answer: &Answer<'_>) {
        if let Some(url) = answer.header(LOCATION).and_then(|to| answer.url().join(to).ok()) {
            self.url = url;
        }
    }
}

/// How the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All with one PUT.
    Whole,
    /// PATCH by PATCH of at most so many bytes.
    Chunks(u64),
}

/// Gives the content from its start.
type Open<'a, 'r> = &'a dyn Fn() -> io::Result<Box<dyn Read + Send + 'r>>;

/// A blob on its way to a repository.
pub(crate) struct Upload<'a, 'r> {
    inner: &'a Inner,
    site: &'a Site,
    descriptor: &'a Descriptor,
    source: Source<'a, 'r>,
    progress: &'a dyn Fn(u64),
    scopes: Scopes,
    what: What,
}

impl<'a, 'r> Upload<'a, 'r> {
    pub(crate) fn new(
        inner: &'a Inner,
        site: &'a Site,
        descriptor: &'a Descriptor,
        open: Open<'a, 'r>,
        progress: &'a dyn Fn(u64),
    ) -> Self {
        Self {
            inner,
            site,
            descriptor,
            source: Source {
                open,
                reader: None,
                position: 0,
            },
            progress,
            scopes: Scopes::push(&site.place.repository),
            what: site.what("push blob", &descriptor.digest.to_string()),
        }
    }

    /// Uploads everything, beginning with `session` if there is one.
    pub(crate) fn run(mut self, mut session: Option<Session>) -> Result<(), Error> {
        let chunk = self.inner.settings.upload_chunk;
        let ways = if self.descriptor.size > chunk {
            vec![Way::Chunks(chunk), Way::Whole, Way::Chunks(SMALL_CHUNK)]
        } else {
            vec![Way::Whole, Way::Chunks(SMALL_CHUNK)]
        };
        let mut first_error = None;
        for way in ways {
            let outcome = match way {
                Way::Whole => self.whole(session.take()),
                Way::Chunks(size) => self.chunks(size, session.take()),
            };
            match outcome {
                Err(error) if may_go_otherwise(&error) => {
                    // The first way is the registry's proper one: its error says most.
                    first_error.get_or_insert(error);
                }
                other => return other,
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn whole(&mut self, mut session: Option<Session>) -> Result<(), Error> {
        let mut patience = self.inner.patience(false);
        let mut renewed = false;
        loop {
            let attempt = match session.take() {
                Some(open) => self.put_whole(&open),
                None => self.begin().and_then(|open| self.put_whole(&open)),
            };
            match attempt {
                Ok(()) => return Ok(()),
                // A stream cannot be sent again by those below, who have a new token now.
                Err(Error::Unauthorized(..)) if !renewed => renewed = true,
                Err(error) => {
                    patience.wait(error)?;
                    if self.arrived()? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn put_whole(&mut self, session: &Session) -> Result<(), Error> {
        let url = self.with_digest(session);
        self.send(Method::PUT, url, 0, self.descriptor.size, None).map(drop)
    }

    fn chunks(&mut self, size: u64, session: Option<Session>) -> Result<(), Error> {
        let mut session = match session {
            Some(session) => session,
            None => self.inner.retry(false, || self.begin())?,
        };
        let mut offset = 0;
        let mut patience = self.inner.patience(false);
        let mut renewed = false;
        loop {
            let step = if offset < self.descriptor.size {
                self.patch(&mut session, offset, size)
            } else {
                match self.close(&session) {
                    Ok(()) => return Ok(()),
                    Err(error) => Err(error),
                }
            };
            match step {
                Ok(next) => {
                    if next > offset {
                        patience = self.inner.patience(false);
                        renewed = false;
                    }
                    offset = next;
                }
                Err(Error::Unauthorized(..)) if !renewed => renewed = true,
                Err(error) => match self.take_up(&mut session, &mut patience, error)? {
                    Some(next) => offset = next,
                    None => return Ok(()),
                },
            }
        }
    }

    /// After a failure: where to go on, or `None` if everything has arrived after all.
    fn take_up(&self, session: &mut Session, patience: &mut Patience, mut error: Error) -> Result<Option<u64>, Error> {
        loop {
            patience.wait(error)?;
            match self.status(session) {
                Ok(offset) => return Ok(Some(offset)),
                // The registry knows nothing of the upload: it is finished, or lost.
                Err(Error::NotFound(..)) if self.arrived()? => return Ok(None),
                Err(Error::NotFound(..)) => {
                    *session = self.inner.retry(false, || self.begin())?;
                    return Ok(Some(0));
                }
                Err(next) => error = next,
            }
        }
    }

    /// Opens an upload.
    fn begin(&self) -> Result<Session, Error> {
        let url = self.site.url(&self.what, "blobs/uploads/")?;
        let request = Request::new(self.what.clone(), Method::POST, url, &self.scopes);
        let answer = self.inner.ask(self.site, request)?;
        Session::of(&answer, &self.what)
    }

    /// Sends the next chunk; returns how many bytes the registry has then.
    fn patch(&mut self, session: &mut Session, offset: u64, size: u64) -> Result<u64, Error> {
        let length = size.max(session.least).min(self.descriptor.size - offset);
        let range = format!("{offset}-{}", offset + length - 1);
        let answer = self.send(Method::PATCH, session.url.clone(), offset, length, Some(&range))?;
        session.moved(&answer);
        match answer.header(RANGE).and_then(received) {
            Some(has) if has > offset && has <= offset + length => Ok(has),
            Some(has) => Err(Error::Protocol {
                what: self.what.clone(),
                reason: format!("it was sent bytes {range} and says that it has {has}"),
            }),
            None => Ok(offset + length),
        }
    }

    fn send(
        &mut self,
        method: Method,
        url: Url,
        offset: u64,
        length: u64,
        range: Option<&str>,
    ) -> Result<Answer<'a>, Error> {
        let source = self.source.at(offset).map_err(|source| Error::Source {
            what: self.what.clone(),
            source,
        })?;
        let progress = |sent| (self.progress)(offset + sent);
        let mut request = Request::new(self.what.clone(), method, url, &self.scopes);
        request.headers.insert(CONTENT_TYPE, OCTETS);
        if let Some(Ok(range)) = range.map(HeaderValue::try_from) {
            request.headers.insert(CONTENT_RANGE, range);
        }
        request.payload = Payload::Stream(Stream {
            source,
            length,
            progress: &progress,
        });
        self.inner.ask(self.site, request)
    }

    /// Says that all chunks are there.
    fn close(&self, session: &Session) -> Result<(), Error> {
        let url = self.with_digest(session);
        let request = Request::new(self.what.clone(), Method::PUT, url, &self.scopes);
        self.inner.ask(self.site, request).map(drop)
    }

    /// How many bytes the registry has of an upload.
    fn status(&self, session: &mut Session) -> Result<u64, Error> {
        let request = Request::new(self.what.clone(), Method::GET, session.url.clone(), &self.scopes);
        let answer = self.inner.ask(self.site, request)?;
        session.moved(&answer);
        let has = answer.header(RANGE).and_then(received).unwrap_or(0);
        Ok(has.min(self.descriptor.size))
    }

    /// Whether the blob is there although its upload seemed to fail.
    fn arrived(&self) -> Result<bool, Error> {
        let digest = &self.descriptor.digest;
        found(
            self.inner
                .retry(false, || self.inner.head_blob(self.site, digest, &self.scopes)),
        )
    }

    fn with_digest(&self, session: &Session) -> Url {
        let mut url = session.url.clone();
        url.query_pairs_mut()
            .append_pair("digest", &self.descriptor.digest.to_string());
        url
    }
}

impl Inner {
    /// Tells the registry that an upload will not go on. If it does not listen it will find out by itself.
    pub(crate) fn cancel(&self, site: &Site, session: Session) {
        let scopes = Scopes::push(&site.place.repository);
        let what = site.what("cancel an upload to", "");
        drop(self.ask(site, Request::new(what, Method::DELETE, session.url, &scopes)));
    }
}

/// Whether a refusal may be about how the bytes were sent, not about what they are.
fn may_go_otherwise(error: &Error) -> bool {
    let Error::Status(_, refusal) = error else {
        return false;
    };
    matches!(refusal.status, 400 | 405 | 411 | 413 | 416 | 501) && !refusal.message.contains("DIGEST_INVALID")
}

/// How many bytes `0-N` stands for. Of an upload without bytes registries say `0-0`.
fn received(range: &str) -> Option<u64> {
    let range = range.trim();
    let (start, end) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    let end: u64 = end.parse().ok()?;
    match (start.parse().ok()?, end) {
        (0, 0) => Some(0),
        (0, end) => end.checked_add(1),
        (_, _) => None,
    }
}

/// The content, from any place on.
struct Source<'a, 'r> {
    open: Open<'a, 'r>,
    reader: Option<Box<dyn Read + Send + 'r>>,
    position: u64,
}

impl Source<'_, '_> {
    /// A reader that stands at `offset`.
    fn at(&mut self, offset: u64) -> io::Result<&mut dyn Read> {
        if self.reader.is_none() || self.position > offset {
            self.reader = Some((self.open)()?);
            self.position = 0;
        }
        let skip = offset - self.position;
        if skip > 0 {
            let skipped = io::copy(&mut self.by_ref().take(skip), &mut io::sink())?;
            if skipped < skip {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self)
    }
}

impl Read for Source<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(reader) = &mut self.reader else {
            return Ok(0);
        };
        let count = reader.read(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges() {
        for (text, has) in [
            ("0-0", Some(0)),
            ("0-99", Some(100)),
            ("bytes=0-99", Some(100)),
            ("5-9", None),
            ("0-18446744073709551615", None),
            ("x", None),
        ] {
            assert_eq!(received(text), has, "{text}");
        }
    }

    #[test]
    fn the_source_stands_where_it_should() {
        let open = || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(io::Cursor::new(b"0123456789".to_vec()))) };
        let mut source = Source {
            open: &open,
            reader: None,
            position: 0,
        };
        for (offset, expected) in [(0, "01"), (2, "23"), (7, "78"), (1, "12")] {
            let mut two = [0; 2];
            source.at(offset).unwrap().read_exact(&mut two).unwrap();
            assert_eq!(two, expected.as_bytes(), "{offset}");
        }
        assert!(source.at(11).is_err());
    }
}
