//! What values of labels may be.

/// An address with a scheme (RFC 3986, section 3), as far as its letters go.
pub(crate) fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let mut letters = scheme.chars();
    let named = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    named && rest.chars().all(allowed)
}

/// A date and time (RFC 3339).
pub(crate) fn is_time(text: &str) -> bool {
    let has_time = !text.contains(' ') && text.contains(['T', 't']) && !text.contains('[');
    has_time && text.parse::<jiff::Timestamp>().is_ok()
}

/// Seven or forty hexadecimal digits, in lower case as git prints them.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 7 | 40) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Three numbers, and what semver 2.0.0 allows behind them; zeros before a number do no harm, as for hadolint.
pub(crate) fn is_version(text: &str) -> bool {
    let (text, build) = split(text, '+');
    let (core, before) = split(text, '-');
    let letters =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let precedence = |part: &str| letters(part) && (number(part) || !part.bytes().all(|byte| byte.is_ascii_digit()));
    core.split('.').count() == 3
        && core.split('.').all(digits)
        && before.is_none_or(|before| before.split('.').all(precedence))
        && build.is_none_or(|build| build.split('.').all(letters))
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

/// One address of mail (RFC 5322, `addr-spec` without comments).
pub(crate) fn is_mail(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let dots = |part: &str| {
        !part.is_empty()
            && part
                .split('.')
                .all(|piece| !piece.is_empty() && piece.chars().all(atom))
    };
    let quoted = local.len() > 1 && local.starts_with('"') && local.ends_with('"');
    (dots(local) || quoted) && dots(domain)
}

/// Licences of SPDX's list that images are likely to carry.
const LICENCES: &[&str] = &[
    "0BSD",
    "AFL-3.0",
    "AGPL-3.0",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-1.0",
    "Artistic-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "BSL-1.0",
    "BUSL-1.1",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDDL-1.0",
    "CDDL-1.1",
    "CECILL-2.1",
    "CPL-1.0",
    "ECL-2.0",
    "EPL-1.0",
    "EPL-2.0",
    "EUPL-1.1",
    "EUPL-1.2",
    "GPL-1.0",
    "GPL-2.0",
    "GPL-2.0+",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0",
    "GPL-3.0+",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "ICU",
    "IJG",
    "IPL-1.0",
    "ISC",
    "LGPL-2.0",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "LPPL-1.3c",
    "MIT",
    "MIT-0",
    "MPL-1.1",
    "MPL-2.0",
    "MS-PL",
    "MS-RL",
    "MulanPSL-2.0",
    "NCSA",
    "ODbL-1.0",
    "OFL-1.1",
    "OSL-3.0",
    "OpenSSL",
    "PHP-3.01",
    "PSF-2.0",
    "PostgreSQL",
    "Python-2.0",
    "Ruby",
    "SSPL-1.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "UPL-1.0",
    "Vim",
    "W3C",
    "WTFPL",
    "X11",
    "ZPL-2.1",
    "Zlib",
];

/// An expression of SPDX: licences with AND, OR, WITH and brackets.
pub(crate) fn is_licence(text: &str) -> bool {
    let mut words = text
        .split(|c: char| c.is_whitespace() || "()".contains(c))
        .filter(|word| !word.is_empty());
    let mut wanted = true;
    let mut any = false;
    let mut exception = false;
    let good = words.by_ref().all(|word| {
        any = true;
        if matches!(word, "AND" | "OR" | "WITH") {
            let fits = !wanted;
            wanted = true;
            exception = word == "WITH";
            return fits;
        }
        let fits = wanted && (exception || word.starts_with("LicenseRef-") || LICENCES.contains(&word));
        wanted = false;
        exception = false;
        fits
    });
    good && any && !wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        type Case = (fn(&str) -> bool, &'static [&'static str], &'static [&'static str]);
        let cases: [Case; 6] = [
            (
                is_url,
                &["https://example.com/a?b", "ssh:x"],
                &["example.com", "1:x", "https://a b"],
            ),
            (
                is_time,
                &["2026-11-30T05:00:00Z", "2026-11-30T05:00:00.5+02:00"],
                &["2026-11-30", "yesterday", "2026-11-30 05:00:00Z", ""],
            ),
            (
                is_commit,
                &["abcdef0", "0123456789012345678901234567890123456789"],
                &["abcdef", "abcdefg", "ABCDEF0"],
            ),
            (is_version, &["1.2.3", "1.0.0-rc.1+b-7"], &["1.2", "1.2.3-01", "v1.2.3"]),
            (
                is_mail,
                &["a.b@example.com"],
                &["a", "a@", "a b@example.com", "a..b@example.com"],
            ),
            (
                is_licence,
                &[
                    "MIT",
                    "(MIT OR Apache-2.0) AND ISC",
                    "GPL-2.0-only WITH Classpath-exception-2.0",
                ],
                &["", "mine", "MIT OR", "MIT MIT"],
            ),
        ];
        for (is, good, bad) in cases {
            assert!(good.iter().all(|text| is(text)), "{good:?}");
            assert!(!bad.iter().any(|text| is(text)), "{bad:?}");
        }
    }
}
