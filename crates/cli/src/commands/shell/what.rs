//! Where the shell opens.

use kiln_build::event::Sink;
use kiln_image::Platform;
use kiln_plan::Network;

use crate::commands::build::definition::DefinitionArgs;
use crate::engine::{self, Engine};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::values::host;

/// Where the shell opens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What<'a> {
    /// In an image.
    Image(&'a str),
    /// In what is built of a context.
    Context,
    /// In a step of a build.
    Step(&'a str, &'a str),
    /// In the last step that failed and was kept, perhaps of a build.
    Failed(Option<&'a str>),
}

impl<'a> What<'a> {
    pub(super) fn of(definition: &'a DefinitionArgs, failed: bool) -> Result<Self, Failure> {
        let path = definition.path.as_str();
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let step = path
            .split_once(':')
            .filter(|(build, step)| number(build) && !step.is_empty());
        match (path, step) {
            ("", _) if failed => Ok(Self::Failed(None)),
            (build, _) if failed && number(build) => Ok(Self::Failed(Some(build))),
            _ if failed => Err(Failure::usage(format!("--failed: `{path}` is no number of a build"))),
            ("", _) => Err(Failure::usage(
                "an IMAGE, a CONTEXT or a BUILD:STEP is needed, or --failed",
            )),
            _ if is_context(path) || says_how_to_build(definition) => Ok(Self::Context),
            (_, Some((build, step))) => Ok(Self::Step(build, step)),
            _ => Ok(Self::Image(path)),
        }
    }

    pub(super) const fn is_step(&self) -> bool {
        matches!(self, Self::Step(..) | Self::Failed(_))
    }
}

/// No image is called so.
fn is_context(path: &str) -> bool {
    path.starts_with(['.', '/', '-']) || path.contains("://")
}

fn says_how_to_build(definition: &DefinitionArgs) -> bool {
    let lists = [
        &definition.build_arg,
        &definition.build_context,
        &definition.no_cache_filter,
        &definition.label,
    ];
    definition.file.is_some()
        || definition.target.is_some()
        || definition.no_cache
        || definition.pull
        || lists.iter().any(|list| !list.is_empty())
}

/// What the shell may reach; `default` is what there is.
pub(super) fn network(definition: &DefinitionArgs) -> Result<Option<Network>, Failure> {
    match definition.network.as_str() {
        "default" => Ok(None),
        "host" => Ok(Some(Network::Host)),
        "none" => Ok(Some(Network::None)),
        other => Err(Failure::usage(format!(
            "--network {other}: wanted default, host or none"
        ))),
    }
}

/// Further lines of /etc/hosts, which RUN and the shell see.
pub(super) fn hosts(definition: &DefinitionArgs) -> Result<Vec<(String, String)>, Failure> {
    let hosts = definition.add_host.iter().map(|text| host::parse(text));
    hosts
        .collect::<Result<_, _>>()
        .map_err(|message| Failure::usage(format!("--add-host {message}")))
}

/// The one platform that is asked for.
pub(super) fn platform(definition: &DefinitionArgs, settings: &Settings) -> Result<Option<Platform>, Failure> {
    match &definition.platform[..] {
        [] => settings.default_platform(),
        [one] => one
            .parse()
            .map(Some)
            .map_err(|error| Failure::usage(format!("--platform: {error}"))),
        _ => Err(Failure::usage("--platform: a shell is for one platform")),
    }
}

/// Builds the target of a Dockerfile, as `kiln build` does without a name. Gives the image's ID.
pub(super) fn build(
    definition: &DefinitionArgs,
    engine: &Engine,
    sink: &dyn Sink,
    interrupt: &Interrupt,
    settings: &Settings,
) -> Result<String, Failure> {
    let mut request = definition.request(settings)?;
    if request.options.several() {
        return Err(Failure::usage("--platform: a shell is for one platform"));
    }
    let inputs = definition.load(&mut request, engine, sink, interrupt)?;
    let built = engine.builder().build(&request, sink, &interrupt.cancel);
    let built = built.map_err(|error| engine::build_failure(error, &inputs.dockerfile, interrupt))?;
    let no_image = || Failure::internal(anyhow::anyhow!("the build made no image"));
    Ok(built.id().ok_or_else(no_image)?.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        definition: DefinitionArgs,
    }

    #[test]
    fn contexts_and_images() {
        for (line, expected) in [
            ("x .", What::Context),
            ("x ./app", What::Context),
            ("x /src/app", What::Context),
            ("x https://example.com/app.git", What::Context),
            ("x --target build app", What::Context),
            ("x -f Dockerfile.dev app", What::Context),
            ("x --build-arg A=b app", What::Context),
            ("x app", What::Image("app")),
            (
                "x --platform linux/arm64 r.example:5000/app:1",
                What::Image("r.example:5000/app:1"),
            ),
            ("x --network none app", What::Image("app")),
            ("x 12:3", What::Step("12", "3")),
            ("x 12:2/5", What::Step("12", "2/5")),
            ("x app:3", What::Image("app:3")),
        ] {
            let line = Line::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(What::of(&line.definition, false).unwrap(), expected);
        }
    }
}
