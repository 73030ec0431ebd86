//! Descriptors, manifests and indexes (OCI image specification 1.1; Docker's schema 2 has the same fields).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, Platform, media_type};

/// A typed pointer to a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The number of its bytes.
    pub size: u64,
    /// Where else foreign layers may be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free-form notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// In an index: what the manifest is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What kind of artefact the manifest describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor of `size` bytes with `digest`, without notes.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }

    /// A descriptor of `bytes`.
    pub fn of(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }
}

/// The manifest of one image for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u8,
    /// Its own media type; optional in OCI documents.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// What it is the manifest of, if of no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The config blob.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// Free-form notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests, usually one per platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u8,
    /// Its own media type; optional in OCI documents.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The manifests.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    /// Free-form notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// The manifest that serves `platform` best; attestations (`unknown/unknown`) never do. A descriptor
    /// without platform is taken only where no other fits.
    pub fn select(&self, platform: &Platform) -> Option<&Descriptor> {
        let fitting = self
            .manifests
            .iter()
            .filter(|entry| media_type::is_manifest(&entry.media_type));
        let best = fitting
            .clone()
            .filter_map(|entry| Some((platform.distance(entry.platform.as_ref()?)?, entry)))
            .min_by_key(|(distance, _)| *distance);
        best.map(|(_, entry)| entry)
            .or_else(|| fitting.clone().find(|entry| entry.platform.is_none()))
    }

    /// The platforms on offer, for error messages.
    pub fn platforms(&self) -> Vec<String> {
        self.manifests
            .iter()
            .filter_map(|entry| entry.platform.as_ref())
            .filter(|p| p.os != "unknown")
            .map(ToString::to_string)
            .collect()
    }
}

/// What a registry may answer to a request for a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, never in numbers")]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several.
    Index(Index),
}

/// Why bytes are no manifest or index.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON of the expected shape.
    #[error("not a manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but of a type that Kiln does not read.
    #[error("unsupported manifest type `{0}`")]
    Unsupported(String),
}

impl Document {
    /// Reads a manifest or an index. `content_type` is what the server said, if it said anything; the
    /// document's own `mediaType`, and then its fields, decide where that is missing.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, DocumentError> {
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        let own = value.get("mediaType").and_then(serde_json::Value::as_str);
        let said = content_type.map(|text| text.split(';').next().unwrap_or(text).trim());
        let known = |t: &&str| media_type::is_index(t) || media_type::is_manifest(t);
        let media_type = own
            .filter(known)
            .or(said.filter(known))
            .or(own)
            .unwrap_or_default()
            .to_owned();
        let index = media_type::is_index(&media_type) || (media_type.is_empty() && value.get("manifests").is_some());
        let manifest = media_type::is_manifest(&media_type) || (media_type.is_empty() && value.get("config").is_some());
        if index {
            Ok(Self::Index(serde_json::from_value(value)?))
        } else if manifest {
            Ok(Self::Manifest(serde_json::from_value(value)?))
        } else {
            Err(DocumentError::Unsupported(if media_type.is_empty() {
                said.unwrap_or("unknown").to_owned()
            } else {
                media_type
            }))
        }
    }
}
