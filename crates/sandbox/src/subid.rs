//! Subordinate ids: `/etc/subuid` and `/etc/subgid`.

/// A range of ids of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u32,
    pub(crate) count: u32,
}

/// The ranges of one user in a file of `name-or-uid:start:count` lines (subuid(5)). Malformed lines are passed over, as
/// the tools that use the file do.
pub(crate) fn ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<Range> {
    let uid = uid.to_string();
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let (start, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let whole = fields.next().is_none() && count > 0 && start.checked_add(count).is_some();
        (whole && (Some(owner) == name || owner == uid)).then_some(Range { start, count })
    };
    text.lines().filter_map(range).collect()
}

/// The first id after all ranges of both files, from 100000 up, where a new range can begin.
pub(crate) fn first_free(texts: [&str; 2]) -> u32 {
    let end = |line: &str| {
        let mut fields = line.trim().split(':').skip(1).map(str::parse::<u32>);
        fields.next()?.ok()?.checked_add(fields.next()?.ok()?)
    };
    texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(end)
        .fold(100_000, u32::max)
}

/// The arguments of `newuidmap` and `newgidmap` after the process id: 0 inside is `own` outside, and 1 and up are the
/// ranges, one after the other.
pub(crate) fn map_arguments(own: u32, ranges: &[Range]) -> Vec<String> {
    let mut arguments = vec!["0".to_owned(), own.to_string(), "1".to_owned()];
    let mut inside: u32 = 1;
    for range in ranges {
        let count = range.count.min(u32::MAX - inside);
        arguments.extend([inside, range.start, count].map(|number| number.to_string()));
        inside += count;
    }
    arguments
}

/// The name of a user in the text of a passwd file.
pub(crate) fn user_name(passwd: &str, uid: u32) -> Option<&str> {
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    })
}

/// How many ids a process's `uid_map` has.
pub(crate) fn mapped(uid_map: &str) -> u64 {
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    uid_map.lines().filter_map(count).sum()
}

/// The `uid_map` or `gid_map` of a namespace below one with the map `own` in which all ids are as they are there.
pub(crate) fn identity_map(own: &str) -> String {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace();
        let (inside, count) = (numbers.next()?, numbers.nth(1)?);
        Some(format!("{inside} {inside} {count}\n"))
    };
    own.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_user() {
        let text = "alice:100000:65536\nbob:165536:65536\n1001:300000:10\n\n# no\nalice:400000:5\nalice:x:1\nalice:1\n\
            alice:9:9:9\nalice:4294967295:2\nalice:7:0\n";
        let of = |name, uid| {
            ranges(text, name, uid)
                .iter()
                .map(|r| (r.start, r.count))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(Some("alice"), 1000), [(100_000, 65_536), (400_000, 5)]);
        assert_eq!(of(Some("carol"), 1001), [(300_000, 10)]);
        assert_eq!(of(None, 1002), []);
    }

    #[test]
    fn free_ranges() {
        assert_eq!(first_free(["", "junk"]), 100_000);
        assert_eq!(
            first_free(["a:100000:65536\n", "a:100000:65536\nb:165536:65536\n"]),
            231_072
        );
    }

    #[test]
    fn maps() {
        let ranges = [
            Range {
                start: 100_000,
                count: 65_536,
            },
            Range {
                start: 400_000,
                count: 5,
            },
        ];
        assert_eq!(
            map_arguments(1000, &ranges).join(" "),
            "0 1000 1 1 100000 65536 65537 400000 5"
        );
    }

    #[test]
    fn names_and_counts() {
        let passwd = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000), Some("alice"));
        assert_eq!(user_name(passwd, 5), None);
        assert_eq!(
            mapped("         0       1000          1\n         1     100000      65536\n"),
            65_537
        );
        assert_eq!(mapped("         0          0 4294967295\n"), 4_294_967_295);
    }

    #[test]
    fn the_same_ids_below() {
        let own = "         0       1002          1\n         1     165536      65536\n";
        assert_eq!(identity_map(own), "0 0 1\n1 1 65536\n");
        assert_eq!(identity_map("         0          0 4294967295\n"), "0 0 4294967295\n");
    }
}
