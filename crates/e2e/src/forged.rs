//! Images made by hand, so that they can be wrong in one place.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

/// The media type of the manifests.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The digest of bytes, by coreutils: an opinion that is not ours.
pub fn digest(bytes: &[u8]) -> Result<String> {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start sha256sum")?;
    child.stdin.take().context("no pipe")?.write_all(bytes)?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(format!("sha256:{}", text.split(' ').next().unwrap_or_default()))
}

/// Bytes, compressed.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// A tar with one file.
pub fn tar(path: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, path, content)?;
    Ok(archive.into_inner()?)
}

/// An image with one layer, as a registry would hold it.
#[derive(Debug, Clone)]
pub struct Forged {
    /// The manifest that the tag names.
    pub manifest: Vec<u8>,
    /// Its type.
    pub media_type: String,
    /// Everything else, by digest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// The digest of the config.
    pub config: String,
    /// The digest of the layer.
    pub layer: String,
}

impl Forged {
    /// An image that is as it should be, with one file `/f`.
    pub fn honest() -> Result<Self> {
        let layer = tar("f", &noise(1 << 20))?;
        Self::new(&gzip(&layer)?, &digest(&layer)?)
    }

    /// An image of this layer, whose config says this diff id.
    pub fn new(layer: &[u8], diff_id: &str) -> Result<Self> {
        let config = json!({
            "architecture": architecture(), "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        });
        Self::with_config(layer, config.to_string().as_bytes())
    }

    /// An image of this layer and these bytes as its config.
    pub fn with_config(layer: &[u8], config: &[u8]) -> Result<Self> {
        let (layer_digest, config_digest) = (digest(layer)?, digest(config)?);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config_digest, "size": config.len()},
            "layers": [{"mediaType": LAYER, "digest": layer_digest, "size": layer.len()}],
        });
        let blobs = [
            (layer_digest.clone(), layer.to_vec()),
            (config_digest.clone(), config.to_vec()),
        ];
        Ok(Self {
            manifest: manifest.to_string().into_bytes(),
            media_type: MANIFEST.to_owned(),
            blobs: blobs.into(),
            config: config_digest,
            layer: layer_digest,
        })
    }

    /// With another manifest.
    #[must_use]
    pub fn with_manifest(mut self, media_type: &str, manifest: &Value) -> Self {
        self.manifest = manifest.to_string().into_bytes();
        media_type.clone_into(&mut self.media_type);
        self
    }

    /// What a registry that has nothing but this image answers, under any name and tag. `None` for what is no
    /// question for a manifest or a blob.
    pub fn answer(&self, path: &str) -> Option<Answer> {
        let (_, name) = path.rsplit_once('/')?;
        if path.contains("/manifests/") {
            let known = self.blobs.get(name).filter(|_| name.starts_with("sha256:"));
            return Some(Answer::ok(&self.media_type, known.unwrap_or(&self.manifest).clone()));
        }
        if path.contains("/blobs/") {
            let blob = self.blobs.get(name);
            return Some(blob.map_or_else(
                || Answer::status(404),
                |blob| Answer::ok("application/octet-stream", blob.clone()),
            ));
        }
        None
    }

    /// A registry that has nothing but this image.
    pub fn serve(self) -> Result<Server> {
        Server::start(move |_, path| {
            self.answer(path)
                .unwrap_or_else(|| Answer::ok("application/json", "{}"))
        })
    }
}

/// This machine's architecture, as images call it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Bytes that do not compress, the same every time.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(count).collect()
}
