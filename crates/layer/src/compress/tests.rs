use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use proptest::prelude::*;

use super::cut::{APART, LONGEST, SHORTEST};
use super::*;
use crate::tar::{BLOCK, Writer};

fn compress(how: &BlobOptions<'_>, input: &[u8]) -> (BlobInfo, Vec<u8>) {
    let mut out = Vec::new();
    let info = compressed(how, &mut out, |writer| writer.write_all(input).map_err(Error::Write)).unwrap();
    assert_eq!((info.diff_id, info.tar_size), (Digest::of(input), input.len() as u64));
    (info, out)
}

fn noise(length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|at| at.wrapping_mul(at).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[6])
        .collect()
}

/// What nothing makes smaller.
fn hard(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn same_bytes_whatever_the_threads() {
    let input = noise(3 * LONGEST + 17);
    for size in [0, 1, LONGEST - 1, LONGEST, LONGEST + 1, input.len()] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let one = compress(&BlobOptions::new(compression, 1), &input[..size]).1;
            for threads in [0, 2, 7] {
                let other = compress(&BlobOptions::new(compression, threads), &input[..size]).1;
                assert!(one == other, "{compression:?} {threads} {size}");
            }
            let mut back = Vec::new();
            let mut decoder = crate::decompress::decoder(compression.into(), one.as_slice()).unwrap();
            decoder.read_to_end(&mut back).unwrap();
            assert!(back == input[..size], "{compression:?} {size}");
        }
    }
}

/// Keys of members name what a codec makes of a piece: with other bytes here, `GENERATION` must be another number, and so
/// must these digests.
#[test]
fn a_generation_is_known_by_its_bytes() {
    let text = "what is compressed the same today must be so tomorrow\n".repeat(3000);
    let input = [text.as_bytes(), &noise(200_000)].concat();
    let hard = hard(200_000);
    let cases = [
        (Compression::Gzip, &input),
        (Compression::Zstd, &input),
        (Compression::Gzip, &hard),
    ];
    let digests = cases.map(|(compression, input)| {
        let (_, blob) = compress(&BlobOptions::new(compression, 1), input);
        Digest::of(blob).short()
    });
    let known = ["d6e1e07c9bb0", "d4b873932461", "a85249cfad2b"].map(str::to_owned);
    assert_eq!((press::GENERATION, digests), (2, known));
}

#[test]
fn what_cannot_be_compressed_is_stored() {
    let how = BlobOptions::new(Compression::Gzip, 1);
    // All of 64 KiB blocks, with a few bytes each (RFC 1951, 3.2.4).
    let hard = hard(1_000_000);
    let blob = compress(&how, &hard).1;
    assert!(blob.len() < hard.len() + 500 && blob.windows(5000).any(|part| part == &hard[70_000..75_000]));
    // Noise where samples are taken, and text between.
    let text = "a line like all others\n".repeat(20_000);
    let mixed = [
        &hard[..100_000],
        text.as_bytes(),
        &hard[..100_000],
        text.as_bytes(),
        &hard[..100_000],
    ]
    .concat();
    assert!(compress(&how, &mixed).1.len() < 330_000);
    // Headers of a tar between small files that are hard.
    let header = [&b"name"[..], &[0; 500]].concat();
    let small: Vec<u8> = (0..100)
        .flat_map(|at| [&header[..], &hard[at * 10_000..][..10_000]].concat())
        .collect();
    assert!(compress(&how, &small).1.len() < 1_010_000);
}

#[test]
fn refuses_levels_that_are_none() {
    for (compression, level) in [
        (Compression::Gzip, 10),
        (Compression::Gzip, -1),
        (Compression::Zstd, 23),
        (Compression::Zstd, 0),
    ] {
        let how = BlobOptions {
            level: Some(level),
            ..BlobOptions::new(compression, 1)
        };
        assert!(recompress(&b""[..], &how, io::sink()).is_err());
    }
}

#[test]
fn a_full_disk_is_an_error_and_no_hang() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for length in [1, 40 << 20] {
        let tar = io::repeat(7).take(length);
        let failed = recompress(tar, &BlobOptions::new(Compression::Gzip, 3), Full);
        assert!(matches!(failed, Err(Error::Write(error)) if error.kind() == io::ErrorKind::StorageFull));
    }
}

