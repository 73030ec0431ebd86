//! Who we are, per request: Basic, and tokens from a token server (distribution specification, "Token
//! Authentication Specification").

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;

use crate::challenge::Challenge;
use crate::client::Inner;
use crate::http::{Call, Payload};
use crate::site::{Site, without_query};
use crate::{Credential, Error, Found};

/// No honest token is longer.
const TOKEN_LIMIT: u64 = 1 << 20;
/// A token is not used in its last moments.
const MARGIN: Duration = Duration::from_secs(10);
/// What a token lives if its server does not say.
const DEFAULT_LIFE: u64 = 60;
/// What we call ourselves at token servers.
const CLIENT_ID: &str = "kiln";

/// What a request needs to be allowed to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Scopes(Vec<String>);

impl Scopes {
    /// Reading `repository`.
    pub(crate) fn pull(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull")])
    }

    /// Reading and writing `repository`.
    pub(crate) fn push(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull,push")])
    }

    /// And reading `repository`.
    pub(crate) fn and_pull(mut self, repository: &str) -> Self {
        self.0.push(format!("repository:{repository}:pull"));
        self
    }

    /// And what a server asks for.
    fn and(mut self, scope: Option<&str>) -> Self {
        for one in scope.unwrap_or_default().split_whitespace() {
            if !self.0.iter().any(|own| own == one) {
                self.0.push(one.to_owned());
            }
        }
        self
    }
}

/// What was learnt and fetched so far.
#[derive(Default)]
pub(crate) struct Auth {
    /// Per registry and repository.
    logins: Mutex<Logins>,
    /// Per API host.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// Per API host, repository and scopes.
    tokens: Mutex<HashMap<(String, String, Scopes), Token>>,
}

type Logins = HashMap<(String, String), Option<Arc<Found>>>;

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    /// The header to send with the next request, as far as the registry's wishes are known.
    pub(crate) fn header(&self, inner: &Inner, site: &Site, scopes: &Scopes) -> Result<Option<HeaderValue>, Error> {
        let challenge = lock(&self.challenges).get(&site.api).cloned();
        match challenge {
            None => Ok(None),
            Some(challenge) => self.answer(inner, site, scopes, &challenge),
        }
    }

    /// The header that answers a 401; `None` where we have nothing to answer with.
    pub(crate) fn challenged(
        &self,
        inner: &Inner,
        site: &Site,
        scopes: &Scopes,
        mut challenge: Challenge,
    ) -> Result<Option<HeaderValue>, Error> {
        self.forget(site, scopes);
        let header = self.answer(inner, site, scopes, &challenge)?;
        // Kept for the next request, which may be about another repository.
        if let Challenge::Bearer { scope, .. } = &mut challenge {
            *scope = None;
        }
        lock(&self.challenges).insert(site.api.clone(), challenge);
        Ok(header)
    }

    /// Forgets the token for `scopes`, which the registry no longer takes.
    pub(crate) fn forget(&self, site: &Site, scopes: &Scopes) {
        lock(&self.tokens).remove(&key(site, scopes));
    }

    /// The credential for the site.
    pub(crate) fn login(&self, inner: &Inner, site: &Site) -> Result<Option<Arc<Found>>, Error> {
        let key = (site.place.registry.clone(), site.place.repository.clone());
        // Held while the helper runs: one question to the person before the screen, not four.
        let mut logins = lock(&self.logins);
        if let Some(found) = logins.get(&key) {
            return Ok(found.clone());
        }
        let found = inner.settings.credentials.get(&key.0, &key.1)?.map(Arc::new);
        logins.insert(key, found.clone());
        Ok(found)
    }

    fn answer(
        &self,
        inner: &Inner,
        site: &Site,
        scopes: &Scopes,
        challenge: &Challenge,
    ) -> Result<Option<HeaderValue>, Error> {
        match challenge {
            Challenge::Basic => match self.login(inner, site)?.as_deref().map(|found| &found.credential) {
                Some(Credential::Basic { username, password }) => Ok(Some(basic(username, password)?)),
                _ => Ok(None),
            },
            Challenge::Bearer { realm, service, scope } => {
                if let Some(token) = lock(&self.tokens).get(&key(site, scopes))
                    && token.until > Instant::now()
                {
                    return Ok(Some(token.header.clone()));
                }
                let wanted = scopes.clone().and(scope.as_deref());
                let token = self.fetch(inner, site, &wanted, realm, service.as_deref())?;
                let header = token.header.clone();
                lock(&self.tokens).insert(key(site, scopes), token);
                Ok(Some(header))
            }
        }
    }

    /// Fetches a token from the token server `realm`.
    fn fetch(
        &self,
        inner: &Inner,
        site: &Site,
        scopes: &Scopes,
        realm: &str,
        service: Option<&str>,
    ) -> Result<Token, Error> {
        let what = site.what("authenticate at", "");
        let protocol = |reason: String| Error::Protocol {
            what: what.clone(),
            reason,
        };
        let url = Url::parse(realm).map_err(|e| protocol(format!("its token server's address is none: {e}")))?;
        let trust = inner.follow(site, &url).map_err(|reason| Error::Redirect {
            what: what.clone(),
            to: without_query(&url),
            reason: format!("{reason} (the registry names it as its token server)"),
        })?;
        let login = self.login(inner, site)?;
        let credential = login.as_deref().map(|found| &found.credential);
        let mut call = match credential {
            Some(Credential::IdentityToken(token)) => with_refresh_token(url, scopes, service, token),
            Some(Credential::Basic { username, password }) => {
                let mut call = with_query(url, scopes, service, Some(username));
                call.headers.insert(AUTHORIZATION, basic(username, password)?);
                call
            }
            None => with_query(url, scopes, service, None),
        };
        call.trust = trust;
        call.patience = inner.settings.timeouts.stall;
        let asked = Instant::now();
        let answer = inner.transport.send(&inner.settings, &inner.stop, &what, call)?;
        if !answer.status().is_success() {
            return Err(inner.refused(site, &what, answer));
        }
        let body = answer.bytes(&what, TOKEN_LIMIT)?;
        let parsed: TokenAnswer =
            serde_json::from_slice(&body).map_err(|_| protocol("its token server sends no token".to_owned()))?;
        let token = parsed.token.filter(|token| !token.is_empty()).or(parsed.access_token);
        let token = token.ok_or_else(|| protocol("its token server sends no token".to_owned()))?;
        let mut header = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| protocol("its token server sends a token that no header can hold".to_owned()))?;
        header.set_sensitive(true);
        let life = Duration::from_secs(parsed.expires_in.unwrap_or(DEFAULT_LIFE).clamp(DEFAULT_LIFE, 86_400));
        Ok(Token {
            header,
            until: asked + life.saturating_sub(MARGIN),
        })
    }
}

