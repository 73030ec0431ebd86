//! `kiln why`

use kiln_build::Why;
use serde_json::json;

use crate::engine::{BuildRow, Engine, StepRow};
use crate::failure::{Failure, Outcome};
use crate::format::{self, Format};
use crate::progress::text::cut;
use crate::settings::Settings;
use crate::{table, terminal, time, why};

/// How much of a step's name the table shows.
const WIDEST: usize = 60;

/// Arguments of `kiln why`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only steps whose name contains this, like `2/5` or `RUN make`, or that are in this line of the Dockerfile
    #[arg(value_name = "STEP | LINE")]
    step: Option<String>,
    /// The number of the build [default: the last one]
    #[arg(long)]
    build: Option<String>,
    /// `table`, `json`, or a template like `{{.Name}}`
    #[arg(long)]
    format: Option<String>,
}

/// Says why the steps of a build ran.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    let engine = Engine::open(settings)?;
    let build = engine.past_build(args.build.as_deref())?;
    let mut steps = Vec::new();
    for step in engine.steps(&build)? {
        if args.means(&step) {
            let why = engine.why(&build, &step)?;
            steps.push((step, why));
        }
    }
    if steps.is_empty() && args.step.is_some() {
        let wanted = args.step.as_deref().unwrap_or_default();
        return Err(
            Failure::failed(anyhow::anyhow!("build {} has no step `{wanted}`", build.id))
                .hint("`kiln why` shows all of them"),
        );
    }
    terminal::print(if format != Format::Table {
        let objects: Vec<_> = steps
            .iter()
            .map(|(step, why)| object(&build, step, why.as_ref()))
            .collect();
        format::rows(&format, &objects)?
    } else if args.step.is_some() {
        let now = time::now();
        steps
            .iter()
            .map(|(step, why)| detail(step, why.as_ref(), now))
            .collect()
    } else {
        // Of contexts and images there is nothing to say.
        let explained = steps.iter().filter(|(step, why)| step.lines.is_some() || why.is_some());
        let cells: Vec<_> = explained.map(|(step, why)| cells(step, why.as_ref())).collect();
        table::render(["LINE", "STEP", "RESULT", "WHY"], &cells)
    })
}

impl Args {
    fn means(&self, step: &StepRow) -> bool {
        let Some(wanted) = &self.step else { return true };
        match wanted.parse::<u32>() {
            Ok(line) => step.lines.is_some_and(|(first, last)| (first..=last).contains(&line)),
            Err(_) => step.name.contains(wanted.as_str()),
        }
    }
}

fn cells(step: &StepRow, why: Option<&Why>) -> [String; 4] {
    [
        step.lines.map(|(first, _)| first.to_string()).unwrap_or_default(),
        cut(&step.shown_name(), WIDEST, '…'),
        step.outcome.clone(),
        why.map_or_else(|| "no longer known".to_owned(), why::sentence),
    ]
}

fn detail(step: &StepRow, why: Option<&Why>, now: i64) -> String {
    let why = why.map_or_else(|| format!("{}\n", step.outcome), |why| why::paragraph(why, now));
    format!("{}\n{why}", step.shown_name())
}

fn object(build: &BuildRow, step: &StepRow, why: Option<&Why>) -> serde_json::Value {
    json!({
        "Build": build.id,
        "Step": step.number,
        "Name": step.name,
        "Lines": step.lines,
        "Result": step.outcome,
        "Seconds": step.seconds,
        "Why": why.map(why::object),
    })
}
