//! The client against a server that misbehaves on purpose, and against a real registry.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "all of it is tests, also what no test function is"
)]

mod auth;
mod download;
mod exchange;
mod faults;
mod hostile;
mod mirrors;
mod real;
mod server;
mod stop;
mod tls;

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use kiln_image::{Descriptor, Reference};
use kiln_registry::{Client, Credential, Credentials, Error, Found, Settings, Timeouts};

/// Settings that do not make tests wait.
fn quick() -> Settings {
    Settings {
        retry_delay: Duration::from_millis(5),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(20),
            commit: Duration::from_secs(20),
        },
        ..Settings::default()
    }
}

fn client() -> Client {
    Client::new(quick()).unwrap()
}

/// Bytes that repeat nowhere near.
fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

fn layer(bytes: &[u8]) -> Descriptor {
    Descriptor::of("application/vnd.oci.image.layer.v1.tar", bytes)
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Pulls into memory.
fn pull(client: &Client, from: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let seen = RefCell::new(Vec::new());
    let progress = |bytes| seen.borrow_mut().push(bytes);
    client.blob(from, descriptor, kiln_registry::Resume::default(), &mut out, &progress)?;
    let seen = seen.into_inner();
    assert!(seen.is_sorted(), "progress goes forward: {seen:?}");
    assert_eq!(seen.last(), Some(&descriptor.size));
    Ok(out)
}

/// Gives `bytes` to push.
fn opener(bytes: &[u8]) -> impl Fn() -> io::Result<Box<dyn Read + Send>> + use<> {
    let bytes: Arc<[u8]> = bytes.into();
    move || Ok(Box::new(io::Cursor::new(Arc::clone(&bytes))))
}

/// One credential for every registry.
struct Always(Credential);

impl Credentials for Always {
    fn get(&self, _registry: &str, _repository: &str) -> Result<Option<Found>, Error> {
        Ok(Some(Found {
            credential: self.0.clone(),
            source: "/test/config.json".to_owned(),
        }))
    }
}

fn basic(username: &str, password: &str) -> Credential {
    Credential::Basic {
        username: username.to_owned(),
        password: password.to_owned(),
    }
}

fn with_credential(credential: Credential) -> Client {
    Client::new(Settings {
        credentials: Arc::new(Always(credential)),
        ..quick()
    })
    .unwrap()
}
