//! Caches in registries: only what is needed is fetched; and where they lie, lose what they list or break off, the build is
//! slower and its result the same.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{Trial, trial};
use crate::forged::{MANIFEST, noise};
use crate::running::Running;
use crate::server::{Answer, Break, Server};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("caches::honest", honest),
    trial("caches::blobs_are_lost", blobs_are_lost),
    trial("caches::blobs_lie", blobs_lie),
    trial("caches::blobs_break_off", blobs_break_off),
    trial("caches::document_is_lost", document_is_lost),
    trial("caches::nothing_is_allowed", nothing_is_allowed),
    trial("caches::writing_is_refused", writing_is_refused),
    trial("caches::killed_at_any_moment", killed_at_any_moment),
];

const DOCKERFILE: &str = "\
FROM busybox:1.35 AS made
RUN echo made > /made && echo more > /more
FROM busybox:1.35
COPY --from=made /made /made
RUN cat /made /made > /twice
";
const TWICE: &str = "made\nmade\n";

/// A cache as a registry would hold it.
#[derive(Clone)]
struct Cache {
    manifest: Vec<u8>,
    /// The document and the layers, by digest.
    blobs: BTreeMap<String, Vec<u8>>,
    document: Value,
}

impl Cache {
    /// The cache of a build of [`DOCKERFILE`].
    fn of_build(stage: &Stage) -> Result<Self> {
        stage.write("Dockerfile", DOCKERFILE)?;
        stage.shell_ok("kiln build -q --cache-to type=local,dest=../out/cache,mode=max .")?;
        let read = |digest: &str| {
            let path = stage.path("out/cache/blobs").join(digest.replace(':', "/"));
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let index: Value = serde_json::from_slice(&std::fs::read(stage.path("out/cache/index.json"))?)?;
        let manifest = read(text(&index["manifests"][0]["digest"])?)?;
        let named: Value = serde_json::from_slice(&manifest)?;
        let layers = named["layers"].as_array().context("no layers")?;
        let mut blobs = BTreeMap::new();
        for blob in layers.iter().chain([&named["config"]]) {
            let digest = text(&blob["digest"])?;
            blobs.insert(digest.to_owned(), read(digest)?);
        }
        Ok(Self {
            manifest,
            document: serde_json::from_slice(&blobs[text(&named["config"]["digest"])?])?,
            blobs,
        })
    }

    /// The digest of the layer that a step made.
    fn layer(&self, step: &str) -> Result<&str> {
        let layers = self.document["layers"].as_array().context("no layers")?;
        let made = |layer: &&Value| layer["name"].as_str().is_some_and(|name| name.contains(step));
        let layer = layers
            .iter()
            .find(made)
            .with_context(|| format!("{step} made no layer"))?;
        text(&layer["blob"]["digest"])
    }

    /// The layers alone.
    fn is_layer(&self, digest: &str) -> bool {
        let layers = self.document["layers"].as_array();
        layers.is_some_and(|layers| layers.iter().any(|layer| layer["blob"]["digest"] == digest))
    }

    /// A registry that has nothing but the cache; `layer` may change what it answers when a layer is asked for.
    fn serve(self, layer: impl Fn(Answer, &[u8]) -> Answer + Send + Sync + 'static) -> Result<Server> {
        Server::start(move |_, path| self.answer(path, &layer))
    }

    /// The same; it takes blobs, and answers this to whoever writes a manifest.
    fn refuse(self, refusal: Answer) -> Result<Server> {
        Server::start(move |method, path| match method {
            "PUT" if path.contains("/manifests/") => refusal.clone(),
            "PUT" => Answer::status(201),
            "POST" | "PATCH" => Answer::status(202).header("Location", "/v2/cache/blobs/uploads/1"),
            _ => self.answer(path, &|answer, _| answer),
        })
    }

    fn answer(&self, path: &str, layer: &dyn Fn(Answer, &[u8]) -> Answer) -> Answer {
        let name = path.rsplit('/').next().unwrap_or_default();
        if path.contains("/manifests/") {
            return Answer::ok(MANIFEST, self.manifest.clone());
        }
        match self.blobs.get(name) {
            Some(blob) => {
                let answer = Answer::ok("application/octet-stream", blob.clone());
                if self.is_layer(name) {
                    layer(answer, blob)
                } else {
                    answer
                }
            }
            None if path.contains("/blobs/") => Answer::status(404),
            None => Answer::ok("application/json", "{}"),
        }
    }
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("no text")
}

/// Builds on another store with the server's cache. The result must be right whatever the cache says. Gives what was
/// said.
fn build(stage: &Stage, server: &Server) -> Result<String> {
    let command = format!(
        "kiln --root ../out/second build --progress=plain --cache-from {}/cache:1 -o ../out/files .",
        server.host()
    );
    let output = stage.shell(&command)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}\n{said}", output.status);
    ensure!(!said.contains("panicked"), "{said}");
    let found = std::fs::read_to_string(stage.path("out/files/twice"))?;
    ensure!(found == TWICE, "/twice is {found:?}\n{said}");
    Ok(said)
}

/// Only what the output needs is fetched.
fn honest(stage: &Stage) -> Result<()> {
    let cache = Cache::of_build(stage)?;
    let (made, copied, twice) = (
        cache.layer("RUN echo")?.to_owned(),
        cache.layer("COPY")?.to_owned(),
        cache.layer("RUN cat")?.to_owned(),
    );
    let server = cache.serve(|answer, _| answer)?;
    let said = build(stage, &server)?;
    ensure!(
        said.matches("CACHED").count() == 3 && !said.contains("warning"),
        "{said}"
    );
    let requests = server.requests();
    let asked = |digest: &str| requests.iter().any(|request| request.ends_with(digest));
    ensure!(asked(&copied) && asked(&twice) && !asked(&made), "{requests:?}");
    Ok(())
}

