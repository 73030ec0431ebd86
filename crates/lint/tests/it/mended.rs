//! What the fixes of single rules write, and what they leave alone.

use kiln_lint::{Base, Config, Context, Known, Manager, Safety, Versions, fix, lint};

/// A fix with all other rules silent, and only safe ones where that is said.
fn fixed(rule: &str, text: &str, allowed: Safety, known: Known) -> String {
    let mut config = Config {
        known,
        ..Config::default()
    };
    let others = kiln_lint::RULES
        .iter()
        .map(|rule| rule.code)
        .filter(|code| *code != rule);
    config.ignored.extend(others.map(str::to_owned));
    let fixed = fix(text, &config, allowed);
    assert_eq!(fixed.dropped, [""; 0], "{text}");
    assert_eq!(fix(&fixed.text, &config, allowed).text, fixed.text, "{text}");
    fixed.text
}

fn safe(rule: &str, before: &str, after: &str) {
    assert_eq!(fixed(rule, before, Safety::Safe, Known::default()), after, "{before}");
}

/// Unsafe fixes write it, safe ones nothing.
fn careful(rule: &str, before: &str, after: &str) {
    assert_eq!(fixed(rule, before, Safety::Safe, Known::default()), before);
    assert_eq!(fixed(rule, before, Safety::Unsafe, Known::default()), after, "{before}");
}

/// Nothing mends it.
fn kept(rule: &str, text: &str) {
    assert!(
        lint(text, &Config::default())
            .iter()
            .any(|finding| finding.code == rule),
        "{text}"
    );
    careful(rule, text, text);
}

/// What unsafe fixes of K2001 write where the context has these files.
fn reordered(text: &str, names: &[&str], ignore: Option<&str>) -> String {
    let known = Context::asked().filter(|name| names.contains(name)).collect();
    let context = Context {
        ignore: ignore.map(str::to_owned),
        names: known,
        ..Context::default()
    };
    let mut config = Config {
        context: Some(context),
        ..Config::default()
    };
    let others = kiln_lint::RULES.iter().filter(|rule| rule.code != "K2001");
    config.ignored.extend(others.map(|rule| rule.code.to_owned()));
    assert_eq!(fix(text, &config, Safety::Safe).text, text);
    let fixed = fix(text, &config, Safety::Unsafe);
    assert_eq!(fixed.dropped, [""; 0], "{text}");
    assert_eq!(fixed.text == text, fixed.applied == 0);
    if fixed.applied > 0 {
        assert!(
            lint(&fixed.text, &config).iter().all(|each| each.code != "K2001"),
            "{}",
            fixed.text
        );
    }
    fixed.text
}

#[test]
fn dependencies_first() {
    for (before, names, after) in [
        (
            "FROM node:20\nWORKDIR /app\nCOPY . .\nRUN npm ci\nRUN npm run build\n",
            &["package.json", "package-lock.json"][..],
            "FROM node:20\nWORKDIR /app\nCOPY package.json package-lock.json ./\nRUN npm ci\nCOPY . .\nRUN npm run build\n",
        ),
        (
            "FROM node:20\nWORKDIR /app\n# all\nCOPY --chown=1:1 --link . /app/\n\nRUN --mount=type=cache,target=/c yarn install \\\n  && yarn cache clean\n",
            &["package.json", ".yarnrc.yml"],
            "FROM node:20\nWORKDIR /app\n# all\nCOPY --chown=1:1 --link package.json .yarnrc.yml /app/\nRUN --mount=type=cache,target=/c yarn install \\\n  && yarn cache clean\nCOPY --chown=1:1 --link . /app/\n\n",
        ),
        (
            "FROM python:3\r\nCOPY ./ .\r\nRUN pip install --no-cache-dir -r requirements.txt\r\nCMD [\"x\"]\r\n",
            &["requirements.txt", ".venv"],
            "FROM python:3\r\nCOPY requirements.txt ./\r\nRUN pip install --no-cache-dir -r requirements.txt\r\nCOPY ./ .\r\nCMD [\"x\"]\r\n",
        ),
        (
            "FROM golang:1\nWORKDIR /\nCOPY . /\nRUN go mod download\nRUN go build\n",
            &["go.mod", "go.sum"],
            "FROM golang:1\nWORKDIR /\nCOPY go.mod go.sum /\nRUN go mod download\nCOPY . /\nRUN go build\n",
        ),
    ] {
        assert_eq!(reordered(before, names, None), after);
    }
}

