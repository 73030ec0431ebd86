//! The client: which places to ask, and how often.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kiln_image::Reference;
use reqwest::Method;

use crate::ask::Request;
use crate::auth::{Auth, Scopes};
use crate::http::{Transport, Trust};
use crate::registries_conf::{Place, Purpose};
use crate::retry::Patience;
use crate::site::Site;
use crate::{Credential, Credentials, Error, Found, Settings, Stop};

/// Failures to connect are repeated less often than others: they seldom pass.
const CONNECT_RETRIES: u32 = 2;
/// How long a mirror that failed is left alone.
const DOWN_FOR: Duration = Duration::from_secs(120);

/// A client of any number of registries. Clones share connections, tokens and what is known about mirrors.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) stop: Stop,
    pub(crate) transport: Arc<Transport>,
    pub(crate) auth: Arc<Auth>,
    /// What answers at hosts where it is not HTTPS as a matter of course.
    pub(crate) schemes: Arc<Mutex<HashMap<String, Trust>>>,
    /// Mirrors to leave alone, until then.
    down: Arc<Mutex<HashMap<String, Instant>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// The one credential that a login is about to keep.
struct Fixed(Credential);

impl Credentials for Fixed {
    fn get(&self, _registry: &str, _repository: &str) -> Result<Option<Found>, Error> {
        Ok(Some(Found {
            credential: self.0.clone(),
            source: "the command line".to_owned(),
        }))
    }
}

impl Client {
    /// A client. Makes no connection and reads no file yet.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        if settings.upload_chunk == 0 {
            return Err(Error::Setup("upload_chunk must not be zero".to_owned()));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                stop: Stop::default(),
                transport: Arc::new(Transport::new()),
                auth: Arc::default(),
                schemes: Arc::default(),
                down: Arc::default(),
            }),
        })
    }

    /// The same client, whose calls `stop` ends.
    #[must_use]
    pub fn with_stop(&self, stop: Stop) -> Self {
        let inner = &self.inner;
        Self {
            inner: Arc::new(Inner {
                settings: inner.settings.clone(),
                stop,
                transport: Arc::clone(&inner.transport),
                auth: Arc::clone(&inner.auth),
                schemes: Arc::clone(&inner.schemes),
                down: Arc::clone(&inner.down),
            }),
        }
    }

    /// Whether `registry` (host and optional port) speaks the protocol and takes the client's credentials.
    pub fn ping(&self, registry: &str) -> Result<(), Error> {
        let inner = &self.inner;
        let place = Place {
            registry: registry.to_owned(),
            repository: String::new(),
            insecure: inner.settings.registries.is_insecure(registry),
        };
        inner.retry(false, || {
            let site = inner.site(&place)?;
            let what = site.what("ask", "");
            let url = site.url(&what, "")?;
            let scopes = Scopes::default();
            let request = Request::new(what, Method::GET, url, &scopes);
            inner.ask(&site, request).map(drop)
        })
    }

    /// Whether `registry` takes `credential`, for `kiln login`.
    pub fn login(&self, registry: &str, credential: &Credential) -> Result<(), Error> {
        let settings = Settings {
            credentials: Arc::new(Fixed(credential.clone())),
            ..self.inner.settings.clone()
        };
        Self::new(settings)?.with_stop(self.inner.stop.clone()).ping(registry)
    }
}

impl Inner {
    /// Tries the places for `reference` in order, each with its retries.
    pub(crate) fn pull_from<T>(
        &self,
        reference: &Reference,
        mut attempt: impl FnMut(&Site) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let places = self.settings.registries.places(reference, Purpose::Pull)?;
        let mut failures = Vec::new();
        let last = places.len() - 1;
        for (at, place) in places.iter().enumerate() {
            let is_mirror = at < last;
            if is_mirror && self.is_down(&place.registry) {
                continue;
            }
            match self.retry(is_mirror, || attempt(&self.site(place)?)) {
                Ok(result) => return Ok(result),
                Err(error) if is_mirror && error.another_place_may_help() => {
                    self.note_failure(&place.registry, &error);
                    failures.push((format!("{}/{}", place.registry, place.repository), error));
                }
                Err(error) => return Err(with_mirrors(failures, error)),
            }
        }
        unreachable!("the last place either succeeds or returns its error")
    }

    /// The one place that `reference` is pushed to, with retries.
    pub(crate) fn push_to<T>(
        &self,
        reference: &Reference,
        mut attempt: impl FnMut(&Site) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let place = self.push_place(reference)?;
        self.retry(false, || attempt(&self.site(&place)?))
    }

    pub(crate) fn push_place(&self, reference: &Reference) -> Result<Place, Error> {
        let mut places = self.settings.registries.places(reference, Purpose::Push)?;
        Ok(places.remove(places.len() - 1))
    }

    /// Repeats `attempt` after transient failures. A mirror that cannot be reached is not waited for.
    pub(crate) fn retry<T>(&self, is_mirror: bool, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let mut patience = self.patience(is_mirror);
        loop {
            match attempt() {
                Ok(result) => return Ok(result),
                Err(error) => patience.wait(error)?,
            }
        }
    }

    pub(crate) fn patience(&self, is_mirror: bool) -> Patience {
        let connects = if is_mirror { 0 } else { CONNECT_RETRIES };
        Patience::new(&self.settings, connects, &self.stop)
    }

    pub(crate) fn is_down(&self, registry: &str) -> bool {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.get(registry).is_some_and(|until| *until > Instant::now())
    }

    /// Leaves a mirror alone for a while if it cannot be reached or lies.
    pub(crate) fn note_failure(&self, registry: &str, error: &Error) {
        let lies = matches!(error, Error::DigestMismatch { .. } | Error::SizeMismatch { .. });
        if lies || error.is_connect() || matches!(error, Error::Stalled { .. }) {
            let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
            down.insert(registry.to_owned(), Instant::now() + DOWN_FOR);
        }
    }
}

/// `last`, together with what the mirrors said before.
pub(crate) fn with_mirrors(mirrors: Vec<(String, Error)>, last: Error) -> Error {
    if mirrors.is_empty() {
        return last;
    }
    Error::Mirrors {
        mirrors,
        last: Box::new(last),
    }
}
