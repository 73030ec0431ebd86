//! Everything about an image, with docker's names.

use kiln_image::Descriptor;
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

impl Engine {
    /// An image as docker's `inspect` shows it; an index as the image that stands for it, and with all of them.
    pub(crate) fn inspect(&self, image: &ImageRow) -> Result<Value, Failure> {
        let bytes = self.config(&image.config)?;
        let document: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::internal(anyhow::anyhow!("the config {} is damaged: {error}", image.config)))?;
        let text = |name: &str| {
            document
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let names = &image.names;
        let digests = image.manifest.map(|manifest| {
            let mut digests: Vec<String> = names
                .iter()
                .map(|name| format!("{}@{manifest}", name.familiar_name()))
                .collect();
            digests.dedup();
            digests
        });
        let mut fields = json!({
            "Id": image.id,
            "RepoTags": names.iter().map(kiln_image::Reference::familiar).collect::<Vec<_>>(),
            "RepoDigests": digests.unwrap_or_default(),
            "Parent": "",
            "Comment": last_comment(&document),
            "Created": text("created"),
            "DockerVersion": "",
            "Author": text("author"),
            "Config": config(document.get("config")),
            "Architecture": text("architecture"),
            "Os": text("os"),
            "Size": image.size,
            "RootFS": {"Type": "layers", "Layers": document.pointer("/rootfs/diff_ids").cloned().unwrap_or(json!([]))},
        });
        let variant = text("variant");
        if let (false, Value::Object(fields)) = (variant.is_empty(), &mut fields) {
            fields.insert("Variant".to_owned(), json!(variant));
        }
        if let (Some(manifest), Value::Object(fields)) = (image.manifest, &mut fields)
            && let Some(descriptor) = self.manifest_descriptor(&manifest)
        {
            fields.insert("Descriptor".to_owned(), json!(descriptor));
        }
        if let (Some(index), Value::Object(fields)) =
            (self.store.index(&image.id).map_err(Failure::internal)?, &mut fields)
        {
            let manifests = index.images.iter().filter_map(|image| self.of_index(image));
            fields.insert("Manifests".to_owned(), manifests.collect());
        }
        Ok(fields)
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
