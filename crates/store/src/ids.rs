//! Names of things in the store.

use std::fmt;
use std::sync::Arc;

use kiln_image::Digest;

use crate::error::{Error, Result};

/// The key of a step's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key that is displayed so.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digest: Digest = format!("sha256:{text}").parse().ok()?;
        Some(Self(*digest.as_bytes()))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Key {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Digest::from_bytes(self.0).hex())
    }
}

/// The name of a layer: lower-case letters and digits, at most 64. Cheap to clone: a tree is a list of them, each step's a
/// longer one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerId(Arc<str>);

impl LayerId {
    /// A name that nobody else has: 128 random bits.
    pub fn random() -> Result<Self> {
        Ok(Self(random_name()?.into()))
    }

    /// The name made of a digest (of a chain of layers).
    pub fn from_digest(digest: &Digest) -> Self {
        Self(digest.hex().into())
    }

    /// A name as [`LayerId::random`] gives them; `None` for any other text, such as the name made of a digest.
    pub fn from_random(text: &str) -> Option<Self> {
        (text.len() == RANDOM_DIGITS && text.bytes().all(is_hex)).then(|| Self(text.into()))
    }

    /// A name of either kind, as it was noted somewhere; `None` for any other text.
    pub fn from_name(text: &str) -> Option<Self> {
        Self::parse(text.to_owned()).ok()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the database.
    pub(crate) fn parse(text: String) -> Result<Self> {
        let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if good {
            Ok(Self(text.into()))
        } else {
            Err(Error::Damaged(format!("`{text}` is no layer's name")))
        }
    }
}

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long a random name is.
const RANDOM_DIGITS: usize = 32;

const fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// 128 random bits as 32 hexadecimal digits.
pub(crate) fn random_name() -> Result<String> {
    let mut bytes = [0_u8; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    filled.map_err(|error| Error::io("read", "the kernel's random numbers")(error.into()))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// The number of a build, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(pub(crate) i64);

impl BuildId {
    /// A build on another machine, whose records came from a cache.
    pub const ELSEWHERE: Self = Self(0);
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
