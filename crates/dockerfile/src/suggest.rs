//! "Did you mean": the nearest of some known words.

/// How many candidates are looked at: somebody who has more of them gets an error without a guess, but gets it soon.
const MOST: usize = 100;

/// The candidate that a mistyped word most likely means; `None` if none is near. Case does not count.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let near = |candidate: &'a str| {
        if candidate.len() > LONGEST {
            return None;
        }
        let letters: Vec<char> = candidate.to_lowercase().chars().collect();
        let distance = distance(&word, &letters, threshold(&letters))?;
        (distance > 0).then_some((distance, candidate))
    };
    let nearest = candidates.into_iter().take(MOST).filter_map(near);
    nearest
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean X?)`, or nothing: to be put behind a message.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    closest(word, candidates)
        .map(|found| format!(" (did you mean {found}?)"))
        .unwrap_or_default()
}

/// The longest word, in bytes, that somebody may have mistyped.
const LONGEST: usize = 200;

/// How many edits apart a word may be to be taken for a mistyping of the candidate.
fn threshold(candidate: &[char]) -> usize {
    match candidate.len() {
        0..=2 => 1,
        3..=8 => 2,
        _ => 3,
    }
}

/// How many characters must be put in, left out, replaced or swapped with their neighbour (the optimal string alignment
/// distance); `None` if more than `most`.
fn distance(a: &[char], b: &[char], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut row = above.clone();
    for i in 0..a.len() {
        row[0] = i + 1;
        for j in 0..b.len() {
            let replaced = above[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        // Numbers only grow from two rows to the next.
        if row.iter().chain(&above).all(|distance| *distance > most) {
            return None;
        }
        std::mem::swap(&mut before, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    Some(above[b.len()]).filter(|distance| *distance <= most)
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
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            assert_eq!(distance(&a, &b, 3), Some(edits), "{a:?} {b:?}");
            assert_eq!(distance(&a, &b, edits), Some(edits), "{a:?} {b:?}");
            assert_eq!(distance(&b, &a, edits.saturating_sub(1)).is_none(), edits > 0);
        }
    }
}
