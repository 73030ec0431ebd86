//! Secrets that can be read, downloads that nobody checks, doors that stand open.

use kiln_dockerfile::ast::{Kind, SourcePath, Span};

use super::Found;
use crate::shell::{Command, Word};
use crate::view::{Item, RunScript, View};

/// Settings, in lower case, that switch the check of certificates or signatures off wherever they stand.
const OFF: &[&str] = &[
    "[trusted=yes",
    "gpgcheck=0",
    "sslverify=0",
    "sslverify=false",
    "allowinsecurerepositories=true",
    "allowunauthenticated=true",
    "verify-peer=false",
    "strict-ssl=false",
    "--insecure-skip-tls-verify",
    "check-certificate=false",
    "--trust-server-cert",
    "--no-gpg-check",
];

/// Commands that write such a setting: words that follow one another.
const SETS_OFF: &[(&[&str], &str, &[&str])] = &[
    (&["git"], "http.sslverify", &["false", "0"]),
    (&["npm", "yarn", "pnpm"], "strict-ssl", &["false"]),
    (&["conda", "mamba"], "ssl_verify", &["false", "no"]),
    (&["composer"], "disable-tls", &["true"]),
    (&["bundle"], "ssl_verify_mode", &["0"]),
];

/// Variables that do the same, and the values; empty where any does.
const OFF_VARIABLES: &[(&str, &[&str])] = &[
    ("NODE_TLS_REJECT_UNAUTHORIZED", &["0"]),
    ("PYTHONHTTPSVERIFY", &["0"]),
    ("GIT_SSL_NO_VERIFY", &["1", "true"]),
    ("NPM_CONFIG_STRICT_SSL", &["false"]),
    ("PIP_TRUSTED_HOST", &[]),
    ("GOINSECURE", &[]),
];

fn switches_off(name: &str, value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']).to_ascii_lowercase();
    let variable = OFF_VARIABLES.iter().find(|(off, _)| off.eq_ignore_ascii_case(name));
    variable.is_some_and(|(_, values)| !value.is_empty() && (values.is_empty() || values.contains(&value.as_str())))
}

/// Settings and variables, where K3001 has flags.
pub(super) fn switched_off(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        match (item.kind, &item.script) {
            (Kind::Env(pairs), _) => {
                let any = |name: &str| {
                    ["PIP_TRUSTED_HOST", "GOINSECURE"]
                        .iter()
                        .any(|any| any.eq_ignore_ascii_case(name))
                };
                let off = pairs
                    .iter()
                    .find(|pair| any(&pair.key.raw) && switches_off(&pair.key.raw, &pair.value.raw));
                if let Some(pair) = off {
                    found.say(
                        item,
                        pair.key.span,
                        format!("`{}` switches the check of certificates off", pair.key.raw),
                    );
                }
            }
            (Kind::Run(_), Some(run)) => {
                let off = run
                    .script
                    .commands
                    .iter()
                    .find_map(|command| Some((command, off_by(command)?)));
                if let Some((command, word)) = off {
                    let message = format!(
                        "`{}` switches the check of certificates or signatures off",
                        shortened(&word.text)
                    );
                    found.word((item, run), command, Some(word), message);
                }
            }
            _ => {}
        }
    }
}

