//! Which of two versions is the newer, by the rules of their ecosystem.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::Ecosystem;

/// How `a` stands to `b`; `None` if one of them is no version there.
pub fn compare(ecosystem: Ecosystem, a: &str, b: &str) -> Option<Ordering> {
    match ecosystem {
        Ecosystem::Deb => Some(debian(a, b)),
        Ecosystem::Rpm => Some(red_hat(a, b)),
        Ecosystem::Apk => alpine(a, b),
        Ecosystem::Pypi => Some(python(a)?.cmp(&python(b)?)),
        Ecosystem::Npm => semantic(a, b),
        Ecosystem::Golang => semantic(&go(a), &go(b)),
        Ecosystem::Gem => Some(ruby(a, b)),
    }
}

/// deb-version(7).
fn debian(a: &str, b: &str) -> Ordering {
    by_parts(a, b, debian_part)
}

/// `EPOCH:UPSTREAM-REVISION`: the epoch is a number, and what stands there without one has the epoch 0.
fn by_parts(a: &str, b: &str, compare: impl Fn(&str, &str) -> Ordering) -> Ordering {
    let parts = |version: &'_ str| -> (u64, String, String) {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), upstream.to_owned(), revision.to_owned())
    };
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0)
        .then_with(|| compare(&a.1, &b.1))
        .then_with(|| compare(&a.2, &b.2))
}

/// By turns what is no digit, in which a tilde is less than the end and letters are less than all else, and numbers.
fn debian_part(a: &str, b: &str) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        None => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        loop {
            let is_number = |text: &[u8]| text.first().is_none_or(u8::is_ascii_digit);
            if is_number(a) && is_number(b) {
                break;
            }
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
        }
        let order = number(&mut a).cmp(&number(&mut b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// `EPOCH:VERSION-RELEASE`, as `rpmvercmp` has it (rpm-version(7)).
fn red_hat(a: &str, b: &str) -> Ordering {
    by_parts(a, b, red_hat_part)
}

/// By turns words and numbers, whatever else is between them; a tilde is less than the end, a caret more than it but less
/// than anything else.
fn red_hat_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'^');
    let trimmed = |text: &[u8]| text.iter().position(is_part).unwrap_or(text.len());
    loop {
        (a, b) = (&a[trimmed(a)..], &b[trimmed(b)..]);
        let mark = |text: &[u8]| match text.first() {
            Some(b'~') => 0,
            None => 1,
            Some(b'^') => 2,
            Some(byte) if byte.is_ascii_alphabetic() => 3,
            Some(_) => 4,
        };
        let order = match (mark(a), mark(b)) {
            (1, 1) => return Ordering::Equal,
            (x, y) if x != y => return x.cmp(&y),
            (0 | 2, _) => {
                (a, b) = (&a[1..], &b[1..]);
                Ordering::Equal
            }
            (3, _) => letters(&mut a).cmp(letters(&mut b)),
            _ => number(&mut a).cmp(&number(&mut b)),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Letters, taken from the beginning.
fn letters<'t>(text: &mut &'t [u8]) -> &'t [u8] {
    let end = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

/// A number of any length, taken from the beginning: how many digits it has without zeros before them, and those.
fn number<'t>(text: &mut &'t [u8]) -> (usize, &'t [u8]) {
    let end = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    (digits.len() - zeros, &digits[zeros..])
}

/// Numbers, and in this order a letter, suffixes with numbers, and the revision of the package.
struct Alpine<'v> {
    numbers: Vec<&'v str>,
    rest: (Option<char>, Vec<(i8, u64)>, u64),
}

/// apk's `version.c`, as packages of Alpine use it.
fn alpine(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Alpine::parse(a)?, Alpine::parse(b)?);
    let pairs = a.numbers.iter().zip(&b.numbers).enumerate();
    let order = pairs.map(|(at, (a, b))| {
        // Behind the first, what begins with a zero is a fraction.
        let is_fraction = at > 0 && (a.starts_with('0') || b.starts_with('0'));
        if is_fraction {
            a.cmp(b)
        } else {
            number(&mut a.as_bytes()).cmp(&number(&mut b.as_bytes()))
        }
    });
    let order = order.fold(Ordering::Equal, Ordering::then);
    let lengths = || a.numbers.len().cmp(&b.numbers.len());
    Some(order.then_with(lengths).then_with(|| a.rest.cmp(&b.rest)))
}

