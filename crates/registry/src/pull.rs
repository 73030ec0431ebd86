//! Blobs from a registry: streamed, verified, taken up again after a cut.

use std::fmt;
use std::io::{self, Read, Write};
use std::mem;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use kiln_image::{Descriptor, Digest, Hasher, Reference};
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};

use crate::ask::Request;
use crate::auth::Scopes;
use crate::client::{Inner, with_mirrors};
use crate::error::What;
use crate::registries_conf::{Place, Purpose};
use crate::retry::Patience;
use crate::site::Site;
use crate::{Client, Error};

/// After this much progress a failure counts as the first again.
const PROGRESS: u64 = 64 << 10;

/// Where an interrupted download goes on.
#[derive(Debug, Clone, Default)]
pub struct Resume {
    /// How many bytes are there already.
    pub offset: u64,
    /// A hasher that has seen exactly these.
    pub hasher: Hasher,
}

impl Resume {
    /// After the bytes of `reader`, which are read to their end.
    pub fn after(mut reader: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::new();
        let offset = io::copy(&mut reader, &mut hasher)?;
        Ok(Self { offset, hasher })
    }
}

impl Client {
    /// Streams the blob `descriptor` into `out`, from `resume` on; connections that break are taken up again.
    /// `progress` is told how many bytes of the blob are there, those before `resume` included.
    ///
    /// On success, size and digest of the whole are those of the descriptor. On [`Error::DigestMismatch`]
    /// and [`Error::SizeMismatch`], what was written must be thrown away; on other errors it may be kept to
    /// resume from.
    pub fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        resume: Resume,
        out: &mut dyn Write,
        progress: &dyn Fn(u64),
    ) -> Result<(), Error> {
        let mut reader = BlobReader::new(&self.inner, reference, descriptor, resume)?;
        progress(reader.offset);
        while let Some(piece) = reader.next_piece()? {
            out.write_all(&piece).map_err(|source| Error::Sink {
                what: reader.what.clone(),
                source,
            })?;
            progress(reader.offset);
        }
        Ok(())
    }

    /// A reader of the blob `descriptor` that goes on by itself after a cut. See [`BlobReader`]. `progress`
    /// is told how many bytes of the blob have arrived.
    pub fn blob_reader<'a>(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        progress: Box<dyn Fn(u64) + Send + 'a>,
    ) -> Result<BlobReader<'a>, Error> {
        let mut reader = BlobReader::new(&self.inner, reference, descriptor, Resume::default())?;
        reader.progress = progress;
        Ok(reader)
    }

    /// The whole blob `descriptor`, which must have no more than `limit` bytes.
    pub fn blob_bytes(&self, reference: &Reference, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, Error> {
        let mut reader = BlobReader::new(&self.inner, reference, descriptor, Resume::default())?;
        if descriptor.size > limit {
            return Err(Error::TooLarge {
                what: reader.what,
                limit,
            });
        }
        let mut all = Vec::new();
        while let Some(piece) = reader.next_piece()? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    /// Whether the registry (or a mirror of it) has the blob `digest` in the repository of `reference`.
    pub fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<bool, Error> {
        let outcome = self.inner.pull_from(reference, |site| {
            let scopes = Scopes::pull(&site.place.repository);
            // For a mirror to have it not does not mean that the registry has it not.
            self.inner.head_blob(site, digest, &scopes)
        });
        found(outcome)
    }
}

/// Whether a HEAD found something.
pub(crate) fn found(outcome: Result<(), Error>) -> Result<bool, Error> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

impl Inner {
    /// Succeeds if the blob is there.
    pub(crate) fn head_blob(&self, site: &Site, digest: &Digest, scopes: &Scopes) -> Result<(), Error> {
        let what = site.what("look for blob", &digest.to_string());
        let url = site.url(&what, &format!("blobs/{digest}"))?;
        self.ask(site, Request::new(what, Method::HEAD, url, scopes)).map(drop)
    }
}

/// Reads one blob, verified.
///
/// The last bytes are given out only after size and digest of the whole were found right; a reader that
/// does not read to the end must call [`finish`](Self::finish) before it believes what it read. Errors carry an [`Error`]
/// within ([`Error::from_io`]); after one, all further reads fail.
pub struct BlobReader<'a> {
    inner: Arc<Inner>,
    what: What,
    descriptor: Descriptor,
    /// Places still to ask; the first is the current one.
    places: Vec<Place>,
    patience: Patience,
    failures: Vec<(String, Error)>,
    body: Option<Body>,
    /// Bytes that `read` had no room for.
    pending: Bytes,
    offset: u64,
    /// Where the last failure was.
    failed_at: u64,
    hasher: Hasher,
    state: State,
    progress: Box<dyn Fn(u64) + Send + 'a>,
}

