//! `--ulimit NAME=SOFT[:HARD]`.

const NAMES: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Name, soft and hard limit; `u64::MAX` is unlimited (`-1`).
pub(crate) fn parse(text: &str) -> Result<(String, u64, u64), String> {
    let wrong = || format!("`{text}`: wanted NAME=SOFT[:HARD], like nofile=1024:2048");
    let (name, limits) = text.split_once('=').ok_or_else(wrong)?;
    if !NAMES.contains(&name) {
        return Err(format!(
            "`{text}`: there is no limit `{name}`; there are {}",
            NAMES.join(", ")
        ));
    }
    let (soft, hard) = match limits.split_once(':') {
        Some((soft, hard)) => (soft, Some(hard)),
        None => (limits, None),
    };
    let number = |text: &str| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        digits => digits.parse().map_err(|_| wrong()),
    };
    let soft = number(soft)?;
    let hard = hard.map_or(Ok(soft), number)?;
    if soft > hard {
        return Err(format!("`{text}`: the soft limit is above the hard one"));
    }
    Ok((name.to_owned(), soft, hard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_limits() {
        assert_eq!(parse("nofile=1024:2048"), Ok(("nofile".to_owned(), 1024, 2048)));
        assert_eq!(parse("nproc=5"), Ok(("nproc".to_owned(), 5, 5)));
        assert_eq!(parse("core=0:-1"), Ok(("core".to_owned(), 0, u64::MAX)));
        for text in ["nofile", "nofile=", "nofile=a", "files=1", "nofile=2:1", "nofile=-1:1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
