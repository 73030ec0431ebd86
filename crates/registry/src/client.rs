//! The client: which place to ask, how to ask it, and what to make of its refusals.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use kiln_image::Reference;
use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode, Url};

use crate::auth::{Auth, Scopes};
use crate::challenge;
use crate::error::{Refusal, What};
use crate::http::{Answer, Call, Payload, Transport, Trust, clean};
use crate::registries_conf::{Place, Purpose};
use crate::retry::{Backoff, RetryAfter};
use crate::{Credential, Credentials, Error, Found, Settings, host};

/// More redirects than this lead nowhere.
const MOST_REDIRECTS: usize = 8;
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
    pub(crate) transport: Transport,
    pub(crate) auth: Auth,
    /// What answers at hosts where it is not HTTPS as a matter of course.
    schemes: Mutex<HashMap<String, Trust>>,
    /// Mirrors to leave alone, until then.
    down: Mutex<HashMap<String, Instant>>,
}

/// One place, and how to talk to it.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) place: Place,
    /// The host and port that serve the API.
    pub(crate) api: String,
    pub(crate) trust: Trust,
}

/// A request to a site.
pub(crate) struct Request<'a> {
    pub(crate) what: What,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload<'a>,
    pub(crate) scopes: &'a Scopes,
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
                transport: Transport::new(),
                auth: Auth::default(),
                schemes: Mutex::default(),
                down: Mutex::default(),
            }),
        })
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
        Self::new(settings)?.ping(registry)
    }
}

impl<'a> Request<'a> {
    pub(crate) fn new(what: What, method: Method, url: Url, scopes: &'a Scopes) -> Self {
        Self {
            what,
            method,
            url,
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            scopes,
        }
    }
}

impl Site {
    /// The address of `path` below the API of the site's repository, or of the API itself where there is none.
    pub(crate) fn url(&self, what: &What, path: &str) -> Result<Url, Error> {
        let scheme = if self.trust == Trust::Plain { "http" } else { "https" };
        let text = match self.place.repository.as_str() {
            "" => format!("{scheme}://{}/v2/{path}", self.api),
            repository => format!("{scheme}://{}/v2/{repository}/{path}", self.api),
        };
        Url::parse(&text).map_err(|e| Error::Protocol {
            what: what.clone(),
            reason: format!("`{text}` is no address: {e}"),
        })
    }

    pub(crate) fn what(&self, action: &'static str, selector: &str) -> What {
        What {
            action,
            registry: self.place.registry.clone(),
            repository: self.place.repository.clone(),
            selector: selector.to_owned(),
        }
    }

