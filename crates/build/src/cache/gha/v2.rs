//! The service's second version: requests in JSON (Twirp), content in blob storage at signed addresses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_registry::{Content, Exchange};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Asker, PREFIX, Service, Stored, unless_taken};
use crate::cache::upload::Upload;
use crate::error::{StepError, StepResult};

/// Larger content goes in blocks of so many bytes.
const BLOCK: u64 = 64 << 20;

pub(super) struct V2 {
    asker: Asker,
    base: String,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    signed_download_url: String,
    #[serde(default)]
    matched_key: String,
}

#[derive(Deserialize)]
struct Created {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    signed_upload_url: String,
}

#[derive(Deserialize)]
struct Finished {
    #[serde(default)]
    ok: bool,
}

impl V2 {
    pub(super) fn new(asker: Asker, url: &str) -> Self {
        let url = url.trim_end_matches('/');
        Self {
            asker,
            base: format!("{url}/twirp/github.actions.results.api.v1.CacheService"),
        }
    }

    fn call<T: DeserializeOwned>(
        &self,
        action: &'static str,
        key: &str,
        method: &str,
        body: &Value,
    ) -> StepResult<Option<T>> {
        self.asker.ask(Exchange {
            action,
            object: key,
            method: "POST",
            url: &|| format!("{}/{method}", self.base),
            headers: &[("content-type", "application/json".to_owned())],
            content: Content::Bytes(body.to_string().as_bytes()),
        })
    }

    /// Writes content at a signed address ("Put Blob", "Put Block" and "Put Block List" of Azure's Blob service).
    fn upload(&self, key: &str, url: &str, upload: &Upload<'_>) -> StepResult<()> {
        let put = |url: &str, headers: &[(&'static str, String)], content: Content<'_>| {
            let exchange = Exchange {
                action: "write",
                object: key,
                method: "PUT",
                url: &|| url.to_owned(),
                headers,
                content,
            };
            self.asker.client.exchange(&exchange).map(drop)
        };
        if upload.size() <= BLOCK {
            let whole = [("x-ms-blob-type", "BlockBlob".to_owned())];
            upload.send_whole(|content| put(url, &whole, content))?;
            return Ok(());
        }
        let mut blocks = String::new();
        for (number, part) in upload.parts(BLOCK).enumerate() {
            // All of one length, and without letters that an address has to escape.
            let id = STANDARD.encode(format!("{number:09}"));
            let block = format!("{url}&comp=block&blockid={id}");
            upload.send(part, |content| put(&block, &[], content))?;
            blocks.extend(["<Latest>", &id, "</Latest>"]);
        }
        let list = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{blocks}</BlockList>");
        put(&format!("{url}&comp=blocklist"), &[], Content::Bytes(list.as_bytes()))?;
        Ok(())
    }
}

/// The service wants a digest of what an entry is made of; ours are told apart by their keys.
pub(super) fn version() -> String {
    kiln_image::Digest::of(PREFIX.as_bytes()).hex()
}

impl Service for V2 {
    fn find(&self, key: &str) -> StepResult<Option<Stored>> {
        let question = json!({ "key": key, "restore_keys": [key], "version": version() });
        let found: Option<Found> = self.call("look for", key, "GetCacheEntryDownloadURL", &question)?;
        Ok(found.filter(|found| found.ok).map(|found| Stored {
            key: found.matched_key,
            url: found.signed_download_url,
        }))
    }

    fn save(&self, key: &str, upload: &Upload<'_>) -> StepResult<bool> {
        let wanted = json!({ "key": key, "version": version() });
        let created = unless_taken(self.call("write", key, "CreateCacheEntry", &wanted))?;
        let Some(created) = created.filter(|created: &Created| created.ok) else {
            return Ok(false);
        };
        self.upload(key, &created.signed_upload_url, upload)?;
        let size = upload.size().to_string();
        let written = json!({ "key": key, "version": version(), "size_bytes": size });
        let finished: Option<Finished> = self.call("write", key, "FinalizeCacheEntryUpload", &written)?;
        if !finished.is_some_and(|finished| finished.ok) {
            return Err(StepError::Invalid(format!("write {key}: the service did not take it")));
        }
        Ok(true)
    }
}
