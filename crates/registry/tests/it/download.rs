//! Files by HTTP.

use std::io::Read as _;

use kiln_registry::{Error, Validators};

use super::server::Server;
use super::{client, noise};

fn fetch(url: &str, known: &Validators) -> Result<Option<(Vec<u8>, Validators)>, Error> {
    let Some(mut file) = client().download(url, known, Some("Bearer secret"))? else {
        return Ok(None);
    };
    let mut all = Vec::new();
    file.read_to_end(&mut all)
        .map_err(|error| Error::Setup(error.to_string()))?;
    Ok(Some((all, file.validators)))
}

#[test]
fn a_file_is_fetched_once_and_asked_for_again() {
    let server = Server::bare(|request, wire| {
        let headers = [("ETag", "\"1\""), ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")];
        if request.header("if-none-match") == Some("\"1\"") {
            return wire.answer(304, &headers, b"");
        }
        wire.answer(200, &headers, &noise(300_000));
    });
    let url = format!("http://{}/file", server.host());
    let (bytes, validators) = fetch(&url, &Validators::default()).unwrap().unwrap();
    assert_eq!(bytes, noise(300_000));
    assert!(fetch(&url, &validators).unwrap().is_none());
}

#[test]
fn a_time_tells_versions_apart_from_the_next_second_on() {
    const MODIFIED: &str = "Wed, 21 Oct 2015 07:28:00 GMT";
    let server = Server::bare(|request, wire| {
        let date = match request.path.as_str() {
            "/same" => MODIFIED,
            _ => "Wed, 21 Oct 2015 07:28:01 GMT",
        };
        wire.answer(200, &[("Last-Modified", MODIFIED), ("Date", date)], b"");
    });
    for (path, validator) in [("/same", None), ("/next", Some(MODIFIED))] {
        let url = format!("http://{}{path}", server.host());
        let file = client().download(&url, &Validators::default(), None).unwrap().unwrap();
        assert_eq!(file.modified, Some(1_445_412_480));
        assert_eq!(file.validators.last_modified.as_deref(), validator);
    }
}

#[test]
fn credentials_stay_with_their_host() {
    let other = Server::bare(|request, wire| {
        assert_eq!(request.header("authorization"), None);
        wire.answer(200, &[], b"there");
    });
    let to = format!("http://{}/there", other.host());
    let server = Server::bare(move |request, wire| {
        assert_eq!(request.header("authorization"), Some("Bearer secret"));
        wire.answer(302, &[("Location", &to)], b"");
    });
    let url = format!("http://{}/here", server.host());
    assert_eq!(fetch(&url, &Validators::default()).unwrap().unwrap().0, b"there");
}

#[test]
fn what_is_not_there_or_not_whole_is_an_error() {
    let server = Server::bare(|request, wire| match request.path.as_str() {
        "/loop" => wire.answer(302, &[("Location", "/loop")], b""),
        "/file" => wire.answer(302, &[("Location", "file:///etc/passwd")], b""),
        "/short" => {
            wire.head(200, &[], Some(100));
            wire.raw(b"ten bytes.");
            wire.cut();
        }
        _ => wire.answer(404, &[], b"no"),
    });
    let error = |path: &str| {
        let url = format!("http://{}{path}", server.host());
        fetch(&url, &Validators::default()).unwrap_err().to_string()
    };
    assert!(error("/none").contains("not found"), "{}", error("/none"));
    assert!(error("/loop").contains("too many redirects"));
    assert!(error("/file").contains("does not speak `file`"));
    let _message = error("/short");
}
