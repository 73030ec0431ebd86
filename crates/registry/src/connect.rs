//! How connections are made: certificates, proxies, time-outs.

use std::fs;
use std::time::Duration;

use reqwest::{Certificate, NoProxy, Proxy};

use crate::http::{Trust, root_cause};
use crate::{Error, Settings};

/// A client for servers that are trusted so far.
pub(crate) fn client(settings: &Settings, trust: Trust) -> Result<reqwest::Client, Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.timeouts.connect)
        .pool_idle_timeout(Duration::from_secs(30))
        .referer(false)
        .no_proxy();
    builder = match trust {
        Trust::Verified => builder.tls_certs_merge(certificates(settings)?),
        Trust::Unverified => builder.tls_certs_only([]).tls_danger_accept_invalid_certs(true),
        // Never used for TLS: the system's certificates need not be read.
        Trust::Plain => builder.tls_certs_only([]),
    };
    let direct = settings.proxies.no_proxy.as_deref().unwrap_or_default();
    let direct = NoProxy::from_string(&format!("{direct},localhost,127.0.0.0/8,::1"));
    let bad = |e: reqwest::Error| {
        Error::Setup(format!(
            "the proxy's address is not usable: {}",
            root_cause(&e.without_url())
        ))
    };
    if let Some(url) = &settings.proxies.http {
        builder = builder.proxy(Proxy::http(url).map_err(bad)?.no_proxy(direct.clone()));
    }
    if let Some(url) = &settings.proxies.https {
        builder = builder.proxy(Proxy::https(url).map_err(bad)?.no_proxy(direct));
    }
    builder.build().map_err(|e| {
        let hint = "is the package `ca-certificates` installed? otherwise give a file with --ca-bundle";
        Error::Setup(format!("{} ({hint})", root_cause(&e)))
    })
}

fn certificates(settings: &Settings) -> Result<Vec<Certificate>, Error> {
    let mut all = Vec::new();
    for path in &settings.ca_bundles {
        let error = |reason: String| Error::Config {
            path: path.clone(),
            reason,
        };
        let pem = fs::read(path).map_err(|e| error(format!("the CA bundle cannot be read: {e}")))?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .map_err(|e| error(format!("the CA bundle is not PEM: {}", root_cause(&e))))?;
        if certificates.is_empty() {
            return Err(error("the CA bundle has no certificate".to_owned()));
        }
        all.extend(certificates);
    }
    Ok(all)
}
