//! Layers as people know them: by the instruction that made them, and where that stands.

use kiln_inspect::Image;
use kiln_store::Maker;
use serde_json::{Value, json};

use crate::progress::text::{cut, one_line, sanitise};

/// What shells are given their commands with, which is no part of an instruction.
const SHELL: &str = "/bin/sh -c ";

/// A layer's instruction, as the image's history or the build has it; empty if nobody knows.
pub(crate) fn instruction(image: &Image, layer: usize) -> String {
    let history = image.history_of(layer).map(|entry| entry.created_by.as_str());
    let maker = image.layers.get(layer).and_then(|layer| layer.maker.as_ref());
    let text = history
        .filter(|text| !text.is_empty())
        .or_else(|| maker.map(|maker| words(&maker.step)))
        .unwrap_or_default();
    let text = text.trim_end_matches("# buildkit").trim_end();
    let text = text.strip_prefix(SHELL).unwrap_or(text);
    let text = one_line(&text.replacen(SHELL, "", 1));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A step without its place: `RUN make` of `[build 2/5] RUN make`.
fn words(step: &str) -> &str {
    let inside = step.strip_prefix('[').and_then(|step| step.split_once("] "));
    inside.map_or(step, |(_, words)| words)
}

/// The stage of a step: `build` of `[build 2/5] RUN make`.
pub(crate) fn stage(maker: &Maker) -> Option<&str> {
    stage_of(&maker.step)
}

/// The same by the step's name.
pub(crate) fn stage_of(step: &str) -> Option<&str> {
    let (place, _) = step.strip_prefix('[')?.split_once(']')?;
    let (stage, _) = place.rsplit_once(' ')?;
    Some(stage)
}

/// Where a layer was made: stage, line, build.
pub(crate) fn made_in(maker: &Maker) -> String {
    let stage = stage(maker).map(|stage| format!("stage {}", one_line(stage)));
    let line = maker.lines.map(|(line, _)| format!("line {line}"));
    let build = maker.build.map(|build| format!("build {build}"));
    let parts: Vec<String> = [stage, line, build].into_iter().flatten().collect();
    parts.join(", ")
}

/// A layer for a table: its number, its line, and its instruction.
pub(crate) fn shown(image: &Image, layer: usize, width: usize) -> String {
    let line = line(image, layer).map_or_else(String::new, |line| format!(" line {line}"));
    let text = instruction(image, layer);
    let separator = if text.is_empty() { "" } else { " " };
    cut(&format!("#{layer}{line}{separator}{text}"), width, '…')
}

/// The line of the Dockerfile that made a layer, if a build that is remembered did.
fn line(image: &Image, layer: usize) -> Option<u32> {
    let maker = image.layers.get(layer)?.maker.as_ref()?;
    maker.lines.map(|(first, _)| first)
}

/// A layer for programs.
pub(crate) fn object(image: &Image, layer: usize) -> Value {
    let known = &image.layers[layer];
    let maker = known.maker.as_ref();
    json!({
        "Layer": layer,
        "DiffID": image.config.rootfs.diff_ids.get(layer),
        "CreatedBy": image.history_of(layer).map(|entry| entry.created_by.as_str()),
        "Stage": maker.and_then(stage),
        "Lines": maker.and_then(|maker| maker.lines),
        "Build": maker.and_then(|maker| maker.build).map(|build| build.to_string()),
        "Project": maker.and_then(|maker| maker.project.as_deref()),
        "Bytes": known.bytes,
        "Compressed": known.compressed,
    })
}

/// A path of an image, with a slash before it, fit to be shown.
pub(crate) fn path(path: &[u8]) -> String {
    format!("/{}", sanitise(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_steps() {
        let maker = |step: &str| Maker {
            step: step.to_owned(),
            build: None,
            project: None,
            lines: None,
        };
        for (step, expected, text) in [
            ("[build 2/5] RUN make", Some("build"), "RUN make"),
            (
                "[linux/amd64 build 2/5] RUN a] b",
                Some("linux/amd64 build"),
                "RUN a] b",
            ),
            ("[2/5] RUN make", None, "RUN make"),
            ("pull x", None, "pull x"),
        ] {
            assert_eq!(stage(&maker(step)), expected, "{step}");
            assert_eq!(words(step), text, "{step}");
        }
    }
}
