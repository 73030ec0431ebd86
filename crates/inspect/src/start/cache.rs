//! glibc's `/etc/ld.so.cache`: the libraries that `ldconfig` found. The dynamic linker reads it, and never `ld.so.conf`.

use std::collections::HashMap;

const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// Magic, two numbers, flags, extensions, padding.
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// Old entries, which come before the new table in the format that has both.
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;

/// More libraries are not read.
const MOST: usize = 1 << 16;

/// The paths of libraries, by name. The order of a number's bytes is that of the machine.
pub(crate) fn read(bytes: &[u8], is_big: bool) -> HashMap<Vec<u8>, Vec<Vec<u8>>> {
    let number = |bytes: &[u8], at: usize| number(bytes, at, is_big);
    let mut libraries = HashMap::new();
    let Some(table) = table(bytes, is_big) else {
        return libraries;
    };
    let count = number(table, MAGIC.len()).unwrap_or_default().min(MOST);
    for at in 0..count {
        let entry = HEADER + at * ENTRY;
        let text = |at: usize| {
            let rest = table.get(number(table, at)?..)?;
            Some(&rest[..rest.iter().position(|byte| *byte == 0)?])
        };
        let (Some(name), Some(path)) = (text(entry + 4), text(entry + 8)) else {
            break;
        };
        let paths: &mut Vec<Vec<u8>> = libraries.entry(name.to_vec()).or_default();
        paths.push(path.to_vec());
    }
    libraries
}

/// The new table, which offsets begin at.
fn table(bytes: &[u8], is_big: bool) -> Option<&[u8]> {
    if bytes.starts_with(MAGIC) {
        return Some(bytes);
    }
    if !bytes.starts_with(OLD_MAGIC) {
        return None;
    }
    let old = OLD_HEADER.checked_add(number(bytes, 12, is_big)?.checked_mul(OLD_ENTRY)?)?;
    let rest = bytes.get(old.checked_next_multiple_of(8)?..)?;
    rest.starts_with(MAGIC).then_some(rest)
}

fn number(bytes: &[u8], at: usize, is_big: bool) -> Option<usize> {
    let bytes: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    let number = if is_big {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    };
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ldconfig_wrote() {
        let strings = HEADER + 2 * ENTRY;
        let mut bytes = MAGIC.to_vec();
        let mut put = |value: usize| bytes.extend_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
        put(2);
        put(40);
        for _ in 0..5 {
            put(0);
        }
        for (name, path) in [(0, 7), (0, 14)] {
            for value in [3, strings + name, strings + path, 0, 0, 0] {
                put(value);
            }
        }
        bytes.extend_from_slice(b"liba.1\0/lib/a\0/usr/a\0");
        let expected = vec![b"/lib/a".to_vec(), b"/usr/a".to_vec()];
        assert_eq!(read(&bytes, false)[&b"liba.1"[..]], expected);
        // After an old table, with which offsets have nothing to do.
        let mut both = OLD_MAGIC.to_vec();
        both.push(0);
        both.extend_from_slice(&[1, 0, 0, 0]);
        both.extend_from_slice(&[0; OLD_ENTRY + 4]);
        both.extend_from_slice(&bytes);
        assert_eq!(read(&both, false)[&b"liba.1"[..]], expected);
        for end in 0..bytes.len() {
            let _whatever = read(&bytes[..end], false);
        }
        assert!(read(b"something else", false).is_empty());
    }
}
