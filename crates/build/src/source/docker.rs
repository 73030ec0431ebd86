//! Images in archives as `docker save` writes them.

use kiln_image::Reference;

use super::archive::Archive;
use crate::error::{StepError, StepResult};
use crate::layout::LayoutFiles as _;
use crate::load::docker::{LIST, Listed};

/// An image of the archive.
pub(super) struct Found {
    pub(super) config: Vec<u8>,
    pub(super) names: Vec<Reference>,
    /// The files that are its layers, lowest first.
    pub(super) layers: Vec<String>,
}

/// The image under that name, or of that number (`@0`), in docker's list; the only one where none is given.
pub(super) fn find(archive: &Archive, tag: Option<&str>) -> StepResult<Found> {
    let list: Vec<Listed> = serde_json::from_slice(&archive.read(LIST)?)
        .map_err(|error| archive.invalid(&format!("its {LIST} is no list of images: {error}")))?;
    let image = choose(&list, tag).map_err(|message| archive.invalid(&message))?;
    let names: Result<Vec<Reference>, _> = image.names().map(str::parse::<Reference>).collect();
    Ok(Found {
        config: archive.read(&image.config)?,
        names: names.map_err(|error| StepError::Invalid(format!("{LIST}: {error}")))?,
        layers: image.layers.clone(),
    })
}

fn choose<'l>(list: &'l [Listed], tag: Option<&str>) -> Result<&'l Listed, String> {
    let has = || {
        let names: Vec<&str> = list.iter().flat_map(Listed::names).collect();
        match names[..] {
            [] => format!("{} images without names: add :@0 for the first", list.len()),
            _ => format!("{}: add :NAME", names.join(", ")),
        }
    };
    let Some(tag) = tag else {
        return match list {
            [only] => Ok(only),
            [] => Err("it has no image".to_owned()),
            _ => Err(format!("it has several images, {}", has())),
        };
    };
    let number = tag.strip_prefix('@').and_then(|number| number.parse::<usize>().ok());
    let wanted: Option<Reference> = tag.parse().ok();
    let is_meant = |image: &&Listed| {
        image
            .names()
            .any(|name| name.parse().ok() == wanted && wanted.is_some())
    };
    let by_id = |image: &&Listed| image.config.trim_start_matches("blobs/sha256/").starts_with(tag) && tag.len() >= 12;
    let found = match number {
        Some(number) => list.get(number),
        None => list.iter().find(is_meant).or_else(|| list.iter().find(by_id)),
    };
    found.ok_or_else(|| format!("it has no image `{tag}`, but {}", has()))
}
