//! A Dockerfile of an image's history: what it says is taken word for word, what it does not say is marked.

mod texts;

use kiln_dockerfile::diagnostic::Severity;
use kiln_image::{Config, HistoryEntry, ImageConfig};

use texts::{Instruction, Known, State, Step};

/// What stands for what the history does not say.
const UNKNOWN: &str = "# UNKNOWN:";

/// An image that another one is based on.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// As FROM names it.
    pub name: &'a str,
    /// Its config.
    pub config: &'a ImageConfig,
}

/// Writes a Dockerfile that would have made the image, as far as its history tells. Lines that begin with `# UNKNOWN:` say
/// what it does not tell: files that came from a context, and layers that no instruction made.
///
/// Of a `base`, whose layers the image begins with, the instructions are left out. Without one it begins with `FROM scratch`.
pub fn reconstruct(image: &ImageConfig, base: Option<Base<'_>>) -> String {
    let (from, mut entries, mut state) = match base {
        Some(base) => (
            base.name,
            above(image, base.config),
            State::new(base.config.config.clone()),
        ),
        None => ("scratch", &image.history[..], State::default()),
    };
    let layers = |entries: &[HistoryEntry]| entries.iter().filter(|entry| !entry.empty_layer).count();
    let said = layers(&image.history);
    if said != image.rootfs.diff_ids.len() {
        entries = &[];
    }
    let mut writer = Writer {
        image,
        lines: vec![format!("FROM {from}")],
        layer: image.rootfs.diff_ids.len() - layers(entries).min(image.rootfs.diff_ids.len()),
        shell: shell_of(&state.config),
        known: Known::new(&image.config),
    };
    if said != image.rootfs.diff_ids.len() {
        let first = base.map_or(0, |base| base.config.rootfs.diff_ids.len());
        let what = "the history does not say of every layer what made it";
        writer.unknown(what);
        writer.layer = first;
        while writer.layer < image.rootfs.diff_ids.len() {
            writer.layer_alone();
        }
    }
    for entry in entries {
        writer.entry(entry, &mut state);
    }
    writer.rest(state);
    let mut text = writer.lines.join("\n");
    text.push('\n');
    text
}

/// The history above that of the base.
fn above<'i>(image: &'i ImageConfig, base: &ImageConfig) -> &'i [HistoryEntry] {
    if let Some(above) = image.history.strip_prefix(&base.history[..]) {
        return above;
    }
    let mut layers = base.rootfs.diff_ids.len();
    let mut entries = &image.history[..];
    while let ([first, rest @ ..], 1..) = (entries, layers) {
        layers -= usize::from(!first.empty_layer);
        entries = rest;
    }
    entries
}

/// Whether the parser reads the text as one instruction, and what follows as another: history is anybody's text.
fn is_one_instruction(text: &str) -> bool {
    let (parsed, diagnostics) = kiln_dockerfile::parse(&format!("FROM scratch\n{text}\nUSER 0\n"));
    let is_sound = diagnostics.iter().all(|found| found.severity != Severity::Error);
    let is_two = matches!(&parsed.stages[..], [stage] if stage.instructions.len() == 2
        && stage.instructions[1].keyword.raw == "USER" && parsed.globals.is_empty());
    is_sound && is_two
}

fn shell_of(config: &Config) -> Vec<String> {
    let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
    config.shell.clone().unwrap_or_else(default)
}

struct Writer<'i> {
    image: &'i ImageConfig,
    lines: Vec<String>,
    /// The number of the next layer.
    layer: usize,
    shell: Vec<String>,
    known: Known<'i>,
}

