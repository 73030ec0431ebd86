//! Caches in that of GitHub Actions, with a service that keeps to what its clients document: entries are made once, found by
//! their keys or the beginnings of these, and read and written at signed addresses that want no token.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::cached_build::{self, BIG, all_cached};
use super::{Trial, trial};
use crate::server::{Answer, Head, Server};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("caches::in_github_actions_1", |stage| {
        in_github_actions(stage, Version::First)
    }),
    trial("caches::in_github_actions_2", |stage| {
        in_github_actions(stage, Version::Second)
    }),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    First,
    Second,
}

/// What the service keeps.
#[derive(Default)]
struct Entries {
    /// By number, in the order in which they were made.
    all: Vec<Entry>,
    /// How many requests are refused because there were too many.
    busy: usize,
}

#[derive(Default)]
struct Entry {
    key: String,
    blocks: BTreeMap<String, Vec<u8>>,
    content: Vec<u8>,
    done: bool,
}

impl Entries {
    /// The newest that is done and has the key, or begins with it.
    fn find(&self, key: &str) -> Option<usize> {
        let done = |entry: &&Entry| entry.done && entry.key.starts_with(key);
        let exact = self.all.iter().position(|entry| entry.done && entry.key == key);
        exact.or_else(|| self.all.iter().rposition(|entry| done(&entry)))
    }

    fn create(&mut self, key: &str) -> Option<usize> {
        if self.all.iter().any(|entry| entry.key == key) {
            return None;
        }
        let key = key.to_owned();
        self.all.push(Entry {
            key,
            ..Entry::default()
        });
        Some(self.all.len() - 1)
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn answer(value: &Value) -> Answer {
    Answer::ok("application/json", value.to_string())
}

/// A value of the query.
fn query<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    let (_, query) = path.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The service of both versions. `host` is its own.
fn serve(entries: &mut Entries, host: &str, head: &Head, body: &[u8]) -> Option<Answer> {
    let path = head.path.split('?').next()?;
    let signed = format!("http://{host}/signed");
    if let Some(number) = path.strip_prefix("/signed/") {
        // Signed addresses take no token.
        if head.header("authorization").is_some() || query(&head.path, "sig") != Some("x") {
            return Some(Answer::status(403));
        }
        return storage(entries.all.get_mut(number.parse::<usize>().ok()?)?, head, body);
    }
    if head.header("authorization") != Some("Bearer token") {
        return Some(Answer::status(401));
    }
    if entries.busy > 0 {
        entries.busy -= 1;
        return Some(Answer::status(429).header("Retry-After", "1"));
    }
    let sent: Value = serde_json::from_slice(body).unwrap_or_default();
    let conflict = || answer(&json!({ "code": "already_exists", "msg": "it is there" })).with_status(409);
    let own = "/_apis/artifactcache/caches/";
    Some(match (head.method.as_str(), path.rsplit('/').next()?) {
        ("POST", "GetCacheEntryDownloadURL") => match entries.find(text(&sent["key"])) {
            Some(found) => answer(&json!({
                "ok": true,
                "matched_key": entries.all[found].key,
                "signed_download_url": format!("{signed}/{found}?sig=x"),
            })),
            None => answer(&json!({ "ok": false })),
        },
        ("POST", "CreateCacheEntry") => match entries.create(text(&sent["key"])) {
            Some(made) => answer(&json!({ "ok": true, "signed_upload_url": format!("{signed}/{made}?sig=x") })),
            None => conflict(),
        },
        ("POST", "FinalizeCacheEntryUpload") => {
            let entry = entries.all.iter_mut().find(|entry| entry.key == text(&sent["key"]))?;
            entry.done = text(&sent["size_bytes"]) == entry.content.len().to_string();
            answer(&json!({ "ok": entry.done, "entry_id": "1" }))
        }
        ("GET", "cache") => {
            let key = query(&head.path, "keys")?.replace("%23", "#").replace("%3A", ":");
            match entries.find(&key) {
                Some(found) => answer(&json!({
                    "cacheKey": entries.all[found].key,
                    "archiveLocation": format!("{signed}/{found}?sig=x"),
                })),
                None => Answer::status(204),
            }
        }
        ("POST", "caches") => match entries.create(text(&sent["key"])) {
            Some(made) => answer(&json!({ "cacheId": made })),
            None => conflict(),
        },
        ("PATCH", number) if path.starts_with(own) => {
            let entry = entries.all.get_mut(number.parse::<usize>().ok()?)?;
            let range = head.header("content-range")?.strip_prefix("bytes ")?;
            let start: usize = range.split('-').next()?.parse().ok()?;
            entry.content.resize(start, 0);
            entry.content.extend_from_slice(body);
            Answer::status(204)
        }
        ("POST", number) if path.starts_with(own) => {
            let entry = entries.all.get_mut(number.parse::<usize>().ok()?)?;
            entry.done = sent["size"] == entry.content.len();
            Answer::status(if entry.done { 204 } else { 400 })
        }
        _ => Answer::status(404),
    })
}

/// The storage behind signed addresses.
fn storage(entry: &mut Entry, head: &Head, body: &[u8]) -> Option<Answer> {
    if head.method == "GET" {
        let range = head.header("range").unwrap_or("bytes=0-");
        let start: usize = range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()?;
        return Some(Answer::ok("application/octet-stream", &entry.content[start..]));
    }
    match query(&head.path, "comp") {
        None if head.header("x-ms-blob-type") == Some("BlockBlob") => entry.content = body.to_vec(),
        None => return Some(Answer::status(400)),
        Some("block") => {
            let id = query(&head.path, "blockid")?.to_owned();
            entry.blocks.insert(id, body.to_vec());
        }
        Some(_) => {
            let list = String::from_utf8_lossy(body).into_owned();
            let ids = list.split("<Latest>").skip(1).filter_map(|rest| rest.split('<').next());
            let blocks: Option<Vec<_>> = ids.map(|id| entry.blocks.get(id).cloned()).collect();
            entry.content = blocks?.concat();
        }
    }
    Some(Answer::status(201))
}

/// A service, and builds in its jobs.
struct Job<'s> {
    stage: &'s Stage,
    server: Server,
    version: Version,
}

impl Job<'_> {
    fn build(&self, root: &str, flag: &str) -> Result<String> {
        let variables = match self.version {
            Version::First => format!("ACTIONS_CACHE_URL=http://{}/", self.server.host()),
            Version::Second => format!(
                "ACTIONS_CACHE_SERVICE_V2=true ACTIONS_RESULTS_URL=http://{}/",
                self.server.host()
            ),
        };
        let variables = format!("ACTIONS_RUNTIME_TOKEN=token {variables}");
        cached_build::play(self.stage, &variables, root, flag)
    }
}

