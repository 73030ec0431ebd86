//! `--annotation [TYPE[PLATFORM][,TYPE…]:]KEY=VALUE`, as buildx reads it.

use kiln_build::request::{Annotation, AnnotationPlace};
use kiln_image::Platform;

/// One flag: a note for each type that it names.
pub(crate) fn parse(text: &str) -> Result<Vec<Annotation>, String> {
    let wrong = || format!("`{text}`: wanted [TYPE:]KEY=VALUE, like index:org.opencontainers.image.title=Tea");
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let (types, key) = match name.split_once(':') {
        Some((types, key)) => (types, key),
        None => ("manifest", name),
    };
    if key.is_empty() {
        return Err(wrong());
    }
    let note = |written: &str| {
        let (place, platform) = place(written).map_err(|message| format!("`{text}`: {message}"))?;
        Ok(Annotation {
            place,
            platform,
            key: key.to_owned(),
            value: value.to_owned(),
        })
    };
    types.split(',').map(note).collect()
}

/// `manifest` or `manifest[linux/amd64]`.
fn place(text: &str) -> Result<(AnnotationPlace, Option<Platform>), String> {
    let (kind, platform) = match text.split_once('[') {
        Some((kind, rest)) => {
            let platform = rest
                .strip_suffix(']')
                .ok_or_else(|| format!("`{text}` does not end in `]`"))?;
            (
                kind,
                Some(platform.parse().map_err(|error| format!("`{text}`: {error}"))?),
            )
        }
        None => (text, None),
    };
    let place = match kind {
        "manifest" => AnnotationPlace::Manifest,
        "manifest-descriptor" => AnnotationPlace::ManifestDescriptor,
        "index" => AnnotationPlace::Index,
        "index-descriptor" => AnnotationPlace::IndexDescriptor,
        other => {
            return Err(format!(
                "there is no type `{other}`; there are manifest, manifest-descriptor, index and index-descriptor"
            ));
        }
    };
    if platform.is_some() && matches!(place, AnnotationPlace::Index | AnnotationPlace::IndexDescriptor) {
        return Err(format!("`{text}`: an index is for all platforms"));
    }
    Ok((place, platform))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_platforms() {
        let note = |place, platform: Option<&str>, key: &str, value: &str| Annotation {
            place,
            platform: platform.map(Platform::linux),
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let manifest = AnnotationPlace::Manifest;
        for (text, expected) in [
            ("a=b", vec![note(manifest, None, "a", "b")]),
            ("a=b=c:d", vec![note(manifest, None, "a", "b=c:d")]),
            ("a=", vec![note(manifest, None, "a", "")]),
            (
                "index,manifest-descriptor:a=b",
                vec![
                    note(AnnotationPlace::Index, None, "a", "b"),
                    note(AnnotationPlace::ManifestDescriptor, None, "a", "b"),
                ],
            ),
            (
                "manifest[linux/arm64],index-descriptor:a=b",
                vec![
                    note(manifest, Some("arm64"), "a", "b"),
                    note(AnnotationPlace::IndexDescriptor, None, "a", "b"),
                ],
            ),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in [
            "a",
            "=b",
            "manifest:=b",
            "layer:a=b",
            "manifest[linux/arm64:a=b",
            "manifest[]:a=b",
            "index[linux/arm64]:a=b",
            ":a=b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
