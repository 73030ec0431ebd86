//! `--add-host NAME:ADDRESS`.

use std::net::IpAddr;

/// Name and address. `NAME=ADDRESS`, and IPv6 addresses in brackets, are docker's later spellings.
/// `host-gateway` is this machine, which steps reach as they reach themselves: they share its network.
pub(crate) fn parse(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("`{text}`: wanted NAME:ADDRESS, like db:10.0.0.5");
    let (name, address) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .ok_or_else(wrong)?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong());
    }
    if address == "host-gateway" {
        return Ok((name.to_owned(), "127.0.0.1".to_owned()));
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'))
        .unwrap_or(address);
    let address: IpAddr = bare
        .parse()
        .map_err(|_| format!("`{text}`: `{bare}` is no IP address"))?;
    Ok((name.to_owned(), address.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts() {
        for (text, name, address) in [
            ("db:10.0.0.5", "db", "10.0.0.5"),
            ("db=10.0.0.5", "db", "10.0.0.5"),
            ("db:::1", "db", "::1"),
            ("db=[::1]", "db", "::1"),
            ("up:host-gateway", "up", "127.0.0.1"),
        ] {
            assert_eq!(parse(text), Ok((name.to_owned(), address.to_owned())), "{text}");
        }
        for text in ["db", ":1.2.3.4", "db:nowhere", "a b:1.2.3.4"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
