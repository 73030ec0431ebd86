//! Registries whose images are damaged or lie: nothing of them gets into the store, and the error says what is wrong.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{Trial, trial};
use crate::forged::{Forged, MANIFEST, architecture, digest, gzip, noise, tar};
use crate::server::{Answer, Break, Server};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("hostile::honest", honest),
    trial("hostile::layer_digest", layer_digest),
    trial("hostile::config_digest", config_digest),
    trial("hostile::manifest_digest", manifest_digest),
    trial("hostile::truncated_layer", truncated_layer),
    trial("hostile::cut_layer", cut_layer),
    trial("hostile::diff_id", diff_id),
    trial("hostile::no_gzip", no_gzip),
    trial("hostile::no_tar", no_tar),
    trial("hostile::huge_manifest", huge_manifest),
    trial("hostile::no_platform", no_platform),
    trial("hostile::not_an_image", not_an_image),
    trial("hostile::fewer_layers", fewer_layers),
];

/// Builds on what the server has. It must fail with exit code 1, say all of `parts`, and leave nothing: no image, no
/// layer, no record. (Manifests and configs whose digests were right are no image and may stay.)
fn refused(stage: &Stage, server: &Server, parts: &[&str]) -> Result<()> {
    refused_reference(stage, &format!("{}/library/a:1", server.host()), parts)
}

fn refused_reference(stage: &Stage, reference: &str, parts: &[&str]) -> Result<()> {
    stage.write("Dockerfile", format!("FROM {reference}\nCOPY Dockerfile /\n"))?;
    let pull = format!("kiln pull {reference}");
    for command in ["kiln build -t x --iidfile ../out/iid .", &pull] {
        let output = stage.shell(command)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1), "{command}: {}\n{said}", output.status);
        for part in parts {
            ensure!(said.contains(part), "{command}: {part:?} is not in:\n{said}");
        }
        ensure!(!said.contains("panicked"), "{said}");
    }
    let images = stage.shell_ok("kiln images -aq")?;
    ensure!(images.is_empty(), "there are images: {images}");
    let left = stage.shell_as_root("ls ../store/layers ../out; find ../store/tmp -mindepth 2 ! -name lock")?;
    ensure!(
        left.split_whitespace().all(|word| word.ends_with(':')),
        "something is left:\n{left}"
    );
    Ok(())
}

/// The forgery itself is not at fault.
fn honest(stage: &Stage) -> Result<()> {
    let server = Forged::honest()?.serve()?;
    stage.write(
        "Dockerfile",
        format!("FROM {}/library/a:1\nCOPY Dockerfile /\n", server.host()),
    )?;
    stage
        .shell_ok("kiln build -q -t x . && kiln history x | grep COPY")
        .map(drop)
}

fn layer_digest(stage: &Stage) -> Result<()> {
    let mut image = Forged::honest()?;
    let layer = image.blobs.get_mut(&image.layer).context("no layer")?;
    let middle = layer.len() / 2;
    layer[middle] ^= 1;
    let sent = digest(layer)?;
    let wanted = image.layer.clone();
    refused(stage, &image.serve()?, &[&wanted, &sent])
}

fn config_digest(stage: &Stage) -> Result<()> {
    let mut image = Forged::honest()?;
    let config = image.blobs.get_mut(&image.config).context("no config")?;
    let blank = config.iter().position(|&byte| byte == b'{').context("no object")?;
    config[blank + 1] = b' ';
    let sent = digest(config)?;
    let wanted = image.config.clone();
    refused(stage, &image.serve()?, &[&wanted, &sent])
}

fn manifest_digest(stage: &Stage) -> Result<()> {
    let image = Forged::honest()?;
    let wanted = digest(b"another one")?;
    let sent = digest(&image.manifest)?;
    let server = image.serve()?;
    let reference = format!("{}/library/a@{wanted}", server.host());
    refused_reference(stage, &reference, &[&wanted, &sent])
}

/// The registry itself has only the beginning.
fn truncated_layer(stage: &Stage) -> Result<()> {
    let mut image = Forged::honest()?;
    let layer = image.blobs.get_mut(&image.layer).context("no layer")?;
    let whole = layer.len();
    layer.truncate(whole / 2);
    let (whole, half) = (whole.to_string(), layer.len().to_string());
    refused(stage, &image.serve()?, &[&whole, &half])
}

/// The registry has all of it, but each connection breaks at once.
fn cut_layer(stage: &Stage) -> Result<()> {
    let image = Forged::honest()?;
    let layer = image.layer.clone();
    let server = Server::start(move |_, path| match image.answer(path) {
        Some(answer) if path.ends_with(&image.layer) => answer.broken(0, Break::Cut),
        Some(answer) => answer,
        None => Answer::ok("application/json", "{}"),
    })?;
    refused(stage, &server, &[&layer])
}

fn diff_id(stage: &Stage) -> Result<()> {
    let layer = tar("f", b"content")?;
    let lie = digest(b"another one")?;
    let image = Forged::new(&gzip(&layer)?, &lie)?;
    refused(stage, &image.serve()?, &[&digest(&layer)?, &lie])
}

fn no_gzip(stage: &Stage) -> Result<()> {
    let garbage = noise(5000);
    let image = Forged::new(&garbage, &digest(&garbage)?)?;
    refused(stage, &image.serve()?, &["gzip"])?;
    // It begins well.
    let mut broken = gzip(&tar("f", &noise(50_000))?)?;
    let middle = broken.len() / 2;
    broken[middle..middle + 100].fill(0xff);
    let image = Forged::new(&broken, &digest(b"whatever")?)?;
    refused(stage, &image.serve()?, &["archive"])
}

fn no_tar(stage: &Stage) -> Result<()> {
    let garbage = noise(5000);
    let image = Forged::new(&gzip(&garbage)?, &digest(&garbage)?)?;
    refused(stage, &image.serve()?, &["archive"])
}

fn huge_manifest(stage: &Stage) -> Result<()> {
    let image = Forged::honest()?;
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": [], "x": "x".repeat(50 << 20)});
    let server = image.with_manifest(MANIFEST, &manifest).serve()?;
    refused(stage, &server, &["larger than"])
}

fn no_platform(stage: &Stage) -> Result<()> {
    let image = Forged::honest()?;
    let index = "application/vnd.oci.image.index.v1+json";
    let entry = json!({
        "mediaType": MANIFEST, "digest": digest(&image.manifest)?, "size": image.manifest.len(),
        "platform": {"os": "plan9", "architecture": "mips"},
    });
    let manifest = json!({"schemaVersion": 2, "mediaType": index, "manifests": [entry]});
    let server = image.with_manifest(index, &manifest).serve()?;
    refused(stage, &server, &["plan9/mips", &format!("linux/{}", architecture())])
}

fn not_an_image(stage: &Stage) -> Result<()> {
    let layer = tar("f", b"content")?;
    let image = Forged::with_config(&gzip(&layer)?, b"[\"no config\"]")?;
    refused(stage, &image.serve()?, &["config"])?;
    let image = Forged::honest()?.with_manifest("text/html", &json!("<html>"));
    refused(stage, &image.serve()?, &["manifest"])
}

/// The config names two layers, the manifest one.
fn fewer_layers(stage: &Stage) -> Result<()> {
    let layer = tar("f", b"content")?;
    let config = json!({
        "architecture": architecture(), "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)?, digest(b"another one")?]},
    });
    let image = Forged::with_config(&gzip(&layer)?, config.to_string().as_bytes())?;
    refused(stage, &image.serve()?, &["layers"])
}
