//! `kiln fmt` says the same in another form, and the same again.

use kiln_dockerfile::diagnostic::Severity as Level;
use kiln_dockerfile::parse;
use kiln_lint::format;
use kiln_plan::{Images, Options, Outcome, ResolvedImage, Step, plan};

use crate::everywhere;

/// The steps of a file, over images that have nothing.
fn steps(text: &str) -> Option<Vec<Step>> {
    let (file, found) = parse(text);
    if found.iter().any(|each| each.severity == Level::Error) {
        return None;
    }
    let options = Options {
        every_stage: true,
        ..Options::default()
    };
    let mut images = Images::new();
    loop {
        match plan(&file, &options, &images) {
            Outcome::Plan(plan, _) => return Some(plan.steps),
            Outcome::Invalid(_) => return None,
            Outcome::Needs(needs) => images.extend(needs.into_keys().map(|request| {
                let unknown = ResolvedImage::unknown(&request);
                (request, unknown)
            })),
        }
    }
}

/// What makes a step's key: all of its definition, but not where it stands.
fn definitions(text: &str) -> Option<Vec<String>> {
    let steps = steps(text)?;
    Some(
        steps
            .iter()
            .map(|step| format!("{:?} {:?}", step.definition, step.op))
            .collect(),
    )
}

#[test]
fn the_plan_stays_and_so_does_the_text() {
    let mut changed = 0;
    let mut refused = Vec::new();
    for (path, text) in everywhere() {
        let readable = parse(&text).1.iter().all(|each| each.severity != Level::Error);
        let Some(new) = format(&text) else {
            if readable {
                refused.push(path);
            }
            continue;
        };
        assert!(readable);
        assert_eq!(format(&new).as_deref(), Some(new.as_str()), "{}", path.display());
        assert_eq!(definitions(&new), definitions(&text), "{}\n{new}", path.display());
        changed += usize::from(new != text);
    }
    assert!(changed > 20, "{changed}");
    assert_eq!(refused, [""; 0].map(std::path::PathBuf::from));
}

fn check(before: &str, after: &str) {
    assert_eq!(format(before).as_deref(), Some(after));
}

#[test]
fn what_it_writes() {
    check(
        "from  a:1 as b\n\n\n\nrun   a \\\n\n   && b  \n",
        "FROM a:1 as b\n\nRUN a \\\n   && b\n",
    );
    check(
        "FROM a\nCOPY a \\\n  b \\\n      /c/",
        "FROM a\nCOPY a \\\n    b \\\n    /c/\n",
    );
    check("  # c\nFROM a\n   #d\n", "# c\nFROM a\n#d\n");
    check("FROM a\r\nrun b\r\n", "FROM a\r\nRUN b\r\n");
    let heredoc = "FROM a\nRUN <<E\n  a   \n\n\n  # b\nE\n";
    check(heredoc, heredoc);
    assert_eq!(format("FROM a\nRUNN b\n"), None);
}