impl Writer<'_> {
    fn unknown(&mut self, what: &str) {
        let line = what.split(['\n', '\r']).collect::<Vec<_>>().join(" ");
        self.lines.push(format!("{UNKNOWN} {line}"));
    }

    /// Where the files of the layer at hand are, which no instruction says.
    fn layer_alone(&mut self) {
        let diff_id = self.image.rootfs.diff_ids.get(self.layer).map(ToString::to_string);
        self.unknown(&format!(
            "what made layer {}: its tar is {}",
            self.layer,
            diff_id.unwrap_or_default()
        ));
        self.lines.push(format!("ADD layer-{}.tar /", self.layer));
        self.layer += 1;
    }

    fn entry(&mut self, entry: &HistoryEntry, state: &mut State) {
        let is_said = match texts::read(&entry.created_by, &self.shell, &self.known) {
            Step::Is(instruction) => self.instruction(&instruction, state),
            Step::Files {
                keyword,
                source,
                target,
            } => {
                let line = format!("{keyword} {source} {target}");
                let is_one = is_one_instruction(&line);
                if is_one {
                    self.unknown(&format!(
                        "the files of {source}, which came from the context, or from another stage"
                    ));
                    self.lines.push(line);
                }
                is_one
            }
            Step::Unknown(_) => false,
        };
        if !is_said && !entry.created_by.trim().is_empty() {
            self.unknown(&format!("{} {}", entry.created_by, entry.comment));
        }
        match (entry.empty_layer, is_said) {
            (true, _) => {}
            (false, true) => self.layer += 1,
            (false, false) => self.layer_alone(),
        }
    }

    /// Writes an instruction, unless no Dockerfile can have it.
    fn instruction(&mut self, instruction: &Instruction, state: &mut State) -> bool {
        let text = instruction.text();
        let is_one = is_one_instruction(&text);
        if is_one {
            instruction.apply(state);
            self.shell = shell_of(&state.config);
            self.lines.push(text);
        }
        is_one
    }

    /// What the config has that no entry tells of.
    fn rest(&mut self, mut state: State) {
        let wanted = &self.image.config;
        let missing = texts::missing(&state, wanted);
        if missing.is_empty() {
            return;
        }
        self.lines
            .push("# What the config says, and the history does not:".to_owned());
        for instruction in missing {
            if !self.instruction(&instruction, &mut state) {
                self.unknown(&instruction.text());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(entries: &[(&str, bool)], config: &str) -> ImageConfig {
        let layers = entries.iter().filter(|(_, empty)| !empty).count();
        ImageConfig {
            config: serde_json::from_str(config).unwrap(),
            history: entries
                .iter()
                .map(|(created_by, empty_layer)| HistoryEntry {
                    created_by: (*created_by).to_owned(),
                    empty_layer: *empty_layer,
                    ..HistoryEntry::default()
                })
                .collect(),
            rootfs: kiln_image::RootFs {
                diff_ids: (0..layers)
                    .map(|number| kiln_image::Digest::of(number.to_string()))
                    .collect(),
                ..kiln_image::RootFs::default()
            },
            ..ImageConfig::default()
        }
    }

    /// The lines but those that say what is unknown; the whole must parse.
    fn lines(image: &ImageConfig, base: Option<Base<'_>>) -> Vec<String> {
        let text = reconstruct(image, base);
        let (_, diagnostics) = kiln_dockerfile::parse(&text);
        assert!(
            diagnostics.iter().all(|found| found.severity != Severity::Error),
            "{text}: {diagnostics:?}"
        );
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(ToOwned::to_owned)
            .collect()
    }

    #[test]
    fn entries_of_builders() {
        for (created_by, empty, expected) in [
            ("RUN /bin/sh -c make # buildkit", false, "RUN make"),
            (
                "RUN |2 A=1 B=x y /bin/sh -c make \"$A\" # buildkit",
                false,
                "RUN make \"$A\"",
            ),
            ("/bin/sh -c apt-get update", false, "RUN apt-get update"),
            ("|1 A=b /bin/sh -c make", false, "RUN make"),
            ("/bin/sh -c #(nop)  CMD [\"bash\"]", true, r#"CMD ["bash"]"#),
            (
                "CMD [\"a\\tb\" \"c d\" \"\\u00e9\"]",
                true,
                r#"CMD ["a\tb", "c d", "é"]"#,
            ),
            (
                "ENTRYPOINT [\"/bin/sh\" \"-c\" \"exec x\"]",
                true,
                r#"ENTRYPOINT ["/bin/sh", "-c", "exec x"]"#,
            ),
            (
                "/bin/sh -c #(nop) ADD file:0123abcd in / ",
                false,
                "ADD file-0123abcd /",
            ),
            (
                "/bin/sh -c #(nop) COPY dir:0123abcd in /app ",
                false,
                "COPY dir-0123abcd /app",
            ),
            ("COPY a b /c/ # buildkit", false, "COPY a b /c/"),
            (
                "ADD --chown=1:2 https://x/y.tar /z # buildkit",
                false,
                "ADD --chown=1:2 https://x/y.tar /z",
            ),
            ("EXPOSE map[443/tcp:{} 80/tcp:{}]", true, "EXPOSE 443/tcp 80/tcp"),
            ("EXPOSE [80/tcp]", true, "EXPOSE 80/tcp"),
            ("VOLUME [/a /b]", true, r#"VOLUME ["/a", "/b"]"#),
            ("WORKDIR /a", true, "WORKDIR /a"),
            ("USER a:b", true, "USER a:b"),
            ("STOPSIGNAL SIGINT", true, "STOPSIGNAL SIGINT"),
            ("ENV A=b c $d \"", true, r#"ENV A="b c \$d \"""#),
            ("ENV A=1 B=2", true, r#"ENV A="1" B="2""#),
            ("LABEL a.b=c d e=f", true, r#"LABEL a.b="c d" e="f""#),
            ("ARG A=x y", true, r#"ARG A="x y""#),
            ("ARG A", true, "ARG A"),
            ("ONBUILD RUN x", true, "ONBUILD RUN x"),
            ("", false, "ADD layer-0.tar /"),
            ("kiln append", false, "ADD layer-0.tar /"),
            ("# debian.sh --arch amd64", false, "ADD layer-0.tar /"),
        ] {
            let made = lines(&image(&[(created_by, empty)], "{}"), None);
            assert_eq!(
                made[..2],
                ["FROM scratch".to_owned(), expected.to_owned()],
                "{created_by}"
            );
        }
    }

    #[test]
    fn commands_that_a_line_cannot_hold_are_here_documents() {
        for command in ["a\nb", "cat <<X\n1\nX", "--x", "echo \\", "cat <<EOF"] {
            let text = format!("RUN /bin/sh -c {command} # buildkit");
            let made = lines(&image(&[(&text, false)], "{}"), None).join("\n");
            assert_eq!(made, format!("FROM scratch\nRUN <<KILN\n{command}\nKILN"));
        }
    }

    #[test]
    fn shells_go_before_commands_as_the_history_has_them() {
        let made = lines(
            &image(
                &[
                    ("SHELL [/bin/bash -o pipefail -c]", true),
                    ("RUN /bin/bash -o pipefail -c x # buildkit", false),
                    ("RUN /bin/other y # buildkit", false),
                ],
                r#"{"Shell":["/bin/bash","-o","pipefail","-c"]}"#,
            ),
            None,
        );
        assert_eq!(
            made[1..],
            [
                r#"SHELL ["/bin/bash", "-o", "pipefail", "-c"]"#,
                "RUN x",
                "RUN /bin/other y"
            ]
        );
    }

    #[test]
    fn what_only_the_config_says_comes_last() {
        let config = r#"{"Env":["PATH=/bin","A=1"],"Cmd":["x"],"User":"u","Labels":{"l":"v"},"ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}},"WorkingDir":"/w","Healthcheck":{"Test":["CMD","true"],"Interval":30000000000,"Retries":3}}"#;
        let made = lines(
            &image(
                &[
                    ("ENV A=1", true),
                    (
                        "HEALTHCHECK &{[\"CMD\" \"true\"] \"30s\" \"0s\" \"0s\" \"0s\" '\\x03'}",
                        true,
                    ),
                ],
                config,
            ),
            None,
        );
        assert_eq!(
            made[1..],
            [
                r#"ENV A="1""#,
                r#"HEALTHCHECK --interval=30000000000ns --retries=3 CMD ["true"]"#,
                r#"ENV PATH="/bin""#,
                r#"LABEL l="v""#,
                "EXPOSE 80/tcp",
                r#"VOLUME ["/v"]"#,
                "WORKDIR /w",
                "USER u",
                r#"CMD ["x"]"#,
            ]
        );
    }

    #[test]
    fn a_base_is_named_and_left_out() {
        let base = image(
            &[("base", false), ("CMD [\"sh\"]", true)],
            r#"{"Cmd":["sh"],"Env":["A=1"]}"#,
        );
        let mut own = image(
            &[
                ("base", false),
                ("CMD [\"sh\"]", true),
                ("RUN /bin/sh -c x # buildkit", false),
            ],
            r#"{"Cmd":["sh"],"Env":["A=1"]}"#,
        );
        let named = Base {
            name: "base:1",
            config: &base,
        };
        assert_eq!(lines(&own, Some(named)), ["FROM base:1", "RUN x"]);
        own.history.clear();
        assert_eq!(lines(&own, Some(named)), ["FROM base:1", "ADD layer-1.tar /"]);
    }

    #[test]
    fn no_text_becomes_another_instruction() {
        for text in [
            "LABEL a=b\nRUN evil",
            "COPY <<X /x",
            "ADD a\nRUN evil /x",
            "ONBUILD COPY <<X /y",
            "ONBUILD FROM x",
            "MAINTAINER x\r\nRUN evil",
            "ENV =\nRUN evil",
            "ARG a\nRUN evil",
            "EXPOSE \\",
            "STOPSIGNAL x\nRUN evil",
            "HEALTHCHECK x\nRUN evil",
            "whatever\nRUN evil",
        ] {
            let config = r#"{"Healthcheck":{"Test":["CMD-SHELL","x\nRUN evil"]}}"#;
            let made = lines(&image(&[(text, true), ("USER after", true)], config), None);
            assert_eq!(made, ["FROM scratch", "USER after"], "{text}");
        }
        let text = reconstruct(&image(&[("LABEL a=b\nRUN evil", true)], "{}"), None);
        assert_eq!(text, "FROM scratch\n# UNKNOWN: LABEL a=b RUN evil \n");
    }
}