impl<'v> Alpine<'v> {
    fn parse(version: &'v str) -> Option<Self> {
        const SUFFIXES: &[(&str, i8)] = &[
            ("alpha", -4),
            ("beta", -3),
            ("pre", -2),
            ("rc", -1),
            ("cvs", 1),
            ("svn", 2),
            ("git", 3),
            ("hg", 4),
            ("p", 5),
        ];
        let (version, revision) = match version.rsplit_once("-r") {
            Some((version, revision)) => (version, revision.parse().ok()?),
            None => (version, 0),
        };
        // The hash of a commit says nothing about the order.
        let version = version.split('~').next()?;
        let mut parts = version.split('_');
        let base = parts.next()?;
        let letter = base.chars().last().filter(char::is_ascii_lowercase);
        let numbers: Vec<&str> = base[..base.len() - letter.map_or(0, char::len_utf8)]
            .split('.')
            .collect();
        let is_number = |number: &&str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let mut suffixes = Vec::new();
        for part in parts {
            let (name, rank) = SUFFIXES.iter().find(|(name, _)| part.starts_with(name))?;
            let number = &part[name.len()..];
            suffixes.push((*rank, if number.is_empty() { 0 } else { number.parse().ok()? }));
        }
        // What has no suffix stands between those before and those behind.
        suffixes.push((0, 0));
        numbers.iter().all(is_number).then_some(Self {
            numbers,
            rest: (letter, suffixes, revision),
        })
    }
}

/// Epoch, release, what is before it, behind it, in development, and local.
type Python = (
    u64,
    Vec<u64>,
    (u8, u64),
    Option<u64>,
    (bool, u64),
    Vec<(bool, u64, String)>,
);

/// What comes before a release.
const BEFORE: &[(&str, u8)] = &[
    ("alpha", 1),
    ("a", 1),
    ("beta", 2),
    ("b", 2),
    ("preview", 3),
    ("pre", 3),
    ("rc", 3),
    ("c", 3),
];

/// The specification of version specifiers of Python packages.
fn python(version: &str) -> Option<Python> {
    let version = version.trim().to_ascii_lowercase();
    let version = version.strip_prefix('v').unwrap_or(&version);
    let (public, local) = version.split_once('+').unwrap_or((version, ""));
    let (epoch, rest) = public.split_once('!').unwrap_or(("0", public));
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (release, mut rest) = rest.split_at(end);
    let mut numbers: Vec<u64> = release
        .trim_end_matches('.')
        .split('.')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    let separators = ['.', '-', '_'];
    let mut part = |names: &[(&str, u8)]| -> Option<(u8, u64)> {
        let text = rest.trim_start_matches(separators);
        let (name, rank) = names.iter().find(|(name, _)| text.starts_with(name))?;
        let behind = text[name.len()..].trim_start_matches(separators);
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        let (number, left) = if digits == 0 {
            (0, &text[name.len()..])
        } else {
            (behind[..digits].parse().ok()?, &behind[digits..])
        };
        rest = left;
        Some((*rank, number))
    };
    let before = part(BEFORE);
    let post = part(&[("post", 0), ("rev", 0), ("r", 0)]).map(|(_, number)| number);
    let development = part(&[("dev", 0)]).map(|(_, number)| number);
    if !rest.is_empty() {
        return None;
    }
    // In development of the release itself comes before all that is before it.
    let before = before.unwrap_or(if development.is_some() && post.is_none() {
        (0, 0)
    } else {
        (4, 0)
    });
    let local = local.split(separators).filter(|part| !part.is_empty());
    let local = local.map(|part| match part.parse() {
        Ok(number) => (true, number, String::new()),
        Err(_) => (false, 0, part.to_owned()),
    });
    let development = (development.is_none(), development.unwrap_or(0));
    Some((epoch.parse().ok()?, numbers, before, post, development, local.collect()))
}