fn off_by(command: &Command) -> Option<&Word> {
    let by_text = command.args.iter().find(|word| {
        let text = word.text.to_ascii_lowercase().replace("[ ", "[");
        // Dashes and blanks around it do not matter; `--no-gpg-checks` is a flag that K3001 looks at.
        OFF.iter().any(|off| text.contains(off)) && !text.contains("--no-gpg-checks")
    });
    let by_command = || {
        let (_, setting, values) = SETS_OFF
            .iter()
            .find(|(names, ..)| names.contains(&command.name.as_str()))?;
        let at = command
            .args
            .iter()
            .position(|word| word.text.eq_ignore_ascii_case(setting))?;
        let value = command.args.get(at + 1)?;
        values
            .contains(&value.text.to_ascii_lowercase().as_str())
            .then_some(&command.args[at])
    };
    let variables = command.assignments.iter();
    let exported = command
        .args
        .iter()
        .filter(|_| ["export", "env"].contains(&command.name.as_str()));
    let by_variable = || {
        variables.chain(exported).find(|word| {
            let (name, value) = word.text.split_once('=').unwrap_or_default();
            switches_off(name, value)
        })
    };
    by_text.or_else(by_command).or_else(by_variable)
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Programs that run what they read.
const RUNNERS: &[&str] = &[
    "sh", "bash", "ash", "dash", "zsh", "python", "python3", "perl", "ruby", "node", "php",
];

/// `curl … | sh`
pub(super) fn run_unseen(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs() {
        let Some(text) = run.text() else { continue };
        let mut commands: Vec<&Command> = run.script.commands.iter().filter(|command| command.exact).collect();
        commands.sort_by_key(|command| command.range.start);
        let pair = commands.windows(2).find_map(|pair| {
            let [fetch, next] = pair else { return None };
            if !matches!(fetch.name.as_str(), "curl" | "wget") {
                return None;
            }
            let between = text.get(fetch.range.end..next.range.start)?;
            let piped = between.contains('|') && !between.contains("||") && !between.contains([';', '&', '\n', '>']);
            let script = next
                .plain()
                .first()
                .is_some_and(|word| [".sh", ".py"].iter().any(|end| word.text.ends_with(end)));
            let code = next.has_flag(&["c", "m", "e"]);
            (piped && RUNNERS.contains(&next.name.as_str()) && !script && !code).then_some((*fetch, *next))
        });
        if let Some((fetch, next)) = pair {
            let message = format!(
                "`{}` runs whatever the server sends today: fetch it into a file and check its digest, or ADD --checksum",
                next.name
            );
            found.word((item, run), fetch, None, message);
        }
    }
}

/// Whether the same script checks what it fetched.
fn checks(run: &RunScript) -> bool {
    run.script.commands.iter().any(|command| {
        let name = command.name.as_str();
        ["gpg", "gpgv", "cosign", "minisign", "openssl", "shasum"].contains(&name) || name.ends_with("sum")
    })
}

/// Whether an address is of this machine or of a network of its own.
fn is_near(address: &str) -> bool {
    let host = address.split(['/', ':']).next().unwrap_or_default();
    let private = [
        "127.",
        "10.",
        "192.168.",
        "localhost",
        "0.0.0.0",
        "host.docker.internal",
    ];
    private.iter().any(|start| host.starts_with(start))
        || !host.contains('.')
        || host.contains('$')
        || host.contains('{')
}

/// Downloads that anybody on the way can change.
pub(super) fn plain_http(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        match (item.kind, &item.script) {
            (Kind::Add(add), _) if add.checksum.is_none() => {
                let plain = add.transfer.sources.iter().find_map(|source| match source {
                    SourcePath::Path(word) => word
                        .raw
                        .strip_prefix("http://")
                        .filter(|rest| !is_near(rest))
                        .map(|_| word),
                    SourcePath::Heredoc(_) => None,
                });
                if let Some(word) = plain {
                    found.say(
                        item,
                        word.span,
                        "anybody on the way can change this: use https, or --checksum",
                    );
                }
            }
            (Kind::Run(_), Some(run)) if !checks(run) => {
                let plain = run.script.named(&["curl", "wget", "git", "svn"]).find_map(|command| {
                    let far = |word: &&Word| word.text.strip_prefix("http://").is_some_and(|rest| !is_near(rest));
                    Some((command, command.args.iter().find(far)?))
                });
                if let Some((command, word)) = plain {
                    let message = "anybody on the way can change this: use https, or check a digest in the same RUN";
                    found.word((item, run), command, Some(word), message);
                }
            }
            _ => {}
        }
    }
}

/// Names of variables that hold secrets.
fn is_secret_name(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    ["TOKEN", "PASS", "SECRET", "API_KEY", "APIKEY", "CREDENTIAL"]
        .iter()
        .any(|part| text.contains(part))
}

