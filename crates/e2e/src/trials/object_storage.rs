//! Caches in object storage: `type=s3` with a server that is not ours.

use anyhow::{Context as _, Result, ensure};
use xtask::object_storage::ObjectStorage;

use super::cached_build::{self, all_cached};
use super::{Trial, trial};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[trial("caches::in_object_storage", in_object_storage)];

/// A bucket, and builds with it.
struct Bucket<'s> {
    stage: &'s Stage,
    server: ObjectStorage,
}

impl Bucket<'_> {
    fn curl(&self, method: &str, path: &str) -> Result<String> {
        let url = self.server.url();
        self.stage.shell_ok(&format!(
            "curl -sSf --aws-sigv4 aws:amz:us-east-1:s3 --user id:secret -X {method} '{url}/kept{path}'"
        ))
    }

    /// Builds on one of the stores; `flag` has the cache's own attributes.
    fn build(&self, root: &str, flag: &str) -> Result<String> {
        let url = self.server.url();
        let said = cached_build::play(
            self.stage,
            "AWS_ACCESS_KEY_ID=id AWS_SECRET_ACCESS_KEY=secret AWS_REGION=us-east-1",
            root,
            &format!("{flag},prefix=team/,endpoint_url={url},use_path_style=true"),
        )?;
        ensure!(!said.contains("secret"), "{said}");
        Ok(said)
    }

    /// The requests since there were so many.
    fn since(&self, count: usize) -> Result<Vec<String>> {
        Ok(self.server.requests()?.split_off(count))
    }
}

fn in_object_storage(stage: &Stage) -> Result<()> {
    cached_build::prepare(stage)?;
    let bucket = Bucket {
        stage,
        server: ObjectStorage::start(&stage.path("tmp"))?,
    };
    bucket.curl("PUT", "")?;

    let said = bucket.build("first", "--cache-to=type=s3,bucket=kept,mode=max,name=1f3c;main")?;
    ensure!(!said.contains("warning"), "{said}");
    let written = bucket.server.requests()?;
    let count = |part: &str| written.iter().filter(|request| request.contains(part)).count();
    ensure!(
        count("PUT /kept/team/manifests/1f3c") == 1 && count("PUT /kept/team/manifests/main") == 1,
        "{written:#?}"
    );
    // Begun and finished.
    ensure!(count("POST /kept/team/blobs/sha256:") == 2, "{written:#?}");

    let said = bucket.build("first", "--cache-to=type=s3,bucket=kept,mode=max,name=1f3c;main")?;
    let again = bucket.since(written.len())?;
    ensure!(
        said.contains("nothing to write") && !again.iter().any(|request| request.starts_with('P')),
        "{again:#?}"
    );

    let said = bucket.build("second", "--cache-from=type=s3,bucket=kept,name=main")?;
    all_cached(&said)?;

    // What the bucket's rules would take for old is new again.
    let before = bucket.server.requests()?.len();
    bucket.build(
        "first",
        "--cache-to=type=s3,bucket=kept,mode=max,name=main,touch_refresh=1ms",
    )?;
    let refreshed = bucket.since(before)?;
    let copies = refreshed
        .iter()
        .filter(|request| request.starts_with("PUT /kept/team/blobs/"));
    ensure!(copies.count() == 4, "{refreshed:#?}");

    // A blob that is gone is made again, and brought again.
    let blob = written.iter().find_map(|request| request.strip_prefix("POST /kept"));
    let blob = blob.context("no blob was written")?;
    bucket.curl("DELETE", blob)?;
    let said = bucket.build("third", "--cache-from=type=s3,bucket=kept,name=main")?;
    ensure!(said.contains("cannot give a layer"), "{said}");
    bucket.build("first", "--cache-to=type=s3,bucket=kept,mode=max,name=main")?;
    let said = bucket.build("fourth", "--cache-from=type=s3,bucket=kept,name=main")?;
    all_cached(&said)?;

    // A bucket that is not there ends no build.
    let said = bucket.build("first", "--cache-to=type=s3,bucket=none")?;
    ensure!(
        said.contains("was not written") && said.contains("NoSuchBucket"),
        "{said}"
    );
    Ok(())
}