/// What is still to come of one answer.
struct Body {
    /// Comes first.
    first: Bytes,
    rest: Response,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Verified,
    Failed,
}

impl fmt::Debug for BlobReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("what", &self.what)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl BlobReader<'_> {
    fn new(inner: &Arc<Inner>, reference: &Reference, descriptor: &Descriptor, resume: Resume) -> Result<Self, Error> {
        let selector = descriptor.digest.to_string();
        let what = What::new("pull blob", reference.registry(), reference.repository(), &selector);
        if resume.offset > descriptor.size {
            return Err(Error::SizeMismatch {
                what,
                wanted: descriptor.size,
                got: resume.offset.to_string(),
            });
        }
        // Blobs have digests, whatever the reference has.
        let pinned = reference.pinned(descriptor.digest);
        let mut places = inner.settings.registries.places(&pinned, Purpose::Pull)?;
        let last = places.len() - 1;
        let mut at = 0;
        places.retain(|place| {
            at += 1;
            at > last || !inner.is_down(&place.registry)
        });
        Ok(Self {
            patience: inner.patience(places.len() > 1),
            inner: Arc::clone(inner),
            what,
            descriptor: descriptor.clone(),
            places,
            failures: Vec::new(),
            body: None,
            pending: Bytes::new(),
            offset: resume.offset,
            failed_at: resume.offset,
            hasher: resume.hasher,
            state: State::Reading,
            progress: Box::new(|_| ()),
        })
    }

    /// How many bytes of the blob have arrived.
    pub const fn position(&self) -> u64 {
        self.offset
    }

    /// Reads what is left, and verifies the whole.
    pub fn finish(mut self) -> Result<(), Error> {
        while self.next_piece()?.is_some() {}
        Ok(())
    }

    /// The next bytes; `None` at the end, which is there only where everything was right.
    fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.pending.is_empty() {
            return Ok(Some(mem::take(&mut self.pending)));
        }
        match self.state {
            State::Verified => return Ok(None),
            State::Failed => return Err(self.protocol("it failed before, and the rest was not read")),
            State::Reading => {}
        }
        loop {
            match self.try_piece() {
                Ok(piece) => return Ok(piece),
                Err(error) => {
                    self.body = None;
                    if let Err(error) = self.recover(error) {
                        self.state = State::Failed;
                        return Err(error);
                    }
                }
            }
        }
    }

    fn try_piece(&mut self) -> Result<Option<Bytes>, Error> {
        if self.offset == self.descriptor.size {
            return self.verify().map(|()| None);
        }
        let mut body = match self.body.take() {
            Some(body) => body,
            None => self.open()?,
        };
        let Some(piece) = self.receive(&mut body)? else {
            return Err(self.short());
        };
        if piece.len() as u64 > self.descriptor.size - self.offset {
            return Err(self.size_mismatch("more".to_owned()));
        }
        self.hasher.update(&piece);
        self.offset += piece.len() as u64;
        (self.progress)(self.offset);
        if self.offset == self.descriptor.size {
            self.end(body)?;
            self.verify()?;
        } else {
            self.body = Some(body);
        }
        Ok(Some(piece))
    }

    /// The next bytes of `body`, at least one.
    fn receive(&self, body: &mut Body) -> Result<Option<Bytes>, Error> {
        if !body.first.is_empty() {
            return Ok(Some(mem::take(&mut body.first)));
        }
        let stall = self.inner.settings.timeouts.stall;
        loop {
            match self
                .inner
                .transport
                .chunk(&mut body.rest, &self.inner.stop, &self.what, stall)?
            {
                Some(piece) if piece.is_empty() => {}
                other => return Ok(other),
            }
        }
    }

    /// All bytes are there: there must be no more.
    fn end(&self, mut body: Body) -> Result<(), Error> {
        match self.receive(&mut body) {
            Ok(Some(_)) => Err(self.size_mismatch("more".to_owned())),
            // A cut that took nothing away does no harm: the digest decides.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    fn verify(&mut self) -> Result<(), Error> {
        let got = mem::take(&mut self.hasher).finish();
        if got == self.descriptor.digest {
            self.state = State::Verified;
            return Ok(());
        }
        Err(Error::DigestMismatch {
            what: self.what.clone(),
            wanted: self.descriptor.digest,
            got,
        })
    }

    /// Asks the current place for the blob from the current offset on.
    fn open(&mut self) -> Result<Body, Error> {
        let inner = Arc::clone(&self.inner);
        let site = inner.site(&self.places[0])?;
        let digest = self.descriptor.digest;
        self.what = site.what("pull blob", &digest.to_string());
        let url = site.url(&self.what, &format!("blobs/{digest}"))?;
        let scopes = Scopes::pull(&site.place.repository);
        let mut request = Request::new(self.what.clone(), Method::GET, url, &scopes);
        if self.offset > 0 {
            let range = HeaderValue::try_from(format!("bytes={}-", self.offset));
            request
                .headers
                .insert(RANGE, range.map_err(|e| self.protocol(&e.to_string()))?);
        }
        let answer = inner.ask(&site, request)?;
        let partial = answer.status() == StatusCode::PARTIAL_CONTENT;
        if partial {
            let start = answer.header(CONTENT_RANGE).and_then(range_start);
            if start != Some(self.offset) {
                return Err(self.protocol("it was asked for one range of bytes and sends another"));
            }
        }
        let skip = if partial { 0 } else { self.offset };
        let expected = self.descriptor.size - self.offset + skip;
        if let Some(length) = answer.length()
            && length != expected
        {
            return Err(self.size_mismatch((length + self.offset - skip).to_string()));
        }
        let mut body = Body {
            first: Bytes::new(),
            rest: answer.into_response(),
        };
        self.skip(&mut body, skip)?;
        Ok(body)
    }

    /// Passes over what is there already, for servers that know no ranges.
    fn skip(&self, body: &mut Body, mut left: u64) -> Result<(), Error> {
        while left > 0 {
            let mut piece = self.receive(body)?.ok_or_else(|| self.short())?;
            let over = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            piece.advance(over);
            left -= over as u64;
            body.first = piece;
        }
        Ok(())
    }

    /// An answer without length that ended too soon, which nothing but its end tells from a cut connection.
    fn short(&self) -> Error {
        Error::Transport {
            what: self.what.clone(),
            doing: "receiving",
            reason: format!(
                "the answer ended after {} of {} bytes",
                self.offset, self.descriptor.size
            ),
            connect: false,
        }
    }

    /// Waits before another attempt, or goes on to the next place, or gives the error back.
    fn recover(&mut self, error: Error) -> Result<(), Error> {
        if self.offset - self.failed_at >= PROGRESS {
            self.patience = self.inner.patience(self.places.len() > 1);
        }
        self.failed_at = self.offset;
        let Err(error) = self.patience.wait(error) else {
            return Ok(());
        };
        if self.places.len() == 1 || !error.another_place_may_help() {
            return Err(with_mirrors(mem::take(&mut self.failures), error));
        }
        let place = self.places.remove(0);
        self.inner.note_failure(&place.registry, &error);
        // What a liar sent may be anywhere in what was given out already.
        if matches!(error, Error::DigestMismatch { .. }) {
            return Err(error);
        }
        self.failures
            .push((format!("{}/{}", place.registry, place.repository), error));
        self.patience = self.inner.patience(self.places.len() > 1);
        Ok(())
    }

    fn size_mismatch(&self, got: String) -> Error {
        Error::SizeMismatch {
            what: self.what.clone(),
            wanted: self.descriptor.size,
            got,
        }
    }

    fn protocol(&self, reason: &str) -> Error {
        Error::Protocol {
            what: self.what.clone(),
            reason: reason.to_owned(),
        }
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(mut piece) = self.next_piece().map_err(io::Error::other)? else {
            return Ok(0);
        };
        let count = piece.len().min(buffer.len());
        piece.copy_to_slice(&mut buffer[..count]);
        self.pending = piece;
        Ok(count)
    }
}

/// The first byte of `bytes 5-9/10`.
fn range_start(header: &str) -> Option<u64> {
    header
        .trim()
        .strip_prefix("bytes")?
        .trim()
        .split('-')
        .next()?
        .parse()
        .ok()
}
