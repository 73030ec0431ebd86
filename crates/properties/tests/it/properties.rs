//! Random input for every function of the crate.

use kiln_layer::tar::{Entry, Kind, Writer};
use kiln_properties::{
    dockerfile, edited, elf, fixed, flags, globs, ignore, image, include, json_form, layer_index, layer_tar,
    ld_so_cache, linted, reference, rpm, tar, vulnerabilities, words,
};
use proptest::prelude::*;

use crate::inputs::{damaged, dockerfiles, every_dockerfile};

#[test]
fn all_dockerfiles() {
    for (_, text) in dockerfiles() {
        dockerfile(&text);
    }
}

#[test]
fn all_dockerfiles_fixed() {
    for (_, text) in every_dockerfile() {
        fixed(&text);
    }
}

#[test]
fn what_fuzzing_found() {
    // White space that JSON does not know is trimmed before anything reads JSON.
    json_form(b"[   ]  \x0b\x0b");
}

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":
    {"mediaType":"application/vnd.oci.image.config.v1+json","digest":
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[],
    "annotations":{"a":"b"}}"#;

const CONFIG: &str = r#"{"architecture":"amd64","os":"linux","config":{"Env":["A=b"],"Cmd":["x"],"Labels":{"a":"b"},
    "ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["NONE"],"Interval":1}},"rootfs":{"type":"layers","diff_ids":[]},
    "history":[{"created":"2026-01-01T00:00:00Z","created_by":"x","empty_layer":true}],"variant":"v8"}"#;

/// A small archive with one of each.
fn archive() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.directory("d", 0o755).unwrap();
    writer.file("d/f", 0o644, 5, &b"hello"[..]).unwrap();
    let mut link = Entry::new("d/l", Kind::Symlink, 0o777);
    link.link = b"f".to_vec();
    link.mtime = (-1, 5);
    link.uid = 3_000_000_000;
    writer.entry(&link).unwrap();
    let mut device = Entry::new("d/".to_owned() + &"x".repeat(300), Kind::Char, 0o600);
    device.xattrs = vec![(b"user.a".to_vec(), b"b\nc=d".to_vec())];
    writer.entry(&device).unwrap();
    writer.finish().unwrap()
}

/// An index, without the digest that comes first.
fn index() -> Vec<u8> {
    let index = kiln_inspect::LayerIndex::of_tar(&archive()[..], std::path::Path::new("archive")).unwrap();
    index.to_bytes().split_off(32)
}

/// The beginning of a program that has all that is read of one: this one.
fn program() -> Vec<u8> {
    let mut program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    program.truncate(64 << 10);
    program
}

