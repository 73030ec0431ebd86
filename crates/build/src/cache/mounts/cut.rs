//! Where a stream is cut into chunks: at places that its bytes choose, so that an insertion changes the chunks around
//! it and no others.

use std::io::{self, Write};

/// No chunk but the last of a stream is shorter.
const SHORTEST: usize = 256 << 10;
/// Nor is one longer.
pub(super) const LONGEST: usize = 4 << 20;
/// One byte in so many ends a chunk that is long enough.
const AVERAGE_BITS: u32 = 20;

/// A random number for each byte, the same on all machines: changing them changes every chunk there is.
const GEAR: [u64; 256] = gear();

/// splitmix64.
const fn gear() -> [u64; 256] {
    let mut table = [0; 256];
    let mut state: u64 = 0x6b69_6c6e;
    let mut at = 0;
    while at < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[at] = value ^ (value >> 31);
        at += 1;
    }
    table
}

/// Cuts what is written to it; each chunk goes to `take`.
pub(super) struct Cutter<F> {
    take: F,
    chunk: Vec<u8>,
    /// Of the last 64 bytes: each step shifts what is older out.
    hash: u64,
}

impl<F: FnMut(&[u8]) -> io::Result<()>> Cutter<F> {
    pub(super) fn new(take: F) -> Self {
        Self {
            take,
            chunk: Vec::new(),
            hash: 0,
        }
    }

    /// Gives the last chunk.
    pub(super) fn end(mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        (self.take)(&self.chunk)
    }

    /// How many of the bytes belong to the chunk at hand, and whether it ends there.
    fn find_end(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (at, byte) in bytes.iter().enumerate() {
            self.hash = (self.hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
            let length = self.chunk.len() + at + 1;
            let chosen = self.hash >> (64 - AVERAGE_BITS) == 0;
            if length >= LONGEST || chosen && length >= SHORTEST {
                return (at + 1, true);
            }
        }
        (bytes.len(), false)
    }
}

impl<F: FnMut(&[u8]) -> io::Result<()>> Write for Cutter<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (count, ends) = self.find_end(bytes);
        self.chunk.extend_from_slice(&bytes[..count]);
        if ends {
            (self.take)(&self.chunk)?;
            self.chunk.clear();
            self.hash = 0;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn random(length: usize) -> Vec<u8> {
        let mut state: u64 = 1;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..length).map(next).collect()
    }

    /// Written in pieces of that size.
    fn cut(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        let mut cutter = Cutter::new(|chunk: &[u8]| {
            chunks.push(chunk.to_vec());
            Ok(())
        });
        bytes.chunks(piece).for_each(|piece| cutter.write_all(piece).unwrap());
        cutter.end().unwrap();
        chunks
    }

    #[test]
    fn chunks_are_the_whole_and_of_bounded_length() {
        let bytes = [random(12 << 20), vec![0; 9 << 20]].concat();
        let chunks = cut(&bytes, 10_000);
        assert_eq!(chunks.concat(), bytes);
        let (last, others) = chunks.split_last().unwrap();
        assert!(last.len() <= LONGEST);
        assert!(others.iter().all(|chunk| (SHORTEST..=LONGEST).contains(&chunk.len())));
        assert!((6..40).contains(&chunks.len()), "{}", chunks.len());
        assert_eq!(chunks, cut(&bytes, 7), "whatever pieces the stream comes in");
        assert!(cut(b"", 1).is_empty());
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let bytes = random(12 << 20);
        let (start, end) = bytes.split_at(5 << 20);
        let before: BTreeSet<_> = cut(&bytes, 1 << 20).into_iter().collect();
        let after = cut(&[start, b"inserted", end].concat(), 1 << 20);
        let new = after.iter().filter(|chunk| !before.contains(*chunk)).count();
        assert!((1..=2).contains(&new), "{new} of {}", after.len());
    }
}
