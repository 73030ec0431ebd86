//! `type=s3`, as docker documents it: the bucket, and the keys that Amazon's tools have.

use std::time::Duration;

use kiln_build::request::{S3Options, S3Place};

use super::attributes::Attributes;
use crate::aws::Profile;
use crate::settings::Environment;
use crate::values::duration;

/// As BuildKit has it.
const REFRESH: Duration = Duration::from_secs(24 * 3600);

/// How others tune their transfers; Kiln has no use for it.
const OF_OTHERS: [&str; 4] = [
    "upload_parallelism",
    "disable_accept_encoding",
    "retry_mode",
    "retry_max_attempts",
];

/// The place that they say.
pub(super) fn place(attributes: &mut Attributes<'_>, environment: &Environment) -> Result<S3Place, String> {
    for key in OF_OTHERS {
        attributes.text(key)?;
    }
    let profile = Profile::of(environment)?;
    let variable = |name| environment.filled(name);
    let bucket = attributes.text("bucket")?.or_else(|| variable("AWS_BUCKET"));
    let bucket = bucket.ok_or_else(|| attributes.wrong(&"`bucket=` is needed, or AWS_BUCKET"))?;
    let region = attributes.text("region")?.or_else(|| profile.region.clone());
    let region = region.ok_or_else(|| attributes.wrong(&"`region=` is needed, or AWS_REGION"))?;
    let prefix = attributes.text("prefix")?.unwrap_or_default();
    let below = |given: Option<String>, default: &str| format!("{prefix}{}", given.as_deref().unwrap_or(default));
    let manifests = below(attributes.text("manifests_prefix")?, "manifests/");
    let blobs = below(attributes.text("blobs_prefix")?, "blobs/");
    let endpoint = attributes
        .text("endpoint_url")?
        .or_else(|| variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")));
    let path_style = attributes.flag("use_path_style", false)?;
    let refresh = match attributes.text("touch_refresh")? {
        Some(text) => duration::parse(&text).map_err(|message| attributes.wrong(&message))?,
        None => REFRESH,
    };
    let keys = keys(attributes)?.or(profile.keys);
    let keys = keys.ok_or_else(|| {
        attributes.wrong(
            &"there are no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (`aws configure export-credentials \
              --format env` prints those of a role or a login), or have them in ~/.aws/credentials",
        )
    })?;
    let names = attributes.text("name")?.unwrap_or_else(|| "kiln".to_owned());
    let names = names.split(';').filter(|name| !name.is_empty());
    S3Place::new(S3Options {
        bucket,
        region,
        endpoint,
        path_style,
        manifests,
        blobs,
        names: names.map(str::to_owned).collect(),
        keys: Some(keys),
        refresh,
    })
    .map_err(|message| attributes.wrong(&message))
}

/// Those that the command line has.
fn keys(attributes: &mut Attributes<'_>) -> Result<Option<crate::aws::Keys>, String> {
    let id = attributes.text("access_key_id")?;
    let secret = attributes.text("secret_access_key")?;
    let token = attributes.text("session_token")?;
    match (id, secret) {
        (Some(id), Some(secret)) => Ok(Some((id, secret, token))),
        (None, None) => Ok(None),
        _ => Err(attributes.wrong(&"access_key_id and secret_access_key go together")),
    }
}
