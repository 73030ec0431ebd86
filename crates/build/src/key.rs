//! Cache keys.
//!
//! A step has up to two. The *definition key* is made of its definition and the identities of the layers that it
//! reads: found without touching a file. The *content key* puts the content of what COPY, ADD and bind mounts
//! read in the place of those layers' identities, so that a stage that was rebuilt to the same content leaves
//! what comes after it cached. A step that reads a local context has the latter only.

use kiln_store::{Key, LayerId};

/// Changes whenever the meaning of a key does.
const VERSION: u8 = 2;

/// Collects what a key is made of, piece by piece, each with its kind and length.
#[derive(Debug, Clone)]
pub(crate) struct KeyBuilder(blake3::Hasher);

impl KeyBuilder {
    /// A key of the step with the given definition.
    pub(crate) fn new(definition: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"kiln step");
        hasher.update(&[VERSION]);
        hasher.update(definition);
        Self(hasher)
    }

    /// The step reads this tree of layers.
    pub(crate) fn tree(&mut self, layers: &[LayerId]) -> &mut Self {
        self.0.update(b"T");
        self.0.update(&tree_digest(layers));
        self
    }

    /// The step reads something with this content. Gives the digest of all of it.
    pub(crate) fn contents(&mut self, digests: &[[u8; 32]]) -> [u8; 32] {
        let digest = digest_of(digests);
        self.0.update(b"C");
        self.0.update(&digest);
        digest
    }

    /// The key.
    pub(crate) fn finish(&self) -> Key {
        Key::from(*self.0.finalize().as_bytes())
    }
}

/// The digest of all that was read, by the digests of its parts.
pub(crate) fn digest_of(digests: &[[u8; 32]]) -> [u8; 32] {
    *blake3::hash(digests.as_flattened()).as_bytes()
}

/// The identity of a tree of layers.
pub(crate) fn tree_digest(layers: &[LayerId]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for layer in layers {
        hasher.update(layer.as_str().as_bytes());
        hasher.update(b" ");
    }
    *hasher.finalize().as_bytes()
}
