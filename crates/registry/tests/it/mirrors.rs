//! `registries.conf` at work.

use std::path::Path;

use kiln_image::Digest;
use kiln_registry::{Client, Error, RegistriesConf, Settings};

use crate::server::Server;
use crate::{layer, noise, pull, quick, reference};

fn with_conf(text: &str) -> Client {
    Client::new(Settings {
        registries: RegistriesConf::parse(text, Path::new("registries.conf")).unwrap(),
        ..quick()
    })
    .unwrap()
}

fn serving(content: &[u8]) -> Server {
    let content = content.to_vec();
    Server::start(move |_, wire| wire.answer(200, &[], &content))
}

fn refusing(status: u16) -> Server {
    Server::start(move |_, wire| wire.answer(status, &[], b"mirror says no"))
}

#[test]
fn mirrors_come_first_and_names_are_mapped() {
    let content = noise(1000);
    let (missing, good) = (refusing(404), serving(&content));
    let client = with_conf(&format!(
        "[[registry]]\nlocation = 'docker.io'\n[[registry.mirror]]\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{}/hub'\n",
        missing.host(),
        good.host()
    ));
    assert!(pull(&client, &reference("debian"), &layer(&content)).unwrap() == content);
    let digest = Digest::of(&content);
    assert_eq!(missing.lines(), [format!("GET /v2/library/debian/blobs/{digest}")]);
    assert_eq!(good.lines(), [format!("GET /v2/hub/library/debian/blobs/{digest}")]);
}

#[test]
fn all_failures_are_told() {
    let (one, two, own) = (refusing(404), refusing(403), refusing(404));
    let client = with_conf(&format!(
        "[[registry]]\nprefix = 'r.example'\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{}'\n",
        own.host(),
        one.host(),
        two.host()
    ));
    let error = client.resolve(&reference("r.example/a:v1")).unwrap_err();
    let text = error.to_string();
    assert!(error.is_not_found(), "{text}");
    for word in [&own.host(), &one.host(), &two.host(), "403", "mirror says no"] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn a_dead_mirror_is_asked_once() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let content = noise(1000);
    let own = serving(&content);
    let client = with_conf(&format!(
        "[[registry]]\nprefix = 'r.example'\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{dead}'\n",
        own.host()
    ));
    for _ in 0..3 {
        assert!(pull(&client, &reference("r.example/a"), &layer(&content)).unwrap() == content);
    }
    assert_eq!(own.requests().len(), 3);
}

#[test]
fn a_mirror_that_breaks_down_is_replaced_in_the_middle() {
    let content = noise(400_000);
    let half = content.clone();
    let mirror = Server::start(move |request, wire| {
        if request.header("range").is_some() {
            return wire.answer(404, &[], b"");
        }
        wire.head(200, &[], Some(half.len()));
        wire.raw(&half[..200_000]);
        wire.cut();
    });
    let rest = content.clone();
    let own = Server::start(move |request, wire| {
        let from = request.from();
        let range = format!("bytes {from}-399999/400000");
        wire.answer(206, &[("Content-Range", &range)], &rest[from..]);
    });
    let client = with_conf(&format!(
        "[[registry]]\nprefix = 'r.example'\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{}'\n",
        own.host(),
        mirror.host()
    ));
    assert!(pull(&client, &reference("r.example/a"), &layer(&content)).unwrap() == content);
    assert_eq!(own.requests()[0].from(), 200_000);
}

#[test]
fn a_lying_mirror_is_not_asked_twice() {
    let content = noise(1000);
    let mut lie = content.clone();
    lie[0] ^= 1;
    let (liar, own) = (serving(&lie), serving(&content));
    let client = with_conf(&format!(
        "[[registry]]\nprefix = 'r.example'\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{}'\n",
        own.host(),
        liar.host()
    ));
    let error = pull(&client, &reference("r.example/a"), &layer(&content)).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    assert!(pull(&client, &reference("r.example/a"), &layer(&content)).unwrap() == content);
}

#[test]
fn blocked_registries_are_not_asked() {
    let own = serving(b"x");
    let client = with_conf(&format!("[[registry]]\nlocation = '{}'\nblocked = true\n", own.host()));
    let name = reference(&format!("{}/a", own.host()));
    assert!(matches!(client.resolve(&name), Err(Error::Blocked { .. })));
    assert!(matches!(
        client.push_manifest(&name, "application/json", b"{}"),
        Err(Error::Blocked { .. })
    ));
    assert_eq!(own.requests().len(), 0);
}

#[test]
fn a_proxy_is_used_for_all_but_loopback() {
    // The proxy sees the address of a host that nobody knows.
    let proxy = Server::bare(|request, wire| {
        assert!(
            request.path.starts_with("http://r.example.invalid/v2/"),
            "{}",
            request.path
        );
        wire.answer(200, &[], b"x");
    });
    let own = serving(b"x");
    let client = Client::new(Settings {
        proxies: kiln_registry::Proxies {
            http: Some(format!("http://{}", proxy.host())),
            ..kiln_registry::Proxies::default()
        },
        registries: RegistriesConf::parse(
            "[[registry]]\nlocation = 'r.example.invalid'\ninsecure = true\n",
            Path::new("registries.conf"),
        )
        .unwrap(),
        ..quick()
    })
    .unwrap();
    assert_eq!(
        pull(&client, &reference("r.example.invalid/a"), &layer(b"x")).unwrap(),
        b"x"
    );
    assert_eq!(
        pull(&client, &reference(&format!("{}/a", own.host())), &layer(b"x")).unwrap(),
        b"x"
    );
    assert_eq!(own.requests().len(), 1);
}
