//! What an image is: references, digests, platforms, descriptors, manifests and configs.
//!
//! Pure: nothing here reads a file, opens a connection or looks at the clock. The serde types are for
//! reading and for images that Kiln makes; the bytes of a manifest or config that came from elsewhere are
//! kept as they came (re-encoding would change their digest).

mod config;
mod digest;
mod manifest;
pub mod media_type;
mod platform;
mod reference;

pub use config::{Config, Empty, Healthcheck, HistoryEntry, ImageConfig, RootFs};
pub use digest::{Digest, DigestError, Hasher};
pub use manifest::{Descriptor, Document, DocumentError, Index, Manifest};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};
