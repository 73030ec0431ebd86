//! What each rule is about, at length: the one source of `kiln explain` and `docs/rules`.

/// One page a heading: `# CODE: what it asks for in a line`.
const PAGES: &str = concat!(include_str!("pages.md"), "\n", include_str!("pages_shell.md"));

/// The page of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The rule's code.
    pub code: &'static str,
    /// What it asks for, in a line.
    pub summary: &'static str,
    /// Why.
    pub why: &'static str,
    /// A Dockerfile that it finds something in; indented by four blanks.
    bad: &'static str,
    /// The same as it should be.
    good: &'static str,
}

impl Page {
    fn read(piece: &'static str) -> Option<Self> {
        let (title, text) = piece.split_once('\n')?;
        let (code, summary) = title.split_once(": ")?;
        let (why, examples) = text.split_once("\nBad:\n").unwrap_or((text, ""));
        let (bad, good) = examples.split_once("\nGood:\n").unwrap_or((examples, ""));
        Some(Self {
            code,
            summary,
            why: why.trim(),
            bad: bad.trim_matches('\n'),
            good: good.trim_matches('\n'),
        })
    }

    /// A Dockerfile that the rule finds something in.
    pub fn bad(&self) -> String {
        unindented(self.bad)
    }

    /// The same as it should be.
    pub fn good(&self) -> String {
        unindented(self.good)
    }

    /// The page for a terminal, without its title.
    pub fn text(&self) -> String {
        format!("{}\n\nBad:\n\n{}\n\nGood:\n\n{}", self.why, self.bad, self.good)
    }

    /// The page for `docs/rules`.
    pub fn markdown(&self) -> String {
        format!(
            "# {}: {}\n\n{}\n\nBad:\n\n```Dockerfile\n{}```\n\nGood:\n\n```Dockerfile\n{}```\n",
            self.code,
            self.summary,
            self.why,
            self.bad(),
            self.good()
        )
    }
}

fn unindented(text: &str) -> String {
    let lines = text.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// All pages in the order of the rules.
pub fn pages() -> impl Iterator<Item = Page> {
    let mut pieces = PAGES.split("\n# ");
    let first = pieces.next().map(|piece| piece.trim_start_matches("# "));
    first.into_iter().chain(pieces).filter_map(Page::read)
}

/// The page of a rule.
pub fn page(code: &str) -> Option<Page> {
    pages().find(|page| page.code.eq_ignore_ascii_case(code))
}
