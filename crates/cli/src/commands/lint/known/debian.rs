//! Debian's package index, and its order of versions (deb-version(7)).

use std::cmp::Ordering;
use std::collections::HashMap;

/// Adds the packages of a text of paragraphs, as `Packages` and dpkg's `status` have them; of several versions of one
/// package the highest stays, which is what apt-get installs where nobody says otherwise.
pub(super) fn read(text: &str, installed: bool, found: &mut HashMap<String, String>) {
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            let line = paragraph
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim)
        };
        let (Some(package), Some(version)) = (field("Package"), field("Version")) else {
            continue;
        };
        if installed && field("Status").is_none_or(|status| !status.ends_with(" installed")) {
            continue;
        }
        let highest = found.entry(package.to_owned()).or_insert_with(|| version.to_owned());
        if compare(version, highest) == Ordering::Greater {
            version.clone_into(highest);
        }
    }
}

/// The order of two versions.
fn compare(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (
            epoch.parse::<u64>().unwrap_or_default(),
            upstream.to_owned(),
            revision.to_owned(),
        )
    };
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0)
        .then_with(|| pieces(&a.1, &b.1))
        .then_with(|| pieces(&a.2, &b.2))
}

/// Letters and numbers in turns.
fn pieces(mut a: &str, mut b: &str) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let letters = |text: &str| text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        let (a_letters, a_rest) = a.split_at(letters(a));
        let (b_letters, b_rest) = b.split_at(letters(b));
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (a_digits, a_next) = a_rest.split_at(digits(a_rest));
        let (b_digits, b_next) = b_rest.split_at(digits(b_rest));
        let (x, y) = (a_digits.trim_start_matches('0'), b_digits.trim_start_matches('0'));
        let order = by_letters(a_letters, b_letters)
            .then_with(|| x.len().cmp(&y.len()))
            .then_with(|| x.cmp(y));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (a_next, b_next);
    }
    Ordering::Equal
}

/// `~` comes before the end, the end before letters, letters before all else.
fn by_letters(a: &str, b: &str) -> Ordering {
    let rank = |c: Option<char>| match c {
        Some('~') => 0,
        None => 1,
        Some(c) if c.is_ascii_alphabetic() => u32::from(c),
        Some(c) => u32::from(c) + 256,
    };
    let (mut a, mut b) = (a.chars(), b.chars());
    loop {
        let (x, y) = (a.next(), b.next());
        let order = rank(x).cmp(&rank(y));
        if order != Ordering::Equal || x.is_none() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is lower than the next, as `dpkg --compare-versions` has it.
    #[test]
    fn order_of_versions() {
        let sorted = [
            "0~~",
            "0~",
            "0",
            "1.0~rc1-1",
            "1.0",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1.1",
            "1.0-2",
            "1.0a-1",
            "1.0+dfsg-1",
            "1.9",
            "1.10",
            "1:0.1",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("1.0-0", "1.0"), Ordering::Equal);
        assert_eq!(compare("0:1.01", "1.1"), Ordering::Equal);
    }

    #[test]
    fn paragraphs() {
        let text = "Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: deinstall ok config-files\n\
                    Version: 1\n\nPackage: a\nStatus: install ok installed\nVersion: 2\n";
        let mut found = HashMap::new();
        read(text, true, &mut found);
        assert_eq!(found, HashMap::from([("a".to_owned(), "2".to_owned())]));
    }
}
