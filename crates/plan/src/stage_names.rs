//! Stages by name.

use std::collections::HashMap;

use kiln_dockerfile::Dockerfile;

/// The places of the stages that have a name, by name.
#[derive(Debug)]
pub(crate) struct StageNames<'a>(HashMap<&'a str, Vec<usize>>);

impl<'a> StageNames<'a> {
    pub(crate) fn new(dockerfile: &'a Dockerfile) -> Self {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for stage in &dockerfile.stages {
            if let Some(name) = &stage.name {
                places.entry(name).or_default().push(stage.index);
            }
        }
        Self(places)
    }

    /// The last stage of that name, which is lower case as names of stages are, before place `before`.
    pub(crate) fn last_before(&self, name: &str, before: usize) -> Option<usize> {
        let places = self.0.get(name)?;
        let above = places.partition_point(|place| *place < before);
        places[..above].last().copied()
    }
}
