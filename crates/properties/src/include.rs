//! Dockerfiles of several files.

use kiln_dockerfile::include::{self, Files, Unreadable};
use kiln_dockerfile::parse;
use kiln_dockerfile::source::Source;

/// Files called `0`, `1` and so on.
struct Numbered<'a>(Vec<&'a str>);

impl Files for Numbered<'_> {
    fn read(&mut self, path: &str) -> Result<String, Unreadable> {
        let found = path.parse().ok().and_then(|number: usize| self.0.get(number));
        found.map(|text| (*text).to_owned()).ok_or_else(|| Unreadable {
            message: format!("{path} is not there"),
            help: None,
        })
    }

    fn name(&self, path: &str) -> String {
        path.to_owned()
    }

    fn directory(&self) -> &'static str {
        "the files"
    }
}

/// Files are put together or refused, and whatever stands in the whole stands in one of them. Lines of `%` part the
/// files; the first of them is the Dockerfile, and asks for the others.
pub fn include(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut files = text.split("\n%\n");
    let first = format!("# kiln=include\n{}", files.next().unwrap_or_default());
    match include::read_in("Dockerfile", "", first, &mut Numbered(files.collect())) {
        Ok(source) => in_files(&source),
        Err(failed) => {
            assert!(!failed.diagnostics.is_empty());
            assert!(
                failed
                    .diagnostics
                    .windows(2)
                    .all(|pair| pair[0].span.start <= pair[1].span.start)
            );
            for each in &failed.diagnostics {
                assert!(failed.source.text().get(each.span.range()).is_some(), "{each:?}");
            }
            in_files(&failed.source);
        }
    }
}

/// The keyword of every instruction is where its place says, in the file and on the line.
fn in_files(source: &Source) {
    let (tree, _) = parse(source.text());
    for stage in &tree.stages {
        for instruction in &stage.instructions {
            let keyword = &instruction.keyword;
            let (file, span) = source.place(keyword.span);
            let there = &source.files()[file];
            assert_eq!(there.text.get(span.range()), Some(keyword.raw.as_str()), "{keyword:?}");
            // Lines that hold nothing but a continuation may come before the keyword.
            assert!(there.line(span.start) >= source.lines(instruction.lines).1.0);
        }
    }
}