#[test]
fn dependencies_that_stay_behind() {
    let npm = &["package.json", "package-lock.json"][..];
    for (lines, names) in [
        // What they are is not there, or what lies in the context would go over them, or is needed for them.
        ("COPY . .\nRUN npm ci\n", &["package-lock.json"][..]),
        ("COPY . .\nRUN npm ci\n", &["package.json", "node_modules"]),
        ("COPY . .\nRUN npm ci\n", &["package.json", "packages"]),
        // The RUN does more, or with more.
        ("COPY . .\nRUN npm ci && npm run build\n", npm),
        ("COPY . .\nRUN npm ci; ls | cat > /files\n", npm),
        ("COPY . .\nRUN npm install $MORE\n", npm),
        ("COPY . .\nRUN npm install -g .\n", npm),
        ("COPY . .\nRUN --mount=type=bind,target=/x npm ci\n", npm),
        ("COPY . .\nRUN <<E\nnpm ci\nE\n", npm),
        (
            "COPY . .\nRUN pip install -r requirements.txt -e .\n",
            &["requirements.txt"],
        ),
        (
            "COPY . .\nRUN pip install -r requirements.txt .\n",
            &["requirements.txt"],
        ),
        (
            "COPY . .\nRUN pip install -r requirements.txt -r more.txt\n",
            &["requirements.txt"],
        ),
        ("COPY . .\nRUN composer install\n", &["composer.json"]),
        ("COPY . .\nRUN poetry install\n", &["pyproject.toml"]),
        // Something stands between them, or the files go elsewhere.
        ("COPY . .\nRUN make\nRUN npm ci\n", npm),
        ("COPY . .\nENV A=1\nRUN npm ci\n", npm),
        ("COPY . /src\nRUN npm ci\n", npm),
        ("COPY . /\nRUN npm ci\n", npm),
        ("COPY . more .\nRUN npm ci\n", npm),
        ("COPY --exclude=x . .\nRUN npm ci\n", npm),
        ("COPY [\".\", \".\"]\nRUN npm ci\n", npm),
        // A comment speaks of it.
        ("COPY . .\n# why\nRUN npm ci\n", npm),
    ] {
        let text = format!("FROM node:20\nWORKDIR /app\n{lines}");
        assert_eq!(reordered(&text, names, None), text);
    }
    let text = "FROM node:20\nCOPY . .\nRUN npm ci\n";
    assert_eq!(reordered(text, npm, Some("package.json\n")), text);
    let names = &["package.json", "node_modules"];
    assert_ne!(reordered(text, names, Some("node_modules\n")), text);
}

#[test]
fn runs_in_a_row() {
    safe(
        "DL3059",
        "FROM a:1\nRUN a\nRUN b\nRUN c\n",
        "FROM a:1\nRUN a \\\n    && b \\\n    && c\n",
    );
    safe(
        "DL3059",
        "FROM a:1\nRUN --network=none a \\\n  x\n\n  # why\n\n# more\nrun --network=none \\\n# flags\n b\nUSER 1\n",
        "FROM a:1\nRUN --network=none a \\\n  x \\\n  # why\n# more\n# flags\n    && b\nUSER 1\n",
    );
    // The second is a list: all of it is for what succeeds.
    safe(
        "DL3059",
        "FROM a:1\nRUN a\nRUN X=1; b\n",
        "FROM a:1\nRUN a \\\n    && { X=1; b; }\n",
    );
    safe(
        "DL3059",
        "FROM a:1\nRUN a\nRUN [[ x ]] || b\n",
        "FROM a:1\nRUN a \\\n    && { [[ x ]] || b; }\n",
    );
    safe(
        "DL3059",
        "FROM a:1\r\nRUN a\r\nRUN b\r\n",
        "FROM a:1\r\nRUN a \\\r\n    && b\r\n",
    );
}

