//! Tokens and refusals.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kiln_image::Digest;
use kiln_registry::{Credential, Error, Pushed};

use crate::server::{Request, Server, Wire};
use crate::{basic, client, layer, noise, opener, pull, reference, with_credential};

/// A token server that answers with the scopes that it was asked for as the token.
fn token_server(life: u64) -> Server {
    Server::start(move |request, wire| {
        let text = match request.method.as_str() {
            "POST" => String::from_utf8(request.body.clone()).unwrap(),
            _ => request.path.clone(),
        };
        let user = match request.header("authorization") {
            // base64 of me:secret
            Some("Basic bWU6c2VjcmV0") => "me",
            None if text.contains("refresh_token=identity%2F1") => "identity",
            None if request.method == "GET" => "nobody",
            _ => return wire.answer(401, &[], br#"{"details":"incorrect username or password"}"#),
        };
        let pairs = text.split(['?', '&']).filter_map(|pair| pair.strip_prefix("scope="));
        let scopes: Vec<String> = pairs
            .map(|s| s.replace("%3A", ":").replace("%2F", "/").replace("%2C", ","))
            .collect();
        let body = format!(r#"{{"token":"{user}/{}","expires_in":{life}}}"#, scopes.join("+"));
        wire.answer(200, &[("Content-Type", "application/json")], body.as_bytes());
    })
}

/// A registry that wants tokens of `tokens` for `scope` and lets `then` answer.
fn registry(
    tokens: &Server,
    scope: &'static str,
    then: impl Fn(&Request, &mut Wire) + Send + Sync + 'static,
) -> Server {
    let challenge = format!(
        r#"Bearer realm="http://{}/token?x=y",service="reg.test",scope="{scope}""#,
        tokens.host()
    );
    Server::bare(move |request, wire| match request.header("authorization") {
        Some(token) if scope.split(' ').all(|one| token.contains(one)) => then(request, wire),
        _ => wire.answer(
            401,
            &[("WWW-Authenticate", &challenge)],
            br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
        ),
    })
}

#[test]
fn tokens_are_fetched_once_and_kept() {
    let content = noise(1000);
    let tokens = token_server(300);
    let served = content.clone();
    let registry = registry(&tokens, "repository:a/b:pull", move |_, wire| {
        wire.answer(200, &[], &served);
    });
    let client = with_credential(basic("me", "secret"));
    let from = reference(&format!("{}/a/b", registry.host()));
    for _ in 0..3 {
        assert!(pull(&client, &from, &layer(&content)).unwrap() == content);
    }
    let asked = tokens.requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let path = &asked[0].path;
    assert!(path.starts_with("/token?x=y&"), "{path}");
    assert!(
        path.contains("service=reg.test") && path.contains("account=me"),
        "{path}"
    );
    assert_eq!(registry.requests().len(), 4, "one challenge, three answers");
}

#[test]
fn anonymous_tokens() {
    let tokens = token_server(300);
    let registry = registry(&tokens, "repository:a/b:pull", |request, wire| {
        assert!(request.header("authorization").unwrap().starts_with("Bearer nobody/"));
        wire.answer(200, &[], b"x");
    });
    let from = reference(&format!("{}/a/b", registry.host()));
    assert_eq!(pull(&client(), &from, &layer(b"x")).unwrap(), b"x");
    assert_eq!(tokens.requests()[0].header("authorization"), None);
}

#[test]
fn identity_tokens_are_posted() {
    let tokens = token_server(300);
    let registry = registry(&tokens, "repository:a/b:pull", |_, wire| wire.answer(200, &[], b"x"));
    let client = with_credential(Credential::IdentityToken("identity/1".to_owned()));
    let from = reference(&format!("{}/a/b", registry.host()));
    assert_eq!(pull(&client, &from, &layer(b"x")).unwrap(), b"x");
    let asked = &tokens.requests()[0];
    let body = String::from_utf8(asked.body.clone()).unwrap();
    assert_eq!(asked.method, "POST");
    assert!(
        body.contains("grant_type=refresh_token") && body.contains("service=reg.test"),
        "{body}"
    );
    assert!(
        !asked.path.contains("identity"),
        "no secret in an address: {}",
        asked.path
    );
}

#[test]
fn a_token_that_is_no_longer_taken_is_renewed() {
    let tokens = token_server(300);
    let count = AtomicUsize::new(0);
    let challenge = format!(r#"Bearer realm="http://{}/token",service="s""#, tokens.host());
    let registry = Server::start(move |request, wire| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        match request.header("authorization") {
            Some(_) if number != 2 => wire.answer(200, &[], b"x"),
            _ => wire.answer(401, &[("WWW-Authenticate", &challenge)], b""),
        }
    });
    let client = client();
    let from = reference(&format!("{}/a/b", registry.host()));
    pull(&client, &from, &layer(b"x")).unwrap();
    pull(&client, &from, &layer(b"x")).unwrap();
    assert_eq!(tokens.requests().len(), 2);
}

#[test]
fn mounts_ask_for_both_repositories() {
    let tokens = token_server(300);
    let registry = registry(&tokens, "repository:new:pull,push", |request, wire| {
        match request.method.as_str() {
            "HEAD" => wire.head(404, &[], Some(0)),
            "POST" => {
                let token = request.header("authorization").unwrap();
                assert!(token.contains("repository:old:pull"), "{token}");
                assert!(request.path.contains("from=old"), "{}", request.path);
                wire.answer(201, &[], b"");
            }
            other => panic!("{other}"),
        }
    });
    let to = reference(&format!("{}/new", registry.host()));
    let from = reference(&format!("{}/old", registry.host()));
    let pushed = client()
        .push_blob(&to, &layer(b"x"), &opener(b"x"), &[from], &|_| ())
        .unwrap();
    assert_eq!(pushed, Pushed::Mounted);
}

#[test]
fn refusals_say_who_and_what_to_do() {
    // The token server knows us not.
    let tokens = token_server(300);
    let registry = registry(&tokens, "repository:a/b:pull", |_, wire| wire.answer(200, &[], b"x"));
    let from = reference(&format!("{}/a/b", registry.host()));
    let error = pull(&with_credential(basic("me", "hunter2")), &from, &layer(b"x")).unwrap_err();
    let text = error.to_string();
    assert!(error.is_unauthorized(), "{text}");
    for word in [
        "incorrect username or password",
        "/test/config.json",
        &format!("kiln login {}", registry.host()),
    ] {
        assert!(text.contains(word), "{text}");
    }
    assert!(!format!("{text}{error:?}").contains("hunter2"));

    // The registry knows us, but not for this.
    let body = br#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    let denying = Server::start(|_, wire| wire.answer(403, &[], body));
    let error = client()
        .resolve(&reference(&format!("{}/a:v1", denying.host())))
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Denied(..)), "{text}");
    for word in ["403", "DENIED: requested access", "no credentials", "/a:v1"] {
        assert!(text.contains(word), "{text}");
    }
    assert_eq!(denying.requests().len(), 1, "no use in asking again");

    // Neither challenge that we can answer.
    let odd = Server::start(|_, wire| wire.answer(401, &[("WWW-Authenticate", "Negotiate")], b""));
    assert!(
        client()
            .resolve(&reference(&format!("{}/a", odd.host())))
            .unwrap_err()
            .is_unauthorized()
    );

    // The same challenge for ever.
    let stubborn = Server::start(|_, wire| wire.answer(401, &[("WWW-Authenticate", "Basic")], b""));
    let client = with_credential(basic("me", "secret"));
    let error = client
        .resolve(&reference(&format!("{}/a", stubborn.host())))
        .unwrap_err();
    assert!(error.is_unauthorized());
    assert_eq!(stubborn.requests().len(), 2);
}

