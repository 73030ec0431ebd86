//! What a build calls the steps of a stage.

use kiln_dockerfile::Dockerfile;

use crate::run::planned;

/// The names that progress gives to the steps of a stage, in order: `[build 2/5] RUN make`. None where the file cannot be
/// planned; those that a base image's ONBUILD adds are not known, so that with them all have other names.
pub fn step_names(file: &Dockerfile, stage: usize) -> Vec<String> {
    let Some(plan) = planned(file).0 else {
        return Vec::new();
    };
    let is_stage = |place: &usize| plan.stages.get(*place).is_some_and(|info| info.index == stage);
    let steps = plan
        .steps
        .iter()
        .filter(|step| step.stage.as_ref().is_some_and(is_stage));
    steps.map(|step| step.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_dockerfile::parse;

    #[test]
    fn names_are_those_of_progress() {
        let names = |text: &str, stage| step_names(&parse(text).0, stage);
        let text = "FROM a AS one\nRUN x\nENV A=1\nFROM scratch\nCOPY --from=one /x /\n";
        assert_eq!(names(text, 0), ["[one 2/2] RUN x"]);
        assert_eq!(names(text, 1), ["[stage-1 1/1] COPY --from=one /x /"]);
        assert!(names("FROM a\nRUNN x\n", 0).is_empty() && names(text, 2).is_empty());
    }
}
