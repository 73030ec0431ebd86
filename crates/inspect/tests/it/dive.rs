//! dive's score, against figures that it gives itself.

use kiln_inspect::waste::Dive;

use super::support::{Tar, layers};

const FILE: usize = 6405;

/// The figures of dive's own test of its formula, in which no directory has an entry.
#[test]
fn three_layers() {
    let zeros = |count: usize| vec![0; count];
    let layers = layers([
        Tar::default()
            .file("etc/nginx/nginx.conf", zeros(2000))
            .file("etc/nginx/public", zeros(3000)),
        Tar::default()
            .file("etc/nginx/nginx.conf", zeros(5000))
            .file("etc/athing", zeros(10_000)),
        Tar::default().mark("etc/.wh.nginx"),
    ]);
    let dive = Dive::of(&layers);
    assert_eq!(dive.efficiency.to_bits(), 0.75_f64.to_bits());
    let found: Vec<_> = dive
        .references
        .iter()
        .map(|found| (&found.path[..], found.count, found.bytes))
        .collect();
    assert_eq!(found, [(&b"/etc/nginx/nginx.conf"[..], 2, 7000)]);
}

/// An image of the make of dive's test image, step by step, and the figures that dive gives for that.
#[test]
fn the_image_that_dive_is_tested_with() {
    let text = || vec![b'x'; FILE];
    let root = || Tar::default().directory("root");
    let example = || root().directory("root/example");
    let layers = layers([
        Tar::default()
            .directory("bin")
            .file("bin/busybox", vec![0; 1_154_361])
            .link("bin/sh", "bin/busybox"),
        Tar::default().file("somefile.txt", text()),
        example()
            .directory("root/example/really")
            .directory("root/example/really/nested"),
        example().file("root/example/somefile1.txt", text()),
        example().file_as("root/example/somefile1.txt", text(), 0o444, 0),
        example().file("root/example/somefile2.txt", text()),
        example().file("root/example/somefile3.txt", text()),
        example()
            .mark("root/example/.wh.somefile3.txt")
            .file("root/saved.txt", text()),
        root().file("root/.saved.txt", text()),
        root().mark("root/.wh.example"),
        root()
            .directory("root/.data")
            .file("root/.data/script.sh", vec![0; 2187]),
        Tar::default().directory("tmp").file("tmp/saved.again1.txt", text()),
        root()
            .directory("root/.data")
            .file("root/.data/saved.again2.txt", text()),
        root().file_as("root/saved.txt", text(), 0o755, 0),
    ]);
    let dive = Dive::of(&layers);
    assert_eq!((dive.size_bytes, dive.user_size_bytes), (1_220_598, 66_237));
    assert_eq!(dive.wasted_bytes, 32_025);
    assert!(
        (dive.efficiency - 0.984_421_213_418_430_9).abs() < 1e-15,
        "{}",
        dive.efficiency
    );
    assert!((dive.wasted_user_share() - 0.483_491_100_140_404_9).abs() < 1e-15);
}

#[test]
fn of_nothing_nothing_is_wasted() {
    let dive = Dive::of(&layers([Tar::default()]));
    assert_eq!((dive.efficiency.to_bits(), dive.wasted_bytes), (1.0_f64.to_bits(), 0));
    assert_eq!(dive.wasted_user_share().to_bits(), 0.0_f64.to_bits());
}
