//! Manifests and indexes: resolving, choosing a platform, pushing; and the lists of tags and referrers.

use kiln_image::{Descriptor, Digest, Document, Index, Manifest, Platform, Reference, media_type};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, LINK};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::ask::Request;
use crate::auth::Scopes;
use crate::client::Inner;
use crate::error::{PUSH_MANIFEST, What};
use crate::http::{Answer, Payload};
use crate::site::Site;
use crate::{Client, Error};

/// The most bytes of a manifest or an index (distribution specification 1.1, "Pushing Manifests").
const MANIFEST_LIMIT: u64 = 4 << 20;
/// The most bytes of a config.
const CONFIG_LIMIT: u64 = 8 << 20;
/// The most bytes of one page of a list.
const LIST_LIMIT: u64 = 4 << 20;
/// The most pages of a list.
const MOST_PAGES: usize = 1000;

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What a reference stands for.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Digest, size and media type of `bytes`.
    pub descriptor: Descriptor,
    /// The document as it came.
    pub bytes: Vec<u8>,
    /// What it says.
    pub document: Document,
}

/// The image that a reference stands for on one platform.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// The index that the image was chosen from, if the reference names one.
    pub index: Option<Resolved>,
    /// The image's manifest.
    pub manifest: Manifest,
    /// The manifest as it came.
    pub manifest_bytes: Vec<u8>,
    /// Digest, size and media type of `manifest_bytes`.
    pub manifest_descriptor: Descriptor,
    /// The config as it came. Its platform is the one that was wanted only where there is an index: a
    /// reference that names one image alone is taken as it is.
    pub config_bytes: Vec<u8>,
}

impl Client {
    /// The manifest or index that `reference` names. The digest is verified where the reference or the
    /// registry names one.
    pub fn resolve(&self, reference: &Reference) -> Result<Resolved, Error> {
        self.inner.pull_from(reference, |site| {
            let answer = self.inner.manifest(site, Method::GET, reference)?;
            let what = site.what("pull manifest", &reference.selector());
            read_document(answer, &what, reference.digest())
        })
    }

    /// The digest, size and media type of what `reference` names, if possible without its content.
    pub fn resolve_digest(&self, reference: &Reference) -> Result<Descriptor, Error> {
        let head = self.inner.pull_from(reference, |site| {
            let answer = self.inner.manifest(site, Method::HEAD, reference)?;
            Ok(described(&answer))
        });
        match head {
            Ok(Some(descriptor)) if reference.digest().is_none_or(|own| own == descriptor.digest) => Ok(descriptor),
            // Some registries answer HEAD without a digest, or not at all.
            Ok(_) | Err(Error::Status(..)) => Ok(self.resolve(reference)?.descriptor),
            Err(error) => Err(error),
        }
    }

    /// The image that `reference` names for `platform`, with its config.
    pub fn resolve_platform(&self, reference: &Reference, platform: &Platform) -> Result<ResolvedImage, Error> {
        let top = self.resolve(reference)?;
        let (index, image) = match &top.document {
            Document::Manifest(_) => (None, top),
            Document::Index(index) => {
                let chosen = choose(index, reference, platform)?.clone();
                let image = self.resolve(&reference.pinned(chosen.digest))?;
                (Some(top), image)
            }
        };
        let Document::Manifest(manifest) = image.document else {
            return Err(Error::Protocol {
                what: what(reference, "pull manifest"),
                reason: format!("{} is an index within an index", image.descriptor.digest),
            });
        };
        let config_bytes = self.blob_bytes(reference, &manifest.config, CONFIG_LIMIT)?;
        Ok(ResolvedImage {
            index,
            manifest,
            manifest_bytes: image.bytes,
            manifest_descriptor: image.descriptor,
            config_bytes,
        })
    }

    /// Puts `bytes` under the tag or digest of `reference` (the digest where it has both), and returns their
    /// digest. Blobs that they name must be there already.
    pub fn push_manifest(&self, reference: &Reference, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        let what = what(reference, PUSH_MANIFEST);
        if let Some(wanted) = reference.digest()
            && wanted != digest
        {
            return Err(Error::DigestMismatch {
                what,
                wanted,
                got: digest,
            });
        }
        let content_type = HeaderValue::try_from(media_type).map_err(|_| Error::Protocol {
            what: what.clone(),
            reason: format!("`{media_type}` is no media type"),
        })?;
        self.inner.push_to(reference, |site| {
            let what = site.what(PUSH_MANIFEST, &reference.selector());
            let url = site.url(&what, &format!("manifests/{}", reference.selector()))?;
            let scopes = Scopes::push(&site.place.repository);
            let mut request = Request::new(what.clone(), Method::PUT, url, &scopes);
            request.headers.insert(CONTENT_TYPE, content_type.clone());
            request.payload = Payload::Bytes(bytes.to_vec().into());
            let answer = self.inner.ask(site, request)?;
            match digest_header(&answer) {
                Some(got) if got != digest => Err(Error::DigestMismatch {
                    what,
                    wanted: digest,
                    got,
                }),
                _ => Ok(digest),
            }
        })
    }

