//! A plan as text, JSON and a graph.

use std::fmt::Write as _;

use kiln_plan::{Op, Plan, Source, StageInfo, Step, Target, without_password};
use serde_json::{Value, json};

use crate::progress::text::one_line;

/// For people: stages with their steps, and after each step those that it waits for.
pub(crate) fn text(plan: &Plan) -> String {
    let mut text = String::new();
    let mut group = None;
    for (id, step) in plan.steps.iter().enumerate() {
        if group != Some(step.stage) {
            group = Some(step.stage);
            let _ = writeln!(text, "{}", group_name(plan, step));
        }
        let inputs: Vec<String> = step.waits_for().iter().map(|input| format!("#{}", input.0)).collect();
        let after = if inputs.is_empty() {
            String::new()
        } else {
            format!("  <- {}", inputs.join(" "))
        };
        let _ = writeln!(text, "  #{id} {}{after}", one_line(&title(step)));
    }
    for target in &plan.targets {
        let result = target
            .root
            .map_or_else(|| "scratch".to_owned(), |root| format!("#{}", root.0));
        let _ = writeln!(text, "image for {} from {result}", target.platform);
    }
    text
}

fn group_name(plan: &Plan, step: &Step) -> String {
    match step.stage.and_then(|stage| plan.stages.get(stage)) {
        Some(stage) => format!("stage {}", stage_name(plan, stage)),
        None => "sources".to_owned(),
    }
}

/// Of several platforms, with that of the stage.
fn stage_name(plan: &Plan, stage: &StageInfo) -> String {
    if plan.targets.len() > 1 {
        format!("{} ({})", stage.name, stage.platform)
    } else {
        stage.name.clone()
    }
}

/// The name of a step; of a source what it is exactly.
fn title(step: &Step) -> String {
    match &step.op {
        Op::Source(Source::Image {
            reference,
            manifest,
            platform,
            ..
        }) => {
            format!("{} ({platform}, {manifest})", reference.familiar())
        }
        _ => step.name.clone(),
    }
}

/// For programs. A plan for several platforms has `targets`, one for one platform has what would be in there itself.
pub(crate) fn json(plan: &Plan) -> String {
    let stages = plan.stages.iter().map(|stage| {
        json!({
            "name": stage.name,
            "index": stage.index,
            "platform": stage.platform.to_string(),
            "result": stage.result.map(|step| step.0),
        })
    });
    let steps = plan.steps.iter().enumerate().map(|(id, step)| {
        let stage = step.stage.and_then(|stage| plan.stages.get(stage));
        json!({
            "id": id,
            "name": step.name,
            "kind": kind(step),
            "stage": stage.map(|stage| stage.name.as_str()),
            "platform": stage.map(|stage| stage.platform.to_string()),
            "lines": step.lines,
            "inputs": step.inputs().iter().map(|input| input.0).collect::<Vec<_>>(),
            "source": source(step),
            "no_cache": step.no_cache,
            "definition": hex(&step.definition),
        })
    });
    let mut value = json!({
        "version": 1,
        "stages": stages.collect::<Vec<Value>>(),
        "steps": steps.collect::<Vec<Value>>(),
    });
    match &plan.targets[..] {
        [one] => merge(&mut value, target(one)),
        several => merge(
            &mut value,
            json!({"targets": several.iter().map(target).collect::<Vec<Value>>()}),
        ),
    }
    format!("{value:#}\n")
}

fn target(target: &Target) -> Value {
    json!({
        "platform": target.platform.to_string(),
        "result": target.root.map(|step| step.0),
        "config": target.config,
    })
}

fn merge(value: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (value, more) {
        fields.extend(more);
    }
}

const fn kind(step: &Step) -> &'static str {
    match step.op {
        Op::Source(_) => "source",
        Op::Exec(_) => "exec",
        Op::File(_) => "file",
        Op::Merge(_) => "merge",
    }
}