fn key(site: &Site, scopes: &Scopes) -> (String, String, Scopes) {
    (site.api.clone(), site.place.repository.clone(), scopes.clone())
}

/// GET, with what is wanted in the query.
fn with_query(mut url: Url, scopes: &Scopes, service: Option<&str>, account: Option<&str>) -> Call<'static> {
    {
        let mut query = url.query_pairs_mut();
        for scope in &scopes.0 {
            query.append_pair("scope", scope);
        }
        for (name, value) in [("service", service), ("account", account)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
    }
    // A bare `?` confuses some servers.
    if url.query() == Some("") {
        url.set_query(None);
    }
    call(Method::GET, url, HeaderMap::new(), Payload::Empty)
}

/// POST, OAuth 2 with a refresh token.
fn with_refresh_token(url: Url, scopes: &Scopes, service: Option<&str>, token: &str) -> Call<'static> {
    let mut form = url.clone();
    form.set_query(None);
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", token)
        .append_pair("client_id", CLIENT_ID)
        .append_pair("service", service.unwrap_or_default())
        .append_pair("scope", &scopes.0.join(" "));
    let body = form.query().unwrap_or_default().to_owned();
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    call(Method::POST, url, headers, Payload::Bytes(body.into()))
}

fn call(method: Method, url: Url, headers: HeaderMap, payload: Payload<'static>) -> Call<'static> {
    Call {
        method,
        url,
        headers,
        payload,
        trust: crate::http::Trust::Verified,
        patience: Duration::from_secs(60),
    }
}

fn basic(username: &str, password: &str) -> Result<HeaderValue, Error> {
    let text = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
    let mut header = HeaderValue::try_from(text).map_err(|e| Error::Setup(e.to_string()))?;
    header.set_sensitive(true);
    Ok(header)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
