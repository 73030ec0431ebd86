//! Names of registries: host and optional port.

use std::net::IpAddr;

use crate::Error;

/// Docker Hub's name in references.
pub(crate) const DOCKER_HUB: &str = "docker.io";
/// The host that serves Docker Hub's API.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// The host and port that serve the API of `registry`.
pub(crate) fn api_host(registry: &str) -> &str {
    match registry {
        DOCKER_HUB | "index.docker.io" => DOCKER_HUB_API,
        other => other,
    }
}

/// Refuses what could mean something else within a URL: a path, a query, a user name, a space.
pub(crate) fn check(registry: &str) -> Result<(), Error> {
    let bad = |reason: &str| {
        Err(Error::Registry {
            name: registry.to_owned(),
            reason: reason.to_owned(),
        })
    };
    let (host, port) = split(registry);
    let good_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    if !good_host {
        return bad("a host has letters, digits, `-` and `.` only, and no path");
    }
    match port {
        Some(port) if port.parse::<u16>().is_err() => bad("the port is no number from 0 to 65535"),
        _ => Ok(()),
    }
}

/// Refuses what would lead elsewhere as part of an address: `..`, a query, an escape.
pub(crate) fn check_repository(repository: &str) -> Result<(), Error> {
    let good = |part: &str| {
        !part.is_empty()
            && part.bytes().any(|b| b != b'.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    if repository.is_empty() || repository.split('/').all(good) {
        return Ok(());
    }
    Err(Error::Registry {
        name: repository.to_owned(),
        reason: "a repository's path has letters, digits, `-`, `.` and `_` between its slashes".to_owned(),
    })
}

/// Whether `registry` (host and optional port) names this machine's own loopback interface.
pub(crate) fn is_loopback(registry: &str) -> bool {
    let host = split(registry).0.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Host (with the brackets of an IPv6 address) and port.
pub(crate) fn split(registry: &str) -> (&str, Option<&str>) {
    match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (registry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses() {
        for (registry, expected) in [
            ("localhost", true),
            ("LocalHost:5000", true),
            ("127.0.0.1", true),
            ("127.1.2.3:5000", true),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
            ("128.0.0.1", false),
            ("[2001:db8::1]:5000", false),
            ("docker.io", false),
        ] {
            assert_eq!(is_loopback(registry), expected, "{registry}");
        }
    }

    #[test]
    fn repositories_that_lead_elsewhere() {
        for good in ["", "a", "library/debian", "a.b/c__d/e-f"] {
            assert!(check_repository(good).is_ok(), "{good}");
        }
        for bad in ["a/../b", "..", "a//b", "/a", "a/", "a?b", "a#b", "a%2e", "a b", "."] {
            assert!(check_repository(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_are_none() {
        for good in ["docker.io", "a-b.c:5000", "[::1]:5000", "localhost", "my_registry:80"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a/b",
            "user@host",
            "a?b",
            "a b",
            "a:70000",
            "a:",
            "[::1",
            "a#b",
            ":80",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