/// Whether a value is known to the image: it is written there, or a variable of ARG or ENV.
fn is_told(view: &View<'_>, value: &str) -> bool {
    if value.is_empty() || value.contains("${…}") {
        return false;
    }
    let mut names = value.match_indices("${").map(|(at, _)| {
        let name = &value[at + 2..];
        name.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .next()
            .unwrap_or_default()
    });
    let Some(first) = names.next() else {
        return value.bytes().any(|byte| byte.is_ascii_alphanumeric());
    };
    view.declares(first) || names.any(|name| view.declares(name))
}

/// Passwords and tokens in a command line: they are in the image's history.
pub(super) fn in_command_line(view: &View<'_>, found: &mut Found<'_>) {
    for (item, run, script) in view.runs() {
        if run.mounts.iter().any(|mount| mount.raw.contains("type=secret")) {
            continue;
        }
        let told = script
            .script
            .commands
            .iter()
            .find_map(|command| Some((command, secret_word(view, command)?)));
        if let Some((command, word)) = told {
            let message = "whoever has the image reads this in its history: use --mount=type=secret";
            found.word((item, script), command, Some(word), message);
        }
    }
}

fn secret_word<'c>(view: &View<'_>, command: &'c Command) -> Option<&'c Word> {
    const FLAGS: &[&str] = &["--password", "--token", "--api-key", "--auth-token", "--http-password"];
    let user = matches!(command.name.as_str(), "curl");
    command.args.iter().enumerate().find_map(|(place, word)| {
        let text = word.text.as_str();
        let next = command.args.get(place + 1).map(|word| word.text.as_str());
        let (flag, value) = match text.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (text, next),
        };
        let by_flag =
            FLAGS.contains(&flag) && value.is_some_and(|value| !value.starts_with('-') && is_told(view, value));
        let pair = |value: &str| {
            value
                .split_once(':')
                .is_some_and(|(_, password)| is_told(view, password))
        };
        let by_user = user && ["-u", "--user"].contains(&flag) && value.is_some_and(pair);
        let by_header =
            text.to_ascii_lowercase().starts_with("authorization:") && is_told(view, text.rsplit(' ').next()?);
        let by_setting = text
            .split_once("_authToken=")
            .is_some_and(|(_, value)| is_told(view, value))
            || text.ends_with("_authToken") && next.is_some_and(|value| is_told(view, value));
        (by_flag || by_user || by_header || by_setting || in_address(view, text)).then_some(word)
    })
}

/// `https://user:password@host`
fn in_address(view: &View<'_>, text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else {
        return false;
    };
    match user.split_once(':') {
        Some((name, password)) if !user.contains('{') || !name.contains('{') => {
            is_told(view, password) && !password.is_empty()
        }
        _ => is_secret_name(user) && user.contains("${") && is_told(view, user),
    }
}

/// Files that hold secrets, by name.
const SECRET_FILES: &[&str] = &[
    ".env",
    ".env.local",
    ".env.production",
    ".git-credentials",
    ".netrc",
    ".npmrc",
    ".pypirc",
    "credentials.json",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_rsa",
    "kubeconfig",
    "service-account.json",
    "privkey.pem",
    "secrets.yml",
    "secrets.json",
    "server.key",
    "tls.key",
    "private.key",
    ".htpasswd",
    ".aws",
    ".ssh",
    ".kube",
];

pub(super) fn secret_files(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        let sources = match item.kind {
            Kind::Copy(copy) if copy.from.is_none() => &copy.transfer.sources,
            Kind::Add(add) => &add.transfer.sources,
            _ => continue,
        };
        let secret = sources.iter().find_map(|source| match source {
            SourcePath::Path(word) => {
                let name = word.raw.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                SECRET_FILES.contains(&name).then_some(word)
            }
            SourcePath::Heredoc(_) => None,
        });
        if let Some(word) = secret {
            let message = format!(
                "whoever has the image has `{}`, even if it is removed later: use --mount=type=secret",
                word.raw
            );
            found.say(item, word.span, message);
        }
    }
}

