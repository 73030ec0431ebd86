//! Places of a text by its lines, found without reading all of it each time.

/// How many bytes are read at most to find a line.
const BLOCK: usize = 4096;

/// How many line ends are before each block of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LineIndex(Vec<u32>);

impl LineIndex {
    pub(crate) fn new(text: &str) -> Self {
        let blocks = text.as_bytes().chunks(BLOCK).map(line_ends);
        let before = blocks.scan(0_u32, |before, own| {
            let next = before.saturating_add(own);
            Some(std::mem::replace(before, next))
        });
        Self(before.collect())
    }

    /// The line, from 1, of a byte of the text; places past the end are the end.
    pub(crate) fn line(&self, text: &str, offset: usize) -> u32 {
        let offset = offset.min(text.len());
        let block = (offset / BLOCK).min(self.0.len().saturating_sub(1));
        let before = self.0.get(block).copied().unwrap_or_default();
        let own = line_ends(&text.as_bytes()[block * BLOCK..offset]);
        before.saturating_add(own).saturating_add(1)
    }

    /// Where a line, from 1, starts; the end of the text for lines that it does not have.
    pub(crate) fn start(&self, text: &str, line: u32) -> usize {
        let wanted = line.saturating_sub(1);
        let Some(block) = self.0.partition_point(|before| *before < wanted).checked_sub(1) else {
            return 0;
        };
        let rest = text.as_bytes()[block * BLOCK..].iter().enumerate();
        let mut ends = rest.filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
        let further = (wanted - self.0[block]) as usize;
        ends.nth(further - 1).map_or(text.len(), |at| block * BLOCK + at + 1)
    }
}

fn line_ends(bytes: &[u8]) -> u32 {
    bytes.iter().map(|byte| u32::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_starts_agree_with_counting() {
        let long = "x".repeat(BLOCK);
        for text in [
            "",
            "\n",
            "a",
            "a\nb",
            "a\n\nb\n",
            &format!("{long}\n{long}a\n\n{long}"),
            &"\n".repeat(3 * BLOCK),
        ] {
            let index = LineIndex::new(text);
            let mut start = 0;
            for (line, content) in (1..).zip(text.split('\n')) {
                assert_eq!(index.start(text, line), start);
                assert_eq!(index.line(text, start), line);
                assert_eq!(index.line(text, start + content.len()), line);
                start += content.len() + 1;
            }
            let last = index.line(text, usize::MAX);
            assert_eq!(last as usize, text.split('\n').count());
            assert_eq!(index.start(text, last + 1), text.len());
            assert_eq!(index.start(text, u32::MAX), text.len());
        }
    }
}