fn source(step: &Step) -> Value {
    let Op::Source(source) = &step.op else {
        return Value::Null;
    };
    match source {
        Source::Image {
            reference,
            manifest,
            platform,
            ..
        } => {
            json!({"image": reference.to_string(), "manifest": manifest, "platform": platform.to_string()})
        }
        Source::Local { name } => json!({"context": name}),
        Source::Http { url, .. } => json!({"url": without_password(url)}),
        Source::Git(git) => json!({"git": without_password(&git.url), "reference": git.reference}),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// For graphviz: a box around every stage.
pub(crate) fn dot(plan: &Plan) -> String {
    let mut text = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=monospace];\n");
    for (index, stage) in plan.stages.iter().enumerate() {
        let _ = writeln!(
            text,
            "  subgraph cluster_{index} {{\n    label={};",
            quoted(&stage_name(plan, stage))
        );
        for (id, step) in plan
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.stage == Some(index))
        {
            let _ = writeln!(text, "    s{id} [label={}];", quoted(&step.name));
        }
        text.push_str("  }\n");
    }
    for (id, step) in plan.steps.iter().enumerate() {
        if step.stage.is_none() {
            let _ = writeln!(text, "  s{id} [label={}, shape=cylinder];", quoted(&step.name));
        }
        for input in step.waits_for() {
            let _ = writeln!(text, "  s{} -> s{id};", input.0);
        }
    }
    for (index, target) in plan.targets.iter().enumerate() {
        let Some(root) = target.root else { continue };
        let label = quoted(&format!("image {}", target.platform));
        let _ = writeln!(
            text,
            "  image{index} [label={label}, shape=doubleoctagon];\n  s{} -> image{index};",
            root.0
        );
    }
    text.push_str("}\n");
    text
}

/// A string of the DOT language.
fn quoted(text: &str) -> String {
    let text = one_line(text);
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use kiln_image::{Digest, ImageConfig, Platform};
    use kiln_plan::{Outline, StepId};

    use super::*;

    fn plan() -> Plan {
        let step = |name: &str, stage, op| Step {
            op,
            name: name.to_owned(),
            stage,
            lines: Some((1, 2)),
            no_cache: false,
            definition: [0xab; 32],
        };
        let platform = Platform::linux("amd64");
        let source = Source::Image {
            reference: "debian:12".parse().unwrap(),
            manifest: Digest::of(b""),
            platform: platform.clone(),
            diff_ids: Vec::new(),
        };
        Plan {
            steps: vec![
                step("FROM debian:12", None, Op::Source(source)),
                step("[build 1/1] RUN echo \"hi\"", Some(0), Op::Merge(vec![StepId(0)])),
            ],
            stages: vec![StageInfo {
                name: "build".to_owned(),
                index: 0,
                platform: platform.clone(),
                result: Some(StepId(1)),
            }],
            images: Vec::new(),
            targets: vec![Target {
                root: Some(StepId(1)),
                config: ImageConfig::empty(&platform),
                inherited_history: 0,
                platform,
            }],
            outline: Outline::default(),
            epoch: None,
        }
    }

    #[test]
    fn for_people() {
        let text = text(&plan());
        assert!(
            text.starts_with("sources\n  #0 debian:12 (linux/amd64, sha256:e3b0c44"),
            "{text}"
        );
        assert!(
            text.ends_with("stage build\n  #1 [build 1/1] RUN echo \"hi\"  <- #0\nimage for linux/amd64 from #1\n"),
            "{text}"
        );
    }

    #[test]
    fn for_programs() {
        let value: Value = serde_json::from_str(&json(&plan())).unwrap();
        assert_eq!(value["steps"][1]["inputs"], json!([0]));
        assert_eq!(value["steps"][0]["source"]["image"], "docker.io/library/debian:12");
        assert_eq!(value["steps"][1]["stage"], "build");
    }

    #[test]
    fn for_graphviz() {
        let text = dot(&plan());
        assert!(text.contains(r#"s1 [label="[build 1/1] RUN echo \"hi\""];"#), "{text}");
        assert!(text.contains("s0 -> s1;"));
    }
}