fn in_github_actions(stage: &Stage, version: Version) -> Result<()> {
    cached_build::prepare(stage)?;
    let entries = Arc::new(Mutex::new(Entries {
        busy: 1,
        ..Entries::default()
    }));
    let kept = Arc::clone(&entries);
    let server = Server::reading(move |head: &Head, body: &mut dyn Read| -> io::Result<Answer> {
        let mut sent = Vec::new();
        body.read_to_end(&mut sent)?;
        let host = head.header("host").unwrap_or_default().to_owned();
        let mut entries = kept.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(serve(&mut entries, &host, head, &sent).unwrap_or(Answer::status(400)))
    })?;
    let job = Job { stage, server, version };
    let lock = || entries.lock().unwrap_or_else(PoisonError::into_inner);

    let said = job.build("first", "--cache-to=type=gha,mode=max,scope=app")?;
    ensure!(!said.contains("warning"), "{said}");
    let keys: Vec<String> = lock().all.iter().map(|entry| entry.key.clone()).collect();
    ensure!(
        keys.len() == 4 && keys.iter().any(|key| key.ends_with("app#1")),
        "{keys:?}"
    );
    ensure!(lock().all.iter().all(|entry| entry.done), "{keys:?}");

    let said = job.build("first", "--cache-to=type=gha,mode=max,scope=app")?;
    ensure!(said.contains("nothing to write") && lock().all.len() == 4, "{said}");

    let said = job.build("second", "--cache-from=type=gha,scope=app")?;
    all_cached(&said)?;
    let said = job.build("third", "--cache-from=type=gha,scope=other")?;
    ensure!(
        said.contains("there is no cache yet") && !said.contains("warning"),
        "{said}"
    );

    // The service removed a blob: the step runs, and the cache gets it again under another document.
    let big = lock().all.iter().position(|entry| entry.content.len() > BIG);
    let big = big.context("the large layer is not there")?;
    lock().all[big].key.insert_str(0, "removed-");
    let said = job.build("fourth", "--cache-from=type=gha,scope=app")?;
    ensure!(said.contains("cannot give a layer"), "{said}");
    job.build("first", "--cache-to=type=gha,mode=max,scope=app")?;
    let said = job.build("fifth", "--cache-from=type=gha,scope=app")?;
    all_cached(&said)?;
    Ok(())
}