/// Tokens by their form: what they begin with, how many letters follow, which besides letters and digits.
const TOKENS: &[(&str, usize, &str, &str)] = &[
    ("AKIA", 16, "", "access key of AWS"),
    ("ASIA", 16, "", "access key of AWS"),
    ("ghp_", 36, "", "token of GitHub"),
    ("gho_", 36, "", "token of GitHub"),
    ("ghs_", 36, "", "token of GitHub"),
    ("github_pat_", 60, "_", "token of GitHub"),
    ("glpat-", 20, "-_", "token of GitLab"),
    ("npm_", 36, "", "token of npm"),
    ("pypi-AgEI", 50, "-_", "token of PyPI"),
    ("xoxb-", 20, "-", "token of Slack"),
    ("xoxp-", 20, "-", "token of Slack"),
    ("sk_live_", 20, "", "key of Stripe"),
    ("AIza", 35, "-_", "key of Google"),
];

/// Secrets that can be told by their form.
pub(super) fn tokens(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        let text = view.file.source.get(item.instruction.span.range()).unwrap_or_default();
        for (start, length, others, what) in TOKENS {
            let is_token = |at: usize| {
                let before = text[..at].bytes().next_back();
                let rest = &text.as_bytes()[at + start.len()..];
                let letters = rest
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || others.as_bytes().contains(byte))
                    .count();
                let exact = !others.is_empty() || *length > 36 || letters == *length;
                letters >= *length && exact && before.is_none_or(|byte| !byte.is_ascii_alphanumeric() && byte != b'_')
            };
            if let Some((at, _)) = text.match_indices(start).find(|(at, _)| is_token(*at)) {
                say_secret(item, found, at, start.len(), what);
            }
        }
        if let Some(at) = text.find("-----BEGIN ").filter(|at| {
            text[*at..]
                .lines()
                .next()
                .is_some_and(|line| line.contains("PRIVATE KEY-----"))
        }) {
            say_secret(item, found, at, "-----BEGIN ".len(), "private key");
        }
    }
}

fn say_secret(item: &Item<'_>, found: &mut Found<'_>, at: usize, length: usize, what: &str) {
    let start = item.instruction.span.start + at;
    let span = Span {
        start,
        end: start + length,
    };
    found.say(
        item,
        span,
        format!("this looks like a {what}, for everybody to read: revoke it, and use --mount=type=secret"),
    );
}

/// What `chmod` gives, in RUN and by COPY, and to which paths.
fn modes(view: &View<'_>, found: &mut Found<'_>, is_bad: impl Fn(&str, &[&str]) -> bool, message: &str) {
    for item in view.items() {
        let transfer = match (item.kind, &item.script) {
            (Kind::Copy(copy), _) => &copy.transfer,
            (Kind::Add(add), _) => &add.transfer,
            (Kind::Run(_), Some(run)) => {
                let bad = run.script.named(&["chmod"]).find_map(|command| {
                    let plain = command.plain();
                    let (mode, files) = plain.split_first()?;
                    let files: Vec<&str> = files.iter().map(|word| word.text.as_str()).collect();
                    is_bad(&mode.text, &files).then_some((command, *mode))
                });
                if let Some((command, word)) = bad {
                    found.word((item, run), command, Some(word), message);
                }
                continue;
            }
            _ => continue,
        };
        let to = [transfer.destination.raw.as_str()];
        if let Some(word) = transfer.chmod.as_ref().filter(|word| is_bad(&word.raw, &to)) {
            found.say(item, word.span, message);
        }
    }
}

fn is_octal(mode: &str) -> bool {
    matches!(mode.len(), 3..=5) && mode.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
}

