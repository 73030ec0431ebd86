//! Servers that lie. The client believes none of it.

use kiln_image::{Descriptor, Digest, Platform, media_type};
use kiln_registry::{Error, Resume};

use crate::server::Server;
use crate::{basic, client, layer, noise, pull, reference, with_credential};

#[test]
fn other_bytes_than_the_digest_names() {
    let content = noise(10_000);
    let mut other = content.clone();
    other[5000] ^= 1;
    let server = Server::start(move |_, wire| wire.answer(200, &[], &other));
    let from = reference(&format!("{}/a", server.host()));
    let error = pull(&client(), &from, &layer(&content)).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{text}");
    assert!(text.contains(&Digest::of(&content).to_string()), "{text}");

    // A reader gives the last bytes to nobody.
    let mut reader = client().blob_reader(&from, &layer(&content), Box::new(|_| ())).unwrap();
    let mut got = Vec::new();
    let error = std::io::Read::read_to_end(&mut reader, &mut got).unwrap_err();
    assert!(matches!(Error::from_io(&error), Some(Error::DigestMismatch { .. })));
    assert!(got.len() < content.len());
    assert!(
        std::io::Read::read(&mut reader, &mut [0; 10]).is_err(),
        "it stays broken"
    );
    assert!(reader.finish().is_err());
}

#[test]
fn more_bytes_than_the_descriptor_says() {
    let content = noise(10_000);
    let mut more = content.clone();
    more.extend_from_slice(&noise(1_000_000));
    let announced = more.clone();
    let server = Server::start(move |_, wire| wire.answer(200, &[], &announced));
    let from = reference(&format!("{}/a", server.host()));
    let error = pull(&client(), &from, &layer(&content)).unwrap_err();
    assert!(matches!(error, Error::SizeMismatch { .. }), "{error}");

    // Without a length, the surplus shows only at the end, or in the middle of a piece.
    for cut in [10_000, 10_001] {
        let more = more.clone();
        let server = Server::start(move |_, wire| {
            wire.head(200, &[], None);
            wire.raw(&more[..cut]);
            std::thread::sleep(std::time::Duration::from_millis(50));
            wire.raw(&more[cut..]);
        });
        let from = reference(&format!("{}/a", server.host()));
        let mut out = Vec::new();
        let error = client()
            .blob(&from, &layer(&content), Resume::default(), &mut out, &|_| ())
            .unwrap_err();
        assert!(matches!(error, Error::SizeMismatch { .. }), "{error}");
        assert!(out.len() <= content.len());
    }
}

#[test]
fn fewer_bytes_than_the_descriptor_says() {
    let content = noise(10_000);
    let less = content[..9_999].to_vec();
    let server = Server::start(move |_, wire| wire.answer(200, &[], &less));
    let from = reference(&format!("{}/a", server.host()));
    let error = pull(&client(), &from, &layer(&content)).unwrap_err();
    assert!(matches!(error, Error::SizeMismatch { .. }), "{error}");
}

