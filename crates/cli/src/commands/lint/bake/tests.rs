use super::*;

fn read(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Vec<Result<Target, String>>, String> {
    let files: Vec<File<'_>> = files
        .iter()
        .map(|(name, text)| File {
            name: (*name).to_owned(),
            text,
            is_json: name.ends_with("json"),
        })
        .collect();
    let find = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    targets(&files, &find)
}

/// `NAME CONTEXT DOCKERFILE`, with what bake takes where nothing is said.
fn shown(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Vec<String> {
    let targets = read(files, environment).unwrap();
    let show = |target: Target| {
        let Build {
            context, dockerfile, ..
        } = target.build;
        let context = context.unwrap_or_else(|| ".".into());
        format!(
            "{} {context} {}",
            target.name,
            dockerfile.unwrap_or_else(|| "Dockerfile".into())
        )
    };
    targets.into_iter().map(|target| show(target.unwrap())).collect()
}

#[track_caller]
fn hcl(text: &str, wanted: &[&str]) {
    assert_eq!(shown(&[("docker-bake.hcl", text)], &[]), wanted, "{text}");
}

/// One target, whose Dockerfile is what an expression stands for.
#[track_caller]
fn expression(expression: &str, wanted: &str) {
    hcl(
        &format!("l = [\"x\", \"y\"]\no = {{ b = 2, a = 1 }}\ntarget \"t\" {{\n dockerfile = {expression}\n}}"),
        &[&format!("t . {wanted}")],
    );
}

#[track_caller]
fn wrong(text: &str, wanted: &str) {
    let found = match read(&[("docker-bake.hcl", text)], &[]) {
        Err(wrong) => wrong,
        Ok(targets) => targets
            .into_iter()
            .find_map(Result::err)
            .unwrap_or_else(|| panic!("{text}: nothing is wrong")),
    };
    assert!(found.contains(wanted), "{text}: {found}");
}

/// The examples of Docker's "Bake file reference" and of its pages on matrices, inheritance, variables and functions.
#[test]
fn examples_of_the_documentation() {
    hcl(
        "target \"default\" {\n context = \".\"\n dockerfile = \"Dockerfile\"\n}",
        &["default . Dockerfile"],
    );
    hcl(
        r#"
target "app" {
  name = "app-${tgt}"
  matrix = {
    tgt = ["lint", "test"]
  }
  target = tgt
}
"#,
        &["app-lint . Dockerfile", "app-test . Dockerfile"],
    );
    hcl(
        r#"
target "app" {
  name = "app-${tgt}-${replace(version, ".", "-")}"
  matrix = {
    tgt = ["lint", "test"]
    version = ["1.0", "2.0"]
  }
  dockerfile = "${version}.Dockerfile"
}
"#,
        &[
            "app-lint-1-0 . 1.0.Dockerfile",
            "app-lint-2-0 . 2.0.Dockerfile",
            "app-test-1-0 . 1.0.Dockerfile",
            "app-test-2-0 . 2.0.Dockerfile",
        ],
    );
    hcl(
        r#"
target "app" {
  name = "app-${item.tgt}"
  matrix = {
    item = [{ tgt = "one", file = "a" }, { tgt = "two", file = "b" }]
  }
  dockerfile = item.file
}
group "all" { targets = ["app"] }
"#,
        &["app-one . a", "app-two . b"],
    );
    hcl(
        r#"
target "_common" { context = "src" }
target "_release" {
  context = "rel"
  dockerfile = "r.Dockerfile"
}
target "app" { inherits = ["_common", "_release"] }
target "last" {
  inherits = ["_release", "_common"]
  dockerfile = "l.Dockerfile"
}
"#,
        &[
            "_common src Dockerfile",
            "_release rel r.Dockerfile",
            "app rel r.Dockerfile",
            "last src l.Dockerfile",
        ],
    );
    hcl(
        r#"
variable "BASE" { default = "web" }
variable "FILE" { default = "${BASE}.Dockerfile" }
function "below" {
  params = [a, b]
  variadic_params = more
  result = join("/", concat([a, b], more))
}
target "foo" {
  dockerfile = "${target.foo.name}.Dockerfile"
  context = below("a", BASE, "c")
}
target "bar" {
  dockerfile = FILE
  context = target.foo.context
}
"#,
        &["bar a/web/c web.Dockerfile", "foo a/web/c foo.Dockerfile"],
    );
}

#[test]
fn files_are_merged() {
    let base = "target \"app\" {\n context = \"a\"\n dockerfile = \"a.Dockerfile\"\n}\nX = \"one\"\ntarget \"b\" { dockerfile = X }";
    let over = r#"{"target": {"app": {"context": "${X}"}}, "X": "two"}"#;
    assert_eq!(
        shown(&[("docker-bake.hcl", base), ("docker-bake.override.json", over)], &[]),
        ["app two a.Dockerfile", "b . two"]
    );
    assert_eq!(
        shown(&[("docker-bake.hcl", base)], &[]),
        ["app a a.Dockerfile", "b . one"]
    );
}

#[test]
fn variables_and_the_environment() {
    for (block, environment, wanted) in [
        ("default = \"d\"", None, "d"),
        ("default = \"d\"", Some(("V", "e")), "e"),
        ("default = \"d\"", Some(("V", "")), "Dockerfile"),
        ("", None, "Dockerfile"),
        ("", Some(("V", "e")), "e"),
        ("default = null", Some(("V", "e")), "e"),
        ("default = 5", Some(("V", "7")), "7"),
        ("default = true", Some(("V", "F")), "false"),
        ("type = string", None, "Dockerfile"),
        ("type = string\n default = 5", None, "5"),
        ("type = number", Some(("V", "007")), "7"),
        ("type = list(string)", Some(("V", "a,\"b,c\"")), "b,c"),
        ("type = list(string)", Some(("V_JSON", "[\"a\",\"j\"]")), "j"),
        ("type = set(number)\n default = [1, 2]", None, "2"),
    ] {
        let text = format!("variable \"V\" {{\n{block}\n}}\ntarget \"t\" {{ dockerfile = try(V[1], V) }}");
        let environment: Vec<_> = environment.into_iter().collect();
        assert_eq!(
            shown(&[("f.hcl", &text)], &environment),
            [format!("t . {wanted}")],
            "{block} {environment:?}"
        );
    }
}

#[test]
fn expressions() {
    for (text, wanted) in [
        ("\"a${1 + 2 * 3}\"", "a7"),
        ("\"${7 / 2}-${-7 % 4}-${10 / 5}\"", "3.5--3-2"),
        ("1 < 2 && !false ? \"yes\" : \"no\"", "yes"),
        ("1 == \"1\" || 2 != 2 ? \"yes\" : \"no\"", "no"),
        ("l[1]", "y"),
        ("l.0", "x"),
        ("o[\"a\"]", "1"),
        ("o.b", "2"),
        ("join(\",\", [for v in l : upper(v)])", "X,Y"),
        ("join(\",\", [for i, v in l : \"${i}${v}\" if v != \"x\"])", "1y"),
        ("join(\",\", values({for k, v in o : \"${k}${v}\" => v + 1}))", "2,3"),
        ("join(\",\", [{n = \"p\"}, {n = \"q\"}][*].n)", "p,q"),
        ("\"%{ if o.a == 1 }one%{ else }other%{ endif }\"", "one"),
        ("\"%{ for v in l }<${v}>%{ endfor }\"", "<x><y>"),
        ("\"a ${~ \"b\" ~} c\"", "abc"),
        ("\"$${x}%%{y}\\u0041\\t\"", "${x}%{y}A\t"),
        ("<<E\nfile\nE\n", "file\n"),
        ("trimspace(<<-E\n   file\n  E\n)", "file"),
        ("format(\"%s-%d-%q%%\", \"a\", 2, \"b\")", "a-2-\"b\"%"),
        ("can(nothing) ? \"a\" : \"b\"", "b"),
        ("try(nothing, l[9], \"c\")", "c"),
        ("element(l, 3)", "y"),
        ("substr(\"abcdef\", -3, 2)", "de"),
        (
            "\"${basename(\"a/b/c\")} ${dirname(\"a/b/c\")} ${dirname(\"a\")}\"",
            "c a/b .",
        ),
        ("regex_replace(\"v1.2\", \"v(\\\\d).*\", \"$1\")", "1"),
        ("join(\"\", flatten([[\"a\"], [[\"b\"]]]))", "ab"),
        ("join(\"\", [for p in setproduct(l, l) : join(\"\", p)])", "xxxyyxyy"),
        ("lookup(merge(o, {c = 3}), \"c\", 0)", "3"),
        ("title(\"one two\")", "One Two"),
        ("jsondecode(jsonencode(o)).b", "2"),
    ] {
        expression(text, wanted);
    }
}

#[test]
fn what_cannot_be_evaluated_says_where_and_what() {
    for (text, wanted) in [
        ("target \"a\" {", "docker-bake.hcl:1: no HCL: "),
        (
            "\n\ntarget \"a\" { context = b }",
            "docker-bake.hcl:3: there is no variable `b` (of the target `a`)",
        ),
        (
            "name = 1\ntarget \"a\" { context = \"${nam}\" }",
            "docker-bake.hcl:2: there is no variable `nam` (did you mean name?)",
        ),
        (
            "target \"a\" {\n context = sha256(\"x\")\n}",
            "docker-bake.hcl:2: there is no function `sha256` that is known here",
        ),
        (
            "target \"a\" {\n context = [1]\n}",
            "docker-bake.hcl:2: `context`: wanted a string, found a list",
        ),
        (
            "target \"a\" { inherits = [\"b\"] }",
            "docker-bake.hcl:1: there is no target `b`",
        ),
        ("target \"a\" { inherits = [\"a\"] }", "`a` inherits from itself"),
        ("a = b\nb = a\ntarget \"t\" { context = a }", "depends on itself"),
        (
            "target \"t\" { context = target.t.context }",
            "`context` of the target `t` depends on itself",
        ),
        ("target \"t\" { context = target.u.context }", "there is no target `u`"),
        ("target \"t\" { context = target.t.contxt }", "targets have no `contxt`"),
        ("stage \"t\" {}", "docker-bake.hcl:1: `stage` is no block of bake's"),
        ("target {}", "docker-bake.hcl:1: `target` has 0 names"),
        ("target \"a b\" {}", "`a b` is no name of a target"),
        ("target \"a\" { name = \"b\" }", "has a `name` but no `matrix`"),
        ("target \"a\" { matrix = { x = 1 } }", "the matrix's `x`: wanted a list"),
        (
            "group \"g\" { targets = [\"a\"] }\ntarget \"ab\" {}",
            "there is no target `a` (did you mean ab?)",
        ),
        ("function \"f\" { result = 1 }", "the function `f`: it has no `params`"),
        (
            "function \"f\" {\n params = []\n result = f()\n}\ntarget \"a\" { context = f() }",
            "deep",
        ),
    ] {
        wrong(text, wanted);
    }
}

fn lines(numbers: std::ops::Range<u32>, line: impl Fn(u32) -> String) -> String {
    numbers.map(line).collect()
}

#[test]
fn hostile_files_have_limits() {
    let doubled: String = lines(1..60, |n| format!("a{n} = \"${{a{}}}${{a{}}}\"\n", n - 1, n - 1));
    wrong(
        &format!("a0 = \"xx\"\n{doubled}target \"t\" {{ context = a59 }}"),
        "too large",
    );
    // What fails costs time too.
    for twice in ["try(A + nothing, A + nothing)", "can(A) || can(A) ? nothing : nothing"] {
        let doubled: String = lines(1..60, |n| {
            format!("a{n} = {}\n", twice.replace('A', &format!("a{}", n - 1)))
        });
        wrong(
            &format!("a0 = nothing\n{doubled}target \"t\" {{ context = a59 }}"),
            "too large",
        );
    }
    let pattern = "target \"t\" { context = regex_replace(\"a\", \"(a{1000}){1000}\", \"\") }";
    wrong(pattern, "size limit");
    let wide: String = lines(0..6, |n| format!("m{n} = range(100)\n"));
    wrong(
        &format!("target \"t\" {{\nmatrix = {{\n{wide}}}\n}}"),
        "more than 10000 rows",
    );
    let chain: String = lines(0..300, |n| {
        format!("target \"t{n}\" {{ inherits = [\"t{}\"] }}\n", n + 1)
    });
    wrong(&format!("{chain}target \"t300\" {{}}"), "over more than 100 others");
    let diamond: String = lines(0..60, |n| {
        format!("target \"t{n}\" {{ inherits = [\"t{0}\", \"t{0}\"] }}\n", n + 1)
    });
    assert_eq!(
        shown(&[("f.hcl", &format!("{diamond}target \"t60\" {{}}"))], &[]).len(),
        61
    );
    let variables: String = lines(0..1000, |n| format!("v{n} = v{}\n", n + 1));
    wrong(
        &format!("{variables}target \"t\" {{ context = v0 }}"),
        "more than 128 deep",
    );
    wrong(&"x".repeat(2 << 20), "larger than 1 MiB");
    wrong(&format!("a = {}", "[".repeat(100_000)), "no HCL");
    wrong(
        "target \"t\" { context = join(\"\", range(100000)) }",
        "more than 10000 elements",
    );
    wrong("target \"t\" { context = substr(\"a\", 1e300, -1) }", "whole number");
    wrong(
        &format!("l = [1]\ntarget \"t\" {{ context = l{} }}", "[*]".repeat(100_000)),
        "more than 128 deep",
    );
    wrong("target \"t\" { context = 1 / 0 }", "a number without end");
}

#[test]
fn patterns_are_told_from_what_is_built() {
    let text = "target \"base\" {}\ntarget \"a\" { inherits = [\"base\", \"b\"] }\ntarget \"b\" {}\ngroup \"default\" { targets = [\"a\", \"b\"] }";
    let targets = read(&[("f.hcl", text)], &[]).unwrap();
    let patterns: Vec<_> = targets
        .into_iter()
        .map(Result::unwrap)
        .filter(|target| target.is_pattern)
        .map(|t| t.name)
        .collect();
    assert_eq!(patterns, ["base"]);
}
