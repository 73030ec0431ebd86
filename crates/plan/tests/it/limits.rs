//! Large and hostile Dockerfiles are planned or refused. They are sized so that anything quadratic would not come to its
//! end within a test's patience, nor within a machine's memory.

use std::fmt::Write as _;

use kiln_dockerfile::diagnostic::{Diagnostic, Severity};
use kiln_plan::{Images, Options, Outcome, Plan, plan};

use super::bare;

/// Instructions of a file, of the 50,000 that are read at all.
const MANY: usize = 10_000;

/// `start`, and behind it a piece for every number.
fn text(start: &str, many: usize, piece: impl Fn(usize) -> String) -> String {
    (0..many).fold(start.to_owned(), |text, number| text + &piece(number))
}

/// Plans with images that have nothing but a platform.
fn planned(text: &str) -> Result<Plan, Vec<Diagnostic>> {
    let (dockerfile, _) = kiln_dockerfile::parse(text);
    let mut images = Images::new();
    loop {
        match plan(&dockerfile, &Options::default(), &images) {
            Outcome::Plan(plan, _) => return Ok(*plan),
            Outcome::Invalid(diagnostics) => return Err(diagnostics),
            Outcome::Needs(needs) => images.extend(bare(needs)),
        }
    }
}

/// The codes of the errors.
fn codes(text: &str) -> Vec<&'static str> {
    let found = planned(text).expect_err("it is refused");
    let errors = found.iter().filter(|one| one.severity == Severity::Error);
    let mut codes: Vec<_> = errors.map(|error| error.code).collect();
    codes.dedup();
    codes
}

#[test]
fn many_variables() {
    let plan = planned(&text("FROM scratch\n", MANY, |n| format!("ENV A{n}=b\n"))).unwrap();
    assert_eq!(plan.targets[0].config.config.env.len(), MANY + 1);
    let plan = planned(&text("FROM scratch\nENV", MANY, |n| format!(" \\\nA{n}=$A{}", n / 2))).unwrap();
    assert_eq!(plan.targets[0].config.config.env.len(), MANY + 1);
    // None of them is known, and each is warned of.
    planned(&text("FROM scratch\n", MANY, |n| format!("ENV A{n}=$X{n}\n"))).unwrap();
    planned(&text("FROM scratch\nLABEL", MANY, |_| " \\\na=b".to_owned())).unwrap();
}

#[test]
fn many_arguments_each_of_the_one_before() {
    let chain = |start: &str| text(start, MANY, |n| format!("ARG A{}=$A{n}\n", n + 1));
    planned(&chain("FROM scratch\nARG A0=1\n")).unwrap();
    let plan = planned(&(chain("ARG A0=scratch\n") + &format!("FROM $A{MANY}\n"))).unwrap();
    assert_eq!(plan.outline.arguments.len(), MANY + 1);
    let again = text("ARG A=1\n", MANY, |n| format!("ARG B{n}\nARG A=$A$B{n}\n"));
    assert_eq!(planned(&(again + "FROM scratch\n")).unwrap().outline.arguments, []);
}

#[test]
fn many_stages() {
    planned(&text("", MANY, |n| format!("FROM scratch AS s{n}\n"))).unwrap();
    let plan = planned(&text("FROM scratch AS s0\n", MANY, |n| {
        format!("FROM s{n} AS s{}\n", n + 1)
    }))
    .unwrap();
    assert_eq!(plan.stages.len(), MANY + 1);
    let copies = |n| format!("FROM scratch AS s{}\nCOPY --from=s{n} / /\n", n + 1);
    planned(&text("FROM scratch AS s0\nCOPY a b\n", MANY / 2, copies)).unwrap();
    let mut sources = text("", MANY / 2, |n| format!("FROM scratch AS s{n}\nCOPY a b\n"));
    (0..MANY / 4).for_each(|n| writeln!(sources, "COPY --from=s{n} a b").unwrap());
    planned(&sources).unwrap();
}

#[test]
fn many_mistakes_with_stages() {
    assert_eq!(
        codes(&text("", MANY, |n| format!("FROM BAD{n} AS s{n}\n"))),
        ["BadReference"]
    );
    let later = "FROM scratch AS s\n".to_owned() + &"COPY --from=z0 / /\n".repeat(MANY / 4);
    let chain = |n| format!("FROM scratch AS z{n}\nCOPY --from=z{} / /\n", n + 1);
    let text = text(&later, MANY / 4, chain) + "FROM s AS last\n";
    assert_eq!(codes(&text), ["StageNotYetDefined"]);
}

#[test]
fn many_secrets() {
    let run = text("FROM scratch\nRUN", MANY, |n| {
        format!(" \\\n--mount=type=secret,id=a{n}")
    });
    assert_eq!(planned(&(run + " x\n")).unwrap().outline.secrets.len(), MANY);
}

