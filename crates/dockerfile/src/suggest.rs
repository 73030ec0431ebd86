//! "Did you mean": the nearest of some known words.

/// The candidate that a mistyped word most likely means; `None` if none is near. Case does not count.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance > 0 && *distance <= threshold(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean X?)`, or nothing: to be put behind a message.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    closest(word, candidates)
        .map(|found| format!(" (did you mean {found}?)"))
        .unwrap_or_default()
}

/// How many edits apart a word may be to be taken for a mistyping of the candidate.
fn threshold(candidate: &str) -> usize {
    match candidate.chars().count() {
        0..=2 => 1,
        3..=8 => 2,
        _ => 3,
    }
}

/// How many characters must be put in, left out, replaced or swapped with their neighbour (the optimal string alignment
/// distance); words longer than any sensible mistyping are infinitely far.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 200;
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = above[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let instructions = ["ENV", "COPY", "RUN", "ADD"];
        for (word, meant) in [
            ("RNU", Some("RUN")),
            ("cpoy", Some("COPY")),
            ("RUNN", Some("RUN")),
            ("FETCH", None),
        ] {
            assert_eq!(closest(word, instructions), meant, "{word}");
        }
    }

    #[test]
    fn counts_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("abc", "", 3),
            ("", "ab", 2),
            ("abcd", "abdc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