/// A version of Go itself as modules have them: `1.22rc1` is `1.22-rc.1`.
fn go(version: &str) -> Cow<'_, str> {
    for name in ["rc", "beta"] {
        if let Some((release, number)) = version.split_once(name)
            && release.ends_with(|c: char| c.is_ascii_digit())
        {
            return format!("{release}-{name}.{number}").into();
        }
    }
    version.into()
}

/// Semantic versioning 2.0.0, a `v` before it allowed, and as many numbers as there are.
fn semantic(a: &str, b: &str) -> Option<Ordering> {
    fn parts(version: &str) -> Option<(Vec<u64>, &str)> {
        let version = version.strip_prefix('v').unwrap_or(version);
        let version = version.split('+').next()?;
        let (release, before) = version.split_once('-').unwrap_or((version, ""));
        let numbers: Option<Vec<u64>> = release.split('.').map(|number| number.parse().ok()).collect();
        let mut numbers = numbers?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Some((numbers, before))
    }
    let ((a, a_before), (b, b_before)) = (parts(a)?, parts(b)?);
    let before = || match (a_before.is_empty(), b_before.is_empty()) {
        (true, other) => other.cmp(&true).reverse(),
        (false, true) => Ordering::Less,
        (false, false) => identifiers(a_before, b_before),
    };
    Some(a.cmp(&b).then_with(before))
}

/// Numbers are less than words.
fn identifiers(a: &str, b: &str) -> Ordering {
    let key = |part: &str| match part.parse::<u64>() {
        Ok(number) => (false, number, String::new()),
        Err(_) => (true, 0, part.to_owned()),
    };
    a.split('.').map(key).cmp(b.split('.').map(key))
}

