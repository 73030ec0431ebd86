//! A piece of a tar to a member of a blob: taken over from an earlier blob, or compressed.

use std::io;

use super::Member;
use super::codec::{Codec, Encoder};

/// What a member is known by: the BLAKE3 of the piece, and how it was compressed.
pub type MemberKey = [u8; 32];

/// What has members of earlier blobs.
pub trait Members: Sync {
    /// The member that a piece became, which must be what it was, and its BLAKE3; `None` if none is known.
    fn find(&self, key: &MemberKey) -> io::Result<Option<(Vec<u8>, [u8; 32])>>;

    /// The blob at hand has this one from now on, for pieces that come again.
    fn written(&self, member: Member);
}

/// Part of every key. Another number wherever the same piece becomes other bytes, as with another release of a codec's
/// library: a blob must not depend on what is known of earlier ones.
pub(super) const GENERATION: u8 = 2;

/// Pieces below this are compressed sooner than they are looked up.
const WORTHWHILE: usize = 64 << 10;

/// Makes members. What it gives depends on the piece alone.
pub(super) struct Press<'m> {
    codec: Codec,
    encoder: Encoder,
    members: Option<&'m dyn Members>,
}

/// A member that is to be written.
#[derive(Debug)]
pub(super) struct Pressed {
    pub(super) bytes: Vec<u8>,
    /// Its key, and the BLAKE3 of `bytes`, if it is to be found again.
    pub(super) known_by: Option<(MemberKey, [u8; 32])>,
}

impl<'m> Press<'m> {
    pub(super) fn new(codec: Codec, members: Option<&'m dyn Members>) -> io::Result<Self> {
        Ok(Self {
            codec,
            encoder: codec.encoder()?,
            members,
        })
    }

    pub(super) fn press(&mut self, piece: &[u8]) -> io::Result<Pressed> {
        let Some(members) = self.members.filter(|_| piece.len() >= WORTHWHILE) else {
            return Ok(Pressed {
                bytes: self.encoder.compress(piece)?,
                known_by: None,
            });
        };
        let key = self.key(piece);
        let (bytes, check) = if let Some(found) = members.find(&key)? {
            found
        } else {
            let bytes = self.encoder.compress(piece)?;
            let check = *blake3::hash(&bytes).as_bytes();
            (bytes, check)
        };
        Ok(Pressed {
            bytes,
            known_by: Some((key, check)),
        })
    }

    fn key(&self, piece: &[u8]) -> MemberKey {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[GENERATION]);
        hasher.update(&self.codec.tag());
        hasher.update(piece);
        *hasher.finalize().as_bytes()
    }
}
