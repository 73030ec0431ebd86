//! Other people's crates: how many, from where, under which licences, and those that must never come in. The same as
//! `deny.toml` says to `cargo deny`, which takes long to compile and so is not part of the tests.

use crate::metadata::{Metadata, Package};

/// Normal dependencies that the product may have.
const CAP: usize = 400;

/// The only source.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licences that ours, Apache-2.0, can be together with.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Crates that must not come in, and why.
const BANNED: &[(&str, &str)] = &[
    ("libz-ng-sys", "needs cmake, and makes flate2 write other bytes"),
    ("libz-sys", "makes flate2 write other bytes than zlib-rs"),
    ("openssl-sys", "TLS is rustls with aws-lc-rs"),
    ("native-tls", "TLS is rustls with aws-lc-rs"),
    ("ring", "one provider of cryptography: aws-lc-rs"),
    ("sha2", "one provider of cryptography: aws-lc-rs"),
    ("nix", "system calls go through rustix"),
    ("serde_yml", "unsound"),
    ("async-std", "one runtime: tokio"),
];

/// Everything that is wrong with the dependencies.
pub fn wrong(metadata: &Metadata) -> Vec<String> {
    let mut wrong: Vec<String> = metadata.others().flat_map(wrong_with).collect();
    if let Some(cli) = metadata.ours().find(|package| package.name == "kiln-cli") {
        let count = metadata.closure(&cli.id).len();
        if count > CAP {
            wrong.push(format!("kiln stands on {count} crates, more than {CAP}"));
        }
    }
    wrong
}

fn wrong_with(package: &Package) -> Vec<String> {
    let Package {
        name,
        version,
        license,
        source,
        ..
    } = package;
    let mut wrong = Vec::new();
    if let Some((_, why)) = BANNED.iter().find(|(banned, _)| banned == name) {
        wrong.push(format!("{name} {version} is banned: {why}"));
    }
    if source.as_deref() != Some(CRATES_IO) {
        wrong.push(format!("{name} {version} does not come from crates.io"));
    }
    match license {
        Some(license) if allowed(license) => {}
        Some(license) => wrong.push(format!(
            "{name} {version} has the licence {license}, which is not on the list"
        )),
        None => wrong.push(format!("{name} {version} does not say its licence")),
    }
    wrong
}

/// Whether an SPDX expression can be met with the licences of the list. `OR` binds weaker than `AND`; parentheses are
/// taken innermost first.
fn allowed(expression: &str) -> bool {
    let mut text = expression.replace('/', " OR ");
    while let Some(end) = text.find(')') {
        let Some(start) = text[..end].rfind('(') else {
            return false;
        };
        let inner = simple(&text[start + 1..end]);
        text.replace_range(start..=end, if inner { "MIT" } else { "refused" });
    }
    simple(&text)
}

fn simple(expression: &str) -> bool {
    expression
        .split(" OR ")
        .any(|all| all.split(" AND ").all(|one| LICENCES.contains(&one.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for (expression, wanted) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-2.0", false),
            ("ISC AND (Apache-2.0 OR ISC) AND OpenSSL", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MPL-2.0", false),
        ] {
            assert_eq!(allowed(expression), wanted, "{expression}");
        }
    }
}
