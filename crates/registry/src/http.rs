//! The transport: connections, time-outs, bodies. The only place that knows that the HTTP library is
//! asynchronous.

use std::error::Error as StdError;
use std::io::Read;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::error::What;
use crate::{Error, Settings, Stop, connect};

/// How much of an upload is read and handed on at a time.
const PIECE: usize = 128 << 10;
/// How many pieces wait for the connection.
const PIECES_AHEAD: usize = 4;
/// No honest error message is longer.
const ERROR_BODY_LIMIT: usize = 64 << 10;

/// How far a server is trusted to be who it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// HTTPS with a certificate that is verified.
    Verified,
    /// HTTPS with any certificate.
    Unverified,
    /// HTTP.
    Plain,
}

/// A request, ready to be sent.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload<'a>,
    pub(crate) trust: Trust,
    /// How long to wait for the answer once everything is sent.
    pub(crate) patience: Duration,
}

/// The body of a request.
pub(crate) enum Payload<'a> {
    Empty,
    Bytes(Bytes),
    Stream(Stream<'a>),
}

impl Payload<'_> {
    /// The payload, and the same for another time if it can be sent again.
    pub(crate) fn split(self) -> (Self, Option<Self>) {
        match self {
            Payload::Empty => (Payload::Empty, Some(Payload::Empty)),
            Payload::Bytes(bytes) => (Payload::Bytes(bytes.clone()), Some(Payload::Bytes(bytes))),
            stream @ Payload::Stream(_) => (stream, None),
        }
    }
}

/// A body of known length that is read while it is sent.
pub(crate) struct Stream<'a> {
    pub(crate) source: &'a mut dyn Read,
    pub(crate) length: u64,
    /// Told how many bytes of it are on their way.
    pub(crate) progress: &'a dyn Fn(u64),
}

/// Connections, made when they are first needed.
pub(crate) struct Transport {
    runtime: OnceLock<Runtime>,
    verified: OnceLock<reqwest::Client>,
    unverified: OnceLock<reqwest::Client>,
    plain: OnceLock<reqwest::Client>,
    /// Keeps two threads from loading the system's certificates at once.
    setting_up: Mutex<()>,
}

impl Transport {
    pub(crate) const fn new() -> Self {
        Self {
            runtime: OnceLock::new(),
            verified: OnceLock::new(),
            unverified: OnceLock::new(),
            plain: OnceLock::new(),
            setting_up: Mutex::new(()),
        }
    }

    /// Sends `call` and waits for the head of the answer. Redirects are answers like others.
    pub(crate) fn send<'t>(
        &'t self,
        settings: &Settings,
        stop: &'t Stop,
        what: &What,
        call: Call<'_>,
    ) -> Result<Answer<'t>, Error> {
        let runtime = self.runtime()?;
        let client = self.client(settings, call.trust)?;
        let mut builder = client.request(call.method, call.url).headers(call.headers);
        let stall = settings.timeouts.stall;
        let waiting = Waiting { runtime, stop, what };
        let response = match call.payload {
            Payload::Stream(mut stream) => {
                let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
                let body = ChannelBody {
                    receiver,
                    left: stream.length,
                };
                let task = runtime.spawn(builder.body(reqwest::Body::wrap(body)).send());
                let abort = task.abort_handle();
                let fed = feed(&waiting, &mut stream, &sender, &|| task.is_finished(), stall);
                drop(sender);
                let answered = fed.and_then(|()| waiting.until("waiting for the answer", call.patience, task));
                let outcome = answered.inspect_err(|_| abort.abort())?;
                outcome.map_err(|e| Error::Setup(format!("the sending thread died: {e}")))?
            }
            payload => {
                if let Payload::Bytes(bytes) = payload {
                    builder = builder.body(bytes);
                }
                waiting.until("waiting for the answer", call.patience, builder.send())?
            }
        };
        Ok(Answer {
            response: response.map_err(|e| transport_error(what, "sending the request", e))?,
            runtime,
            stop,
            stall,
        })
    }

    fn runtime(&self) -> Result<&Runtime, Error> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let _guard = self.setting_up.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(4)
            .thread_name("registry")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| Error::Setup(format!("cannot start threads: {e}")))?;
        Ok(self.runtime.get_or_init(|| runtime))
    }

    fn client(&self, settings: &Settings, trust: Trust) -> Result<&reqwest::Client, Error> {
        let cell = match trust {
            Trust::Verified => &self.verified,
            Trust::Unverified => &self.unverified,
            Trust::Plain => &self.plain,
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let _guard = self.setting_up.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = connect::client(settings, trust)?;
        Ok(cell.get_or_init(|| client))
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        // Without this a client that is dropped within some async runtime would panic.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for the runtime, on behalf of a request.
struct Waiting<'a> {
    runtime: &'a Runtime,
    stop: &'a Stop,
    what: &'a What,
}

impl Waiting<'_> {
    /// The result of `work`, unless that takes longer than `limit` or everything is stopped.
    fn until<T>(&self, doing: &'static str, limit: Duration, work: impl Future<Output = T>) -> Result<T, Error> {
        let limited = async { self.stop.unless(tokio::time::timeout(limit, work)).await };
        match self.runtime.block_on(limited) {
            Some(Ok(result)) => Ok(result),
            Some(Err(_)) => Err(stalled(self.what, doing, limit)),
            None => Err(Error::Stopped(self.what.clone())),
        }
    }
}

