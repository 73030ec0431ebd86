//! The flags that say which caches a build reads and writes.

use kiln_build::request::{CachePlace, Request};

use crate::failure::{Failure, Outcome};
use crate::settings::Environment;
use crate::terminal;
use crate::values::cache::{self, CacheTo, NotTaken};

/// Caches besides the store.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct CacheArgs {
    /// A cache to look in for steps and cache mounts that the store does not know:
    /// REFERENCE, type=registry,ref=REFERENCE, type=local,src=DIR[,tag=TAG], type=gha[,scope=NAME] or
    /// type=s3,bucket=NAME,region=NAME[,name=NAME,prefix=TEXT,endpoint_url=URL,use_path_style=true]
    #[arg(long, value_name = "CACHE")]
    cache_from: Vec<String>,
    /// A cache to write: type=registry,ref=REFERENCE, type=local,dest=DIR[,tag=TAG], type=gha or type=s3 as above (all with
    /// mode=min|max, compression=zstd|gzip and compression-level=N) or type=inline, in the image.
    /// With mode=max the cache mounts of its steps go along: mounts=false|ID, mount-max=SIZE [default: 1g]
    #[arg(long, value_name = "CACHE")]
    cache_to: Vec<String>,
}

impl CacheArgs {
    /// Puts them into the request, which has its names.
    pub(crate) fn apply(&self, request: &mut Request, environment: &Environment) -> Outcome {
        for text in &self.cache_from {
            let places = taken("--cache-from", text, cache::parse_from(text, environment))?;
            request.cache_from.extend(places);
        }
        for text in &self.cache_to {
            for one in taken("--cache-to", text, cache::parse_to(text, environment))? {
                match one {
                    CacheTo::Inline => request.inline_cache = true,
                    CacheTo::Place(export) => request.cache_to.push(export),
                }
            }
        }
        check_apart(request)
    }
}

/// What a flag says; nothing, and a warning, where it cannot be had here.
fn taken<T>(flag: &str, text: &str, parsed: Result<Vec<T>, NotTaken>) -> Result<Vec<T>, Failure> {
    match parsed {
        Ok(taken) => Ok(taken),
        Err(NotTaken::Wrong(message)) => Err(Failure::usage(format!("{flag} {message}"))),
        Err(NotTaken::Ignored(reason)) => {
            terminal::warn(format_args!("{flag} {} is ignored: {reason}", cache::shown(text)));
            Ok(Vec::new())
        }
    }
}

/// A tag names an image or a cache.
fn check_apart(request: &Request) -> Outcome {
    let names = request.names();
    let both = request.cache_to.iter().find_map(|export| match &export.place {
        CachePlace::Registry(reference) if names.contains(reference) => Some(reference.familiar()),
        _ => None,
    });
    match both {
        None => Ok(()),
        Some(name) => Err(Failure::usage(format!("--cache-to {name}: the image has that name"))
            .hint("give the cache a tag of its own, or let the image carry it with type=inline")),
    }
}
