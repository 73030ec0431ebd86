//! Images of several platforms under one ID.

use kiln_image::{Digest, Platform};
use kiln_store::{Entry, Found, Image, ImageIndex, LayerId, Store};

use super::support::{add_image, add_layer, prune, store};

/// An index of images for these platforms, with manifests that name a blob each.
fn add_index(store: &Store, name: &str, architectures: &[&str]) -> ImageIndex {
    let images = architectures.iter().map(|architecture| {
        let layer = LayerId::random().unwrap();
        add_layer(store, &layer, architecture);
        let config = add_image(
            store,
            &format!("{{\"{name}\": \"{architecture}\"}}"),
            std::slice::from_ref(&layer),
        );
        let blob = store
            .put_blob(format!("layer {name} {architecture}").as_bytes())
            .unwrap();
        let manifest = format!(r#"{{"config":{{"digest":"{config}"}},"layers":[{{"digest":"{blob}"}}]}}"#);
        Image {
            manifest: Some(store.put_blob(manifest.as_bytes()).unwrap()),
            platform: Platform::linux(architecture),
            ..store.image(&config).unwrap().unwrap()
        }
    });
    let index = ImageIndex {
        id: store.put_blob(format!("index {name}").as_bytes()).unwrap(),
        images: images.collect(),
        created: 7,
    };
    store.put_index(&index).unwrap();
    index
}

fn found(store: &Store, text: &str) -> Option<Entry> {
    match store.find_image(text).unwrap() {
        Found::One(entry, _) => Some(entry),
        Found::Nothing => None,
        Found::Ambiguous(count) => panic!("{text} is {count} things"),
    }
}

#[test]
fn names_and_ids_find_it() {
    let (_directory, store) = store();
    let index = add_index(&store, "a", &["s390x", "amd64", "arm64"]);
    store.put_index(&index).unwrap();
    store.tag(&"a:1".parse().unwrap(), &index.id).unwrap();
    let whole = Some(Entry::Index(index.clone()));
    let id = index.id.hex();
    for text in ["a:1", &id, &id[..12], &format!("a@{}", index.id)] {
        assert_eq!(found(&store, text), whole, "{text}");
    }
    for image in &index.images {
        let by_manifest = found(&store, &format!("a@{}", image.manifest.unwrap()));
        assert_eq!(by_manifest, Some(Entry::Image(image.clone())));
    }
    let one = found(&store, &index.images[1].id.hex()).unwrap();
    assert_eq!(one.id(), &index.images[1].id);
    assert_eq!(store.entries().unwrap(), [Entry::Index(index.clone())]);
    store.tag(&"b:1".parse().unwrap(), one.id()).unwrap();
    assert_eq!(store.entries().unwrap().len(), 2);
}

#[test]
fn the_best_platform_is_chosen() {
    let (_directory, store) = store();
    let entry = Entry::Index(add_index(&store, "a", &["s390x", "amd64", "arm64"]));
    let platform = |image: Option<&Image>| image.map(|image| image.platform.architecture.clone());
    assert_eq!(
        platform(entry.select(&Platform::linux("arm64"))),
        Some("arm64".to_owned())
    );
    assert_eq!(entry.select(&Platform::linux("riscv64")), None);
    let host = Platform::host();
    assert_eq!(entry.meant(None), entry.select(&host));
    let image = Entry::Image(entry.images()[0].clone());
    assert!(image.meant(None).is_some() && image.meant(Some(&Platform::linux("riscv64"))).is_none());
}

#[test]
fn prune_leaves_all_that_a_named_one_names() {
    let (_directory, store) = store();
    let kept = add_index(&store, "kept", &["amd64", "arm64"]);
    let gone = add_index(&store, "gone", &["amd64"]);
    store.tag(&"a:1".parse().unwrap(), &kept.id).unwrap();

    prune(&store, true);

    let blobs = |index: &ImageIndex, name: &str| -> Vec<Digest> {
        let of_image = |image: &Image| {
            let layer = Digest::of(format!("layer {name} {}", image.platform.architecture));
            [image.id, image.manifest.unwrap(), layer]
        };
        index.images.iter().flat_map(of_image).chain([index.id]).collect()
    };
    assert!(blobs(&kept, "kept").iter().all(|blob| store.has_blob(blob).unwrap()));
    assert!(blobs(&gone, "gone").iter().all(|blob| !store.has_blob(blob).unwrap()));
    let layers = |index: &ImageIndex| {
        index
            .images
            .iter()
            .flat_map(|image| image.layers.clone())
            .collect::<Vec<_>>()
    };
    assert!(layers(&kept).iter().all(|layer| store.layer(layer).unwrap().is_some()));
    assert!(layers(&gone).iter().all(|layer| store.layer(layer).unwrap().is_none()));
    assert_eq!(store.indexes().unwrap(), [kept]);
}

#[test]
fn its_images_go_with_it_unless_they_are_needed() {
    let (_directory, store) = store();
    let index = add_index(&store, "a", &["amd64", "arm64"]);
    let [named, other] = &index.images[..] else {
        panic!("there are two");
    };
    store.tag(&"named:1".parse().unwrap(), &named.id).unwrap();
    assert!(store.remove_image(&other.id).is_err());
    assert_eq!(store.indexes_of(&other.id).unwrap().len(), 1);

    store.remove_index(&index.id).unwrap();

    assert_eq!(store.index(&index.id).unwrap(), None);
    assert!(store.image(&named.id).unwrap().is_some());
    assert!(store.image(&other.id).unwrap().is_none());
}

#[test]
fn what_an_image_was_made_from() {
    let (_directory, store) = store();
    let layer = LayerId::random().unwrap();
    add_layer(&store, &layer, "a");
    let image = add_image(&store, "{}", std::slice::from_ref(&layer));
    assert_eq!(store.image_sources(&image).unwrap(), None);
    let digest = Digest::of("manifest");
    let source = |name: String, line| kiln_store::ImageSource {
        reference: name.parse().unwrap(),
        manifest: digest,
        line,
    };
    let sources = [
        source("debian:12".to_owned(), 1),
        source(format!("127.0.0.1:5000/a/b:c@{digest}"), 7),
    ];
    for noted in [&sources[..], &[]] {
        store.put_image_sources(&image, noted).unwrap();
        // What is newly known of the image changes nothing of it.
        store.put_image(&store.image(&image).unwrap().unwrap()).unwrap();
        assert_eq!(store.image_sources(&image).unwrap().as_deref(), Some(noted));
    }
    assert_eq!(store.image_sources(&Digest::of("another")).unwrap(), None);
}
