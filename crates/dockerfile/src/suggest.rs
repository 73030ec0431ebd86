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

/// The Levenshtein distance, by characters; words longer than any sensible mistyping are infinitely far.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 200;
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
