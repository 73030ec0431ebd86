//! Reading text, and telling what is none.

use std::io::Read;

use kiln_dockerfile::include::LARGEST;

use crate::failure::{Context as _, Failure};

/// Reads text; says where it is none.
pub(super) fn read_text(reader: &mut dyn Read, name: &str) -> Result<String, Failure> {
    let bytes = read_bounded(reader, name, LARGEST as u64)?;
    as_text(bytes, name)
}

pub(super) fn as_text(bytes: Vec<u8>, name: &str) -> Result<String, Failure> {
    if bytes.contains(&0) {
        return Err(Failure::failed(anyhow::anyhow!(
            "{name} is not a text file: it has zero bytes in it"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|&b| b == b'\n').count();
        Failure::failed(anyhow::anyhow!("{name}, line {line}: not UTF-8 text (byte {at})"))
    })
}

pub(super) fn read_bounded(reader: &mut dyn Read, name: &str, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    reader
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .or_failed(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::failed(anyhow::anyhow!(
            "{name} is larger than {} MiB",
            limit >> 20
        )));
    }
    Ok(bytes)
}

/// Whether bytes begin a tar, or something compressed, which then holds a tar.
pub(super) fn is_archive(head: &[u8]) -> bool {
    const MAGIC: &[&[u8]] = &[b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    MAGIC.iter().any(|magic| head.starts_with(magic)) || is_tar(head)
}

/// Whether this is a tar header: its checksum is right (POSIX pax, "ustar Interchange Format").
fn is_tar(head: &[u8]) -> bool {
    if head.len() < 512 {
        return false;
    }
    let field = String::from_utf8_lossy(&head[148..156]);
    let Ok(said) = u64::from_str_radix(field.trim_matches(['\0', ' ']), 8) else {
        return false;
    };
    // An end-of-archive block alone is an empty context.
    let sum = |range: std::ops::Range<usize>| head[range].iter().map(|&b| u64::from(b)).sum::<u64>();
    said == sum(0..148) + 8 * u64::from(b' ') + sum(156..512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_tar() {
        let mut head = vec![0_u8; 512];
        head[..4].copy_from_slice(b"file");
        let sum: u64 = head.iter().map(|&b| u64::from(b)).sum::<u64>() + 8 * 32;
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(is_archive(&head));
        head[0] = b'F';
        assert!(!is_archive(&head));
        assert!(!is_archive(b"FROM debian"));
    }
}
