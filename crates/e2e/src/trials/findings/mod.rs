//! What the linter prints for programs, read by what they read it with.

use anyhow::{Result, ensure};
use xtask::{command, paths, python};

use super::{Trial, once};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    once("findings::fit_published_schemas", fit),
    once("findings::before_commits_and_in_ci", snippets),
];

const PACKAGES: [&str; 2] = ["jsonschema==4.26.0", "lxml==6.1.3"];
const FITS: &str = include_str!("fits.py");

/// Findings of every severity, with fixes and without, with letters that XML and JSON escape; at the end, behind a byte
/// order mark, in a file that says nothing, in one that is no Dockerfile.
const DOCKERFILES: [(&str, &str); 6] = [
    (
        "Dockerfile",
        "FROM debian\nRUN sudo apt-get install x && cd /a\nADD f /\nADD f /\nMAINTAINER <a&\"b>\u{1}\nWORKDIR \"é 𝄞\"\nCMD run",
    ),
    (
        "a b/é&.Dockerfile",
        "\u{feff}FROM debian:12 as x\r\nENV a b\r\nRUN <<EOF\r\ncd /\r\nEOF\r\n",
    ),
    ("good.Dockerfile", "FROM scratch\nCOPY f /\n"),
    ("empty.Dockerfile", ""),
    ("bad.Dockerfile", "FROM scratch\nRUNN\nCOPY <<EOF /x\n"),
    ("same.Dockerfile", "FROM scratch\nADD f /\nADD f /\n"),
];

fn fit(stage: &Stage) -> Result<()> {
    let python = python::environment("schemas", &PACKAGES)?.join("python");
    let hadolint = python::environment("hadolint", &[xtask::lint_compat::PACKAGE])?.join("hadolint");
    let fits = stage.write_beside("fits.py", FITS)?;
    for (name, text) in DOCKERFILES {
        stage.write(name, text)?;
    }
    let names: Vec<String> = DOCKERFILES.iter().map(|(name, _)| format!("'{name}'")).collect();
    let names = names.join(" ");
    let check = |arguments: &[String]| -> Result<()> {
        let all = [&[fits.display().to_string()], arguments].concat();
        let ended = command::output(&mut stage.command(&python, &all))?;
        let said = String::from_utf8_lossy(&ended.stdout);
        let error = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success() && said.trim() == "all fit", "{said}{error}");
        Ok(())
    };
    for (format, kind, schema) in [
        ("sarif", "sarif", "sarif-2.1.0-rtm.5.json"),
        ("junit", "xml", "junit-4.xsd"),
    ] {
        let lint = format!("kiln lint --no-fail -f {format}");
        stage.shell_ok(&format!(
            "{lint} {names} > all; {lint} good.Dockerfile > good; {lint} \"$PWD/Dockerfile\" > path; \
             {lint} - < Dockerfile > stdin"
        ))?;
        let schema = paths::workspace().join("tests/schemas").join(schema);
        let schema = schema.display().to_string();
        let files = ["all", "good", "path", "stdin"].map(str::to_owned);
        check(&[&[kind.to_owned(), schema], &files[..]].concat())?;
    }
    for (format, theirs) in [
        ("checkstyle", "checkstyle"),
        ("codeclimate", "codeclimate"),
        ("gitlab", "gitlab_codeclimate"),
    ] {
        for name in ["Dockerfile", "same.Dockerfile", "good.Dockerfile"] {
            let hadolint = hadolint.display();
            stage.shell_ok(&format!("'{hadolint}' --no-fail -f {theirs} {name} > theirs"))?;
            stage.shell_ok(&format!("kiln lint --no-fail -f {format} {name} > ours"))?;
            check(&["like", format, "theirs", "ours"].map(str::to_owned))?;
        }
    }
    Ok(())
}

const CI_PACKAGES: [&str; 3] = ["check-jsonschema==0.39.0", "pre-commit==4.7.0", "ruamel.yaml==0.19.1"];
const SNIPPETS: &str = include_str!("snippets.py");

/// Something is wrong in one of the files, and another needs another form.
const PROJECT: &str = "git init -q . && git config user.name x && git config user.email x@example.com
mkdir app
printf 'FROM scratch\\nEXPOSE 80 # why\\n' > Dockerfile
printf 'from scratch\\ncopy . /\\n' > app/web.Dockerfile
printf '*.log\\n' > app/web.Dockerfile.dockerignore
git add -A && git commit -qm first";

/// What `docs/lint.md` says about commits and CI, word for word.
fn snippets(stage: &Stage) -> Result<()> {
    let bin = python::environment("ci", &CI_PACKAGES)?;
    let (python, bin) = (bin.join("python").display().to_string(), bin.display().to_string());
    let script = stage.write_beside("snippets.py", SNIPPETS)?.display().to_string();
    let page = paths::workspace().join("docs/lint.md").display().to_string();
    let hooks = std::fs::read_to_string(paths::workspace().join(".pre-commit-hooks.yaml"))?;
    stage.write("hooks/.pre-commit-hooks.yaml", hooks)?;
    let name = "git config user.name x && git config user.email x@example.com";
    stage.shell_ok(&format!(
        "cd hooks && git init -q . && {name} && git add -A && git commit -qm hooks && git tag v1"
    ))?;
    stage.shell_ok(&format!("mkdir project && cd project && {PROJECT}"))?;
    let written = stage.shell_ok(&format!("'{python}' '{script}' '{page}' \"$PWD/hooks\" v1"))?;
    ensure!(written.trim() == "github gitlab hook pre-commit", "{written}");
    for kind in ["github-workflows", "gitlab-ci"] {
        let file = kind.split('-').next().unwrap_or_default();
        stage.shell_ok(&format!(
            "'{bin}/check-jsonschema' --builtin-schema vendor.{kind} {file}.yml"
        ))?;
    }
    let said = stage.shell_ok(
        "cd project && ! bash ../github-1.sh && bash ../github-2.sh && jq -r '.runs[0].results[].ruleId' kiln.sarif",
    )?;
    ensure!(
        said.contains("::warning file=Dockerfile,line=2,") && said.contains("\nK1001\n"),
        "{said}"
    );
    let said = stage
        .shell_ok("cd project && ! bash ../gitlab-1.sh && jq -r '.[].location.path' gl-code-quality-report.json")?;
    ensure!(said.contains("Dockerfile\n"), "{said}");
    let hook = "install -m 755 ../hook .git/hooks/pre-commit && echo >> Dockerfile && git add Dockerfile";
    let said = stage.shell_ok(&format!("cd project && {hook} && ! git commit -qm x 2>&1"))?;
    ensure!(said.contains("K1001"), "{said}");
    stage.shell_ok(
        "cd project && rm .git/hooks/pre-commit && cp ../pre-commit.yml .pre-commit-config.yaml && git add -A",
    )?;
    let run = format!("PRE_COMMIT_HOME=\"$PWD/../pre-commit\" PATH=\"$PATH:{bin}\" pre-commit run --all-files 2>&1");
    let said = stage.shell_ok(&format!("cd project && ! {run}"))?;
    ensure!(
        said.contains("app/web.Dockerfile: formatted") && said.contains("K1001"),
        "{said}"
    );
    ensure!(!said.contains("dockerignore"), "{said}");
    stage.shell_ok(&format!(
        "cd project && sed -i 's/ # why//' Dockerfile && git add -A && {run}"
    ))?;
    let cleaned = "bash ../github-1.sh && bash ../gitlab-1.sh && install -m 755 ../hook .git/hooks/pre-commit && git commit -qm x";
    stage.shell_ok(&format!("cd project && {cleaned}"))?;
    Ok(())
}
