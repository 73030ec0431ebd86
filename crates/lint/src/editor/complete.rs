//! What may be written at a place.

use kiln_dockerfile::ast::{Dockerfile, Span};
use kiln_dockerfile::vocabulary;

use super::help;
use super::scan::{heredocs, name_length};
use super::scope::{AUTOMATIC, Known, Value, environment};

/// What may stand at a place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    /// What is replaced: what was written of it, up to the place.
    pub replace: Span,
    /// What may stand there, without files.
    pub candidates: Vec<Candidate>,
    /// A path of the build context that may stand there too.
    pub path: Option<PathQuery>,
}

/// Something that may stand at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What is written.
    pub text: String,
    /// What it is.
    pub kind: CandidateKind,
    /// What there is to say of it in a line.
    pub detail: Option<String>,
}

/// What a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateKind {
    /// The keyword of an instruction, or another of its words.
    Keyword,
    /// A flag, or a key of one.
    Flag,
    /// The value of a flag.
    Value,
    /// A stage.
    Stage,
    /// A variable.
    Variable,
}

/// A path of the build context that is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathQuery {
    /// What there is of it: everything up to the last `/` is a directory.
    pub written: String,
    /// Whether `.dockerignore` counts: not for what INCLUDE reads.
    pub ignores: bool,
}

/// An instruction of more lines is not looked at.
const MOST_LINES: u32 = 1_000;

/// A platform that images are built for often.
const PLATFORMS: [&str; 9] = [
    "$BUILDPLATFORM",
    "$TARGETPLATFORM",
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/386",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
];

const SIGNALS: [&str; 8] = [
    "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGWINCH",
];

const DIRECTIVES: [(&str, &str); 4] = [
    ("syntax=", "another frontend's image; Kiln reads the language itself"),
    ("escape=", "the character that continues lines: \\ or `"),
    ("check=", "settings of the checks: skip=…, error=true"),
    ("kiln=", "Kiln's extensions: include, if-exists, cache-key"),
];

/// What may be written at a place of a file.
pub fn complete(file: &Dockerfile, place: usize) -> Completion {
    let place = floor(&file.source, place);
    let line = line_start(&file.source, place);
    let own = &file.source[line..place];
    if let Some(document) = in_document(file, place) {
        let variables = document.then(|| variable(file, own, place, place)).flatten();
        return variables.unwrap_or_default();
    }
    if own.trim_start().starts_with('#') {
        return directive(file, own, line, place);
    }
    let start = first_line(file, line);
    let before = file.joined(Span { start, end: place });
    let mut text = before.text().to_owned();
    if own.trim().is_empty() && start < line {
        text.push(' ');
    }
    instruction(file, text.trim_start(), place)
}

