//! What a [`Client`](crate::Client) is made from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{Anonymous, Credentials, Error, RegistriesConf};

/// Is told what failed, and how long the client waits before it tries again.
pub type OnRetry = dyn Fn(&Error, Duration) + Send + Sync;

/// What a [`Client`](crate::Client) is made from. The default is anonymous, with the system's certificates,
/// no proxy and no mirrors.
#[derive(Clone)]
pub struct Settings {
    /// Who we are, per registry.
    pub credentials: Arc<dyn Credentials>,
    /// Mirrors, blocked and insecure registries.
    pub registries: RegistriesConf,
    /// PEM files of certificate authorities that are trusted together with the system's.
    pub ca_bundles: Vec<PathBuf>,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// How often a request is repeated after a transient failure.
    pub retries: u32,
    /// The wait before the first repetition; doubled for each further one, with jitter, up to 30 s.
    pub retry_delay: Duration,
    /// Proxies.
    pub proxies: Proxies,
    /// Waits without progress.
    pub timeouts: Timeouts,
    /// Told before each repetition, by the thread that waits.
    pub on_retry: Option<Arc<OnRetry>>,
    /// Blobs larger than this many bytes are uploaded by PATCH in pieces of this size; smaller ones by one PUT.
    pub upload_chunk: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: Arc::new(Anonymous),
            registries: RegistriesConf::default(),
            ca_bundles: Vec::new(),
            user_agent: concat!("kiln/", env!("CARGO_PKG_VERSION")).to_owned(),
            retries: 5,
            retry_delay: Duration::from_millis(250),
            on_retry: None,
            proxies: Proxies::default(),
            timeouts: Timeouts::default(),
            upload_chunk: 64 << 20,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("registries", &self.registries)
            .field("ca_bundles", &self.ca_bundles)
            .field("user_agent", &self.user_agent)
            .field("retries", &self.retries)
            .field("retry_delay", &self.retry_delay)
            .field("proxies", &self.proxies)
            .field("timeouts", &self.timeouts)
            .field("upload_chunk", &self.upload_chunk)
            .finish_non_exhaustive()
    }
}

/// Waits without progress; there is no limit on the whole of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until the next bytes move, in either direction.
    pub stall: Duration,
    /// Until the answer to a finished upload, for which some registries first copy the blob.
    pub commit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(60),
            commit: Duration::from_secs(600),
        }
    }
}

/// Proxies, in the meaning of the usual variables. Loopback addresses are never asked through one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// `HTTP_PROXY`: for plain HTTP.
    pub http: Option<String>,
    /// `HTTPS_PROXY`: for HTTPS.
    pub https: Option<String>,
    /// `NO_PROXY`: hosts, domains and networks that are asked directly, separated by commas.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for Proxies {
    /// Without the addresses, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}
