//! The fields of a 512-byte header block (POSIX.1-2017, pax, "ustar Interchange Format").

use std::ops::Range;

use super::BLOCK;

pub(super) const NAME: Range<usize> = 0..100;
pub(super) const MODE: Range<usize> = 100..108;
pub(super) const UID: Range<usize> = 108..116;
pub(super) const GID: Range<usize> = 116..124;
pub(super) const SIZE: Range<usize> = 124..136;
pub(super) const MTIME: Range<usize> = 136..148;
pub(super) const CHECKSUM: Range<usize> = 148..156;
pub(super) const TYPE: usize = 156;
pub(super) const LINK: Range<usize> = 157..257;
/// Magic and version together.
pub(super) const MAGIC: Range<usize> = 257..265;
pub(super) const MAJOR: Range<usize> = 329..337;
pub(super) const MINOR: Range<usize> = 337..345;
pub(super) const PREFIX: Range<usize> = 345..500;

pub(super) const USTAR: &[u8; 8] = b"ustar\x0000";

pub(super) type Block = [u8; BLOCK];

/// As much of a header as tells how far its entry goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header<'b>(&'b Block);

impl<'b> Header<'b> {
    /// `None` if the block is no header, going by its checksum.
    pub(crate) fn of(block: &'b Block) -> Option<Self> {
        (*block != [0; BLOCK] && is_sealed(block)).then_some(Self(block))
    }

    /// The fields that the name is in, as far as it fits into them.
    pub(crate) fn name(self) -> [&'b [u8]; 2] {
        [&self.0[NAME], &self.0[PREFIX]]
    }

    /// Whether what follows belongs to another entry: pax records, GNU's long names.
    pub(crate) fn is_extended(self) -> bool {
        matches!(self.0[TYPE], b'x' | b'X' | b'g' | b'L' | b'K')
    }

    /// How many bytes follow that are no headers, padding included, as far as the field tells.
    pub(crate) fn stored(self) -> u64 {
        match self.0[TYPE] {
            b'1'..=b'6' => 0,
            _ => number(&self.0[SIZE])
                .and_then(|size| u64::try_from(size).ok())
                .and_then(|size| size.checked_next_multiple_of(BLOCK as u64))
                .unwrap_or(0),
        }
    }
}

/// Writes `value` in octal, with leading zeros and a NUL at the end; false (and zeros) if it does not fit.
pub(super) fn put_octal(field: &mut [u8], value: u64) -> bool {
    let (last, digits) = field.split_last_mut().expect("fields are not empty");
    *last = 0;
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest & 7) as u8;
        rest >>= 3;
    }
    if rest != 0 {
        digits.fill(b'0');
    }
    rest == 0
}

/// Writes the checksum of a header that is otherwise complete.
pub(super) fn seal(block: &mut Block) {
    let sum = checksum(block).0;
    put_octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], sum.into());
    block[CHECKSUM.end - 1] = b' ';
}

/// The sum of all bytes, the checksum's own taken as blanks: of unsigned bytes, and (as old programs did) of signed.
fn checksum(block: &Block) -> (u32, i32) {
    block
        .iter()
        .enumerate()
        .fold((0, 0), |(unsigned, signed), (at, &byte)| {
            let byte = if CHECKSUM.contains(&at) { b' ' } else { byte };
            (unsigned + u32::from(byte), signed + i32::from(byte.cast_signed()))
        })
}

/// Whether the checksum is right.
pub(super) fn is_sealed(block: &Block) -> bool {
    let (unsigned, signed) = checksum(block);
    let stored = number(&block[CHECKSUM]);
    stored == Some(unsigned.into()) || stored == Some(signed.into())
}

/// Reads a number: octal digits among blanks and NULs, or GNU's base-256. `None` if it is neither, or too large.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base256(field),
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_blank(byte)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(is_blank).unwrap_or(digits.len());
    // An empty field is a zero, as some programs leave those that mean nothing to them.
    digits[..end].iter().try_fold(0_i64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add((digit - b'0').into()),
        _ => None,
    })
}

/// Two's complement, big-endian; the top bit of the first byte marks the form and the next one is the sign.
fn base256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let first = if negative { field[0] } else { field[0] & 0x7f };
    let mut value: i128 = first.cast_signed().into();
    for &byte in &field[1..] {
        value = value.checked_mul(256)?.checked_add(byte.into())?;
    }
    value.try_into().ok()
}

/// The text of a field up to its NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    &field[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let cases: &[(&[u8], Option<i64>)] = &[
            (b"0000644\0", Some(0o644)),
            (b"  644 \0\0", Some(0o644)),
            (b"\0\0\0\0", Some(0)),
            (b"77777777", Some(0o77_777_777)),
            (b"0000648\0", None),
            (b"-1\0", None),
            (&[0x80, 0, 0, 0, 0, 0x20, 0, 0], Some(1 << 21)),
            (&[0xff; 12], Some(-1)),
            (
                &[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                None,
            ),
        ];
        for (field, expected) in cases {
            assert_eq!(number(field), *expected, "{field:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_zeros() {
        let mut field = [b'x'; 8];
        assert!(put_octal(&mut field, 0o7_777_777));
        assert_eq!(&field, b"7777777\0");
        assert!(!put_octal(&mut field, 0o10_000_000));
        assert_eq!(&field, b"0000000\0");
    }
}
