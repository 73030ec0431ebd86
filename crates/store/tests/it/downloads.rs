//! Downloads.

use kiln_image::Digest;
use kiln_store::{Download, LayerId};

use super::support::{add_layer, prune, store};

#[test]
fn one_is_known_as_long_as_its_layer_is_there() {
    let (_directory, store) = store();
    let url = "http://example.com/file";
    assert_eq!(store.download(url).unwrap(), None);
    let mut download = Download {
        layer: LayerId::from_digest(&Digest::of("first")),
        digest: Digest::of("content"),
        etag: Some("\"1\"".to_owned()),
        last_modified: None,
    };
    store.put_download(url, &download).unwrap();
    assert_eq!(store.download(url).unwrap(), None, "its layer is not there");
    add_layer(&store, &download.layer, "content");
    assert_eq!(store.download(url).unwrap().as_ref(), Some(&download));

    download.etag = None;
    store.put_download(url, &download).unwrap();
    assert_eq!(store.download(url).unwrap(), Some(download));
    prune(&store, true);
    assert_eq!(store.download(url).unwrap(), None);
}
