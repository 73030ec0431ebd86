//! Against Debian's `docker-registry`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use kiln_image::{Descriptor, Digest, Document, Index, Manifest, Platform, media_type};
use kiln_registry::{Client, Error, Pushed, Resume, Settings};
use tempfile::TempDir;

use crate::{basic, client, layer, noise, opener, pull, quick, reference, with_credential};

/// A registry that lives as long as this.
pub(crate) struct Registry {
    pub(crate) host: String,
    child: Child,
    /// Holds its configuration and its data.
    _directory: Arc<TempDir>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts a registry; `None`, and a loud word, where there is none on this machine.
pub(crate) fn start(more: impl Fn(&Path) -> String) -> Option<Registry> {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let root = directory.path().display().to_string();
    for _ in 0..5 {
        // Free a moment ago; if somebody took it since, the next round finds another.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let config = directory.path().join("config.yml");
        let more = more(directory.path());
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {root}/data}}\n  delete: {{enabled: true}}\nhttp:\n  addr: {host}\n{more}"
        );
        fs::write(&config, text).unwrap();
        let spawned = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(e) => {
                eprintln!(
                    "SKIPPED: docker-registry cannot be started ({e}); install the Debian package docker-registry"
                );
                assert!(std::env::var_os("CI").is_none(), "CI must have docker-registry");
                return None;
            }
        };
        let mut registry = Registry {
            host: host.clone(),
            child,
            _directory: Arc::clone(&directory),
        };
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end && registry.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(&host).is_ok() {
                return Some(registry);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    panic!("docker-registry does not start");
}

fn plain() -> Option<Registry> {
    start(|_| String::new())
}

/// Pushes an image of one layer, and returns its manifest.
fn push_image(client: &Client, name: &str, content: &[u8], architecture: &str) -> Descriptor {
    let target = reference(name);
    let config = format!(
        r#"{{"architecture":"{architecture}","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        Digest::of(content)
    );
    let config_descriptor = Descriptor::of(media_type::OCI_CONFIG, config.as_bytes());
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.to_owned(),
        artifact_type: None,
        config: config_descriptor.clone(),
        layers: vec![layer(content)],
        annotations: std::collections::BTreeMap::default(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let quiet = |_| ();
    client
        .push_blob(&target, &layer(content), &opener(content), &[], &quiet)
        .unwrap();
    client
        .push_blob(&target, &config_descriptor, &opener(config.as_bytes()), &[], &quiet)
        .unwrap();
    let digest = client.push_manifest(&target, media_type::OCI_MANIFEST, &bytes).unwrap();
    let descriptor = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
    assert_eq!(digest, descriptor.digest);
    descriptor
}

#[test]
fn an_image_goes_there_and_back() {
    let Some(registry) = plain() else { return };
    let client = client();
    client.ping(&registry.host).unwrap();
    let name = format!("{}/team/app:v1", registry.host);
    let content = noise(200_000);
    let pushed = push_image(&client, &name, &content, "amd64");

    let by_tag = client.resolve(&reference(&name)).unwrap();
    assert_eq!(by_tag.descriptor, pushed);
    assert!(matches!(by_tag.document, Document::Manifest(_)));
    assert_eq!(client.resolve_digest(&reference(&name)).unwrap(), pushed);
    let pinned = reference(&name).pinned(pushed.digest);
    assert_eq!(client.resolve(&pinned).unwrap().bytes, by_tag.bytes);

    let image = client
        .resolve_platform(&reference(&name), &Platform::linux("amd64"))
        .unwrap();
    assert!(image.index.is_none());
    assert_eq!(Digest::of(&image.config_bytes), image.manifest.config.digest);
    assert_eq!(pull(&client, &pinned, &image.manifest.layers[0]).unwrap(), content);
    assert_eq!(client.tags(&reference(&name)).unwrap(), ["v1"]);
    assert_eq!(client.referrers(&reference(&name), pushed.digest).unwrap(), []);

    let missing = client
        .resolve(&reference(&format!("{}/team/app:v2", registry.host)))
        .unwrap_err();
    assert!(
        missing.is_not_found() && missing.to_string().contains("MANIFEST_UNKNOWN"),
        "{missing}"
    );
    let absent = Digest::of("absent");
    assert!(!client.has_blob(&pinned, &absent).unwrap());
    assert!(client.has_blob(&pinned, &image.manifest.config.digest).unwrap());
}

#[test]
fn an_index_offers_platforms() {
    let Some(registry) = plain() else { return };
    let client = client();
    let name = format!("{}/many:latest", registry.host);
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let mut descriptor = push_image(
            &client,
            &format!("{name}-{architecture}"),
            architecture.as_bytes(),
            architecture,
        );
        descriptor.platform = Some(Platform::linux(architecture));
        manifests.push(descriptor);
    }
    let index = Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX.to_owned(),
        manifests: manifests.clone(),
        annotations: std::collections::BTreeMap::default(),
    };
    let bytes = serde_json::to_vec(&index).unwrap();
    client
        .push_manifest(&reference(&name), media_type::OCI_INDEX, &bytes)
        .unwrap();
    let image = client
        .resolve_platform(&reference(&name), &Platform::linux("arm64"))
        .unwrap();
    assert_eq!(image.manifest_descriptor.digest, manifests[1].digest);
    assert_eq!(image.index.unwrap().bytes, bytes);
    assert!(String::from_utf8(image.config_bytes).unwrap().contains("arm64"));
    let error = client
        .resolve_platform(&reference(&name), &Platform::linux("s390x"))
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Platform { .. }), "{text}");
    assert!(
        text.contains("linux/s390x") && text.contains("linux/amd64, linux/arm64"),
        "{text}"
    );
}

