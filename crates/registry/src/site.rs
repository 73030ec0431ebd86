//! One place of a registry, how to talk to it, and where it may send us.

use std::sync::PoisonError;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};

use crate::client::Inner;
use crate::error::What;
use crate::http::{Call, Payload, Trust, clean};
use crate::registries_conf::Place;
use crate::{Error, host};

/// One place, and how to talk to it.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) place: Place,
    /// The host and port that serve the API.
    pub(crate) api: String,
    pub(crate) trust: Trust,
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
        What::new(action, &self.place.registry, &self.place.repository, selector)
    }

    /// Whether `url` is on the site's own server, which alone gets the credentials.
    pub(crate) fn owns(&self, url: &Url) -> bool {
        let scheme = if self.trust == Trust::Plain { "http" } else { "https" };
        let own = Url::parse(&format!("{scheme}://{}/", self.api));
        own.is_ok_and(|own| own.origin() == url.origin())
    }
}

impl Inner {
    /// How to talk to `place`. HTTPS, and nothing is asked, but for loopback addresses and insecure places.
    pub(crate) fn site(&self, place: &Place) -> Result<Site, Error> {
        host::check(&place.registry)?;
        host::check_repository(&place.repository)?;
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
        let answer = self.transport.send(&self.settings, &self.stop, &what, call)?;
        let status = answer.status();
        // For the connection's sake.
        drop(answer.text(&what));
        Ok(status)
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
