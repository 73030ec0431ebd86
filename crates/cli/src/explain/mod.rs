//! Explanations of the codes in `error[CODE]` and `warning[CODE]`.

/// One page a heading: `# CODE: what it says in a line`, then text for a terminal.
const PAGES: &str = include_str!("pages.md");

/// What a code means, and what to do about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    /// As in the message.
    pub(crate) code: &'static str,
    /// In a line.
    pub(crate) summary: &'static str,
    /// At length; may be empty.
    pub(crate) text: &'static str,
}

/// All of them, what goes wrong in steps first.
pub(crate) fn pages() -> impl Iterator<Item = Page> {
    let mut pieces = PAGES.split("\n# ");
    let first = pieces.next().map(|piece| piece.trim_start_matches("# "));
    first.into_iter().chain(pieces).filter_map(|piece| {
        let (title, text) = piece.split_once('\n').unwrap_or((piece, ""));
        let (code, summary) = title.split_once(": ")?;
        Some(Page {
            code,
            summary,
            text: text.trim_matches('\n'),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_heading_is_a_page_of_its_own() {
        let headings = PAGES.lines().filter(|line| line.starts_with("# ")).count();
        let mut codes: Vec<&str> = pages().map(|page| page.code).collect();
        assert_eq!(codes.len(), headings);
        assert!(
            codes
                .iter()
                .all(|code| code.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        );
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), headings);
    }

    #[test]
    fn every_code_has_a_page() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let mut codes = words_after(&read(&crates.join("dockerfile/src/code.rs")), &["&str ="]);
        codes.extend(words_after(&read(&crates.join("cli/src/engine/codes.rs")), &["=>"]));
        let entries = std::fs::read_dir(crates.join("plan/src")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        for path in paths.filter(|path| path.is_file()) {
            codes.extend(words_after(&read(&path), &["error(", "warn("]));
        }
        assert!(codes.len() > 70, "{codes:?}");
        let known: Vec<&str> = pages().map(|page| page.code).collect();
        // Nobody is told that.
        codes.retain(|code| code != "Canceled" && !known.contains(&code.as_str()));
        assert_eq!(codes, [""; 0], "no page in pages.md");
    }

    /// The texts in quotes that follow one of `marks` at once.
    fn words_after(source: &str, marks: &[&str]) -> Vec<String> {
        let after = |mark: &&str| {
            let pieces: Vec<&str> = source.split(*mark).skip(1).collect();
            pieces
        };
        let quoted = |piece: &str| {
            let (word, _) = piece.trim_start().strip_prefix('"')?.split_once('"')?;
            let is_code = word.starts_with(char::is_uppercase) && !word.contains(' ');
            is_code.then(|| word.to_owned())
        };
        marks.iter().flat_map(after).filter_map(quoted).collect()
    }
}
