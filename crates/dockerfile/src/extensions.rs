//! What Kiln's language has beyond the reference frontend's, and what a plain Dockerfile has in its place.
//!
//! A file asks for it by `# kiln=NAME[,NAME]`, the last of its directives: to other builders that is a comment, behind
//! which they look for no directives. The tree is always a plain Dockerfile's, but for the keys of cache mounts; the text
//! becomes one by the tree's [edits](crate::ast::Edit).

use crate::ast::{Dockerfile, Edit, Instruction, Kind, Span};
use crate::suggest;

/// The directive's name.
pub(crate) const DIRECTIVE: &str = "kiln";

const NAMES: [&str; 3] = [INCLUDE, IF_EXISTS, CACHE_KEY];
/// `INCLUDE PATH…`
pub(crate) const INCLUDE: &str = "include";
/// `COPY --if-exists`
pub(crate) const IF_EXISTS: &str = "if-exists";
/// `RUN --mount=type=cache,key=…`
pub(crate) const CACHE_KEY: &str = "cache-key";

/// Which of them a file asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// `INCLUDE PATH…`
    pub include: bool,
    /// `COPY --if-exists`
    pub if_exists: bool,
    /// `RUN --mount=type=cache,key=…`
    pub cache_key: bool,
}

impl Extensions {
    /// Reads the directive's value.
    pub(crate) fn parse(value: &str) -> Result<Self, String> {
        let mut asked = Self::default();
        for name in value.split(',').map(str::trim) {
            match name {
                INCLUDE => asked.include = true,
                IF_EXISTS => asked.if_exists = true,
                CACHE_KEY => asked.cache_key = true,
                other => {
                    let hint = suggest::hint(other, NAMES);
                    return Err(format!(
                        "unknown extension: {other}{hint}; there are {}",
                        NAMES.join(", ")
                    ));
                }
            }
        }
        Ok(asked)
    }

    /// The directive that asks for one more.
    pub(crate) fn directive_with(self, name: &str) -> String {
        let asked = [
            (self.include, INCLUDE),
            (self.if_exists, IF_EXISTS),
            (self.cache_key, CACHE_KEY),
        ];
        let names = asked
            .iter()
            .filter(|(asked, known)| *asked || *known == name)
            .map(|(_, known)| *known);
        format!("# {DIRECTIVE}={}", names.collect::<Vec<_>>().join(","))
    }
}

impl Dockerfile {
    /// The text as a plain Dockerfile, which any builder builds, to the same image: without the directive, and with what
    /// stands for each extension in the reference frontend's language. All else stays byte for byte. Of a text with
    /// errors only what is in the tree is changed.
    pub fn to_plain(&self) -> String {
        let mut plain = String::with_capacity(self.source.len());
        let mut copied = 0;
        for edit in self.edits() {
            plain.push_str(&self.source[copied..edit.span.start]);
            plain.push_str(&edit.text);
            copied = edit.span.end;
        }
        plain.push_str(&self.source[copied..]);
        plain
    }

    /// All edits in the order of the text.
    fn edits(&self) -> Vec<Edit> {
        let directives = self.directives.iter().filter(|found| found.name == DIRECTIVE);
        let mut edits: Vec<Edit> = directives
            .map(|found| Edit {
                span: self.whole_lines(found.span),
                text: String::new(),
            })
            .collect();
        let instructions = self.stages.iter().flat_map(|stage| &stage.instructions);
        edits.extend(instructions.flat_map(of).map(|edit| self.with_blanks(edit)));
        edits
    }

    /// What is taken out takes the blanks behind it along.
    fn with_blanks(&self, edit: &Edit) -> Edit {
        let mut edit = edit.clone();
        if edit.text.is_empty() {
            let rest = &self.source[edit.span.end..];
            edit.span.end += rest.len() - rest.trim_start_matches([' ', '\t']).len();
        }
        edit
    }

    /// A span up to the ends of its lines.
    fn whole_lines(&self, span: Span) -> Span {
        let start = self.source[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &self.source[span.end..];
        Span {
            // What comes before the first line is a byte order mark.
            start: if start == 0 && self.source.starts_with('\u{feff}') {
                3
            } else {
                start
            },
            end: span.end + rest.find('\n').map_or(rest.len(), |newline| newline + 1),
        }
    }
}

fn of(instruction: &Instruction) -> &[Edit] {
    match &instruction.kind {
        Kind::Copy(copy) => &copy.edits,
        Kind::Run(run) => &run.edits,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known() {
        let both = Extensions {
            include: true,
            if_exists: true,
            cache_key: false,
        };
        assert_eq!(Extensions::parse("include , if-exists"), Ok(both));
        let said = Extensions::parse("includes").unwrap_err();
        assert_eq!(
            said,
            "unknown extension: includes (did you mean include?); there are include, if-exists, cache-key"
        );
        assert!(Extensions::parse("include,").is_err());
        let include = Extensions::parse(INCLUDE).unwrap();
        assert_eq!(include.directive_with(IF_EXISTS), "# kiln=include,if-exists");
        assert_eq!(both.directive_with(CACHE_KEY), "# kiln=include,if-exists,cache-key");
        assert_eq!(Extensions::default().directive_with(INCLUDE), "# kiln=include");
    }
}
