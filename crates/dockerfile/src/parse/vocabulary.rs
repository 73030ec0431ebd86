//! The words of the language, for those who complete or explain what somebody writes.

use super::flags::Use;
use super::{add_copy, from, healthcheck, instruction, run};
use crate::ast::Dockerfile;
use crate::extensions::{self, CACHE_KEY, IF_EXISTS, INCLUDE};
use crate::mount::{self, MountType};

/// A flag of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its name without dashes.
    pub name: &'static str,
    /// Whether it means something without a value.
    pub switch: bool,
}

/// The keys of mounts besides `type`: whether each means something without a value, and the types that have it.
const MOUNT_KEYS: &[(&str, bool, &[MountType])] = {
    use MountType::{Bind, Cache, Secret, Ssh, Tmpfs};
    &[
        ("target", false, &[Bind, Cache, Tmpfs, Secret, Ssh]),
        ("source", false, &[Bind, Cache]),
        ("from", false, &[Bind, Cache]),
        ("readonly", true, &[Bind, Cache]),
        ("readwrite", true, &[Bind, Cache]),
        ("id", false, &[Cache, Secret, Ssh]),
        ("sharing", false, &[Cache]),
        ("key", false, &[Cache]),
        ("size", false, &[Tmpfs]),
        ("required", true, &[Secret, Ssh]),
        ("env", false, &[Secret]),
        ("mode", false, &[Cache, Secret, Ssh]),
        ("uid", false, &[Cache, Secret, Ssh]),
        ("gid", false, &[Cache, Secret, Ssh]),
    ]
};

/// The keywords of the instructions that a file may use, in upper case.
pub fn instructions(file: &Dockerfile) -> impl Iterator<Item = &'static str> + use<> {
    let include = asks_for(file, INCLUDE).then_some("INCLUDE");
    instruction::KEYWORDS.into_iter().chain(include)
}

/// The flags of an instruction of that file by its keyword, in any case.
pub fn flags(file: &Dockerfile, keyword: &str) -> Vec<Flag> {
    let known: &[(&'static str, Use)] = match keyword.to_ascii_uppercase().as_str() {
        "ADD" => &add_copy::ADD,
        "COPY" => &add_copy::COPY,
        "FROM" => &from::FLAGS,
        "HEALTHCHECK" => &healthcheck::FLAGS,
        "RUN" => &run::FLAGS,
        _ => &[],
    };
    let fits = |name: &str| name != IF_EXISTS || asks_for(file, IF_EXISTS);
    let flag = |&(name, usage): &(&'static str, Use)| Flag {
        name,
        switch: usage == Use::Switch,
    };
    known.iter().filter(|(name, _)| fits(name)).map(flag).collect()
}

/// The values that a flag may have, where there are few.
pub fn values(keyword: &str, flag: &str) -> &'static [&'static str] {
    match (keyword.to_ascii_uppercase().as_str(), flag) {
        ("RUN", "network") => &run::NETWORKS,
        ("RUN", "security") => &run::SECURITIES,
        ("ADD" | "COPY", "link" | "parents" | "keep-git-dir" | "unpack" | IF_EXISTS) => &["true", "false"],
        _ => &[],
    }
}

/// The keys of a mount of that type besides `type`, and whether each needs no value.
pub fn mount_keys(file: &Dockerfile, kind: MountType) -> impl Iterator<Item = (&'static str, bool)> + use<> {
    let keyed = asks_for(file, CACHE_KEY);
    MOUNT_KEYS
        .iter()
        .filter(move |(name, _, kinds)| kinds.contains(&kind) && (*name != "key" || keyed))
        .map(|(name, bare, _)| (*name, *bare))
}

/// The values that a key of a mount may have, where there are few.
pub fn mount_values(key: &str) -> Vec<&'static str> {
    match key {
        "type" => mount::TYPES.iter().map(|(name, _)| *name).collect(),
        "sharing" => mount::SHARING.iter().map(|(name, _)| *name).collect(),
        "readonly" | "ro" | "readwrite" | "rw" | "required" => vec!["true", "false"],
        _ => Vec::new(),
    }
}

/// The type of mount of that name.
pub fn mount_type(name: &str) -> Option<MountType> {
    let found = mount::TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, kind)| *kind)
}

fn asks_for(file: &Dockerfile, extension: &str) -> bool {
    let mut directives = file.directives.iter();
    let asked = directives.find(|found| found.name == extensions::DIRECTIVE);
    asked.is_some_and(|found| found.value.raw.split(',').any(|name| name.trim() == extension))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::Mount;
    use crate::parse;

    /// What is offered must be what the parser takes: each key alone with its type.
    #[test]
    fn mounts_take_their_keys() {
        let file = parse("# kiln=cache-key\nFROM scratch\n").0;
        for kind in mount_values("type") {
            for (key, bare) in mount_keys(&file, mount_type(kind).unwrap()) {
                let value = match key {
                    "sharing" => "locked",
                    "readonly" | "readwrite" | "required" => "true",
                    _ => "1",
                };
                let needed = if kind == "secret" && key != "id" { ",id=x" } else { "" };
                let text = format!("type={kind},{key}={value}{needed}");
                let read = |text: &str| Mount::parse(text, &mut |value| Ok(value.to_owned()));
                assert!(read(&text).is_ok(), "{text}: {:?}", read(&text));
                let text = format!("type={kind},{key}{needed}");
                assert_eq!(read(&text).is_ok(), bare, "{text}");
            }
        }
    }

    #[test]
    fn extensions_are_offered_to_those_who_ask_for_them() {
        let plain = parse("FROM scratch\n").0;
        let asks = parse("# kiln=include,if-exists\nFROM scratch\n").0;
        let has = |file, name| flags(file, "copy").iter().any(|flag| flag.name == name);
        assert!(has(&plain, "from") && !has(&plain, "if-exists") && has(&asks, "if-exists"));
        assert!(!instructions(&plain).any(|name| name == "INCLUDE"));
        assert!(instructions(&asks).any(|name| name == "INCLUDE"));
        assert!(flags(&plain, "USER").is_empty());
        assert_eq!(values("run", "network"), ["default", "none", "host"]);
    }
}
