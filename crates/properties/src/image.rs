//! What describes images.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use kiln_image::{Digest, Document, ImageConfig, Manifest, Platform, Reference};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Manifests, indexes and configs are read or refused; what was read and is written reads the same.
pub fn image(bytes: &[u8]) {
    let _document = Document::parse(bytes, None);
    comes_back::<ImageConfig>(bytes);
    comes_back::<Manifest>(bytes);
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, read, "{}", String::from_utf8_lossy(&written));
}

/// Names of images, platforms and digests are read or refused; what was read prints as what reads the same.
pub fn reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    prints_itself::<Reference>(text);
    prints_itself::<Platform>(text);
    prints_itself::<Digest>(text);
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.familiar().parse(), Ok(reference));
    }
}

fn prints_itself<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    let Ok(read) = text.parse::<T>() else { return };
    let again: T = read.to_string().parse().expect("what was printed can be read");
    assert_eq!(again, read, "{text:?}");
}