#[test]
fn token_servers_that_lie() {
    for (body, word) in [
        (&b"{}"[..], "sends no token"),
        (b"nonsense", "sends no token"),
        (br#"{"token":"a\r\nX: y"}"#, "no header can hold"),
    ] {
        let tokens = Server::start(move |_, wire| wire.answer(200, &[], body));
        let registry = registry(&tokens, "x", |_, _| unreachable!());
        let error = client()
            .resolve(&reference(&format!("{}/a", registry.host())))
            .unwrap_err()
            .to_string();
        assert!(error.contains(word), "{error}");
    }
    let huge = Server::start(|_, wire| wire.answer(200, &[], &vec![b'x'; 2 << 20]));
    let registry = registry(&huge, "x", |_, _| unreachable!());
    let error = client()
        .resolve(&reference(&format!("{}/a", registry.host())))
        .unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn a_token_server_without_encryption_gets_nothing() {
    let registry = Server::start(|_, wire| {
        wire.answer(
            401,
            &[("WWW-Authenticate", r#"Bearer realm="http://192.0.2.1/token""#)],
            b"",
        );
    });
    let client = with_credential(basic("me", "secret"));
    let error = client
        .resolve(&reference(&format!("{}/a", registry.host())))
        .unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error}");
}

#[test]
fn pushes_to_a_registry_with_tokens() {
    let tokens = token_server(300);
    let stored = Arc::new(std::sync::Mutex::new(Vec::new()));
    let there = Arc::clone(&stored);
    let registry = registry(&tokens, "repository:a:pull,push", move |request, wire| {
        match request.method.as_str() {
            "HEAD" => wire.head(404, &[], Some(0)),
            "POST" => wire.answer(202, &[("Location", "/upload/1")], b""),
            "PUT" => {
                there.lock().unwrap().clone_from(&request.body);
                wire.answer(201, &[], b"");
            }
            other => panic!("{other}"),
        }
    });
    let content = noise(300_000);
    let to = reference(&format!("{}/a", registry.host()));
    let client = with_credential(basic("me", "secret"));
    client
        .push_blob(&to, &layer(&content), &opener(&content), &[], &|_| ())
        .unwrap();
    assert_eq!(Digest::of(&*stored.lock().unwrap()), Digest::of(&content));
    assert_eq!(tokens.requests().len(), 1);
}
