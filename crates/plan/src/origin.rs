//! What FROM, `--from` and `from=` name: a stage, a named context, an image.

use kiln_image::{Platform, Reference, ReferenceError};

use crate::options::{ImageRequest, NamedContext, Options};
use crate::remote::Remote;
use crate::step::Source;

/// Where a file tree comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing.
    Scratch,
    /// A stage by its place.
    Stage(usize),
    /// An image.
    Image(ImageRequest),
    /// A directory on this machine.
    Local(String),
    /// A named context from elsewhere.
    Remote {
        /// The context's name.
        name: String,
        remote: Remote,
    },
}

/// The name of an image that has no files.
pub(crate) const SCRATCH: &str = "scratch";

/// The name of the build context.
pub(crate) const MAIN_CONTEXT: &str = "context";

impl Remote {
    /// What a named context is fetched as. A file is called `context`, as with `BuildKit`, whatever its URL says, and
    /// nothing is unpacked.
    pub(crate) fn context(&self) -> Source {
        match self {
            Self::Git(git) => Source::Git(git.clone()),
            Self::Http(url) => Source::Http {
                url: url.to_owned(),
                checksum: None,
                file_name: MAIN_CONTEXT.to_owned(),
            },
        }
    }
}

impl Origin {
    /// The build context, which a named context called `context` replaces.
    pub(crate) fn main_context(options: &Options, platform: &Platform) -> Self {
        match options.contexts.get(MAIN_CONTEXT) {
            Some(context) => Self::of_context(MAIN_CONTEXT, context, platform),
            None => Self::Local(MAIN_CONTEXT.to_owned()),
        }
    }

    /// The named context of that name, for the platform, if there is one.
    pub(crate) fn context(name: &str, platform: &Platform, options: &Options) -> Option<Self> {
        let mut names = vec![name.to_lowercase()];
        if let Ok(reference) = name.parse::<Reference>() {
            let familiar = reference.familiar();
            let short = familiar.strip_suffix(":latest").map(ToOwned::to_owned);
            names.extend(short);
            names.push(familiar);
            names.push(reference.to_string());
        }
        let mut keys = names
            .iter()
            .flat_map(|name| [format!("{name}::{platform}"), name.clone()]);
        keys.find_map(|key| {
            let context = options.contexts.get(&key)?;
            Some(Self::of_context(&key, context, platform))
        })
    }

    fn of_context(key: &str, context: &NamedContext, platform: &Platform) -> Self {
        match context {
            NamedContext::Local => Self::Local(key.to_owned()),
            NamedContext::Image(reference) => Self::Image(ImageRequest {
                reference: reference.clone(),
                platform: platform.clone(),
            }),
            NamedContext::Remote(remote) => Self::Remote {
                name: key.to_owned(),
                remote: remote.clone(),
            },
        }
    }

    /// What a name stands for that is no stage: a named context or an image.
    pub(crate) fn outside(name: &str, platform: &Platform, options: &Options) -> Result<Self, ReferenceError> {
        if name == SCRATCH {
            return Ok(Self::Scratch);
        }
        if let Some(context) = Self::context(name, platform, options) {
            return Ok(context);
        }
        Ok(Self::Image(ImageRequest {
            reference: name.parse()?,
            platform: platform.clone(),
        }))
    }
}