    /// The tags of the repository of `reference`, in the registry's order.
    pub fn tags(&self, reference: &Reference) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        self.inner.pull_from(reference, |site| {
            let what = site.what("list tags of", "");
            let scopes = Scopes::pull(&site.place.repository);
            let mut url = site.url(&what, "tags/list?n=1000")?;
            let mut all = Vec::new();
            for _ in 0..MOST_PAGES {
                let request = Request::new(what.clone(), Method::GET, url.clone(), &scopes);
                let answer = self.inner.ask(site, request)?;
                let next = next_page(&answer);
                let bytes = answer.bytes(&what, LIST_LIMIT)?;
                let page: Page = serde_json::from_slice(&bytes).map_err(|e| Error::Protocol {
                    what: what.clone(),
                    reason: format!("its list of tags cannot be read: {e}"),
                })?;
                all.extend(page.tags.unwrap_or_default());
                match next {
                    Some(next) => url = next,
                    None => return Ok(all),
                }
            }
            Err(Error::TooLarge {
                what,
                limit: LIST_LIMIT * MOST_PAGES as u64,
            })
        })
    }

    /// What refers to `subject` in the repository of `reference`: signatures, attestations, lists of parts.
    /// Empty where nothing does. Registries without the interface are asked for the fallback tag
    /// (distribution specification 1.1, "Listing Referrers").
    pub fn referrers(&self, reference: &Reference, subject: Digest) -> Result<Vec<Descriptor>, Error> {
        let outcome = self.inner.pull_from(reference, |site| {
            let what = site.what("list referrers of", &subject.to_string());
            let url = site.url(&what, &format!("referrers/{subject}"))?;
            let scopes = Scopes::pull(&site.place.repository);
            let mut request = Request::new(what.clone(), Method::GET, url, &scopes);
            request
                .headers
                .insert(ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX));
            let answer = self.inner.ask(site, request)?;
            let read = read_document(answer, &what, None)?;
            Ok(entries(read.document))
        });
        match outcome {
            Err(error) if error.is_not_found() || matches!(error, Error::Document(..) | Error::Status(..)) => {
                let tag = format!("sha256-{}", subject.hex());
                let fallback = Reference::new(reference.registry(), reference.repository(), Some(&tag), None);
                match self.resolve(&fallback) {
                    Ok(read) => Ok(entries(read.document)),
                    Err(error) if error.is_not_found() => Ok(Vec::new()),
                    Err(error) => Err(error),
                }
            }
            other => other,
        }
    }
}

impl Inner {
    fn manifest(&self, site: &Site, method: Method, reference: &Reference) -> Result<Answer<'_>, Error> {
        let selector = reference.selector();
        let what = site.what("pull manifest", &selector);
        let url = site.url(&what, &format!("manifests/{selector}"))?;
        let scopes = Scopes::pull(&site.place.repository);
        let mut request = Request::new(what, method, url, &scopes);
        for accepted in [
            media_type::OCI_INDEX,
            media_type::OCI_MANIFEST,
            media_type::DOCKER_INDEX,
            media_type::DOCKER_MANIFEST,
        ] {
            request.headers.append(ACCEPT, HeaderValue::from_static(accepted));
        }
        self.ask(site, request)
    }
}

fn what(reference: &Reference, action: &'static str) -> What {
    What::new(
        action,
        reference.registry(),
        reference.repository(),
        &reference.selector(),
    )
}

fn choose<'a>(index: &'a Index, reference: &Reference, platform: &Platform) -> Result<&'a Descriptor, Error> {
    index.select(platform).ok_or_else(|| Error::Platform {
        reference: reference.familiar(),
        wanted: platform.to_string(),
        offered: index.platforms(),
    })
}

fn entries(document: Document) -> Vec<Descriptor> {
    match document {
        Document::Index(index) => index.manifests,
        Document::Manifest(_) => Vec::new(),
    }
}

/// Reads, verifies and parses a manifest. `wanted` is the digest that it must have.
fn read_document(answer: Answer<'_>, what: &What, wanted: Option<Digest>) -> Result<Resolved, Error> {
    let said = digest_header(&answer);
    let content_type = answer.header(CONTENT_TYPE).map(ToOwned::to_owned);
    let bytes = answer.bytes(what, MANIFEST_LIMIT)?;
    let got = Digest::of(&bytes);
    if let Some(wanted) = wanted.or(said)
        && wanted != got
    {
        return Err(Error::DigestMismatch {
            what: what.clone(),
            wanted,
            got,
        });
    }
    let document = Document::parse(&bytes, content_type.as_deref()).map_err(|e| Error::Document(what.clone(), e))?;
    let media_type = own_media_type(&document, content_type.as_deref());
    Ok(Resolved {
        descriptor: Descriptor::new(media_type, got, bytes.len() as u64),
        bytes,
        document,
    })
}

/// The document's own word counts more than the server's.
fn own_media_type(document: &Document, content_type: Option<&str>) -> String {
    let (own, known, default): (&str, fn(&str) -> bool, &str) = match document {
        Document::Manifest(m) => (&m.media_type, media_type::is_manifest, media_type::OCI_MANIFEST),
        Document::Index(i) => (&i.media_type, media_type::is_index, media_type::OCI_INDEX),
    };
    let said = content_type.map(|text| text.split(';').next().unwrap_or(text).trim());
    let known = |text: &&str| known(text);
    Some(own)
        .filter(known)
        .or(said.filter(known))
        .unwrap_or(default)
        .to_owned()
}

/// The descriptor that the headers of an answer make.
fn described(answer: &Answer<'_>) -> Option<Descriptor> {
    let content_type = answer.header(CONTENT_TYPE)?;
    let media_type = content_type.split(';').next().unwrap_or(content_type).trim();
    let known = media_type::is_manifest(media_type) || media_type::is_index(media_type);
    let descriptor = Descriptor::new(media_type, digest_header(answer)?, answer.length()?);
    known.then_some(descriptor)
}

fn digest_header(answer: &Answer<'_>) -> Option<Digest> {
    answer.header(DOCKER_CONTENT_DIGEST)?.trim().parse().ok()
}

/// The target of `Link: <…>; rel="next"` (RFC 8288).
fn next_page(answer: &Answer<'_>) -> Option<reqwest::Url> {
    let link = answer.header(LINK)?;
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    if answer.status() != StatusCode::OK || !parameters.contains("next") {
        return None;
    }
    answer.url().join(target).ok()
}
