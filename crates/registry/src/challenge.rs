//! `WWW-Authenticate` (RFC 9110 section 11.6.1) and what the token protocol puts there.

/// One challenge of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token from a token server.
    Bearer {
        /// The URL of the token server.
        realm: String,
        /// The audience of the token.
        service: Option<String>,
        /// The scopes that the request needs.
        scope: Option<String>,
    },
}

/// The strongest challenge in `headers` that Kiln can answer: Bearer before Basic.
pub(crate) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for challenge in headers.flat_map(parse) {
        match challenge {
            Challenge::Bearer { .. } => return Some(challenge),
            Challenge::Basic => basic = Some(challenge),
        }
    }
    basic
}

/// The challenges in one header that Kiln knows.
fn parse(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = Cursor(header);
    rest.separators();
    let mut scheme = rest.token();
    while !scheme.is_empty() {
        let mut parameters = Vec::new();
        let next = loop {
            rest.separators();
            let name = rest.token();
            if name.is_empty() {
                break "";
            }
            // Not a parameter but the scheme of the next challenge.
            if !rest.eat('=') {
                break name;
            }
            parameters.push((name.to_ascii_lowercase(), rest.value()));
        };
        found.extend(challenge(scheme, &parameters));
        scheme = next;
    }
    found
}

fn challenge(scheme: &str, parameters: &[(String, String)]) -> Option<Challenge> {
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let take = |wanted: &str| {
        let found = parameters.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    Some(Challenge::Bearer {
        realm: take("realm")?,
        service: take("service"),
        scope: take("scope"),
    })
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn separators(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
    }

    fn token(&mut self) -> &'a str {
        let end = self.0.find([' ', '\t', ',', '=', '"']).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        token
    }

    /// Eats `wanted`, with blanks around it.
    fn eat(&mut self, wanted: char) -> bool {
        match self.0.trim_start().strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }

    /// A token or a quoted string.
    fn value(&mut self) -> String {
        let Some(quoted) = self.0.strip_prefix('"') else {
            let end = self.0.find([' ', '\t', ',']).unwrap_or(self.0.len());
            let (value, rest) = self.0.split_at(end);
            self.0 = rest;
            return value.to_owned();
        };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return value;
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
        }
        self.0 = "";
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(ToOwned::to_owned),
            scope: scope.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn reads_challenges() {
        for (header, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull""#,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:library/debian:pull"),
                )],
            ),
            (
                r#"bearer realm = "https://a/t" , Service=s, scope="repository:a:pull,push repository:b:pull", error="invalid_token""#,
                vec![bearer(
                    "https://a/t",
                    Some("s"),
                    Some("repository:a:pull,push repository:b:pull"),
                )],
            ),
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("Basic", vec![Challenge::Basic]),
            (
                r#"Negotiate, Basic realm="a, Bearer realm=\"x\"", Bearer realm="https://b/t""#,
                vec![Challenge::Basic, bearer("https://b/t", None, None)],
            ),
            (r#"Bearer service="no realm""#, vec![]),
            (
                r#"Bearer realm="unterminated"#,
                vec![bearer("unterminated", None, None)],
            ),
            ("", vec![]),
            (",,, =\"", vec![]),
        ] {
            assert_eq!(parse(header), expected, "{header}");
        }
    }

    #[test]
    fn a_token_is_preferred() {
        let headers = [r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#];
        assert_eq!(choose(headers.into_iter()), Some(bearer("https://a/t", None, None)));
        assert_eq!(choose(headers[..1].iter().copied()), Some(Challenge::Basic));
        assert_eq!(choose(["Negotiate"].into_iter()), None);
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read(header in ".{0,200}") {
            parse(&header);
        }

        #[test]
        fn what_is_quoted_is_found_again(realm in "[^\u{0}-\u{1f}]{1,50}", scope in "[a-z:/, ]{1,50}") {
            let quoted = realm.replace('\\', r"\\").replace('"', "\\\"");
            let header = format!(r#"Bearer realm="{quoted}",scope="{scope}""#);
            proptest::prop_assert_eq!(parse(&header), [bearer(&realm, None, Some(&scope))]);
        }
    }
}