#[test]
fn runs_that_stay_apart() {
    for (first, second) in [
        ("cd /x", "b"),
        ("export A=1", "b $A"),
        ("X=1", "b $X"),
        ("exec a", "b"),
        ("for i in x; do a; done", "b $i"),
        ("f() { a; }", "b"),
        ("a &", "b"),
        ("a # why", "b"),
        (": ${X:=1}", "b"),
        ("[\"a\"]", "b"),
        ("a", "# nothing"),
        ("a", "b;"),
    ] {
        let text = format!("FROM a:1\nRUN {first}\nRUN {second}\n");
        safe(
            "DL3059",
            &text,
            if second == "b;" {
                "FROM a:1\nRUN a \\\n    && b;\n"
            } else {
                &text
            },
        );
    }
    kept("DL3059", "FROM a:1\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN a\nRUN b\n");
    kept("DL3059", "FROM a:1\nSHELL [\"pwsh\", \"-c\"]\nRUN a\nRUN b\n");
    kept("DL3059", "# escape=`\nFROM a:1\nRUN a\nRUN b\n");
    // What is said of one of them would be said of both.
    kept("DL3059", "FROM a:1\n# hadolint ignore=DL3008\nRUN a\nRUN b\n");
}

#[test]
fn what_only_the_last_of_counts() {
    safe(
        "DL4003",
        "FROM a:1\n# one\nCMD a\nCMD b\nCMD c\n",
        "FROM a:1\n# one\nCMD c\n",
    );
    safe(
        "DL4004",
        "FROM a:1\nENTRYPOINT [ \\\n \"a\"]\nENTRYPOINT b\n",
        "FROM a:1\nENTRYPOINT b\n",
    );
    kept("DL3012", "FROM a:1\nHEALTHCHECK \\\n# why\n CMD a\nHEALTHCHECK NONE\n");
    kept("DL4003", "FROM a:1\n# hadolint ignore=DL3025\nCMD a\nCMD [\"b\"]\n");
}

#[test]
fn directories() {
    careful(
        "DL3003",
        "FROM a:1\nWORKDIR /app\n# build it\nRUN --network=none cd src && make && make check\nCMD x\n",
        "FROM a:1\nWORKDIR /app\nWORKDIR /app/src\n# build it\nRUN --network=none make && make check\nWORKDIR /app\nCMD x\n",
    );
    careful(
        "DL3003",
        "FROM a:1\nRUN cd /src && \\\n    make\nWORKDIR /app\n",
        "FROM a:1\nWORKDIR /src\nRUN  \\\n    make\nWORKDIR /app\n",
    );
    careful("DL3003", "FROM a:1\nRUN cd /src\n", "FROM a:1\nWORKDIR /src\n");
    // Where what follows is to run is not known; what else it does is.
    kept("DL3003", "FROM a:1\nRUN cd /src && make\nRUN pwd\n");
    kept("DL3003", "FROM a:1\nWORKDIR /\nRUN cd /src && make || true\n");
    kept("DL3003", "FROM a:1\nWORKDIR /\nRUN cd $SRC && make\n");
    kept("DL3003", "FROM a:1\nWORKDIR /\nRUN cd /a && cd b && make\n");
    safe(
        "DL3000",
        "FROM a:1\nWORKDIR /a\nWORKDIR ./b/\n",
        "FROM a:1\nWORKDIR /a\nWORKDIR /a/b/\n",
    );
    safe(
        "DL3000",
        "FROM scratch\nWORKDIR \"b\"\n",
        "FROM scratch\nWORKDIR \"/b\"\n",
    );
    careful("DL3000", "FROM a:1\nWORKDIR b\n", "FROM a:1\nWORKDIR /b\n");
    careful("DL3045", "FROM a:1\nCOPY a b ./\n", "FROM a:1\nCOPY a b /\n");
    careful(
        "DL3045",
        "FROM a:1\nCOPY [\"a b\", \"c\"]\n",
        "FROM a:1\nCOPY [\"a b\", \"/c\"]\n",
    );
    kept("DL3045", "FROM a:1\nCOPY a b/../c\n");
}

