//! Dockerfiles of all instructions, in all their forms, continued and commented.

use proptest::prelude::*;
use proptest::sample::select;

/// A Dockerfile that is mostly right.
pub(super) fn dockerfile() -> impl Strategy<Value = String> {
    let head = select(vec![
        "",
        "# escape=\\\n",
        "# syntax=docker/dockerfile:1\n# check=skip=all\n",
        "\u{feff}",
        "# a\n",
    ]);
    let globals = prop::collection::vec(select(vec!["ARG A=1\n", "ARG B\n", "\n", "# c\n"]), 0..3);
    let lines = prop::collection::vec(instruction(), 0..10);
    (head, globals, lines).prop_map(|(head, globals, lines)| {
        format!(
            "{head}{}FROM --platform=linux/amd64 a:b AS s\n{}",
            globals.concat(),
            lines.concat()
        )
    })
}

fn instruction() -> BoxedStrategy<String> {
    let plain = plain();
    prop_oneof![
        8 => plain.clone().prop_map(|text| text + "\n"),
        1 => plain.clone().prop_map(|text| format!("ONBUILD {text}\n")),
        1 => plain.clone().prop_map(|text| format!("  {}\r\n", text.to_lowercase())),
        2 => (plain, continuation()).prop_map(|(text, between)| text.replacen(' ', between, 2) + "\n"),
        2 => heredoc(),
        1 => select(vec!["\n", "# comment\n", "   \n", "FROM s AS t\n", "FROM scratch\n"]).prop_map(str::to_owned),
    ]
    .boxed()
}

fn continuation() -> impl Strategy<Value = &'static str> {
    select(vec![
        " \\\n",
        " \\\n  ",
        " \\\r\n",
        " \\ \n# comment\n  ",
        " \\\n\n",
        "\t",
    ])
}

/// A keyword and what may follow it, in one line.
fn plain() -> BoxedStrategy<String> {
    let part = |texts: &[&'static str]| select(texts.to_vec());
    let command = || {
        part(&[
            "make",
            "echo \"a b\" 'c'",
            "a && b # c",
            "[\"a\", \"b c\"]",
            "[ \"x\\ty\" ]",
            "['a']",
            "[\"a\"] b",
            "echo $A ${B:-c}",
            "cat a\\ b",
            "\"a",
            "[\"a\",]",
        ])
    };
    let path = || part(&["a", "/b/", "c*", "\"d e\"", "./f", "$A/g", "https://h.example/i.tar"]);
    let word = || part(&["a", "$A", "\"b c\"", "d\\ e", "'f'", "g-h.i:80"]);
    prop_oneof![
        (
            part(&[
                "RUN",
                "CMD",
                "ENTRYPOINT",
                "HEALTHCHECK CMD",
                "HEALTHCHECK --interval=5s --retries=2 CMD"
            ]),
            command()
        )
            .prop_map(|(keyword, text)| format!("{keyword} {text}")),
        (
            part(&[
                "--mount=type=cache,target=/a",
                "--mount=type=bind,source=a,target=/b --network=none",
                "--security=sandbox"
            ]),
            command()
        )
            .prop_map(|(flags, text)| format!("RUN {flags} {text}")),
        (
            part(&[
                "COPY",
                "ADD",
                "COPY --from=s",
                "COPY --chown=1:2 --chmod=755",
                "ADD --checksum=sha256:a",
                "COPY --link --exclude=x --exclude=y",
                "COPY --parents",
                "COPY --link=false"
            ]),
            path(),
            path()
        )
            .prop_map(|(keyword, from, to)| format!("{keyword} {from} {to}")),
        part(&[
            "COPY [\"a b\", \"c\", \"/d/\"]",
            "ADD [\"a\",\"b\"]",
            "VOLUME [\"/a\", \"/b\"]",
            "SHELL [\"/bin/sh\", \"-c\"]",
            "HEALTHCHECK NONE",
            "VOLUME /a /b",
            "EXPOSE 80 443/tcp",
            "STOPSIGNAL SIGTERM",
            "MAINTAINER A B <c@d>"
        ])
        .prop_map(str::to_owned),
        (part(&["ENV", "LABEL"]), word(), word()).prop_map(|(keyword, a, b)| format!("{keyword} X={a} Y={b}")),
        (part(&["ENV", "LABEL"]), word()).prop_map(|(keyword, value)| format!("{keyword} X {value} z")),
        word().prop_map(|value| format!("ARG X={value} Y")),
        (part(&["USER", "WORKDIR"]), word()).prop_map(|(keyword, value)| format!("{keyword} {value}")),
    ]
    .boxed()
}

fn heredoc() -> impl Strategy<Value = String> {
    let operator = select(vec![
        ("<<EOF", "EOF"),
        ("<<-EOF", "\tEOF"),
        ("<<'EOF'", "EOF"),
        ("<<\"E-F\"", "E-F"),
    ]);
    let line = select(vec![
        "RUN {} cat",
        "RUN {}",
        "RUN cat {} > /x",
        "COPY {} /x",
        "ADD {} a /x/",
        "COPY --chmod=600 {} /x",
    ]);
    let body = prop::collection::vec(
        select(vec!["a\n", "\tb $A\n", "\\\n", "# c\n", "\n", "EOFF\n", "FROM x\n"]),
        0..4,
    );
    (line, operator, body)
        .prop_map(|(line, (operator, end), body)| format!("{}\n{}{end}\n", line.replace("{}", operator), body.concat()))
}
