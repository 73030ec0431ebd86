//! The OCI distribution protocol: resolve, pull, push, mount, authentication, mirrors. And, with the same connections,
//! proxies, certificates and patience, files and services by HTTP ([`Client::download`], [`Client::exchange`]).
//!
//! [`Client`] is blocking and cheap to make: threads, connections and the system's certificates are set up
//! when the first request needs them. All methods take `&self` and may be called from many threads at once;
//! clones share connections and tokens. They must not be called from within an async runtime.
//!
//! Everything that comes from a registry is held to be hostile: sizes are limited, digests are verified,
//! credentials go to the host that they are for and to the token server that this host names, and to
//! nobody else.
//!
//! Nothing here reads the environment or the home directory: [`Settings`] carries what was found there.

mod ask;
mod auth;
mod challenge;
mod client;
mod connect;
mod credentials;
pub mod docker_config;
mod download;
mod error;
mod exchange;
mod helper;
mod host;
mod http;
mod manifests;
mod pull;
mod push;
pub mod registries_conf;
mod retry;
mod settings;
mod site;
mod stop;
mod upload;

pub use client::Client;
pub use credentials::{Anonymous, Credential, Credentials, Found};
pub use docker_config::DockerConfig;
pub use download::{Download, Validators};
pub use error::{Error, Refusal, What};
pub use exchange::{Content, Exchange};
pub use manifests::{Resolved, ResolvedImage};
pub use pull::{BlobReader, Resume};
pub use push::Pushed;
pub use registries_conf::RegistriesConf;
pub use settings::{OnRetry, Proxies, Settings, Timeouts};
pub use stop::Stop;
