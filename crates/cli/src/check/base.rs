//! What an image was built from: whether it may be, and whether that was named so that it is the same tomorrow.

use std::collections::BTreeMap;

use kiln_image::{Digest, Reference};
use kiln_inspect::Image;
use kiln_store::ImageSource;

use super::Verdict;

/// Where images name what they are built upon, in annotations or labels (image specification, annotations.md).
pub(crate) const BASE_NAME: &str = "org.opencontainers.image.base.name";

const ALLOWED: &str = "allowed-bases";
const PINNED: &str = "pinned-base";

/// What is known of the images that an image was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// What the build noted, if it was one of this store.
    pub(crate) noted: Option<Vec<ImageSource>>,
    /// What the image itself says of its base, if it says something.
    pub(crate) said: Option<String>,
}

impl Sources {
    /// `annotations` are the manifest's; of an image without any its labels count.
    pub(crate) fn new(
        noted: Option<Vec<ImageSource>>,
        annotations: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
    ) -> Self {
        let said = annotations.get(BASE_NAME).or_else(|| labels.get(BASE_NAME));
        Self {
            noted,
            said: said.filter(|name| !name.is_empty()).cloned(),
        }
    }
}

/// Whether all that it was built from was named by digest. What cannot be told fails, and says so.
pub(crate) fn pinned(sources: &Sources) -> Vec<Verdict> {
    match (&sources.noted, &sources.said) {
        (Some(noted), _) => pinned_as_noted(noted),
        (None, Some(said)) => vec![pinned_as_said(said)],
        (None, None) => vec![cannot_tell(
            "no build of this store made it, and it has no annotation org.opencontainers.image.base.name",
        )],
    }
}

fn pinned_as_noted(noted: &[ImageSource]) -> Vec<Verdict> {
    let is_pinned = |source: &&ImageSource| source.reference.digest().is_some();
    let loose: Vec<Verdict> = noted.iter().filter(|source| !is_pinned(source)).map(loose).collect();
    match (&loose[..], noted) {
        ([], []) => vec![Verdict::pass(PINNED, "it was built from no other image")],
        ([], [one]) => vec![Verdict::pass(
            PINNED,
            format!("it was built from {}", one.reference.familiar()),
        )],
        ([], all) => vec![Verdict::pass(
            PINNED,
            format!("all {} images that it was built from were named by digest", all.len()),
        )],
        _ => loose,
    }
}

fn loose(source: &ImageSource) -> Verdict {
    let name = source.reference.familiar();
    let message = format!("line {} names {name} without a digest", source.line);
    Verdict::fail(PINNED, message).mend(format!(
        "write `{name}@DIGEST`; for this platform that was {}",
        source.manifest
    ))
}

fn pinned_as_said(said: &str) -> Verdict {
    match said.parse::<Reference>() {
        Ok(name) if name.digest().is_some() => Verdict::pass(PINNED, format!("its annotation names {said}")),
        // Many a tool writes the digest that a tag meant beside the name, so that says nothing of the Dockerfile.
        _ => cannot_tell(&format!(
            "its annotation names {said}, and not whether a digest was asked for"
        )),
    }
}

fn cannot_tell(why: &str) -> Verdict {
    Verdict::fail(PINNED, format!("cannot tell: {why}"))
        .mend("check it with the store that built it, or annotate it with the name that has the digest")
}

/// Whether its lowest layers are all those of one of these images. `layers_of` finds an image and says which layers it has.
pub(crate) fn allowed(
    image: &Image,
    names: &[String],
    layers_of: &dyn Fn(&str) -> Result<Vec<Digest>, String>,
) -> Verdict {
    let own = &image.config.rootfs.diff_ids;
    let found: Vec<_> = names.iter().map(|name| (name, layers_of(name))).collect();
    let shared = found.iter().filter_map(|(name, layers)| {
        let layers = layers.as_ref().ok()?;
        (!layers.is_empty() && own.starts_with(layers)).then_some((layers.len(), name))
    });
    // Of several the one that it shares most with.
    if let Some((count, name)) = shared.max_by_key(|(count, _)| *count) {
        return Verdict::pass(ALLOWED, format!("its lowest {count} layers are {name}"));
    }
    let lost = found
        .iter()
        .find_map(|(name, layers)| Some((name, layers.as_ref().err()?)));
    if let Some((name, why)) = lost {
        return Verdict::fail(ALLOWED, format!("cannot tell whether it is built on {name}: {why}"));
    }
    let message = format!("its lowest layers are those of none of {}", names.join(", "));
    Verdict::fail(ALLOWED, message).mend("build on one of them as it is now: `kiln build --pull`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:4eb8d0a066216cd024971bb6b2fcb6e66b539f6b92147f063af7f256ec6f4c3c";

    fn noted(names: &[&str]) -> Sources {
        let source = |(line, name): (u32, &&str)| ImageSource {
            reference: name.parse().unwrap(),
            manifest: DIGEST.parse().unwrap(),
            line,
        };
        Sources {
            noted: Some((1..).zip(names).map(source).collect()),
            said: None,
        }
    }

    fn outcomes(sources: &Sources) -> Vec<(bool, String)> {
        let verdicts = pinned(sources).into_iter();
        verdicts.map(|verdict| (verdict.passed, verdict.message)).collect()
    }

    #[test]
    fn what_a_build_noted() {
        let by_digest = format!("debian@{DIGEST}");
        let both = format!("debian:12@{DIGEST}");
        assert!(outcomes(&noted(&[]))[0].0);
        assert!(outcomes(&noted(&[&by_digest]))[0].0);
        assert!(outcomes(&noted(&[&both, &by_digest]))[0].0);
        let found = outcomes(&noted(&[&both, "debian:12", "busybox"]));
        assert_eq!(
            found,
            [
                (false, "line 2 names debian:12 without a digest".to_owned()),
                (false, "line 3 names busybox:latest without a digest".to_owned()),
            ]
        );
    }

    #[test]
    fn what_an_image_says() {
        let says = |annotation: Option<&str>, label: Option<&str>| {
            let map = |value: Option<&str>| value.map(|value| (BASE_NAME.to_owned(), value.to_owned()));
            let sources = Sources::new(
                None,
                &map(annotation).into_iter().collect(),
                &map(label).into_iter().collect(),
            );
            outcomes(&sources).remove(0)
        };
        let by_digest = format!("debian:12@{DIGEST}");
        assert!(says(Some(&by_digest), None).0);
        assert!(says(None, Some(&by_digest)).0);
        for (annotation, label) in [
            (None, None),
            (Some(""), None),
            (Some("debian:12"), Some(&by_digest[..])),
            (None, Some("De bian@")),
        ] {
            let (passed, message) = says(annotation, label);
            assert!(
                !passed && message.starts_with("cannot tell: "),
                "{annotation:?} {message}"
            );
        }
    }
}