#[test]
fn who_runs_it() {
    careful(
        "DL3004",
        "FROM a:1\nRUN sudo -E a && sudo b\n",
        "FROM a:1\nRUN a && b\n",
    );
    careful(
        "DL3004",
        "FROM a:1\nUSER root\nRUN sudo -u root A=1 a\n",
        "FROM a:1\nUSER root\nRUN A=1 a\n",
    );
    kept("DL3004", "FROM a:1\nUSER app\nRUN sudo a\n");
    kept("DL3004", "FROM a:1\nRUN sudo -u app a\n");
    safe("DL3066", "FROM a:1\nUSER root:root\n", "FROM a:1\nUSER 0:root\n");
    careful(
        "DL3066",
        "FROM a:1\nRUN useradd -r --uid=900 app\nUSER app:app\n",
        "FROM a:1\nRUN useradd -r --uid=900 app\nUSER 900:app\n",
    );
    kept("DL3066", "FROM a:1\nRUN useradd app\nUSER app\n");
    careful(
        "DL3002",
        "FROM a:1\nUSER 1000\nUSER root\nRUN a\nCMD [\"b\"]\n",
        "FROM a:1\nUSER 1000\nUSER root\nRUN a\nCMD [\"b\"]\nUSER 1000\n",
    );
    kept("DL3002", "FROM a:1\nUSER root\n");
}

#[test]
fn shells() {
    careful(
        "DL4006",
        "FROM debian:12\nRUN a\n# why\nRUN a | b\nRUN c | d\nFROM alpine:3\nRUN a | b\n",
        "FROM debian:12\nRUN a\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\n# why\nRUN a | b\nRUN c | d\n\
         FROM alpine:3\nSHELL [\"/bin/ash\", \"-o\", \"pipefail\", \"-c\"]\nRUN a | b\n",
    );
    careful(
        "DL4006",
        "FROM a:1\nSHELL [\"/bin/bash\", \"-c\"]\nRUN a | b\n",
        "FROM a:1\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN a | b\n",
    );
    kept("DL4006", "FROM scratch\nRUN a | b\n");
    careful(
        "DL4005",
        "FROM a:1\nRUN ln -sf bash /bin/sh\n",
        "FROM a:1\nSHELL [\"/bin/bash\", \"-c\"]\n",
    );
    kept("DL4005", "FROM a:1\nRUN ln -sf bash /bin/sh && a\n");
    careful("DL3025", "FROM a:1\nCMD a --x\n", "FROM a:1\nCMD [\"a\", \"--x\"]\n");
    careful(
        "DL3025",
        "FROM a:1\nCMD a \"$B\" && \\\n  c\n",
        "FROM a:1\nCMD [\"/bin/sh\", \"-c\", \"a \\\"$B\\\" &&   c\"]\n",
    );
    // The text says which shell it is: the image is the same.
    safe(
        "DL3025",
        "FROM a:1\nSHELL [\"/bin/bash\", \"-c\"]\nENTRYPOINT exec a\n",
        "FROM a:1\nSHELL [\"/bin/bash\", \"-c\"]\nENTRYPOINT [\"/bin/bash\", \"-c\", \"exec a\"]\n",
    );
    kept("DL3025", "FROM a:1\nCMD ['a']\n");
}

#[test]
fn what_is_left_behind() {
    safe(
        "DL3009",
        "FROM a:1\nRUN apt-get update; if a; then apt-get install b; fi\n",
        "FROM a:1\nRUN apt-get update; if a; then apt-get install b; fi && rm -rf /var/lib/apt/lists/*\n",
    );
    kept("DL3009", "FROM a:1\nRUN apt-get update && apt-get install b # why\n");
    kept(
        "DL3009",
        "FROM a:1\nRUN apt-get update && apt-get install b && exec c\n",
    );
}

#[test]
fn words() {
    careful(
        "DL3044",
        "FROM a:1\nENV A=1 B=$A C=2\n",
        "FROM a:1\nENV A=1\nENV B=$A C=2\n",
    );
    careful(
        "DL3048",
        "FROM a:1\nLABEL Vendor=x b=y\n",
        "FROM a:1\nLABEL vendor=x b=y\n",
    );
    kept("DL3048", "FROM a:1\nLABEL a--b=x\n");
    careful("DL3029", "FROM --platform=linux/amd64 a:1\n", "FROM a:1\n");
    kept("DL3029", "ARG P\nFROM --platform=$P a:1\n");
    careful(
        "DL3021",
        "FROM a:1\nCOPY a b \"/c d\"\n",
        "FROM a:1\nCOPY a b \"/c d/\"\n",
    );
    safe(
        "DL4000",
        "FROM a:1\nMAINTAINER Me \"x\" $y\n",
        "FROM a:1\nLABEL org.opencontainers.image.authors=\"Me \\\"x\\\" \\$y\"\n",
    );
}

