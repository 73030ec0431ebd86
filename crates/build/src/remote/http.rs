//! Files by HTTP.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, SystemTime};

use kiln_image::{Digest, Hasher};
use kiln_plan::without_password;
use kiln_registry::Validators;
use kiln_store::{Download, LayerDir, LayerId};

use super::{Fetched, Fetcher};
use crate::cancel::Watched;
use crate::error::{StepError, StepResult};
use crate::event::{Event, TaskId};

/// As `BuildKit` makes them: the user decides with `--chmod` what others may.
const MODE: u32 = 0o600;

/// A file that was fetched and is not yet part of the store.
struct Received {
    directory: LayerDir,
    digest: Digest,
    /// Seconds since 1970.
    modified: i64,
}

impl Fetcher<'_> {
    /// The file at `url` as a tree of its own, in which it is called `file_name`. The server is asked each time whether
    /// it changed, unless its digest is given and known.
    pub(crate) fn http(
        &self,
        task: TaskId,
        url: &str,
        checksum: Option<Digest>,
        file_name: &str,
        no_cache: bool,
    ) -> StepResult<Fetched> {
        let _alone = self.lock(task, &format!("download {url}"), "the same download")?;
        // The same address may be wanted under several names: by ADD, and as a context.
        let key = format!("{file_name} {url}");
        let known = self.store.download(&key)?.filter(|_| !no_cache);
        if let Some(known) = known.as_ref().filter(|known| Some(known.digest) == checksum) {
            return Ok(Fetched::known(known.layer.clone()));
        }
        // What is known to be another file than the one that is wanted is of no use.
        let known = known.filter(|_| checksum.is_none());
        let validators = known.as_ref().map(validators).unwrap_or_default();
        let authorization = self.http_authorization(url)?;
        let fetched = self.registry.download(url, &validators, authorization.as_deref())?;
        let download = match (fetched, known) {
            (Some(file), _) => file,
            (None, Some(known)) => return Ok(Fetched::known(known.layer)),
            (None, None) => {
                let message = format!(
                    "{}: the server says that what was never there has not changed",
                    without_password(url)
                );
                return Err(StepError::Invalid(message));
            }
        };
        let validators = download.validators.clone();
        let received = self.receive(task, download, url, file_name)?;
        let digest = received.digest;
        if let Some(wanted) = checksum.filter(|wanted| *wanted != digest) {
            return Err(StepError::Invalid(format!(
                "{}: the file has digest {digest}, but --checksum says {wanted}",
                without_password(url)
            )));
        }
        let fetched = self.keep(&received.directory, received.layer(file_name))?;
        let download = Download {
            layer: fetched.layer.clone(),
            digest,
            etag: validators.etag,
            last_modified: validators.last_modified,
        };
        self.store.put_download(&key, &download)?;
        Ok(fetched)
    }

    /// Writes the file into a directory of its own, hashing it on the way.
    fn receive(
        &self,
        task: TaskId,
        download: kiln_registry::Download,
        url: &str,
        file_name: &str,
    ) -> StepResult<Received> {
        let directory = self.store.new_layer()?;
        let path = directory.fs().join(file_name);
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&path);
        let mut file = file.map_err(StepError::io("create", &path))?;
        let (modified, total) = (download.modified.unwrap_or(0), download.length);
        let report = |current| {
            self.sink.event(Event::Progress {
                id: task,
                part: file_name.to_owned(),
                current,
                total,
            });
        };
        let mut reader = Watched {
            inner: download,
            cancel: self.cancel,
        };
        let digest = copy(&mut reader, &mut file, &report).map_err(StepError::io("download", without_password(url)))?;
        set_modified(&file, modified).map_err(StepError::io("set the time of", &path))?;
        Ok(Received {
            directory,
            digest,
            modified,
        })
    }

    /// Credentials among the build's secrets, under `BuildKit`'s names, for the server of the URL.
    fn http_authorization(&self, url: &str) -> StepResult<Option<String>> {
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = host.split(['/', '?', '#']).next().unwrap_or_default();
        let text = |name: String| -> StepResult<Option<String>> {
            let Some(secret) = self.access.secret(&name)? else {
                return Ok(None);
            };
            let text = String::from_utf8(secret);
            let text = text.map_err(|_| StepError::Invalid(format!("secret `{name}` is no text")))?;
            Ok(Some(text.trim().to_owned()))
        };
        if let Some(header) = text(format!("HTTP_AUTH_HEADER_{host}"))? {
            return Ok(Some(header));
        }
        let token = text(format!("HTTP_AUTH_TOKEN_{host}"))?;
        Ok(token.map(|token| format!("Bearer {token}")))
    }
}

impl Received {
    /// Its name is all that it is made of: the same file again is the same layer.
    fn layer(&self, file_name: &str) -> LayerId {
        let Self { digest, modified, .. } = self;
        LayerId::from_digest(&Digest::of(format!("download\n{digest}\n{file_name}\n{modified}")))
    }
}

fn validators(known: &Download) -> Validators {
    Validators {
        etag: known.etag.clone(),
        last_modified: known.last_modified.clone(),
    }
}

fn copy(reader: &mut dyn Read, file: &mut File, report: &dyn Fn(u64)) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    let mut received = 0;
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count])?;
        received += count as u64;
        report(received);
    }
}

fn set_modified(file: &File, seconds: i64) -> std::io::Result<()> {
    let since = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(since)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(since)
    };
    file.set_modified(time.unwrap_or(SystemTime::UNIX_EPOCH))
}
