//! HTTPS, with certificates of our own making.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kiln_registry::{Client, RegistriesConf, Settings};

use crate::real::{Registry, start};
use crate::{client, layer, opener, pull, quick, reference};

/// A registry that speaks HTTPS, and its certificate, which nobody else vouches for.
fn https_registry(keep: &Path) -> Option<(Registry, PathBuf)> {
    let (certificate, key) = (keep.join("cert.pem"), keep.join("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
        ])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: openssl cannot make a certificate; install the Debian package openssl");
        assert!(std::env::var_os("CI").is_none(), "CI must have openssl");
        return None;
    }
    let tls = format!(
        "  tls: {{certificate: {}, key: {}}}\n",
        certificate.display(),
        key.display()
    );
    Some((start(|_| tls.clone())?, certificate))
}

#[test]
fn certificates_are_verified() {
    let keep = tempfile::tempdir().unwrap();
    let Some((registry, certificate)) = https_registry(keep.path()) else {
        return;
    };
    let name = reference(&format!("{}/a", registry.host));

    // Even at a loopback address a bad certificate is no reason to do without.
    let error = client().tags(&name).unwrap_err().to_string();
    assert!(
        error.contains("certificate") && error.contains("--ca-bundle"),
        "{error}"
    );

    let trusting = Client::new(Settings {
        ca_bundles: vec![certificate],
        ..quick()
    })
    .unwrap();
    trusting
        .push_blob(&name, &layer(b"x"), &opener(b"x"), &[], &|_| ())
        .unwrap();
    assert_eq!(pull(&trusting, &name, &layer(b"x")).unwrap(), b"x");

    let conf = format!("[[registry]]\nlocation = '{}'\ninsecure = true\n", registry.host);
    let careless = Client::new(Settings {
        registries: RegistriesConf::parse(&conf, Path::new("registries.conf")).unwrap(),
        ..quick()
    })
    .unwrap();
    assert_eq!(pull(&careless, &name, &layer(b"x")).unwrap(), b"x");
}

#[test]
fn bundles_that_are_none_are_named() {
    let keep = tempfile::tempdir().unwrap();
    let Some((registry, _)) = https_registry(keep.path()) else {
        return;
    };
    let name = reference(&format!("{}/a", registry.host));
    let empty = keep.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for path in [empty, keep.path().join("missing.pem")] {
        let client = Client::new(Settings {
            ca_bundles: vec![path.clone()],
            ..quick()
        })
        .unwrap();
        let error = client.tags(&name).unwrap_err().to_string();
        assert!(
            error.contains(&path.display().to_string()) && error.contains("CA bundle"),
            "{error}"
        );
    }
}