    /// Whether `url` is on the site's own server, which alone gets the credentials.
    fn owns(&self, url: &Url) -> bool {
        let scheme = if self.trust == Trust::Plain { "http" } else { "https" };
        let own = Url::parse(&format!("{scheme}://{}/", self.api));
        own.is_ok_and(|own| own.origin() == url.origin())
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
        let retries = self.settings.retries;
        let connects = if is_mirror { 0 } else { CONNECT_RETRIES.min(retries) };
        Patience {
            any: Backoff::new(retries, self.settings.retry_delay),
            connects,
        }
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

    /// How to talk to `place`. HTTPS, and nothing is asked, but for loopback addresses and insecure places.
    pub(crate) fn site(&self, place: &Place) -> Result<Site, Error> {
        host::check(&place.registry)?;
        let api = host::api_host(&place.registry).to_owned();
        let mut site = Site {
            place: place.clone(),
            api,
            trust: Trust::Verified,
        };
        if place.insecure || host::is_loopback(&place.registry) {
            site.trust = self.probe(&site)?;
        }
        Ok(site)
    }

    /// Finds out whether HTTPS or HTTP answers. No credentials are sent.
    fn probe(&self, site: &Site) -> Result<Trust, Error> {
        let https = if site.place.insecure {
            Trust::Unverified
        } else {
            Trust::Verified
        };
        let key = format!("{https:?} {}", site.api);
        let known = self
            .schemes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .copied();
        if let Some(trust) = known {
            return Ok(trust);
        }
        // Whether the certificate is good is for the real request to judge: one that is not must not be
        // taken for a reason to go on without any.
        let found = match self.knock(site, Trust::Unverified) {
            Ok(_) => https,
            Err(error) => match self.knock(site, Trust::Plain) {
                Ok(status) if status != StatusCode::BAD_REQUEST => Trust::Plain,
                _ => return Err(error),
            },
        };
        let mut schemes = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        schemes.insert(key, found);
        Ok(found)
    }

    fn knock(&self, site: &Site, trust: Trust) -> Result<StatusCode, Error> {
        let what = site.what("ask", "");
        let base = Site {
            place: Place {
                repository: String::new(),
                ..site.place.clone()
            },
            trust,
            ..site.clone()
        };
        let call = Call {
            method: Method::GET,
            url: base.url(&what, "")?,
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            trust,
            patience: self.settings.timeouts.connect,
        };
        let answer = self.transport.send(&self.settings, &what, call)?;
        let status = answer.status();
        // For the connection's sake.
        drop(answer.text(&what));
        Ok(status)
    }

    /// Sends a request, with credentials and along redirects. Any answer but success is an error.
    pub(crate) fn ask(&self, site: &Site, request: Request<'_>) -> Result<Answer<'_>, Error> {
        let Request {
            what,
            method,
            mut url,
            headers,
            payload,
            scopes,
        } = request;
        let mut payload = Some(payload);
        let mut authorization = self.auth.header(self, site, scopes)?;
        let mut answered_challenge = false;
        let mut redirects = 0;
        loop {
            let mut headers = headers.clone();
            if let Some(value) = authorization.as_ref().filter(|_| site.owns(&url)) {
                headers.insert(AUTHORIZATION, value.clone());
            }
            let trust = self
                .follow(site, &url)
                .map_err(|reason| redirect_error(&what, &url, reason))?;
            let (now, again) = match payload.take() {
                Some(Payload::Bytes(bytes)) => (Payload::Bytes(bytes.clone()), Some(Payload::Bytes(bytes))),
                Some(Payload::Empty) => (Payload::Empty, Some(Payload::Empty)),
                Some(stream) => (stream, None),
                None => unreachable!("the loop ends where the payload cannot be sent again"),
            };
            let patience = match &now {
                Payload::Stream(_) => self.settings.timeouts.commit,
                _ if method == Method::PUT => self.settings.timeouts.commit,
                _ => self.settings.timeouts.stall,
            };
            let call = Call {
                method: method.clone(),
                url: url.clone(),
                headers,
                payload: now,
                trust,
                patience,
            };
            let answer = self.transport.send(&self.settings, &what, call)?;
            payload = again;
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            if status == StatusCode::UNAUTHORIZED && site.owns(&url) {
                let challenge = challenge::choose(answer.headers(WWW_AUTHENTICATE));
                match challenge {
                    Some(challenge) if !answered_challenge && payload.is_some() => {
                        answered_challenge = true;
                        authorization = self.auth.challenged(self, site, scopes, challenge)?;
                        if authorization.is_some() {
                            drop(answer.text(&what));
                            continue;
                        }
                    }
                    _ => self.auth.forget(site, scopes),
                }
            }
            if status.is_redirection() && matches!(method, Method::GET | Method::HEAD) {
                let next = answer.header(LOCATION).and_then(|to| answer.url().join(to).ok());
                if let Some(next) = next {
                    redirects += 1;
                    if redirects > MOST_REDIRECTS {
                        return Err(redirect_error(&what, &next, "too many redirects".to_owned()));
                    }
                    url = next;
                    continue;
                }
            }
            return Err(self.refused(site, &what, answer));
        }
    }

    /// Whether a request for `site` may go to `url`, and how; else why not.
    pub(crate) fn follow(&self, site: &Site, url: &Url) -> Result<Trust, String> {
        let (scheme @ ("http" | "https"), Some(name)) = (url.scheme(), url.host_str()) else {
            return Err(format!("Kiln does not speak `{}`", url.scheme()));
        };
        let authority = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        let insecure = self.settings.registries.is_insecure(&authority);
        if scheme == "https" {
            let own = site.trust == Trust::Unverified && site.owns(url);
            return Ok(if insecure || own {
                Trust::Unverified
            } else {
                Trust::Verified
            });
        }
        let same_host = host::split(&site.api).0.eq_ignore_ascii_case(name);
        let both_loopback = host::is_loopback(&site.api) && host::is_loopback(&authority);
        if insecure || (site.trust == Trust::Plain && (same_host || both_loopback)) {
            return Ok(Trust::Plain);
        }
        Err(format!(
            "plain HTTP is not for a registry that speaks HTTPS; a registry behind a proxy may need to be told its own address, or set `insecure = true` for `{authority}` in registries.conf"
        ))
    }

    /// What an answer that is no success means.
    pub(crate) fn refused(&self, site: &Site, what: &What, answer: Answer<'_>) -> Error {
        let status = answer.status();
        let retry_after = answer
            .header(RETRY_AFTER)
            .and_then(|text| RetryAfter::parse(text, SystemTime::now()));
        // Asking a helper again is right only where the credentials matter.
        let login = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.auth.login(self, site).ok().flatten(),
            _ => None,
        };
        let refusal = Refusal {
            status: status.as_u16(),
            message: message(&answer.text(what)),
            registry: site.place.registry.clone(),
            credentials: login.map(|found| found.source.clone()),
            retry_after,
        };
        match status {
            StatusCode::UNAUTHORIZED => Error::Unauthorized(what.clone(), refusal),
            StatusCode::FORBIDDEN => Error::Denied(what.clone(), refusal),
            StatusCode::NOT_FOUND => Error::NotFound(what.clone(), refusal),
            _ => Error::Status(what.clone(), refusal),
        }
    }
}

/// What is left of the readiness to try again.
pub(crate) struct Patience {
    any: Backoff,
    connects: u32,
}

impl Patience {
    /// Sleeps before the next attempt, or gives the error back if there is to be none.
    pub(crate) fn wait(&mut self, error: Error) -> Result<(), Error> {
        if !error.is_transient() {
            return Err(error);
        }
        if error.is_connect() {
            match self.connects.checked_sub(1) {
                Some(left) => self.connects = left,
                None => return Err(error),
            }
        }
        let asked = match &error {
            Error::Status(_, refusal) => refusal.retry_after,
            _ => None,
        };
        match self.any.next(asked) {
            Some(wait) => {
                thread::sleep(wait);
                Ok(())
            }
            None => Err(error),
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

fn redirect_error(what: &What, to: &Url, reason: String) -> Error {
    Error::Redirect {
        what: what.clone(),
        to: without_query(to),
        reason,
    }
}

/// An address without what may be secret in it.
pub(crate) fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither fails on addresses that can have a user name; others have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    clean(url.as_str())
}

/// The errors in a body as the distribution specification has them, or the beginning of the body.
fn message(body: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(serde::Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    #[derive(serde::Deserialize)]
    struct Details {
        details: String,
    }
    if let Ok(Errors { errors }) = serde_json::from_str(body) {
        let said = errors
            .iter()
            .take(3)
            .map(|one| match (one.code.as_str(), one.message.as_str()) {
                (code, "") => code.to_owned(),
                ("", message) => message.to_owned(),
                (code, message) => format!("{code}: {message}"),
            });
        return clean(&said.collect::<Vec<_>>().join("; "));
    }
    // Docker Hub's token server.
    if let Ok(Details { details }) = serde_json::from_str(body) {
        return clean(&details);
    }
    match body.trim_start().starts_with('<') {
        // A page for people with browsers.
        true => String::new(),
        false => clean(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_error_bodies() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#,
                "MANIFEST_UNKNOWN: manifest unknown",
            ),
            (r#"{"errors":[{"code":"DENIED"},{"message":"m"}]}"#, "DENIED; m"),
            (
                r#"{"details":"incorrect username or password"}"#,
                "incorrect username or password",
            ),
            ("<html><body>502</body></html>", ""),
            ("plain\u{1b}[31m text\n", "plain [31m text"),
            ("", ""),
        ] {
            assert_eq!(message(body), expected, "{body}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let url = Url::parse("https://user:pass@cdn.example/a?sig=secret#f").unwrap();
        assert_eq!(without_query(&url), "https://cdn.example/a");
        let password = "hunter2".to_owned();
        let credential = Credential::Basic {
            username: "u".to_owned(),
            password,
        };
        assert!(!format!("{credential:?}").contains("hunter2"));
        assert!(!format!("{:?}", Credential::IdentityToken("hunter2".to_owned())).contains("hunter2"));
    }
}