/// A cache of one library (glibc's `dl-cache.h`).
fn libraries() -> Vec<u8> {
    let mut bytes = b"glibc-ld.so.cache1.1".to_vec();
    bytes.extend(1_u32.to_le_bytes());
    bytes.resize(48, 0);
    for number in [3_u32, 72, 80, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(b"liba.so\0/lib/liba.so\0");
    bytes
}

proptest! {
    #[test]
    fn damaged_dockerfiles(text in damaged(dockerfiles().into_iter().map(|(_, text)| text).collect())) {
        dockerfile(&text);
    }

    #[test]
    fn damaged_dockerfiles_linted(text in damaged(dockerfiles().into_iter().map(|(_, text)| text).collect())) {
        linted(&text);
    }

    #[test]
    fn damaged_dockerfiles_fixed(text in damaged(every_dockerfile().into_iter().map(|(_, text)| text).collect())) {
        fixed(&text);
    }

    #[test]
    fn damaged_dockerfiles_edited(text in damaged(every_dockerfile().into_iter().map(|(_, text)| text).collect())) {
        edited(&text);
    }

    #[test]
    fn any_text_edited(text in "(FROM|COPY|RUN|ARG|ENV| AS|a|b|\\$a|\\$\\{b\\}|=|--from=a|--mount=type=bind,from=b|,|<<a|#|é|\\\\| |\n){0,60}") {
        edited(text.as_bytes());
    }

    #[test]
    fn any_script(text in "[ab&|;(){}<>$`'\"\\\\ \\n#=!\\[\\]-]{0,40}") {
        linted(format!("FROM a:1\nRUN {text}\n").as_bytes());
        fixed(format!("FROM a:1\nRUN a\nRUN {text}\nRUN b\n").as_bytes());
    }

    #[test]
    fn any_words(choice: u8, text in "[a-c$\\{\\}:+?#%/'\"\\\\*@!0-9 -]{0,6}\n[a-c$\\{\\}:+?#%/'\"\\\\*@!0-9 `-]{0,40}") {
        words(&[&[choice], text.as_bytes()].concat());
    }

    #[test]
    fn any_bytes_for_everything(text in prop::collection::vec(any::<u8>(), 0..300)) {
        for function in [
            dockerfile, include, words, ignore, globs, flags, json_form, image, reference, tar, elf, ld_so_cache, layer_index, layer_tar, rpm, vulnerabilities,
        ] {
            function(&text);
        }
    }

    #[test]
    fn any_files(text in "((INCLUDE [0-3.a/]{1,4}|FROM a|RUN x|COPY <<E /|E|# escape=`|#|\\\\|ENV a=b \\\\|%|\u{feff}|)\n){0,20}") {
        include(text.as_bytes());
    }

    #[test]
    fn any_ignore_file(text in "[ab./]{0,8}\n[!#*?\\[\\]^\\\\./ab \n\r-]{0,60}") {
        ignore(text.as_bytes());
    }

    #[test]
    fn any_glob(text in "[ab/.*\\[\\]]{0,8}\n[*?\\[\\]^\\\\./ab-]{0,20}") {
        globs(text.as_bytes());
    }

    #[test]
    fn any_flag(text in "((type|target|id|from|source|required|name|env|size|mode|ro|a)?[=,\"]{0,2}[a-z0-9,=\"$/ ]{0,6}){0,5}") {
        flags(text.as_bytes());
    }

    #[test]
    fn any_json(text in "\\[?([\\[\\]{}\",: a0-]|\"[a-zü\\\\]{0,3}\"|,|true|null|1e5|-0|\\\\u[d0][08]0[0c]){0,12}\\]? ?") {
        json_form(text.as_bytes());
    }

    #[test]
    fn damaged_json(text in damaged(bytes(&[r#"["a", "b c", "\n\u0041\"\\/"]"#, "[]", r#"["a",["b"],{"c":1}]"#]))) {
        json_form(&text);
    }

    #[test]
    fn damaged_documents(text in damaged(bytes(&[MANIFEST, CONFIG]))) {
        image(&text);
    }

    #[test]
    fn any_reference(text in "([a-zA-Z0-9.-]{1,5}(:[0-9]{1,6})?/)?([a-z0-9._/-]{0,10}|library/)(:[a-zA-Z0-9_.-]{0,6})?(@sha256:[0-9a-f]{60,64})?") {
        reference(text.as_bytes());
    }

    #[test]
    fn damaged_archives(text in damaged(vec![archive()])) {
        tar(&text);
        layer_tar(&text);
    }

    #[test]
    fn damaged_indexes(text in damaged(vec![index()])) {
        layer_index(&text);
    }

    #[test]
    fn damaged_programs(text in damaged(vec![program()])) {
        elf(&text);
    }

    #[test]
    fn damaged_databases_of_rpm(text in damaged(vec![rpm_database()])) {
        rpm(&text);
    }

    #[test]
    fn damaged_databases_of_vulnerabilities(text in damaged(vulnerability_databases())) {
        vulnerabilities(&text);
    }

    #[test]
    fn damaged_caches_of_libraries(text in damaged(vec![libraries()])) {
        ld_so_cache(&text);
    }
}

/// A record of OSV, Debian's tracker, and an archive that Python's zipfile wrote.
fn vulnerability_databases() -> Vec<Vec<u8>> {
    let record = br#"{"id": "GHSA-1", "aliases": ["CVE-1"], "summary": "x",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:H/A:H"}],
        "affected": [{"package": {"ecosystem": "npm", "name": "lodash"},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "3.7.0"}, {"fixed": "4.17.19"}]}]}]}"#;
    let tracker = br#"{"bash": {"CVE-1": {"description": "x", "releases": {"bookworm": {"status": "resolved",
        "fixed_version": "5.3", "urgency": "high**"}}}, "CVE-2": {"releases": {"bookworm": {"status": "undetermined"}}}}}"#;
    let archive = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../inspect/src/vulnerabilities/testdata/two.zip"
    );
    vec![record.to_vec(), tracker.to_vec(), std::fs::read(archive).unwrap()]
}

/// What rpm wrote.
fn rpm_database() -> Vec<u8> {
    std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/cases/inspect/rpm/rpmdb.sqlite"
    ))
    .unwrap()
}
