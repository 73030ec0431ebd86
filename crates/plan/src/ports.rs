//! EXPOSE: `[[ip:]host:]container[/proto]`, the container's part possibly a range.

/// The ports of one word as `80/tcp`, or why there are none.
pub fn parse(word: &str) -> Result<Vec<String>, String> {
    let (ports, protocol) = match word.split_once('/') {
        Some((ports, protocol)) if !protocol.is_empty() => (ports, protocol.to_lowercase()),
        Some((ports, _)) => (ports, "tcp".to_owned()),
        None => (word, "tcp".to_owned()),
    };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid proto: {protocol}"));
    }
    // Addresses may be IPv6 in brackets; the container's port is always what comes last.
    let container = ports.rsplit(':').next().unwrap_or(ports);
    if container.is_empty() {
        return Err(format!("no port specified: {word}<empty>"));
    }
    let range = container.split_once('-').unwrap_or((container, container));
    let (Ok(first), Ok(last)) = (number(range.0), number(range.1)) else {
        return Err(format!("invalid containerPort: {container}"));
    };
    if first > last {
        return Err(format!("invalid containerPort: {container}"));
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn number(text: &str) -> Result<u16, ()> {
    // Rust's parser takes a sign, Go's does not.
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| ())
    } else {
        Err(())
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn ports_and_ranges() {
        for (word, expected) in [
            ("80", "80/tcp"),
            ("80/UDP", "80/udp"),
            ("80/", "80/tcp"),
            ("8000-8002/sctp", "8000/sctp 8001/sctp 8002/sctp"),
            ("127.0.0.1:8080:80", "80/tcp"),
            ("[::1]:8080:80/udp", "80/udp"),
        ] {
            assert_eq!(parse(word).unwrap().join(" "), expected, "{word}");
        }
        assert_eq!(parse("10-8").unwrap_err(), "invalid containerPort: 10-8");
        for word in ["", "x", "80/icmp", "65536", "+80", "-80", "80-", "80:"] {
            assert!(parse(word).is_err(), "{word}");
        }
    }
}