#[test]
fn what_is_there_is_not_sent_again() {
    let Some(registry) = plain() else { return };
    let client = client();
    let content = noise(50_000);
    let first = reference(&format!("{}/first", registry.host));
    let second = reference(&format!("{}/second", registry.host));
    let third = reference(&format!("{}/third", registry.host));
    let elsewhere = reference("other.example/first");
    let push = |to, from: &[_]| {
        client
            .push_blob(to, &layer(&content), &opener(&content), from, &|_| ())
            .unwrap()
    };
    assert_eq!(push(&first, &[]), Pushed::Uploaded);
    assert_eq!(push(&first, &[]), Pushed::Existed);
    assert_eq!(
        push(&second, &[elsewhere.clone(), third.clone(), first.clone()]),
        Pushed::Mounted
    );
    assert_eq!(pull(&client, &second, &layer(&content)).unwrap(), content);
    assert_eq!(
        push(&third, &[elsewhere, reference(&format!("{}/nothing", registry.host))]),
        Pushed::Uploaded
    );
    assert_eq!(pull(&client, &third, &layer(&content)).unwrap(), content);
}

#[test]
fn large_blobs_go_in_chunks() {
    let Some(registry) = plain() else { return };
    let client = Client::new(Settings {
        upload_chunk: 4 << 20,
        ..quick()
    })
    .unwrap();
    let content = noise(30_000_001);
    let target = reference(&format!("{}/large", registry.host));
    let seen = std::cell::RefCell::new(Vec::new());
    let progress = |bytes| seen.borrow_mut().push(bytes);
    let pushed = client
        .push_blob(&target, &layer(&content), &opener(&content), &[], &progress)
        .unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    let seen = seen.into_inner();
    assert!(seen.len() > 100 && seen.is_sorted() && seen.last() == Some(&30_000_001));
    assert!(pull(&client, &target, &layer(&content)).unwrap() == content);

    // From the middle, as after a restart.
    let resume = Resume::after(&content[..12_345_678]).unwrap();
    let mut rest = Vec::new();
    client
        .blob(&target, &layer(&content), resume, &mut rest, &|_| ())
        .unwrap();
    assert!(rest == content[12_345_678..]);

    // And whole, with one PUT.
    let whole = reference(&format!("{}/whole", registry.host));
    let client = self::client();
    client
        .push_blob(&whole, &layer(&content), &opener(&content), &[], &|_| ())
        .unwrap();
    let mut reader = client.blob_reader(&whole, &layer(&content), Box::new(|_| ())).unwrap();
    let mut back = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut back).unwrap();
    assert!(back == content);
    reader.finish().unwrap();
}

#[test]
fn empty_blobs_and_lying_sources() {
    let Some(registry) = plain() else { return };
    let client = client();
    let target = reference(&format!("{}/odd", registry.host));
    client
        .push_blob(&target, &layer(b""), &opener(b""), &[], &|_| ())
        .unwrap();
    assert_eq!(pull(&client, &target, &layer(b"")).unwrap(), b"");
    // The content is not what the descriptor says.
    let error = client
        .push_blob(&target, &layer(b"aaa"), &opener(b"bbb"), &[], &|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("DIGEST_INVALID"), "{error}");
    let error = client
        .push_blob(&target, &layer(b"aaaa"), &opener(b"aa"), &[], &|_| ())
        .unwrap_err();
    assert!(matches!(error, Error::Source { .. }), "{error}");
}

#[test]
fn many_threads_share_a_client() {
    let Some(registry) = plain() else { return };
    let client = client();
    thread::scope(|scope| {
        for number in 0..8_usize {
            let (client, host) = (client.clone(), registry.host.clone());
            scope.spawn(move || {
                let content = noise(300_000 + number);
                let target = reference(&format!("{host}/threads"));
                client
                    .push_blob(&target, &layer(&content), &opener(&content), &[], &|_| ())
                    .unwrap();
                assert!(pull(&client, &target, &layer(&content)).unwrap() == content);
            });
        }
    });
}

#[test]
fn basic_authentication() {
    // htpasswd -B of me:secret
    let entry = "me:$2b$04$J7oszz2Yv7tMeLWPxBy/4uGh8b3VR4Sh7Bkwec4hnRAK0uGy/cPWO\n";
    let Some(registry) = start(|directory| {
        let file = directory.join("htpasswd");
        fs::write(&file, entry).unwrap();
        format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file.display())
    }) else {
        return;
    };
    let name = format!("{}/private:v1", registry.host);
    let anonymous = client().resolve(&reference(&name)).unwrap_err();
    let text = anonymous.to_string();
    assert!(anonymous.is_unauthorized(), "{text}");
    assert!(
        text.contains(&format!("kiln login {}", registry.host)) && text.contains("no credentials"),
        "{text}"
    );
    let wrong = with_credential(basic("me", "wrong"))
        .resolve(&reference(&name))
        .unwrap_err()
        .to_string();
    assert!(
        wrong.contains("/test/config.json") && !wrong.contains("wrong\n"),
        "{wrong}"
    );

    let good = with_credential(basic("me", "secret"));
    let content = noise(10_000);
    push_image(&good, &name, &content, "amd64");
    assert_eq!(pull(&good, &reference(&name), &layer(&content)).unwrap(), content);
    assert!(client().login(&registry.host, &basic("me", "secret")).is_ok());
    assert!(
        client()
            .login(&registry.host, &basic("me", "no"))
            .unwrap_err()
            .is_unauthorized()
    );
}
