//! Pieces of Dockerfiles: words, patterns, values of flags.

use std::collections::BTreeMap;

use kiln_dockerfile::device::Device;
use kiln_dockerfile::expand::{self, Effort, Mode};
use kiln_dockerfile::glob;
use kiln_dockerfile::ignore::Ignore;
use kiln_dockerfile::mount::{self, Mount};

/// Words expand or say why not, in every mode and with both escape characters. The first byte chooses these, what is left
/// of the first line is a variable's value.
pub fn words(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let chosen = |bit: u8| choice & (1 << bit) != 0;
    let mode = Mode {
        raw_quotes: chosen(0),
        raw_escapes: chosen(1),
        keep_unset: chosen(2),
        skip_quotes: chosen(3),
    };
    let escape = if chosen(4) { '`' } else { '\\' };
    let text = String::from_utf8_lossy(bytes);
    let (value, text) = text.split_once('\n').unwrap_or(("", &text));
    let env = BTreeMap::from([("a".to_owned(), value.to_owned()), ("b".to_owned(), String::new())]);
    let word = expand::word_with(text, escape, &env, mode, &Effort::default());
    let words = expand::words_with(text, escape, &env, mode, &Effort::default());
    match (word, words) {
        (Ok(word), Ok(words)) => {
            assert_eq!(word.undefined, words.undefined);
            let all: usize = words.values.iter().map(String::len).sum();
            assert!(all <= word.value.len());
        }
        (word, words) => assert_eq!(word.err(), words.err()),
    }
}

/// Ignore files are read or refused; each path has one answer, and where something below an excluded directory is let
/// in, the directory is one to look into. The first line is the path.
pub fn ignore(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (path, text) = text.split_once('\n').unwrap_or(("a/b", &text));
    let Ok(ignore) = Ignore::parse(text) else { return };
    let lines = text.split('\n').count();
    let names: Vec<&str> = path
        .split('/')
        .filter(|name| !matches!(*name, "" | "." | ".."))
        .collect();
    let path = names.join("/");
    let decision = ignore.decide(&path);
    assert!(decision.line.is_none_or(|line| (1..=lines).contains(&line)));
    assert!(!decision.excluded || decision.line.is_some());
    if let Some((directory, _)) = path.rsplit_once('/')
        && ignore.decide(directory).excluded
        && !decision.excluded
    {
        assert!(ignore.may_reinclude_below(directory), "{text:?} {path}");
    }
}

/// Patterns are read or refused, whatever the name; a text without wildcards fits itself only. The first line is the
/// name.
pub fn globs(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (name, pattern) = text.split_once('\n').unwrap_or(("a", &text));
    let fits = glob::matches(pattern, name);
    assert_eq!(fits.is_err(), glob::matches(pattern, "").is_err());
    if !glob::is_pattern(pattern) {
        assert_eq!(fits, Ok(name == pattern));
    }
}

/// Values of `--mount` and `--device` are read or refused, and what both readers of `from=` and `key=` find is the same.
pub fn flags(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mount = Mount::parse(&text, &mut |value| Ok(value.to_owned()));
    if let (Ok(mount), Ok(from)) = (&mount, mount::from_of(&text)) {
        assert_eq!(mount.from, from);
        let _names = (mount.cache_id(), mount.secret_id(), mount.secret_target());
    }
    if let (Ok(mount), Ok(Some(plain))) = (mount, mount::without_keys(&text)) {
        let left = mount::without_keys(&plain);
        assert!(!mount.key.is_empty() && !matches!(left, Ok(Some(_))), "{plain}");
    }
    if let Ok(device) = Device::parse(&text) {
        assert!(!device.name.is_empty());
    }
}
