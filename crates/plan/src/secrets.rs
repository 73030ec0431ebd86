//! Names that sound like secrets.

use kiln_dockerfile::ast::Span;
use kiln_dockerfile::code;

use crate::report::Report;

/// Words that, between underscores or at an end of a name, say that the value is secret.
const SECRET: &[&str] = &[
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

/// Words that say that it is not, after all.
const HARMLESS: &[&str] = &["public", "file", "version"];

/// Warns where ARG or ENV (`instruction`) hands a secret around: it stays readable in the image.
pub(crate) fn check(instruction: &str, name: &str, span: Span, report: &mut Report) {
    if sounds_secret(name) {
        report.warn(
            code::SECRETS_USED_IN_ARG_OR_ENV,
            span,
            format!("Do not use ARG or ENV instructions for sensitive data ({instruction} \"{name}\")"),
        );
    }
}

/// Whether the value of a variable of that name is likely to be secret.
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = || name.split('_');
    words().any(|word| SECRET.contains(&word)) && !HARMLESS.iter().any(|harmless| name.contains(harmless))
}

#[cfg(test)]
mod tests {
    use super::sounds_secret;

    #[test]
    fn names_that_sound_secret() {
        for name in ["PASSWORD", "db_password", "API_KEY", "TOKEN_X", "key"] {
            assert!(sounds_secret(name), "{name}");
        }
        for name in [
            "PASSWORDS",
            "monkey",
            "PUBLIC_KEY",
            "TOKEN_FILE",
            "KEY_VERSION",
            "AUTHOR",
        ] {
            assert!(!sounds_secret(name), "{name}");
        }
    }
}
