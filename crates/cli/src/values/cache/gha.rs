//! `type=gha`, as docker documents it: the cache of GitHub Actions, whose address and token the job's environment has.

use kiln_build::request::{GhaApi, GhaPlace};
use kiln_dockerfile::boolean;

use super::attributes::Attributes;
use crate::settings::Environment;

/// What BuildKit needs to find its entries by other ways, and its patience; Kiln has no use for it.
const OF_OTHERS: [&str; 3] = ["repository", "ghtoken", "timeout"];

/// The place that they say; `None` outside of a job.
pub(super) fn place(attributes: &mut Attributes<'_>, environment: &Environment) -> Result<Option<GhaPlace>, String> {
    for key in OF_OTHERS {
        attributes.text(key)?;
    }
    let variable = |name| environment.filled(name);
    let scope = attributes.text("scope")?.unwrap_or_else(|| "kiln".to_owned());
    let token = attributes.text("token")?.or_else(|| variable("ACTIONS_RUNTIME_TOKEN"));
    let newer = match attributes.text("version")?.as_deref() {
        Some("1") => false,
        Some("2") => true,
        Some(other) => return Err(attributes.wrong(&format!("there is no version `{other}`; there are 1 and 2"))),
        None => variable("ACTIONS_CACHE_SERVICE_V2").is_some_and(|said| boolean::parse(&said) == Some(true)),
    };
    let first = attributes.text("url")?.or_else(|| variable("ACTIONS_CACHE_URL"));
    let second = attributes.text("url_v2")?.or_else(|| variable("ACTIONS_RESULTS_URL"));
    let api = if newer {
        second.map(GhaApi::V2)
    } else {
        first.map(GhaApi::V1)
    };
    Ok(api.zip(token).map(|(api, token)| GhaPlace { api, token, scope }))
}
