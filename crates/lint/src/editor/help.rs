//! What an instruction or a flag of it is for.

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Instruction, Kind, Span};

/// One instruction a heading: `# KEYWORD what follows it`, then text; a flag is an item of a list.
const PAGES: &str = include_str!("help.md");

/// A text about a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Help {
    /// The word's form: `ENV KEY=VALUE…`, `--chown=USER[:GROUP]`.
    pub form: &'static str,
    /// What it is for, in Markdown.
    pub text: &'static str,
    /// The word that it is about.
    pub span: Span,
}

/// The instruction or the flag that is written at a place.
pub fn help_at(file: &Dockerfile, place: usize) -> Option<Help> {
    let mut instruction = file.instruction_at(place)?;
    while let Kind::Onbuild(onbuild) = &instruction.kind
        && place > instruction.keyword.span.end
    {
        instruction = &onbuild.instruction;
    }
    let (form, text) = page(&instruction.keyword.raw)?;
    let keyword = instruction.keyword.span;
    if (keyword.start..=keyword.end).contains(&place) {
        return Some(Help {
            form,
            text,
            span: keyword,
        });
    }
    let (name, span) = flag_at(file, instruction, place)?;
    let (form, text) = flag(text, &name)?;
    Some(Help { form, text, span })
}

/// The heading and the text of an instruction.
pub(super) fn page(keyword: &str) -> Option<(&'static str, &'static str)> {
    let mut pages = PAGES.trim_start_matches("# ").split("\n# ");
    pages.find_map(|page| {
        let (form, text) = page.split_once('\n')?;
        let named = form.split(' ').next()?;
        named.eq_ignore_ascii_case(keyword).then(|| (form, text.trim()))
    })
}

/// The form of a flag of a page and what it is for.
pub(super) fn flag(page: &'static str, name: &str) -> Option<(&'static str, &'static str)> {
    page.lines().find_map(|line| {
        let (form, text) = line.strip_prefix("- `")?.split_once("`: ")?;
        let known = form.trim_start_matches("--").split('=').next()?;
        (known == name).then_some((form, text))
    })
}

/// The name of the flag whose name is at a place, and where it stands.
fn flag_at(file: &Dockerfile, instruction: &Instruction, place: usize) -> Option<(String, Span)> {
    let text = file.source.get(instruction.keyword.span.end..instruction.span.end)?;
    let at = place.checked_sub(instruction.keyword.span.end)?;
    let before = text.get(..at)?;
    let start = before.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
    // Behind the first word that is none there are no flags.
    let is_flag = |word: &str| word.starts_with("--") || word.starts_with(file.escape);
    if !text[..start].split_whitespace().all(is_flag) {
        return None;
    }
    let word = text.get(start..)?.strip_prefix("--")?;
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '-';
    let name: String = word.chars().take_while(|c| is_letter(*c)).collect();
    let start = instruction.keyword.span.end + start;
    let end = start + 2 + name.len();
    (place <= end).then_some((name, Span { start, end }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_dockerfile::{parse, vocabulary};

    #[test]
    fn every_instruction_and_flag_is_explained() {
        let file = parse("# kiln=include,if-exists\nFROM scratch\n").0;
        for keyword in vocabulary::instructions(&file) {
            let (form, text) = page(keyword).unwrap_or_else(|| panic!("no help for {keyword}"));
            assert!(form.starts_with(keyword) && text.len() > 20, "{keyword}");
            for known in vocabulary::flags(&file, keyword) {
                let (form, _) =
                    flag(text, known.name).unwrap_or_else(|| panic!("no help for {keyword} {}", known.name));
                assert_eq!(form.contains('='), !known.switch, "{keyword} {form}");
            }
        }
    }

    #[test]
    fn words_are_found() {
        let text = "FROM scratch\nONBUILD COPY \\\n  --chown=1 --link a --from b\n";
        let file = parse(text).0;
        let form = |word: &str| help_at(&file, text.find(word).unwrap() + 1).map(|help| help.form);
        assert_eq!(form("ONBUILD"), Some("ONBUILD INSTRUCTION"));
        assert_eq!(form("COPY"), Some("COPY [OPTIONS] SOURCE… DESTINATION"));
        assert_eq!(form("--chown"), Some("--chown=USER[:GROUP]"));
        assert_eq!(form("--link"), Some("--link"));
        assert_eq!(form("=1"), None);
        assert_eq!(form("--from"), None);
        assert_eq!(form("FROM"), Some("FROM [--platform=PLATFORM] IMAGE [AS NAME]"));
    }
}