fn floor(text: &str, place: usize) -> usize {
    (0..=place.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

fn line_start(text: &str, place: usize) -> usize {
    text[..place].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Whether a place is in a here-document, and whether variables are expanded there.
fn in_document(file: &Dockerfile, place: usize) -> Option<bool> {
    let instruction = file.instruction_at(place)?;
    let documents = heredocs(&instruction.kind);
    let document = documents
        .iter()
        .find(|document| document.body.range().contains(&place))?;
    Some(document.expand)
}

/// Where the instruction begins whose line starts there.
fn first_line(file: &Dockerfile, line: usize) -> usize {
    let text = &file.source;
    let (mut start, mut at) = (line, line);
    for _ in 0..MOST_LINES {
        if at == 0 {
            break;
        }
        let before = line_start(text, at - 1);
        let content = text[before..at].trim();
        if content.ends_with(file.escape) && !content.starts_with('#') {
            start = before;
        } else if !content.is_empty() && !content.starts_with('#') {
            break;
        }
        at = before;
    }
    start
}

/// The directives, above all else.
fn directive(file: &Dockerfile, own: &str, line: usize, place: usize) -> Completion {
    let above = file.source[..line].lines();
    let written = own.trim_start().trim_start_matches('#').trim_start();
    if !above.into_iter().all(|line| line.trim_start().starts_with('#')) {
        return Completion::default();
    }
    let known = DIRECTIVES.map(|(name, what)| candidate(name, CandidateKind::Keyword, Some(what)));
    completion(file, place, written, known)
}

/// What may stand behind the text of an instruction.
fn instruction(file: &Dockerfile, text: &str, place: usize) -> Completion {
    let Some((keyword, rest)) = text.split_once(char::is_whitespace) else {
        let lower = text.starts_with(|c: char| c.is_ascii_lowercase());
        let written = |name: &str| if lower { name.to_lowercase() } else { name.to_owned() };
        let known = vocabulary::instructions(file).map(|name| {
            let form = help::page(name).map(|(form, _)| form);
            candidate(&written(name), CandidateKind::Keyword, form)
        });
        return completion(file, place, text, known);
    };
    let rest = rest.trim_start();
    if keyword.eq_ignore_ascii_case("ONBUILD") {
        return instruction(file, rest, place);
    }
    let scope = if keyword.eq_ignore_ascii_case("FROM") {
        first_from(file).min(place)
    } else {
        place
    };
    if let Some(found) = variable(file, rest, place, scope) {
        return found;
    }
    let words: Vec<&str> = rest.split(char::is_whitespace).collect();
    let (last, earlier) = words
        .split_last()
        .map_or(("", &[][..]), |(last, earlier)| (*last, earlier));
    let earlier: Vec<&str> = earlier.iter().copied().filter(|word| !word.is_empty()).collect();
    let only_flags = earlier.iter().all(|word| word.starts_with("--"));
    if only_flags && last.starts_with('-') {
        return match last.split_once('=') {
            Some((flag, value)) => flag_value(file, keyword, flag.trim_start_matches('-'), value, place),
            None => flags(file, keyword, last, &earlier, place),
        };
    }
    argument(file, keyword, &earlier, last, place)
}

/// Where the first stage begins: what is seen there, every FROM sees.
fn first_from(file: &Dockerfile) -> usize {
    let first = file.stages.first();
    first.map_or(file.source.len(), |stage| stage.instruction.span.start)
}

/// The variables that are seen at `scope`, where a `$` was written last.
fn variable(file: &Dockerfile, text: &str, place: usize, scope: usize) -> Option<Completion> {
    let dollar = text.rfind('$')?;
    let escapes = text[..dollar].chars().rev().take_while(|c| *c == file.escape).count();
    let behind = &text[dollar + 1..];
    let braced = behind.starts_with('{');
    let written = behind.strip_prefix('{').unwrap_or(behind);
    if escapes % 2 == 1 || name_length(written) != written.len() {
        return None;
    }
    let close = if braced && !file.source[place..].starts_with('}') {
        "}"
    } else {
        ""
    };
    let scope = environment(file, scope, &|_| Vec::new());
    let candidates = scope.iter().map(|(name, value)| Candidate {
        text: format!("{name}{close}"),
        kind: CandidateKind::Variable,
        detail: Some(shown(name, value)),
    });
    Some(completion(file, place, written, candidates))
}

fn shown(name: &str, value: &Value) -> String {
    let automatic = AUTOMATIC.iter().find(|(known, _)| *known == name);
    match (&value.known, automatic) {
        (Known::Value(value), _) => value.chars().take(80).collect(),
        (Known::Given, Some((_, what))) => (*what).to_owned(),
        (Known::Given, None) => "set by --build-arg".to_owned(),
    }
}

fn flags(file: &Dockerfile, keyword: &str, written: &str, earlier: &[&str], place: usize) -> Completion {
    let repeats = |name: &str| matches!(name, "mount" | "device" | "exclude");
    let given = |name: &str| {
        let name_of = |word: &&str| word.trim_start_matches('-').split('=').next() == Some(name);
        earlier.iter().any(name_of)
    };
    let known = vocabulary::flags(file, keyword).into_iter();
    let open = known.filter(|flag| repeats(flag.name) || !given(flag.name));
    let candidates = open.map(|flag| {
        let end = if flag.switch { "" } else { "=" };
        let what = help::page(keyword).and_then(|(_, page)| help::flag(page, flag.name));
        let what = what.map(|(_, what)| what);
        candidate(&format!("--{}{end}", flag.name), CandidateKind::Flag, what)
    });
    completion(file, place, written, candidates)
}

fn flag_value(file: &Dockerfile, keyword: &str, flag: &str, written: &str, place: usize) -> Completion {
    match (keyword.to_ascii_uppercase().as_str(), flag) {
        ("COPY", "from") => completion(file, place, written, stages(file, place)),
        ("RUN", "mount") => mount(file, written, place),
        ("FROM", "platform") => {
            let known = PLATFORMS.map(|name| candidate(name, CandidateKind::Value, None));
            completion(file, place, written, known)
        }
        ("COPY" | "ADD", "exclude") => Completion {
            path: Some(PathQuery {
                written: written.to_owned(),
                ignores: true,
            }),
            ..completion(file, place, written, [])
        },
        (keyword, flag) => {
            let known = vocabulary::values(keyword, flag).iter();
            completion(
                file,
                place,
                written,
                known.map(|name| candidate(name, CandidateKind::Value, None)),
            )
        }
    }
}

/// `type=cache,target=…`: keys, and the values of some.
fn mount(file: &Dockerfile, written: &str, place: usize) -> Completion {
    let (earlier, last) = written.rsplit_once(',').unwrap_or(("", written));
    let field = |key: &str| {
        let mut fields = earlier.split(',').filter_map(|field| field.split_once('='));
        fields.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let kind = field("type").and_then(vocabulary::mount_type).unwrap_or_default();
    match last.split_once('=') {
        None => {
            let given = |key: &str| earlier.split(',').any(|field| field.split('=').next() == Some(key));
            let first = (!given("type")).then_some(("type", false));
            let known = first.into_iter().chain(vocabulary::mount_keys(file, kind));
            let open = known.filter(|(key, _)| !given(key));
            let candidates = open.map(|(key, bare)| {
                let end = if bare { "" } else { "=" };
                candidate(&format!("{key}{end}"), CandidateKind::Flag, None)
            });
            completion(file, place, last, candidates)
        }
        Some(("from", value)) => completion(file, place, value, stages(file, place)),
        Some(("source" | "src", value))
            if field("from").is_none() && kind == kiln_dockerfile::mount::MountType::Bind =>
        {
            Completion {
                path: Some(PathQuery {
                    written: value.to_owned(),
                    ignores: true,
                }),
                ..completion(file, place, value, [])
            }
        }
        Some((key, value)) => {
            let known = vocabulary::mount_values(key).into_iter();
            completion(
                file,
                place,
                value,
                known.map(|name| candidate(name, CandidateKind::Value, None)),
            )
        }
    }
}

/// The stages above a place; `FROM` finds them by their lower-case names.
fn stages(file: &Dockerfile, place: usize) -> impl Iterator<Item = Candidate> {
    let above = file
        .stages
        .iter()
        .filter(move |stage| stage.instruction.span.end < place);
    // That of the place itself is no source of its own.
    let own = file
        .stages
        .partition_point(|stage| stage.instruction.span.start <= place);
    let in_stage = file.source[line_start(&file.source, place)..place]
        .trim_start()
        .get(..4)
        .is_none_or(|word| !word.eq_ignore_ascii_case("from"));
    let most = if in_stage { own.saturating_sub(1) } else { own };
    above.take(most).filter_map(|stage| {
        let name = stage.name.as_deref()?;
        let detail = format!("FROM {}", stage.from.image.raw);
        Some(candidate(name, CandidateKind::Stage, Some(&detail)))
    })
}

/// What stands behind the flags.
fn argument(file: &Dockerfile, keyword: &str, earlier: &[&str], last: &str, place: usize) -> Completion {
    let from = earlier.iter().any(|word| word.starts_with("--from="));
    let arguments = earlier.iter().filter(|word| !word.starts_with("--")).count();
    let words = |words: &[&str]| -> Vec<Candidate> {
        let keyword = |word: &&str| candidate(word, CandidateKind::Keyword, None);
        words.iter().map(keyword).collect()
    };
    let upper = keyword.to_ascii_uppercase();
    let candidates = match (upper.as_str(), arguments) {
        ("COPY", _) if from => return Completion::default(),
        ("COPY" | "ADD" | "INCLUDE", _) => {
            // A JSON array is written like a list of words.
            let written = last.trim_start_matches(['[', '"', ',']);
            return Completion {
                path: Some(PathQuery {
                    written: written.to_owned(),
                    ignores: upper != "INCLUDE",
                }),
                ..completion(file, place, written, [])
            };
        }
        ("FROM", 0) => stages(file, place).chain(words(&["scratch"])).collect(),
        ("FROM", 1) => words(&[if keyword.starts_with('f') { "as" } else { "AS" }]),
        ("HEALTHCHECK", 0) => words(&["CMD", "NONE"]),
        ("STOPSIGNAL", 0) => words(&SIGNALS),
        ("ARG", _) => arguments_to_declare(file, place),
        _ => Vec::new(),
    };
    completion(file, place, last, candidates)
}

/// What a stage may take over by ARG.
fn arguments_to_declare(file: &Dockerfile, place: usize) -> Vec<Candidate> {
    let first = first_from(file);
    if place < first {
        return Vec::new();
    }
    let globals = environment(file, first, &|_| Vec::new());
    let known = globals
        .iter()
        .map(|(name, value)| candidate(name, CandidateKind::Variable, Some(&shown(name, value))));
    known.collect()
}

fn candidate(text: &str, kind: CandidateKind, detail: Option<&str>) -> Candidate {
    Candidate {
        text: text.to_owned(),
        kind,
        detail: detail.map(str::to_owned),
    }
}

/// Those that begin as it is written; what ends at the place is replaced. Of a word that goes on from another line nothing is
/// offered.
fn completion(
    file: &Dockerfile,
    place: usize,
    written: &str,
    candidates: impl IntoIterator<Item = Candidate>,
) -> Completion {
    if !file.source[..place].ends_with(written) {
        return Completion::default();
    }
    let begins = |text: &str| {
        let start = text.get(..written.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(written))
    };
    Completion {
        replace: Span {
            start: place - written.len(),
            end: place,
        },
        candidates: candidates.into_iter().filter(|each| begins(&each.text)).collect(),
        path: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_dockerfile::parse;

    /// What is offered at the `|` of a text.
    fn at(text: &str) -> Completion {
        let place = text.find('|').unwrap();
        complete(&parse(&text.replacen('|', "", 1)).0, place)
    }

    fn offered(text: &str) -> Vec<String> {
        at(text).candidates.into_iter().map(|each| each.text).collect()
    }

    #[test]
    fn offers_what_fits() {
        let two = "ARG V=1\nFROM a AS one\nFROM b AS two\nARG W\nENV X=1\n";
        for (text, expected) in [
            ("E|", &["ENTRYPOINT", "ENV", "EXPOSE"][..]),
            ("e|", &["entrypoint", "env", "expose"]),
            ("HEALTHCHECK |", &["CMD", "NONE"]),
            (
                "HEALTHCHECK --|",
                &[
                    "--interval=",
                    "--timeout=",
                    "--start-period=",
                    "--start-interval=",
                    "--retries=",
                ],
            ),
            ("COPY --ch|", &["--chown=", "--chmod="]),
            ("COPY --chown=1 --ch|", &["--chmod="]),
            ("COPY --from=|", &["one"]),
            ("FROM |", &["one", "two", "scratch"]),
            ("FROM t|", &["two"]),
            ("FROM a |", &["AS"]),
            (
                "FROM --platform=linux/a|",
                &["linux/amd64", "linux/arm64", "linux/arm/v7"],
            ),
            ("RUN --network=|", &["default", "none", "host"]),
            ("RUN --mount=ty|", &["type="]),
            ("RUN --mount=type=|", &["bind", "cache", "tmpfs", "secret", "ssh"]),
            ("RUN --mount=type=cache,s|", &["source=", "sharing="]),
            ("RUN --mount=type=cache,sharing=l|", &["locked"]),
            ("RUN --mount=from=|", &["one"]),
            ("RUN --mount=type=tmpfs,target=/x,|", &["size="]),
            ("RUN \\\n  --n|", &["--network="]),
            ("RUN --network=none \\\n# c\n\n  --mount=type=ssh,req|", &["required"]),
            ("RUN echo $|", &["W", "X"]),
            ("RUN echo ${|", &["W}", "X}"]),
            ("RUN echo ${|}", &["W", "X"]),
            ("RUN echo \\$|", &[]),
            ("RUN echo $X |", &[]),
            ("FROM a:$V|", &["V"]),
            ("FROM --platform=$BUILDP|", &["BUILDPLATFORM"]),
            ("RUN <<EOF\necho $W|\nEOF", &["W"]),
            ("RUN <<'EOF'\necho $W|\nEOF", &[]),
            ("ONBUILD RUN --s|", &["--security="]),
            ("ARG V|", &["V"]),
            ("ARG TARGETA|", &["TARGETARCH"]),
            ("STOPSIGNAL SIGT|", &["SIGTERM"]),
            ("USER |", &[]),
            ("# che|", &[]),
        ] {
            assert_eq!(offered(&format!("{two}{text}")), expected, "{text}");
        }
        assert_eq!(offered("# che|\nFROM a"), ["check="]);
    }

    #[test]
    fn says_what_the_words_are_for() {
        let detail = |text: &str| at(text).candidates.remove(0).detail.unwrap_or_default();
        assert_eq!(detail("FROM a\nCOP|"), "COPY [OPTIONS] SOURCE… DESTINATION");
        assert!(detail("FROM a\nrun --net|").starts_with("which network"));
        assert_eq!(detail("ARG V=1\nFROM a:$|"), "the processor of the machine that builds");
        assert_eq!(detail("ARG V=1\nFROM a:$V|"), "1");
        assert_eq!(detail("FROM a AS one\nFROM o|"), "FROM a");
    }

    #[test]
    fn asks_for_paths() {
        for (text, expected) in [
            ("COPY |", Some("")),
            ("COPY src/m|", Some("src/m")),
            ("COPY a b/|", Some("b/")),
            ("COPY [\"src/|\"]", Some("src/")),
            ("COPY --from=x a|", None),
            ("ADD --chown=1 a|", Some("a")),
            ("RUN --mount=type=bind,source=sr|", Some("sr")),
            ("RUN --mount=type=cache,source=sr|", None),
            ("RUN --mount=from=a,source=sr|", None),
            ("COPY --exclude=a/|", Some("a/")),
            ("RUN a|", None),
        ] {
            let found = at(&format!("FROM scratch\n{text}"));
            let path = found.path.map(|query| query.written);
            assert_eq!(path.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn any_place_of_any_text_has_an_answer() {
        for text in [
            "",
            "\n",
            "é$é",
            "FROM é\nCOPY --from=é é\\\n\u{feff}é",
            "$",
            "RUN <<E\n$",
            "\\\n\\\n",
            "é\\",
            "a\r\rb",
        ] {
            let file = parse(text).0;
            for place in 0..text.len() + 3 {
                let found = complete(&file, place);
                assert!(
                    text.get(found.replace.range()).is_some() || found == Completion::default(),
                    "{text:?} {place}"
                );
            }
        }
    }
}