/// Members of earlier blobs.
#[derive(Default)]
struct Known {
    members: BTreeMap<MemberKey, (Vec<u8>, [u8; 32])>,
    found: Mutex<usize>,
}

impl Known {
    fn add(&mut self, info: &BlobInfo, blob: &[u8]) {
        for member in &info.members {
            let start = usize::try_from(member.offset).unwrap();
            let bytes = &blob[start..start + usize::try_from(member.size).unwrap()];
            assert_eq!(blake3::hash(bytes), member.check);
            self.members.insert(member.key, (bytes.to_vec(), member.check));
        }
    }
}

impl Members for Known {
    fn find(&self, key: &MemberKey) -> io::Result<Option<(Vec<u8>, [u8; 32])>> {
        let found = self.members.get(key).cloned();
        *self.found.lock().unwrap() += usize::from(found.is_some());
        Ok(found)
    }

    fn written(&self, _: Member) {}
}

fn with<'a>(members: &'a Known, how: BlobOptions<'a>) -> BlobOptions<'a> {
    BlobOptions {
        members: Some(members),
        ..how
    }
}

/// A tar of files: name, length, and what tells one content from another.
fn tar(files: &BTreeMap<String, (usize, u8)>) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    let pattern: Vec<u8> = (0..251).collect();
    for (name, (length, seed)) in files {
        let mut content = pattern.repeat(length / pattern.len() + 1);
        content.truncate(*length);
        content.iter_mut().take(1).for_each(|first| *first = *seed);
        tar.file(name, 0o644, *length as u64, content.as_slice()).unwrap();
    }
    tar.finish().unwrap()
}

/// Many files of many sizes.
fn many(count: usize) -> BTreeMap<String, (usize, u8)> {
    let size = |at: usize| match at % 100 {
        0 => 300_000,
        rest => rest * rest * 4,
    };
    (0..count)
        .map(|at| (format!("usr/share/directory-{}/{at}", at / 40), (size(at), 0)))
        .collect()
}

fn pieces(tar: &[u8]) -> Vec<Vec<u8>> {
    let (mut pieces, mut piece, mut cutter) = (Vec::new(), Vec::new(), Cutter::default());
    let mut rest = tar;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(cutter.room(piece.len())));
        piece.extend_from_slice(now);
        rest = later;
        if cutter.ends(&piece, now.len()) {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    pieces.push(piece);
    pieces
}

#[test]
fn a_file_that_changes_changes_few_members_and_the_rest_are_taken_over() {
    let before = many(800);
    let middle = before.keys().nth(400).unwrap().clone();
    let changed = [
        (middle.clone(), Some((7_000, 1))),
        (middle.clone(), Some((900_000, 1))),
        (middle.clone(), None),
        (format!("{middle}-added"), Some((5_000, 1))),
        ("a/first".to_owned(), Some((1, 1))),
        ("z/last".to_owned(), Some((1_000_000, 1))),
        (format!("{middle}{}", "-".repeat(200)), Some((10_000, 1))),
    ];
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut known = Known::default();
        let alone = BlobOptions::new(compression, 2);
        let first = tar(&before);
        let (info, before_blob) = compress(&with(&known, alone), &first);
        assert_eq!(*known.found.lock().unwrap(), 0);
        known.add(&info, &before_blob);
        for (name, file) in &changed {
            let mut files = before.clone();
            match file {
                Some(file) => files.insert(name.clone(), *file),
                None => files.remove(name),
            };
            let second = tar(&files);
            *known.found.lock().unwrap() = 0;
            let (info, blob) = compress(&with(&known, alone), &second);
            assert!(blob == compress(&alone, &second).1, "{name}: the same as by itself");
            let (count, found) = (info.members.len(), *known.found.lock().unwrap());
            assert!(count - found <= 4, "{name}: {found} of {count}");
            assert!(blob != before_blob, "{name}");
        }
    }
}

#[test]
fn other_formats_and_levels_are_other_members() {
    let tar = tar(&many(500));
    let keys = |compression, level| {
        let how = BlobOptions {
            level,
            ..BlobOptions::new(compression, 1)
        };
        let members = compress(&with(&Known::default(), how), &tar).0.members;
        assert!(members.len() > 3);
        members.into_iter().map(|member| member.key).collect::<BTreeSet<_>>()
    };
    let all = [
        keys(Compression::Gzip, None),
        keys(Compression::Gzip, Some(9)),
        keys(Compression::Zstd, None),
        keys(Compression::Zstd, Some(9)),
    ];
    let together: BTreeSet<_> = all.iter().flatten().collect();
    assert_eq!(together.len(), all.iter().map(BTreeSet::len).sum::<usize>());
}

