//! Other services by HTTP: object storage, the caches of CI systems. Not the distribution protocol, but the same
//! connections, proxies, certificates and patience.

use std::io::{self, Read};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::client::Inner;
use crate::download::{Download, refused, trust};
use crate::error::What;
use crate::http::{Answer, Call, Payload, Stream};
use crate::{Client, Error};

/// One request to a service.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    /// What is done, for messages: `read`, `write`.
    pub action: &'static str,
    /// With what, for messages: not the address, which may carry a signature.
    pub object: &'a str,
    /// `GET`, `PUT`, …
    pub method: &'static str,
    /// Gives the address. Called before each attempt, since signatures grow old.
    pub url: &'a dyn Fn() -> String,
    /// Headers besides those that HTTP itself needs.
    pub headers: &'a [(&'static str, String)],
    /// What is sent.
    pub content: Content<'a>,
}

/// The body of a request.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// None.
    Empty,
    /// In memory.
    Bytes(&'a [u8]),
    /// Read while it is sent.
    Stream {
        /// Gives it from its start; called before each attempt.
        open: &'a dyn Fn() -> io::Result<Box<dyn Read + Send>>,
        /// How many bytes it has.
        length: u64,
        /// Told how many of them are on their way.
        progress: &'a dyn Fn(u64),
    },
}

impl std::fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream { length, .. } => write!(f, "Stream({length})"),
        }
    }
}

impl std::fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("action", &self.action)
            .field("object", &self.object)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Makes the request, again after failures that pass (`Retry-After` is honoured). Any answer but success is an
    /// error, redirects too: they would take signatures and secrets elsewhere.
    pub fn exchange(&self, exchange: &Exchange<'_>) -> Result<Download, Error> {
        let what = What::new(exchange.action, exchange.object, "", "");
        let answer = self.inner.retry(false, || self.inner.try_exchange(exchange, &what))?;
        Ok(self.file(what, answer))
    }
}

impl Inner {
    fn try_exchange(&self, exchange: &Exchange<'_>, what: &What) -> Result<Answer<'_>, Error> {
        let url =
            Url::parse(&(exchange.url)()).map_err(|error| wrong(what, format!("its address is none: {error}")))?;
        let method = Method::from_bytes(exchange.method.as_bytes())
            .map_err(|_| wrong(what, format!("`{}` is no method", exchange.method)))?;
        let mut source;
        let payload = match exchange.content {
            Content::Empty => Payload::Empty,
            Content::Bytes(bytes) => Payload::Bytes(Bytes::copy_from_slice(bytes)),
            Content::Stream { open, length, progress } => {
                source = open().map_err(|source| Error::Source {
                    what: what.clone(),
                    source,
                })?;
                Payload::Stream(Stream {
                    source: &mut source,
                    length,
                    progress,
                })
            }
        };
        let call = Call {
            patience: self.patience_for(&method, &payload),
            trust: trust(what, &url)?,
            headers: headers(what, exchange.headers)?,
            method,
            url,
            payload,
        };
        let answer = self.transport.send(&self.settings, &self.stop, what, call)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(refused(what, answer))
    }
}

fn headers(what: &What, pairs: &[(&'static str, String)]) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let mut value =
            HeaderValue::from_str(value).map_err(|_| wrong(what, format!("the value of `{name}` is no header")))?;
        // Kept out of whatever shows headers.
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn wrong(what: &What, reason: String) -> Error {
    Error::Protocol {
        what: what.clone(),
        reason,
    }
}
