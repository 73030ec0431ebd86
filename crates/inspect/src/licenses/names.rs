//! Names of licenses that others use, and what SPDX calls them.

/// What SPDX calls a license of that name; the name itself if nothing else is known.
pub(super) fn spdx(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if let Some((_, id)) = ALIASES.iter().find(|(alias, _)| *alias == lower) {
        return (*id).to_owned();
    }
    gnu(&lower).unwrap_or_else(|| name.to_owned())
}

/// Whether that is a name of one license that is more than one word.
pub(super) fn is_phrase(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.contains(' ') && (ALIASES.iter().any(|(alias, _)| *alias == lower) || gnu(&lower).is_some())
}

/// Short names of others for what SPDX has under another name, or what people write out: of Debian (copyright format 1.0,
/// "license short name"), of Alpine's older packages, of Python's and Ruby's.
const ALIASES: &[(&str, &str)] = &[
    ("expat", "MIT"),
    ("mit license", "MIT"),
    ("the mit license", "MIT"),
    ("mit license (mit)", "MIT"),
    ("the mit license (mit)", "MIT"),
    ("apache-2", "Apache-2.0"),
    ("apache 2", "Apache-2.0"),
    ("apache 2.0", "Apache-2.0"),
    ("apache2", "Apache-2.0"),
    ("apache2.0", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache license version 2.0", "Apache-2.0"),
    ("apache software license 2.0", "Apache-2.0"),
    ("bsd-2-clause license", "BSD-2-Clause"),
    ("bsd 2-clause", "BSD-2-Clause"),
    ("bsd 2-clause license", "BSD-2-Clause"),
    ("simplified bsd", "BSD-2-Clause"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd2", "BSD-2-Clause"),
    ("bsd-3-clause license", "BSD-3-Clause"),
    ("bsd 3-clause", "BSD-3-Clause"),
    ("bsd 3-clause license", "BSD-3-Clause"),
    ("3-clause bsd license", "BSD-3-Clause"),
    ("new bsd", "BSD-3-Clause"),
    ("new bsd license", "BSD-3-Clause"),
    ("modified bsd", "BSD-3-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd3", "BSD-3-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("bsd-4-clause-uc", "BSD-4-Clause-UC"),
    ("bsd-1-clause", "BSD-1-Clause"),
    ("bsd-2", "BSD-2-Clause"),
    ("bsd-3", "BSD-3-Clause"),
    ("bsd-4", "BSD-4-Clause"),
    ("isc license", "ISC"),
    ("isc license (iscl)", "ISC"),
    ("artistic", "Artistic-1.0"),
    ("artistic-1", "Artistic-1.0"),
    ("artistic-2", "Artistic-2.0"),
    ("mpl-1", "MPL-1.0"),
    ("mpl-2", "MPL-2.0"),
    ("mpl 2.0", "MPL-2.0"),
    ("mozilla public license 2.0", "MPL-2.0"),
    ("mozilla public license 2.0 (mpl 2.0)", "MPL-2.0"),
    ("boost-1.0", "BSL-1.0"),
    ("bsl-1", "BSL-1.0"),
    ("cc0", "CC0-1.0"),
    ("psf", "PSF-2.0"),
    ("psf-2", "PSF-2.0"),
    ("psf license", "PSF-2.0"),
    ("psf-2.0", "PSF-2.0"),
    ("python software foundation license", "PSF-2.0"),
    ("python-2", "Python-2.0"),
    ("zlib", "Zlib"),
    ("the unlicense (unlicense)", "Unlicense"),
    ("qpl-1", "QPL-1.0"),
    ("gfdl-niv-1.2", "GFDL-1.2-no-invariants-only"),
    ("gfdl-niv-1.2+", "GFDL-1.2-no-invariants-or-later"),
    ("gfdl-niv-1.3", "GFDL-1.3-no-invariants-only"),
    ("gfdl-niv-1.3+", "GFDL-1.3-no-invariants-or-later"),
];

/// What the families are called where they are written out, the longest first.
const FAMILIES: &[(&str, &str)] = &[
    ("affero general public license", "agpl"),
    ("lesser general public license", "lgpl"),
    ("library general public license", "lgpl"),
    ("free documentation license", "gfdl"),
    ("general public license", "gpl"),
    ("agpl", "agpl"),
    ("lgpl", "lgpl"),
    ("gfdl", "gfdl"),
    ("gpl", "gpl"),
];

/// `GPL-2+`, `LGPLv2.1`, `GNU General Public License v3 or later (GPLv3+)` and their like. Without a version it is none that
/// SPDX has.
pub(super) fn gnu(lower: &str) -> Option<String> {
    let Some((name, short)) = lower.strip_suffix(')').and_then(|text| text.split_once(" (")) else {
        return gnu_name(lower);
    };
    gnu_name(name).filter(|name| gnu_name(short).as_ref() == Some(name))
}

fn gnu_name(lower: &str) -> Option<String> {
    let text = lower.strip_prefix("gnu ").unwrap_or(lower);
    let (family, rest) = FAMILIES
        .iter()
        .find_map(|(name, family)| Some((*family, text.strip_prefix(name)?)))?;
    let rest = rest.trim_start_matches([',', '-', ' ']);
    let rest = rest
        .strip_prefix("version ")
        .unwrap_or(rest)
        .trim_start_matches(['v', ' ']);
    let digits = rest
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .count();
    let (version, suffix) = rest.split_at(digits);
    let is_later = match suffix {
        "" | "-only" | " only" => false,
        "+" | "-or-later" | " or later" | "-or-newer" | " or newer" | " or any later version" | ".0+" => true,
        _ => return None,
    };
    let version = match (family, version) {
        (_, "1" | "1.0") => "1.0",
        ("lgpl", "2.1") => "2.1",
        (_, "2" | "2.0") => "2.0",
        (_, "3" | "3.0") => "3.0",
        ("gfdl", "1.1" | "1.2" | "1.3") => version,
        _ => return None,
    };
    let suffix = if is_later { "or-later" } else { "only" };
    Some(format!("{}-{version}-{suffix}", family.to_ascii_uppercase()))
}

/// The license that classifiers of Python's index mean, `License :: OSI Approved :: MIT License`, if all that are of licenses
/// mean the same one. Whether of several one will do, or all apply, nobody says.
pub(crate) fn of_classifiers<'t>(classifiers: impl Iterator<Item = &'t str>) -> Option<&'static str> {
    let names = classifiers.filter_map(|classifier| classifier.trim().strip_prefix("License ::"));
    // That alone names none.
    let mut names = names.map(str::trim).filter(|name| *name != "OSI Approved");
    let first = of_classifier(names.next()?)?;
    names.all(|name| of_classifier(name) == Some(first)).then_some(first)
}

fn of_classifier(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("OSI Approved ::").unwrap_or(name).trim();
    CLASSIFIERS.iter().find(|(known, _)| *known == name).map(|(_, id)| *id)
}

/// Classifiers that mean one license; "Apache Software License" and "BSD License" are several.
const CLASSIFIERS: &[(&str, &str)] = &[
    ("MIT License", "MIT"),
    ("MIT No Attribution License (MIT-0)", "MIT-0"),
    ("ISC License (ISCL)", "ISC"),
    ("zlib/libpng License", "Zlib"),
    ("The Unlicense (Unlicense)", "Unlicense"),
    ("Boost Software License 1.0 (BSL-1.0)", "BSL-1.0"),
    ("Mozilla Public License 1.1 (MPL 1.1)", "MPL-1.1"),
    ("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
    ("Python Software Foundation License", "PSF-2.0"),
    ("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "CC0-1.0"),
    ("Eclipse Public License 1.0 (EPL-1.0)", "EPL-1.0"),
    ("Eclipse Public License 2.0 (EPL-2.0)", "EPL-2.0"),
    ("European Union Public Licence 1.2 (EUPL 1.2)", "EUPL-1.2"),
    ("GNU General Public License v2 (GPLv2)", "GPL-2.0-only"),
    ("GNU General Public License v2 or later (GPLv2+)", "GPL-2.0-or-later"),
    ("GNU General Public License v3 (GPLv3)", "GPL-3.0-only"),
    ("GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"),
    ("GNU Lesser General Public License v2 (LGPLv2)", "LGPL-2.0-only"),
    (
        "GNU Lesser General Public License v2 or later (LGPLv2+)",
        "LGPL-2.0-or-later",
    ),
    ("GNU Lesser General Public License v3 (LGPLv3)", "LGPL-3.0-only"),
    (
        "GNU Lesser General Public License v3 or later (LGPLv3+)",
        "LGPL-3.0-or-later",
    ),
    ("GNU Affero General Public License v3", "AGPL-3.0-only"),
    (
        "GNU Affero General Public License v3 or later (AGPLv3+)",
        "AGPL-3.0-or-later",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// From Debian's machine-readable copyright format 1.0 and SPDX's list.
    #[test]
    fn short_names() {
        for (name, expected) in [
            ("GPL-2", "GPL-2.0-only"),
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-2.0+", "GPL-2.0-or-later"),
            ("GPL-3.0", "GPL-3.0-only"),
            ("GPLv2", "GPL-2.0-only"),
            ("LGPL-2.1+", "LGPL-2.1-or-later"),
            ("AGPL-3", "AGPL-3.0-only"),
            ("GFDL-1.3+", "GFDL-1.3-or-later"),
            ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
            ("GPL-2.0-or-later", "GPL-2.0-or-later"),
            ("Expat", "MIT"),
            ("BSD-3-clause", "BSD-3-Clause"),
            ("GNU General Public License v3", "GPL-3.0-only"),
            ("GNU General Public License, version 2", "GPL-2.0-only"),
            ("GNU General Public License v2 or later (GPLv2+)", "GPL-2.0-or-later"),
            ("GNU General Public License v2 (GPLv2)", "GPL-2.0-only"),
            ("GNU Lesser General Public License v2.1", "LGPL-2.1-only"),
            ("GNU Library General Public License v2", "LGPL-2.0-only"),
            ("GNU Affero General Public License v3.0 or later", "AGPL-3.0-or-later"),
            ("GNU GPL v3 or later", "GPL-3.0-or-later"),
            (
                "GNU General Public License v2 (GPLv3)",
                "GNU General Public License v2 (GPLv3)",
            ),
            ("GNU General Public License", "GNU General Public License"),
            ("GNU General Public License (GPL)", "GNU General Public License (GPL)"),
            ("GPL", "GPL"),
            ("GPL-2.0-x", "GPL-2.0-x"),
            ("LGPL", "LGPL"),
            ("public-domain", "public-domain"),
        ] {
            assert_eq!(spdx(name), expected, "{name}");
        }
    }

    #[test]
    fn classifiers() {
        let of = |names: &[&str]| of_classifiers(names.iter().copied());
        let (mit, gpl) = (
            "License :: OSI Approved :: MIT License",
            "License :: OSI Approved :: GNU General Public License (GPL)",
        );
        assert_eq!(
            of(&["Programming Language :: Python", mit, "License :: OSI Approved"]),
            Some("MIT")
        );
        assert_eq!(of(&[mit, " License :: OSI Approved :: MIT License "]), Some("MIT"));
        for unknown in [
            &[gpl][..],
            &[mit, gpl],
            &[gpl, mit],
            &[mit, "License :: OSI Approved :: BSD License"],
            &[mit, "License :: Other/Proprietary License"],
            &["License :: OSI Approved"],
            &["Programming Language :: Python"],
            &[],
        ] {
            assert_eq!(of(unknown), None, "{unknown:?}");
        }
    }
}
