//! Everything about an image, with docker's names.

use std::collections::BTreeMap;

use kiln_build::SourceImage;
use kiln_image::{Descriptor, Digest, Document, Reference};
use kiln_store::Image;
use serde_json::{Map, Value, json};

use super::{Engine, ImageRow};
use crate::failure::Failure;

/// What docker's config always has, so that templates find it.
const CONFIG: &[&str] = &[
    "Env",
    "Cmd",
    "Entrypoint",
    "Volumes",
    "Labels",
    "OnBuild",
    "ExposedPorts",
    "Healthcheck",
    "Shell",
];

/// What there is to say of an image besides its config.
struct Known<'a> {
    id: Digest,
    names: &'a [Reference],
    /// The manifest, or the index.
    manifest: Option<Descriptor>,
    /// Unpacked bytes, if these are known.
    size: Option<u64>,
    compressed: Option<u64>,
    annotations: Option<&'a BTreeMap<String, String>>,
}

impl Engine {
    /// An image of the store as docker's `inspect` shows it; an index as the image that stands for it, and with all of them.
    pub(crate) fn inspect(&self, image: &ImageRow) -> Result<Value, Failure> {
        let manifest = image.manifest.and_then(|manifest| self.manifest_descriptor(&manifest));
        let document = image.manifest.and_then(|manifest| self.document(&manifest));
        let known = Known {
            id: image.id,
            names: &image.names,
            manifest,
            size: Some(image.size),
            compressed: None,
            annotations: document.as_ref().map(|document| match document {
                Document::Manifest(manifest) => &manifest.annotations,
                Document::Index(index) => &index.annotations,
            }),
        };
        let mut fields = known.fields(&self.config(&image.config)?)?;
        if let Some(index) = self.store.index(&image.id).map_err(Failure::internal)? {
            let manifests = index.images.iter().filter_map(|image| self.of_index(image));
            fields.insert("Manifests".to_owned(), manifests.collect());
        }
        Ok(Value::Object(fields))
    }

    /// An image that is anywhere, in the same way. Layers are not read for it.
    pub(crate) fn inspect_source(&self, source: &SourceImage) -> Result<Value, Failure> {
        let sizes = self.history_of(source)?;
        let compressed = source.layers.iter().map(kiln_build::SourceLayer::compressed).sum();
        let known = Known {
            id: source.id,
            names: &source.names,
            manifest: source.manifest.as_ref().map(|manifest| manifest.descriptor.clone()),
            size: sizes.iter().map(|row| row.size).sum(),
            compressed,
            annotations: source.annotations(),
        };
        Ok(Value::Object(known.fields(&source.config_bytes)?))
    }

    /// One image of an index.
    fn of_index(&self, image: &Image) -> Option<Value> {
        let descriptor = Descriptor {
            platform: Some(image.platform.clone()),
            ..self.manifest_descriptor(&image.manifest?)?
        };
        Some(json!({
            "ID": descriptor.digest,
            "Descriptor": descriptor,
            "Available": true,
            "Kind": "image",
            "ImageData": {"Platform": image.platform, "Size": {"Unpacked": image.size}},
        }))
    }
}

impl Known<'_> {
    fn fields(&self, config_bytes: &[u8]) -> Result<Map<String, Value>, Failure> {
        let document: Value = serde_json::from_slice(config_bytes)
            .map_err(|error| Failure::internal(anyhow::anyhow!("the config of {} is damaged: {error}", self.id)))?;
        let text = |name: &str| {
            let text = document.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let digests = self.manifest.as_ref().map(|manifest| {
            let name = |name: &Reference| format!("{}@{}", name.familiar_name(), manifest.digest);
            let mut digests: Vec<String> = self.names.iter().map(name).collect();
            digests.dedup();
            digests
        });
        let mut fields = Map::new();
        for (name, value) in [
            ("Id", json!(self.id)),
            (
                "RepoTags",
                self.names
                    .iter()
                    .filter(|name| name.digest().is_none())
                    .map(Reference::familiar)
                    .collect(),
            ),
            ("RepoDigests", json!(digests.unwrap_or_default())),
            ("Parent", json!("")),
            ("Comment", last_comment(&document)),
            ("Created", json!(text("created"))),
            ("DockerVersion", json!("")),
            ("Author", json!(text("author"))),
            ("Config", config(document.get("config"))),
            ("Architecture", json!(text("architecture"))),
            ("Os", json!(text("os"))),
            ("Size", json!(self.size)),
            (
                "RootFS",
                json!({"Type": "layers", "Layers": document.pointer("/rootfs/diff_ids").cloned().unwrap_or(json!([]))}),
            ),
            ("Annotations", json!(self.annotations.cloned().unwrap_or_default())),
        ] {
            fields.insert(name.to_owned(), value);
        }
        let variant = text("variant");
        if !variant.is_empty() {
            fields.insert("Variant".to_owned(), json!(variant));
        }
        if let Some(descriptor) = &self.manifest {
            fields.insert("Descriptor".to_owned(), json!(descriptor));
        }
        if let Some(compressed) = self.compressed {
            fields.insert("CompressedSize".to_owned(), json!(compressed));
        }
        Ok(fields)
    }
}

fn config(given: Option<&Value>) -> Value {
    let mut fields = Map::new();
    for name in ["User", "WorkingDir", "StopSignal"] {
        fields.insert(name.to_owned(), json!(""));
    }
    fields.extend(CONFIG.iter().map(|name| ((*name).to_owned(), Value::Null)));
    if let Some(Value::Object(given)) = given {
        fields.extend(given.clone());
    }
    Value::Object(fields)
}

fn last_comment(document: &Value) -> Value {
    let history = document.get("history").and_then(Value::as_array);
    let last = history
        .and_then(|history| history.last())
        .and_then(|entry| entry.get("comment"));
    last.cloned().unwrap_or(json!(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_has_all_of_dockers_fields() {
        let config = config(Some(&json!({"Env": ["A=1"], "Future": 1})));
        assert_eq!(config["Env"], json!(["A=1"]));
        assert_eq!(config["Cmd"], Value::Null);
        assert_eq!(config["Future"], json!(1));
    }
}
