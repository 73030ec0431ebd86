//! Reading an OCI layout directory, with every digest checked.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::tree::Tree;

/// An image of a layout.
#[derive(Debug)]
pub struct Image {
    /// The manifest.
    pub manifest: Value,
    /// The configuration.
    pub config: Value,
    /// The file tree.
    pub tree: Tree,
    /// The names of the entries of each layer's tar.
    pub layers: Vec<Vec<String>>,
}

/// Reads the first image of a layout.
pub fn read(layout: &Path) -> Result<Image> {
    let marker: Value = json(&layout.join("oci-layout"))?;
    if marker["imageLayoutVersion"] != "1.0.0" {
        bail!("oci-layout says {marker}");
    }
    let index = json(&layout.join("index.json"))?;
    let mut manifest = json(&blob(layout, &index["manifests"][0])?)?;
    // An index in the index: a build for several platforms.
    if manifest["manifests"].is_array() {
        manifest = json(&blob(layout, &manifest["manifests"][0])?)?;
    }
    let config = json(&blob(layout, &manifest["config"])?)?;
    let descriptors = manifest["layers"].as_array().cloned().unwrap_or_default();
    let diff_ids = config["rootfs"]["diff_ids"].as_array().cloned().unwrap_or_default();
    if descriptors.len() != diff_ids.len() {
        bail!("{} layers and {} diff ids", descriptors.len(), diff_ids.len());
    }
    let mut tree = Tree::default();
    let mut layers = Vec::new();
    for (at, (descriptor, diff_id)) in descriptors.iter().zip(&diff_ids).enumerate() {
        let path = blob(layout, descriptor)?;
        let tar = uncompressed(&path, descriptor["mediaType"].as_str().unwrap_or_default())?;
        let digest = format!("sha256:{}", sha256(tar.path())?);
        if *diff_id != digest.as_str() {
            bail!("layer {at} has the diff id {diff_id} and the digest {digest}");
        }
        let entries = tree
            .apply(BufReader::new(tar.reopen()?))
            .with_context(|| format!("layer {at}"))?;
        layers.push(entries);
    }
    Ok(Image {
        manifest,
        config,
        tree,
        layers,
    })
}

fn json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// The file of a descriptor, after its size and digest were compared.
fn blob(layout: &Path, descriptor: &Value) -> Result<PathBuf> {
    let digest = descriptor["digest"].as_str().context("a descriptor without a digest")?;
    let hex = digest
        .strip_prefix("sha256:")
        .with_context(|| format!("digest {digest}"))?;
    let path = layout.join("blobs/sha256").join(hex);
    let size = fs::metadata(&path).with_context(|| format!("no blob {digest}"))?.len();
    if descriptor["size"].as_u64() != Some(size) {
        bail!("blob {digest} has {size} bytes and should have {}", descriptor["size"]);
    }
    if sha256(&path)? != hex {
        bail!("blob {digest} has another digest");
    }
    Ok(path)
}

/// By coreutils: an opinion that is not ours.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let text = xtask::command::quietly(Command::new("sha256sum").arg(path))?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

fn uncompressed(path: &Path, media_type: &str) -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    let blob = BufReader::new(File::open(path)?);
    let mut reader: Box<dyn Read> = match media_type.rsplit(['+', '.']).next() {
        Some("gzip") => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
        Some("tar") => Box::new(blob),
        _ => bail!("a layer of type {media_type:?}"),
    };
    std::io::copy(&mut reader, &mut file).with_context(|| format!("cannot unpack {}", path.display()))?;
    Ok(file)
}