/// `Gem::Version`: words are less than numbers, and zeros at the end are nothing.
fn ruby(a: &str, b: &str) -> Ordering {
    fn segments(version: &str) -> Vec<(bool, u64, String)> {
        let mut segments: Vec<(bool, u64, String)> = Vec::new();
        for part in version.replace('-', ".pre.").split('.') {
            let mut rest = part;
            while let Some(first) = rest.chars().next() {
                let is_digit = first.is_ascii_digit();
                let end = rest
                    .find(|c: char| c.is_ascii_digit() != is_digit)
                    .unwrap_or(rest.len());
                let (segment, left) = rest.split_at(end);
                segments.push(match segment.parse() {
                    Ok(number) => (true, number, String::new()),
                    Err(_) => (false, 0, segment.to_owned()),
                });
                rest = left;
            }
        }
        segments
    }
    let (mut a, mut b) = (segments(a), segments(b));
    let longest = a.len().max(b.len());
    for segments in [&mut a, &mut b] {
        segments.resize(longest, (true, 0, String::new()));
    }
    a.cmp(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From deb-version(7), apk's tests, `rpm.vercmp` of rpm 4.18, the specification of Python's versions, semver.org and the guides of Ruby's gems.
    #[test]
    fn older_and_newer() {
        for (ecosystem, versions) in [
            (
                Ecosystem::Deb,
                &[
                    "1.0~~",
                    "1.0~~a",
                    "1.0~",
                    "1.0",
                    "1.0a",
                    "1.0+b1",
                    "1.0.1",
                    "1.2-1",
                    "1.2-1+deb12u1",
                    "1.2-2",
                    "1.10",
                    "1:0.1",
                ][..],
            ),
            (
                Ecosystem::Apk,
                &[
                    "1.01",
                    "1.1",
                    "1.2_alpha",
                    "1.2_alpha2",
                    "1.2_beta",
                    "1.2_rc1",
                    "1.2",
                    "1.2-r1",
                    "1.2-r10",
                    "1.2_git20240101",
                    "1.2_p1",
                    "1.2a",
                    "1.2.1",
                    "1.10",
                ],
            ),
            (
                Ecosystem::Rpm,
                &[
                    "1.0~rc1-1",
                    "1.0~rc2-1",
                    "1.0-1",
                    "1.0-1.el9",
                    "1.0-1.el10",
                    "1.0-2",
                    "1.0^git1-1",
                    "1.0^git2-1",
                    "1.0a-1",
                    "1.0.1-1",
                    "1.2-3",
                    "1.10-1",
                    "2.0.fc1-1",
                    "2.0.1-1",
                    "1:0.1-1",
                ],
            ),
            (
                Ecosystem::Pypi,
                &[
                    "1.0.dev456",
                    "1.0a1",
                    "1.0a2.dev456",
                    "1.0a12.dev456",
                    "1.0a12",
                    "1.0b1.dev456",
                    "1.0b2",
                    "1.0b2.post345.dev456",
                    "1.0b2.post345",
                    "1.0rc1.dev456",
                    "1.0rc1",
                    "1.0",
                    "1.0+abc.5",
                    "1.0+abc.7",
                    "1.0+5",
                    "1.0.post456.dev34",
                    "1.0.post456",
                    "1.1.dev1",
                    "1!0.1",
                ],
            ),
            (
                Ecosystem::Npm,
                &[
                    "1.0.0-alpha",
                    "1.0.0-alpha.1",
                    "1.0.0-alpha.beta",
                    "1.0.0-beta",
                    "1.0.0-beta.2",
                    "1.0.0-beta.11",
                    "1.0.0-rc.1",
                    "1.0.0",
                    "1.2.0",
                    "1.10.0",
                    "2.0.0",
                ],
            ),
            (
                Ecosystem::Golang,
                &["v0.0.0-20200101000000-abcdefabcdef", "v0.0.1", "v1.9.0", "v1.10.0"],
            ),
            (
                Ecosystem::Gem,
                &["0.9", "1.0.a.2", "1.0.b1", "1.0", "1.0.1", "1.9", "1.10"],
            ),
        ] {
            for (at, a) in versions.iter().enumerate() {
                for (other, b) in versions.iter().enumerate() {
                    assert_eq!(compare(ecosystem, a, b), Some(at.cmp(&other)), "{ecosystem:?} {a} {b}");
                }
            }
        }
    }

    /// Debian's own program is asked.
    #[test]
    fn dpkg_says_the_same() {
        use proptest::prelude::*;
        use proptest::test_runner::{Config, TestRunner};

        let dpkg = |a: &str, order: &str, b: &str| {
            let mut command = std::process::Command::new("dpkg");
            command.args(["--compare-versions", a, order, b]);
            command.status().map(|status| status.success())
        };
        if let Err(error) = dpkg("1", "lt", "2") {
            assert!(std::env::var_os("CI").is_none(), "no dpkg: {error}");
            eprintln!("skipped: there is no dpkg ({error})");
            return;
        }
        let version = "([0-2]:)?[0-9][0-9a-cA.+~]{0,6}(-[0-9a-b.+~]{1,4}){0,2}";
        let mut runner = TestRunner::new(Config::with_cases(150));
        let tested = runner.run(&(version, version), |(a, b)| {
            let order = compare(Ecosystem::Deb, &a, &b).unwrap();
            let word = match order {
                Ordering::Less => "lt",
                Ordering::Equal => "eq",
                Ordering::Greater => "gt",
            };
            prop_assert!(dpkg(&a, word, &b).unwrap(), "{a} {word} {b}");
            Ok(())
        });
        tested.unwrap();
    }

    #[test]
    fn the_same_in_other_words() {
        for (ecosystem, a, b) in [
            (Ecosystem::Deb, "0:1.0-0", "1.0"),
            (Ecosystem::Deb, "1.000", "1.0"),
            (Ecosystem::Pypi, "1.0.0", "1"),
            (Ecosystem::Pypi, "1.0-ALPHA.1", "1.0a1"),
            (Ecosystem::Npm, "v1.0.0+build", "1.0.0"),
            (Ecosystem::Npm, "1.0", "1.0.0"),
            (Ecosystem::Golang, "1.22rc1", "v1.22.0-rc.1"),
            (Ecosystem::Golang, "v2.0.0+incompatible", "2.0.0"),
            (Ecosystem::Gem, "1.0.0", "1"),
        ] {
            assert_eq!(compare(ecosystem, a, b), Some(Ordering::Equal), "{a} {b}");
        }
        for (ecosystem, version) in [
            (Ecosystem::Pypi, "latest"),
            (Ecosystem::Npm, "x.y"),
            (Ecosystem::Golang, "(devel)"),
            (Ecosystem::Apk, "1_what"),
        ] {
            assert_eq!(compare(ecosystem, version, "1.0"), None, "{version}");
        }
    }
}