#[test]
fn another_range_than_asked_for() {
    let content = noise(10_000);
    let bytes = content.clone();
    let server =
        Server::start(move |_, wire| wire.answer(206, &[("Content-Range", "bytes 0-5999/10000")], &bytes[..6000]));
    let from = reference(&format!("{}/a", server.host()));
    let resume = Resume::after(&content[..4000]).unwrap();
    let error = client()
        .blob(&from, &layer(&content), resume, &mut Vec::new(), &|_| ())
        .unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;

#[test]
fn manifests_that_are_not_what_was_asked_for() {
    let server = Server::start(|_, wire| wire.answer(200, &[], MANIFEST.as_bytes()));
    let name = format!("{}/a", server.host());
    assert!(client().resolve(&reference(&name)).is_ok());
    let pinned = reference(&name).pinned(Digest::of("other"));
    let error = client().resolve(&pinned).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");

    let digest = Digest::of("other").to_string();
    let server =
        Server::start(move |_, wire| wire.answer(200, &[("Docker-Content-Digest", &digest)], MANIFEST.as_bytes()));
    let error = client()
        .resolve(&reference(&format!("{}/a", server.host())))
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
}

#[test]
fn manifests_that_are_none() {
    for (body, word) in [
        (&b"\xff\xfe\0"[..], "not a manifest"),
        (b"", "not a manifest"),
        (b"{}", "unsupported"),
        (br#"{"schemaVersion":1,"fsLayers":[]}"#, "unsupported"),
        (
            br#"{"schemaVersion":2,"config":{"digest":"sha256:zz","size":-1}}"#,
            "not a manifest",
        ),
    ] {
        let server = Server::start(move |_, wire| wire.answer(200, &[("Content-Type", "text/plain")], body));
        let error = client()
            .resolve(&reference(&format!("{}/a", server.host())))
            .unwrap_err();
        assert!(matches!(error, Error::Document(..)), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    // JSON that nests without end.
    let deep = "[".repeat(1 << 20);
    let server = Server::start(move |_, wire| wire.answer(200, &[], deep.as_bytes()));
    let error = client()
        .resolve(&reference(&format!("{}/a", server.host())))
        .unwrap_err();
    assert!(matches!(error, Error::Document(..)), "{error}");
}

#[test]
fn answers_without_end() {
    // With an announced length, and without.
    let server = Server::start(|_, wire| wire.answer(200, &[], &vec![b' '; 5 << 20]));
    let error = client()
        .resolve(&reference(&format!("{}/a", server.host())))
        .unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let server = Server::start(|_, wire| {
        wire.head(200, &[], None);
        for _ in 0..100 {
            wire.raw(&vec![b' '; 100 << 10]);
        }
    });
    let error = client()
        .resolve(&reference(&format!("{}/a", server.host())))
        .unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    // An error message.
    let server = Server::start(|_, wire| {
        wire.head(418, &[], None);
        for _ in 0..100 {
            wire.raw(&vec![b'x'; 100 << 10]);
        }
    });
    let error = client()
        .resolve(&reference(&format!("{}/a", server.host())))
        .unwrap_err()
        .to_string();
    assert!(error.len() < 1000, "{} bytes", error.len());
}

#[test]
fn a_config_that_is_too_large_is_not_read() {
    let manifest = MANIFEST.replace("\"size\":0", "\"size\":99999999999");
    let server = Server::start(move |_, wire| wire.answer(200, &[], manifest.as_bytes()));
    let from = reference(&format!("{}/a", server.host()));
    let error = client().resolve_platform(&from, &Platform::host()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_index_within_an_index() {
    let inner = r#"{"schemaVersion":2,"manifests":[]}"#;
    let entry = Descriptor::of(media_type::OCI_MANIFEST, inner.as_bytes());
    let outer = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        serde_json::to_string(&entry).unwrap()
    );
    let server = Server::start(move |request, wire| {
        let body = if request.path.contains("sha256:") {
            inner
        } else {
            &outer
        };
        wire.answer(200, &[], body.as_bytes());
    });
    let error = client()
        .resolve_platform(&reference(&format!("{}/a", server.host())), &Platform::host())
        .unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[test]
fn redirects_to_bad_places() {
    for (target, word) in [
        ("file:///etc/passwd", "does not speak `file`"),
        ("http://192.0.2.1/blob?sig=secret", "plain HTTP"),
        ("ftp://127.0.0.1/x", "does not speak `ftp`"),
    ] {
        let server = Server::start(move |_, wire| wire.answer(307, &[("Location", target)], b""));
        let error = pull(&client(), &reference(&format!("{}/a", server.host())), &layer(b"x")).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Redirect { .. }), "{text}");
        assert!(text.contains(word) && !text.contains("secret"), "{text}");
    }
    let server = Server::start(|_, wire| wire.answer(307, &[("Location", "/v2/again")], b""));
    let error = pull(&client(), &reference(&format!("{}/a", server.host())), &layer(b"x")).unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[test]
fn credentials_stay_with_their_host() {
    let content = noise(5000);
    let served = content.clone();
    let cdn = Server::start(move |_, wire| wire.answer(200, &[], &served));
    let there = format!("http://{}/signed?token=1", cdn.host());
    let registry = Server::start(move |request, wire| match request.header("authorization") {
        None => wire.answer(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], b""),
        Some(_) => wire.answer(307, &[("Location", &there)], b""),
    });
    let client = with_credential(basic("me", "secret"));
    let from = reference(&format!("{}/a", registry.host()));
    assert!(pull(&client, &from, &layer(&content)).unwrap() == content);
    assert!(registry.requests().last().unwrap().header("authorization").is_some());
    let at_cdn = cdn.requests();
    assert_eq!(at_cdn.len(), 1);
    assert_eq!(at_cdn[0].header("authorization"), None);

    // A redirect within the host keeps them.
    let served = content.clone();
    let registry = Server::start(
        move |request, wire| match (request.header("authorization"), request.path.as_str()) {
            (None, _) => wire.answer(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], b""),
            (Some(_), "/blob") => wire.answer(200, &[], &served),
            (Some(_), _) => wire.answer(307, &[("Location", "/blob")], b""),
        },
    );
    let from = reference(&format!("{}/a", registry.host()));
    assert!(pull(&client, &from, &layer(&content)).unwrap() == content);
}