/// The steps run, and the user is told.
fn warned(stage: &Stage, server: &Server, part: &str) -> Result<()> {
    let said = build(stage, server)?;
    ensure!(
        said.contains("warning: the cache") && said.contains(part),
        "{part:?} is not in:\n{said}"
    );
    Ok(())
}

fn blobs_are_lost(stage: &Stage) -> Result<()> {
    let server = Cache::of_build(stage)?.serve(|_, _| Answer::status(404))?;
    warned(stage, &server, "cannot give a layer")
}

fn blobs_lie(stage: &Stage) -> Result<()> {
    let lie = |_: Answer, blob: &[u8]| {
        let mut blob = blob.to_vec();
        let middle = blob.len() / 2;
        blob[middle] ^= 1;
        Answer::ok("application/octet-stream", blob)
    };
    warned(stage, &Cache::of_build(stage)?.serve(lie)?, "cannot give a layer")
}

fn blobs_break_off(stage: &Stage) -> Result<()> {
    let server = Cache::of_build(stage)?.serve(|answer, _| answer.broken(7, Break::Cut))?;
    warned(stage, &server, "cannot give a layer")
}

fn document_is_lost(stage: &Stage) -> Result<()> {
    let mut cache = Cache::of_build(stage)?;
    let layers: Vec<String> = cache
        .blobs
        .keys()
        .filter(|digest| cache.is_layer(digest))
        .cloned()
        .collect();
    cache.blobs.retain(|digest, _| layers.contains(digest));
    warned(stage, &cache.serve(|answer, _| answer)?, "cannot be read")
}

/// Neither reading nor writing.
fn nothing_is_allowed(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", DOCKERFILE)?;
    let server = Server::start(|_, _| Answer::status(403))?;
    warned(stage, &server, "cannot be read")?;
    let written = stage.shell(&format!(
        "kiln build --progress=plain --cache-to {}/cache:1 .",
        server.host()
    ))?;
    let said = String::from_utf8_lossy(&written.stderr).into_owned();
    ensure!(written.status.success() && said.contains("was not written"), "{said}");
    Ok(())
}

/// What others wrote is given up where the registry says that it lacks some of it, and for no other reason.
fn writing_is_refused(stage: &Stage) -> Result<()> {
    let cache = Cache::of_build(stage)?;
    stage.write("Dockerfile", "FROM busybox:1.35\nRUN echo new > /new\n")?;
    for (status, code, attempts) in [
        (403, "DENIED", 1),
        (501, "UNSUPPORTED", 1),
        (400, "TAG_INVALID", 1),
        (400, "MANIFEST_INVALID", 2),
    ] {
        let body = format!("{{\"errors\": [{{\"code\": \"{code}\"}}]}}");
        let refusal = Answer::status(status).body("application/json", body);
        let server = cache.clone().refuse(refusal)?;
        let command = format!(
            "kiln build --progress=plain --cache-to {}/cache:1 . 2>&1",
            server.host()
        );
        let said = stage.shell_ok(&command)?;
        ensure!(said.contains("was not written") && said.contains(code), "{said}");
        let is_write = |request: &&String| request.starts_with("PUT") && request.contains("/manifests/");
        let found = server.requests().iter().filter(is_write).count();
        ensure!(found == attempts, "{status} {code}: {found} attempts\n{said}");
    }
    Ok(())
}

/// At how many moments a build is killed that writes a cache.
const MOMENTS: u32 = 6;

/// What is written when a build is killed is in nobody's way: the cache is what it was, and the next build completes it.
fn killed_at_any_moment(stage: &Stage) -> Result<()> {
    stage.write("big", noise(8 << 20))?;
    let big = "FROM busybox:1.35 AS made\nCOPY big /big\nRUN cat /big /big > /twice\n";
    stage.write(
        "Dockerfile",
        format!("{big}FROM busybox:1.35\nCOPY --from=made /twice /\n"),
    )?;
    let cache = "type=local,dest=../out/cache,mode=max";
    let arguments = ["build", "--progress=plain", "--no-cache", "--cache-to", cache, "."];
    let start = Instant::now();
    Running::start(stage, stage.kiln(&arguments))?.end()?.expect(&[0])?;
    let length = start.elapsed();
    let mut killed = 0;
    for moment in 1..=MOMENTS {
        let mut build = Running::start(stage, stage.kiln(&arguments))?;
        sleep(length * moment / (MOMENTS + 1));
        build.signal(Signal::KILL)?;
        let ended = build.end()?;
        killed += u32::from(ended.code() != 0);
        stage.wait_until_nothing_runs()?;
        let said = stage.shell_ok(&format!(
            "kiln --root ../out/{moment} build --progress=plain --cache-from type=local,src=../out/cache -o ../out/files . 2>&1
             cat big big | cmp - ../out/files/twice"
        ))?;
        let cached = said.matches("CACHED").count();
        ensure!(
            cached == 3 && !said.contains("warning"),
            "after {moment}/{MOMENTS} of {length:?}:\n{said}"
        );
    }
    ensure!(killed > 0, "none of {MOMENTS} builds was killed: all were too quick");
    Running::start(stage, stage.kiln(&arguments))?.end()?.expect(&[0])
}
