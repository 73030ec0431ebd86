//! The service's first version, which GitHub Enterprise Server has: entries are reserved, filled in pieces and committed.

use kiln_registry::{Content, Exchange};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;

use super::v2::version;
use super::{Asker, Service, Stored, unless_taken};
use crate::cache::upload::Upload;
use crate::error::StepResult;

/// Bytes of a piece, as many as GitHub's own client sends.
const PIECE: u64 = 32 << 20;

pub(super) struct V1 {
    asker: Asker,
    base: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    cache_key: String,
    archive_location: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reserved {
    cache_id: u64,
}

impl V1 {
    pub(super) fn new(asker: Asker, url: &str) -> Self {
        let url = url.trim_end_matches('/');
        Self {
            asker,
            base: format!("{url}/_apis/artifactcache"),
        }
    }
}

/// A value for the query of an address (RFC 3986, section 2.1).
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

impl V1 {
    /// Asks for `path` below the service's address.
    fn call<T: DeserializeOwned>(
        &self,
        (action, key): (&'static str, &str),
        (method, path): (&'static str, &str),
        range: Option<String>,
        content: Content<'_>,
    ) -> StepResult<Option<T>> {
        let content_type = match range {
            Some(_) => "application/octet-stream",
            None => "application/json",
        };
        let mut headers = vec![
            ("accept", "application/json;api-version=6.0-preview.1".to_owned()),
            ("content-type", content_type.to_owned()),
        ];
        headers.extend(range.map(|range| ("content-range", range)));
        self.asker.ask(Exchange {
            action,
            object: key,
            method,
            url: &|| format!("{}/{path}", self.base),
            headers: &headers,
            content,
        })
    }
}

impl Service for V1 {
    fn find(&self, key: &str) -> StepResult<Option<Stored>> {
        let path = format!("cache?keys={}&version={}", escaped(key), version());
        let found: Option<Found> = self.call(("look for", key), ("GET", &path), None, Content::Empty)?;
        Ok(found.map(|found| Stored {
            key: found.cache_key,
            url: found.archive_location,
        }))
    }

    fn save(&self, key: &str, upload: &Upload<'_>) -> StepResult<bool> {
        let wanted = json!({ "key": key, "version": version(), "cacheSize": upload.size() }).to_string();
        let content = Content::Bytes(wanted.as_bytes());
        let reserved = unless_taken(self.call(("write", key), ("POST", "caches"), None, content))?;
        let Some(Reserved { cache_id }) = reserved else {
            return Ok(false);
        };
        let path = format!("caches/{cache_id}");
        for part in upload.parts(PIECE) {
            let (start, length) = part;
            let range = format!("bytes {start}-{}/*", start + length - 1);
            let send =
                |content: Content<'_>| self.call::<IgnoredAny>(("write", key), ("PATCH", &path), Some(range), content);
            upload.send(part, send)?;
        }
        let whole = json!({ "size": upload.size() }).to_string();
        let content = Content::Bytes(whole.as_bytes());
        self.call::<IgnoredAny>(("write", key), ("POST", &path), None, content)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_addresses() {
        assert_eq!(escaped("a-1_b.c~/x&y#ü"), "a-1_b.c~%2Fx%26y%23%C3%BC");
    }
}