pub(super) fn world_writable(view: &View<'_>, found: &mut Found<'_>) {
    let bad = |mode: &str, paths: &[&str]| {
        let temporary = paths
            .iter()
            .all(|path| matches!(path.trim_end_matches('/'), "/tmp" | "/var/tmp"));
        let octal = is_octal(mode) && matches!(mode.as_bytes().last(), Some(b'2' | b'3' | b'6' | b'7'));
        // A sticky directory is for everybody.
        let sticky = mode.len() >= 4
            && mode.trim_start_matches('0').len() == 4
            && matches!(mode.trim_start_matches('0').as_bytes()[0], b'1' | b'3' | b'5' | b'7');
        let words = mode.split(',').any(|part| {
            let (who, what) = part.split_once(['+', '=']).unwrap_or_default();
            (who.contains('o') || who.contains('a')) && what.contains('w')
        });
        (octal && !sticky || words) && !temporary
    };
    modes(
        view,
        found,
        bad,
        "everybody may write there, whoever the process becomes: give it the owner or group that it needs",
    );
}

pub(super) fn set_user(view: &View<'_>, found: &mut Found<'_>) {
    // A directory with the group's bit hands its group on: of that bit only programs are meant.
    let program = |path: &&str| ["/bin/", "/sbin/"].iter().any(|part| path.contains(part)) && !path.ends_with('/');
    let bad = |mode: &str, paths: &[&str]| {
        let digits = mode.trim_start_matches('0');
        let octal = |first: &[u8]| is_octal(mode) && digits.len() == 4 && first.contains(&digits.as_bytes()[0]);
        let words = |whose: &[char]| {
            mode.split(',').any(|part| {
                let (who, what) = part.split_once(['+', '=']).unwrap_or_default();
                (who.is_empty() || who.contains(whose)) && what.contains('s')
            })
        };
        octal(b"4567") || words(&['u', 'a']) || (octal(b"23") || words(&['g'])) && paths.iter().any(program)
    };
    modes(
        view,
        found,
        bad,
        "whoever runs this program gets the rights of its owner or group: give the process the right it needs instead",
    );
}

pub(super) fn passwords(view: &View<'_>, found: &mut Found<'_>) {
    for (item, run, script) in view.runs() {
        let secret = run.mounts.iter().any(|mount| mount.raw.contains("type=secret"));
        let sets = |command: &&Command| {
            command.name == "chpasswd" || command.name == "passwd" && command.has_flag(&["stdin", "d", "delete"])
        };
        if let Some(command) = script.script.commands.iter().find(sets).filter(|_| !secret) {
            let message =
                "the same password for every container, in the image for everybody to read: a process needs none";
            found.word((item, script), command, None, message);
        }
    }
}

pub(super) fn remote_shell(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let Kind::Expose(words) = item.kind else { continue };
        let port = |text: &str| text.split('/').next() == Some("22");
        if let Some(word) = words.iter().find(|word| port(&word.raw)) {
            let message = "a way in besides the program: `exec` opens a shell in a container without one";
            found.say(item, word.span, message);
        }
    }
}

/// ADD of an address whose content may be another tomorrow.
pub(super) fn no_checksum(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        let Kind::Add(add) = item.kind else { continue };
        let remote = add.transfer.sources.iter().find_map(|source| match source {
            SourcePath::Path(word) => {
                // By http it may be another today already: K3004.
                let address = word.raw.starts_with("https://");
                let path = word.raw.split(['?', '#']).next().unwrap_or_default();
                (address && path.rsplit('.').next() != Some("git") && !word.raw.contains('$')).then_some(word)
            }
            SourcePath::Heredoc(_) => None,
        });
        if let Some(word) = remote.filter(|_| add.checksum.is_none()) {
            let message = "nobody checks that this is what it was: give its digest as --checksum=sha256:…";
            found.say(item, word.span, message);
        }
    }
}

pub(super) fn no_password(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs() {
        let opens = run.script.commands.iter().find_map(|command| {
            let word = command.args.iter().find(|word| word.text.contains("NOPASSWD"))?;
            Some((command, word))
        });
        if let Some((command, word)) = opens {
            let message = "with this the user is root: USER says who runs, and root may do what needs it while the image is built";
            found.word((item, run), command, Some(word), message);
        }
    }
}