/// Reads the stream and hands it to the connection; ends early where the server has answered already.
fn feed(
    waiting: &Waiting<'_>,
    stream: &mut Stream<'_>,
    sender: &mpsc::Sender<Bytes>,
    answered: &dyn Fn() -> bool,
    stall: Duration,
) -> Result<(), Error> {
    let mut sent = 0;
    while sent < stream.length && !answered() {
        let wanted = usize::try_from(stream.length - sent).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = vec![0; wanted];
        stream.source.read_exact(&mut piece).map_err(|source| Error::Source {
            what: waiting.what.clone(),
            source,
        })?;
        if waiting.until("sending", stall, sender.send(piece.into()))?.is_err() {
            // The connection is gone: its own error says why.
            return Ok(());
        }
        sent += wanted as u64;
        (stream.progress)(sent);
    }
    Ok(())
}

/// The connection's end of a [`Stream`].
struct ChannelBody {
    receiver: mpsc::Receiver<Bytes>,
    left: u64,
}

impl http_body::Body for ChannelBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.receiver.poll_recv(context).map(|piece| {
            let piece = piece?;
            self.left = self.left.saturating_sub(piece.len() as u64);
            Some(Ok(Frame::data(piece)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The head of an answer, and its body still to be read.
pub(crate) struct Answer<'t> {
    response: Response,
    runtime: &'t Runtime,
    stop: &'t Stop,
    stall: Duration,
}

impl<'t> Answer<'t> {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn url(&self) -> &Url {
        self.response.url()
    }

    /// A header as text; `None` where it is missing or no text.
    pub(crate) fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.response.headers().get(name.into())?.to_str().ok()
    }

    /// All headers of that name that are text.
    pub(crate) fn headers(&self, name: impl Into<HeaderName>) -> impl Iterator<Item = &str> {
        let values = self.response.headers().get_all(name.into());
        let values: Vec<_> = values.iter().filter_map(|value| value.to_str().ok()).collect();
        values.into_iter()
    }

    /// The length that the server announces.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header(reqwest::header::CONTENT_LENGTH)?.trim().parse().ok()
    }

    fn waiting<'a>(&self, what: &'a What) -> Waiting<'a>
    where
        't: 'a,
    {
        Waiting {
            runtime: self.runtime,
            stop: self.stop,
            what,
        }
    }

    /// The whole body, if it has no more than `limit` bytes.
    pub(crate) fn bytes(mut self, what: &What, limit: u64) -> Result<Vec<u8>, Error> {
        let too_large = || Error::TooLarge {
            what: what.clone(),
            limit,
        };
        if self.length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let (mut all, waiting) = (Vec::new(), self.waiting(what));
        while let Some(chunk) = next_chunk(&mut self.response, &waiting, self.stall)? {
            if (all.len() + chunk.len()) as u64 > limit {
                return Err(too_large());
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// The beginning of the body, for messages; reading it also frees the connection for the next request.
    pub(crate) fn text(mut self, what: &What) -> String {
        let (mut all, waiting) = (Vec::new(), self.waiting(what));
        while let Ok(Some(chunk)) = next_chunk(&mut self.response, &waiting, self.stall) {
            all.extend_from_slice(&chunk);
            if all.len() > ERROR_BODY_LIMIT {
                all.truncate(ERROR_BODY_LIMIT);
                break;
            }
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// The body alone.
    pub(crate) fn into_response(self) -> Response {
        self.response
    }
}

impl Transport {
    /// The next piece of a body that [`Answer::into_response`] gave; `None` at its end.
    pub(crate) fn chunk(
        &self,
        response: &mut Response,
        stop: &Stop,
        what: &What,
        stall: Duration,
    ) -> Result<Option<Bytes>, Error> {
        let runtime = self.runtime()?;
        next_chunk(response, &Waiting { runtime, stop, what }, stall)
    }
}

fn next_chunk(response: &mut Response, waiting: &Waiting<'_>, stall: Duration) -> Result<Option<Bytes>, Error> {
    let received = waiting.until("receiving", stall, response.chunk())?;
    received.map_err(|e| transport_error(waiting.what, "receiving", e))
}

fn transport_error(what: &What, doing: &'static str, error: reqwest::Error) -> Error {
    // Addresses may carry signatures; what was asked for says enough.
    let error = error.without_url();
    let mut reason = root_cause(&error);
    if let Some(hint) = certificate_hint(&reason) {
        reason = format!("{reason}; {hint}");
    }
    Error::Transport {
        what: what.clone(),
        doing: if error.is_connect() { "connecting" } else { doing },
        reason,
        connect: error.is_connect(),
    }
}

/// What to do about a certificate that is not trusted. The words are those of the TLS library.
fn certificate_hint(reason: &str) -> Option<&'static str> {
    if !reason.contains("invalid peer certificate") {
        return None;
    }
    Some(if reason.contains("CaUsedAsEndEntity") {
        "the server shows the certificate of an authority as its own: make it one with CA:FALSE"
    } else if reason.contains("UnknownIssuer") {
        "give the certificate of its authority with --ca-bundle, or set `insecure = true` in registries.conf"
    } else {
        "is the clock right, and is this the server that was meant?"
    })
}

fn stalled(what: &What, doing: &'static str, patience: Duration) -> Error {
    Error::Stalled {
        what: what.clone(),
        doing,
        seconds: patience.as_secs(),
    }
}

/// What an error comes down to; what is around it says nothing that we do not say ourselves.
pub(crate) fn root_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Foreign text made fit to be shown: one line, no control characters, not long.
pub(crate) fn clean(text: &str) -> String {
    const MOST: usize = 500;
    let mut clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST)
        .collect();
    if text.chars().nth(MOST).is_some() {
        clean.push('…');
    }
    clean.trim().to_owned()
}