/// What is multiplied is refused, before it is all there.
#[test]
fn small_texts_for_large_plans() {
    let doubling = "ENV v=$v$v\n".repeat(17);
    for text in [
        text("FROM scratch\n", MANY / 2, |n| format!("ENV A{n}=b\nRUN x\n")),
        text("FROM scratch\n", MANY / 2, |n| format!("ARG A{n}=b\nRUN x\n")),
        text("FROM scratch AS s0\n", MANY / 2, |n| {
            format!("FROM s{n} AS s{}\nENV A{n}=b\n", n + 1)
        }),
        "FROM scratch\n".to_owned() + &"EXPOSE 1-65535\n".repeat(MANY),
        "FROM scratch\nEXPOSE".to_owned() + &" 1-65535 \\\n".repeat(MANY),
        "FROM scratch\n".to_owned() + &"WORKDIR aaaaaaaaaaaaaaaaaaaa\n".repeat(MANY),
        text(&format!("FROM scratch\nENV v=aaaaaaaa\n{doubling}"), MANY, |n| {
            format!("ENV A{n}=$v\n")
        }),
        text(&format!("FROM scratch\nENV v=aaaaaaaa\n{doubling}"), MANY, |n| {
            format!("RUN echo $v {n}\n")
        }),
        text("FROM scratch\nADD", MANY / 4, |n| format!(" \\\n--exclude=a{n}"))
            + &text("", MANY / 4, |n| format!(" \\\nhttp://a/{n}"))
            + " /\n",
    ] {
        assert_eq!(codes(&text), ["PlanTooLarge"], "{}", &text[..60]);
    }
    let words = text(&format!("FROM scratch\nENV v=aaaaaaaa\n{doubling}LABEL"), MANY, |n| {
        format!(" \\\nA{n}=$v")
    });
    assert_eq!(codes(&words), ["BadExpansion"]);
    let globals = "ARG v=aaaaaaaa\n".to_owned() + &doubling.replace("ENV", "ARG");
    let globals = text(&globals, MANY, |n| format!("ARG A{n}=$v\n"));
    assert_eq!(codes(&(globals + "FROM scratch\n")), ["PlanTooLarge"]);
}

/// What a small text makes of a large value counts, also where nothing comes of it.
#[test]
fn small_texts_for_much_work() {
    let value = "a".repeat(60_000);
    for line in [
        "ENV w=${v##*}\n",
        "ENV w=${v//a/}\n",
        "ENV w=${v:+}\nENV x=${v#*???????????????????b}\n",
        "EXPOSE 80${v%%*}\n",
    ] {
        let lines = line.repeat(MANY);
        assert_eq!(
            codes(&format!("FROM scratch\nENV v={value}\n{lines}")),
            ["ExpansionTooCostly"],
            "{line}"
        );
    }
    let failing = "ENV w=${v##*}${\n".repeat(MANY);
    let found = codes(&format!("FROM scratch\nENV v={value}\n{failing}"));
    assert_eq!((found[0], found.last()), ("BadExpansion", Some(&"ExpansionTooCostly")));
    let globals = "ARG w=${v##*}\n".repeat(MANY);
    assert_eq!(
        codes(&format!("ARG v={value}\n{globals}FROM scratch\n")),
        ["ExpansionTooCostly"]
    );
    let stages = "FROM scratch${v##*}\n".repeat(MANY);
    let found = codes(&format!("ARG v={value}\n{stages}"));
    assert!(found.contains(&"ExpansionTooCostly"), "{found:?}");
}

/// What is wrong with each of many instructions is told without the large value that each of them has.
#[test]
fn small_texts_for_long_messages() {
    let value = "ä".repeat(30_000);
    for line in [
        "ENV x=${y:?$v}\n",
        "ENV x=${v#$v\\a}\n",
        "STOPSIGNAL $v\n",
        "EXPOSE $v\n",
        "EXPOSE 1.2.3.4:80/$v\n",
    ] {
        let lines = line.repeat(MANY / 50);
        let found = planned(&format!("FROM scratch\nENV v={value}\n{lines}")).expect_err(line);
        let longest = found.iter().map(|each| each.message.len()).max();
        assert!(longest < Some(1100), "{line}: {longest:?}");
        assert!(found.len() >= MANY / 50, "{line}: {}", found.len());
    }
}

/// Each stage does what its base's ONBUILD says.
#[test]
fn triggers_of_many_stages() {
    let start = "FROM scratch AS a\n".to_owned() + &"ONBUILD RUN x\n".repeat(MANY / 2);
    let stages = text(&start, MANY / 2, |n| format!("FROM a AS s{n}\n"));
    let text = text(&stages, MANY / 2 - 1, |n| format!("COPY --from=s{n} / /\n"));
    assert_eq!(codes(&text), ["TooManyInstructions"]);
}
