//! One request: credentials, redirects, and what to make of a refusal.

use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode, Url};

use crate::auth::Scopes;
use crate::client::Inner;
use crate::error::{Refusal, What};
use crate::http::{Answer, Call, Payload, clean};
use crate::retry::RetryAfter;
use crate::site::{Site, without_query};
use crate::{Error, challenge};

/// More redirects than this lead nowhere.
const MOST_REDIRECTS: usize = 8;

/// A request to a site.
pub(crate) struct Request<'a> {
    pub(crate) what: What,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload<'a>,
    pub(crate) scopes: &'a Scopes,
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

impl Inner {
    /// Sends a request, with credentials and along redirects. Any answer but success is an error.
    pub(crate) fn ask(&self, site: &Site, request: Request<'_>) -> Result<Answer<'_>, Error> {
        let Request {
            what,
            method,
            mut url,
            headers,
            mut payload,
            scopes,
        } = request;
        let mut authorization = self.auth.header(self, site, scopes)?;
        let mut challenged = false;
        let mut redirects = 0;
        loop {
            let trust = self
                .follow(site, &url)
                .map_err(|reason| redirect_error(&what, &url, reason))?;
            let mut headers = headers.clone();
            if let Some(value) = authorization.as_ref().filter(|_| site.owns(&url)) {
                headers.insert(AUTHORIZATION, value.clone());
            }
            let (now, again) = payload.split();
            let call = Call {
                method: method.clone(),
                url: url.clone(),
                headers,
                patience: self.patience_for(&method, &now),
                payload: now,
                trust,
            };
            let answer = self.transport.send(&self.settings, &self.stop, &what, call)?;
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            // A stream cannot be sent again from here.
            let once_more = again.is_some();
            payload = again.unwrap_or(Payload::Empty);
            if status == StatusCode::UNAUTHORIZED && site.owns(&url) {
                self.auth.forget(site, scopes);
                let challenge = challenge::choose(answer.headers(WWW_AUTHENTICATE));
                if let Some(challenge) = challenge.filter(|_| once_more && !challenged) {
                    challenged = true;
                    authorization = self.auth.challenged(self, site, scopes, challenge)?;
                    if authorization.is_some() {
                        // Read to its end, the connection can be used again.
                        drop(answer.text(&what));
                        continue;
                    }
                }
            } else if let Some(next) = redirected(&method, &answer) {
                redirects += 1;
                if redirects > MOST_REDIRECTS {
                    return Err(redirect_error(&what, &next, "too many redirects".to_owned()));
                }
                url = next;
                continue;
            }
            return Err(self.refused(site, &what, answer));
        }
    }

    /// How long to wait for the answer once everything is sent.
    pub(crate) fn patience_for(&self, method: &Method, payload: &Payload<'_>) -> Duration {
        let timeouts = self.settings.timeouts;
        match payload {
            Payload::Stream(_) => timeouts.commit,
            _ if method == Method::PUT => timeouts.commit,
            _ => timeouts.stall,
        }
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
        let refusal = Box::new(Refusal {
            status: status.as_u16(),
            message: message(&answer.text(what)),
            registry: site.place.registry.clone(),
            credentials: login.map(|found| found.source.clone()),
            retry_after,
        });
        match status {
            StatusCode::UNAUTHORIZED => Error::Unauthorized(what.clone(), refusal),
            StatusCode::FORBIDDEN => Error::Denied(what.clone(), refusal),
            StatusCode::NOT_FOUND => Error::NotFound(what.clone(), refusal),
            _ => Error::Status(what.clone(), refusal),
        }
    }
}

/// Where a question is to be asked instead. What changes something goes to no other place.
fn redirected(method: &Method, answer: &Answer<'_>) -> Option<Url> {
    if !answer.status().is_redirection() || !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    answer.url().join(answer.header(LOCATION)?).ok()
}

fn redirect_error(what: &What, to: &Url, reason: String) -> Error {
    Error::Redirect {
        what: what.clone(),
        to: without_query(to),
        reason,
    }
}

/// What a body says of an error: as the distribution specification has it, or as others do; else its beginning.
pub(crate) fn message(body: &str) -> String {
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
    /// Docker Hub's token server; the services of CI systems.
    #[derive(serde::Deserialize)]
    struct Details {
        #[serde(alias = "message", alias = "msg")]
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
    if let Ok(Details { details }) = serde_json::from_str(body) {
        return clean(&details);
    }
    // Object storage.
    if let (Some(code), Some(text)) = (element(body, "Code"), element(body, "Message")) {
        return clean(&format!("{code}: {text}"));
    }
    // A page for people with browsers says nothing here.
    if body.trim_start().starts_with('<') {
        return String::new();
    }
    clean(body)
}

/// The text of the first such element of XML.
fn element<'b>(body: &'b str, name: &str) -> Option<&'b str> {
    let (_, after) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once('<')?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credential;

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
            (r#"{"code":"already_exists","msg":"it is there"}"#, "it is there"),
            (
                "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>no such bucket</Message></Error>",
                "NoSuchBucket: no such bucket",
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