/// The place in the tar does not count for the pieces of a large file, nor does what is before it.
#[test]
fn a_large_file_is_cut_by_itself() {
    let file = |before: usize| {
        let mut files = BTreeMap::from([("b".to_owned(), (9 * LONGEST / 2, 3))]);
        files.insert("a".to_owned(), (before, 0));
        pieces(&tar(&files))
    };
    let (one, other) = (file(1000), file(77_777));
    assert_eq!(one[1..], other[1..]);
    assert_eq!(one[1].len(), LONGEST);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Bytes are what the tar says or nothing of the kind.
    #[test]
    fn pieces_are_the_whole_and_of_bounded_length(
        sizes in prop::collection::vec((0_usize..400_000, 0_u8..3), 0..40),
        garbage in prop::collection::vec(any::<u8>(), 0..3000),
        at in any::<prop::sample::Index>(),
        widths in prop::collection::vec(1_usize..100_000, 1..5),
    ) {
        let files = sizes.into_iter().enumerate().map(|(number, file)| (format!("{number}"), file)).collect();
        let mut bytes = tar(&files);
        let place = at.index(bytes.len());
        bytes.splice(place..place, garbage);
        let pieces = pieces(&bytes);
        prop_assert!(pieces.concat() == bytes);
        prop_assert!(pieces.iter().all(|piece| piece.len() <= LONGEST));
        // Whatever comes at a time, the blob is that of these pieces.
        let how = BlobOptions::new(Compression::Zstd, 2);
        let mut blob = Vec::new();
        compressed(&how, &mut blob, |out| {
            let mut rest = &bytes[..];
            for width in widths.iter().cycle().take_while(|_| !bytes.is_empty()) {
                let (now, later) = rest.split_at(rest.len().min(*width));
                out.write_all(now).map_err(Error::Write)?;
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            Ok(())
        })
        .unwrap();
        prop_assert!(blob == compress(&how, &bytes).1);
    }
}

#[test]
fn pieces_are_long_enough_and_end_with_entries() {
    let mut files = many(3000);
    files.retain(|_, (length, _)| (*length as u64) < APART);
    let tar = tar(&files);
    let pieces = pieces(&tar);
    let (_, all_but_last) = pieces.split_last().unwrap();
    assert!(
        all_but_last
            .iter()
            .all(|piece| piece.len() >= SHORTEST && piece.len() % BLOCK == 0)
    );
    let mean = tar.len() / pieces.len();
    assert!((SHORTEST..LONGEST).contains(&mean), "{mean}");
    let starts = pieces[1..].iter().filter(|piece| crate::tar::is_header(piece)).count();
    assert!(starts * 10 > pieces.len() * 8, "{starts} of {}", pieces.len());
}

/// Its name and what is beside it do not count.
#[test]
fn content_that_is_not_small_is_apart() {
    let small = usize::try_from(APART).unwrap() - BLOCK;
    for (length, apart) in [
        (small, false),
        // Blocks count.
        (small + 1, true),
        (small + BLOCK, true),
        (small + BLOCK + 1, true),
        (LONGEST + small, true),
    ] {
        let content: Vec<u8> = (0..251).cycle().take(length).collect();
        let padded = [&content[..], &vec![0; length.next_multiple_of(BLOCK) - length]].concat();
        for (name, beside) in [("m", 10), ("another/name", 70_000)] {
            let mut tar = Writer::new(Vec::new());
            for (name, content) in [("a", &vec![1; beside]), (name, &content), ("z", &vec![1; beside])] {
                tar.file(name, 0o644, content.len() as u64, &content[..]).unwrap();
            }
            let pieces = pieces(&tar.finish().unwrap());
            let wanted: Vec<_> = padded.chunks(LONGEST).collect();
            let found = pieces.windows(wanted.len()).any(|some| some == wanted);
            assert_eq!(found, apart, "{length} bytes, {name}");
        }
    }
}
