//! How much the store may hold: `20g`, `40%`, `none`.

use kiln_store::Cap;

use super::size;

/// A size, a share of the disk, or `none`.
pub(crate) fn parse(text: &str) -> Result<Cap, String> {
    if text == "none" {
        return Ok(Cap::None);
    }
    let Some(percent) = text.strip_suffix('%') else {
        let wrong = |message| format!("{message}, or a share of the disk like 40%, or none");
        return size::parse(text).map(Cap::Bytes).map_err(wrong);
    };
    match percent.parse() {
        Ok(percent @ 1..=100) => Ok(Cap::Percent(percent)),
        _ => Err(format!("`{text}` is no share of the disk: wanted one from 1% to 100%")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps() {
        assert_eq!(parse("64m"), Ok(Cap::Bytes(64 << 20)));
        assert_eq!(parse("40%"), Ok(Cap::Percent(40)));
        assert_eq!(parse("none"), Ok(Cap::None));
        for text in ["", "0%", "101%", "-1%", "%", "much"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