fn known() -> Known {
    let mut known = Known::default();
    for (manager, name, version) in [
        (Manager::Apt, "curl", "7.88.1-10"),
        (Manager::Apk, "curl", "8.9.1-r2"),
        (Manager::Dnf, "curl", "7.76.1"),
        (Manager::Zypper, "curl", "8.6.0"),
        (Manager::Pip, "flask", "3.0.3"),
        (Manager::Npm, "@s/x", "1.0.0"),
        (Manager::Gem, "rake", "13.2"),
        (Manager::Go, "example.com/m", "v1.2.3"),
    ] {
        known.versions.add(manager, name, version);
    }
    let mut own = Versions::default();
    own.add(Manager::Apt, "curl", "1");
    own.add(Manager::Apt, "wget", "8.5.0-2");
    let base = Base {
        pinned: Some("debian@sha256:0000000000000000000000000000000000000000000000000000000000000000".to_owned()),
        versions: own,
        directory: Some("/srv".to_owned()),
        user: Some("app".to_owned()),
        users: [("app".to_owned(), 1000)].into(),
    };
    known.bases.insert("debian".to_owned(), base);
    known
}

#[test]
fn versions_that_are_known() {
    for (rule, before, after) in [
        (
            "DL3008",
            "FROM a:1\nRUN apt-get install -y x curl",
            "FROM a:1\nRUN apt-get install -y x curl=7.88.1-10",
        ),
        (
            "DL3008",
            "FROM debian\nRUN apt-get install 'wget'",
            "FROM debian\nRUN apt-get install 'wget'=8.5.0-2",
        ),
        (
            "DL3008",
            "FROM debian AS b\nFROM b\nRUN apt-get install wget:i386 curl",
            "FROM debian AS b\nFROM b\nRUN apt-get install wget:i386=8.5.0-2 curl=7.88.1-10",
        ),
        (
            "DL3018",
            "FROM a:1\nRUN apk add curl",
            "FROM a:1\nRUN apk add curl=8.9.1-r2",
        ),
        (
            "DL3041",
            "FROM a:1\nRUN dnf install curl",
            "FROM a:1\nRUN dnf install curl-7.76.1",
        ),
        (
            "DL3033",
            "FROM a:1\nRUN yum install curl",
            "FROM a:1\nRUN yum install curl-7.76.1",
        ),
        (
            "DL3037",
            "FROM a:1\nRUN zypper in curl",
            "FROM a:1\nRUN zypper in curl=8.6.0",
        ),
        (
            "DL3013",
            "FROM a:1\nRUN pip install Flask[async]",
            "FROM a:1\nRUN pip install Flask[async]==3.0.3",
        ),
        (
            "DL3016",
            "FROM a:1\nRUN npm install -g @s/x",
            "FROM a:1\nRUN npm install -g @s/x@1.0.0",
        ),
        (
            "DL3028",
            "FROM a:1\nRUN gem install rake",
            "FROM a:1\nRUN gem install rake:13.2",
        ),
        (
            "DL3062",
            "FROM a:1\nRUN go install example.com/m/c@latest",
            "FROM a:1\nRUN go install example.com/m/c@v1.2.3",
        ),
        (
            "DL3006",
            "FROM debian AS x",
            "FROM debian@sha256:0000000000000000000000000000000000000000000000000000000000000000 AS x",
        ),
        ("DL3066", "FROM debian\nUSER app", "FROM debian\nUSER 1000"),
    ] {
        assert_eq!(fixed(rule, before, Safety::Safe, known()), before);
        assert_eq!(fixed(rule, before, Safety::Unsafe, known()), after);
        careful(rule, before, before);
    }
    // What is relative to the directory of a known image stays where it is.
    let text = fixed("DL3045", "FROM debian\nCOPY a .\n", Safety::Safe, known());
    assert_eq!(text, "FROM debian\nCOPY a /srv/\n");
}

#[test]
fn findings_say_why_nothing_mends_them() {
    let config = Config {
        known: known(),
        ..Config::default()
    };
    let findings = lint("FROM debian\nRUN apt-get install curl x $y\nRUN sudo a\n", &config);
    let why = |code: &str| {
        let finding = findings.iter().find(|finding| finding.code == code).unwrap();
        finding.unfixed.clone().unwrap_or_default()
    };
    assert_eq!(why("DL3008"), "no version is known of x, ${y}");
    assert_eq!(why("DL3004"), "it runs as app");
}
