//! A shell in an image.

use kiln_image::{Config, Platform};
use kiln_plan::Network;

use super::{Attach, Opener, Place, ShellSpec};
use crate::builder::Builder;
use crate::cancel::Cancel;
use crate::error::{Error, StepResult};
use crate::event::Sink;
use crate::run::find;

/// Docker's size of `/dev/shm`.
pub(super) const SHM_SIZE: u64 = 64 << 20;

impl Builder {
    /// Opens a shell in an image, which is fetched if the store does not have it, and gives its exit code.
    pub fn shell_in_image(
        &self,
        image: &str,
        platform: Option<&Platform>,
        spec: &ShellSpec,
        attach: &dyn Attach,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<u8, Error> {
        self.with_opener(spec, attach, sink, cancel, |opener| open(opener, image, platform))
    }
}

fn open(opener: &Opener<'_>, image: &str, platform: Option<&Platform>) -> StepResult<u8> {
    let images = opener.images;
    let _in_use = images.store.in_use()?;
    let resolved = find(images, image, platform)?;
    let layers = images.layers(&resolved.manifest);
    images.materialize(&layers)?;
    let config = &resolved.config.config;
    opener.open(&Place {
        lower: images.directories(&images.mountable(&layers)?),
        platform: resolved.config.platform(),
        shell: config.shell.as_ref().and_then(|shell| shell.first().cloned()),
        env: environment(config),
        cwd: match config.working_dir.as_str() {
            "" => "/".to_owned(),
            directory => directory.to_owned(),
        },
        user: config.user.clone(),
        groups: Vec::new(),
        network: Network::Host,
        hostname: "kiln".to_owned(),
        hosts: Vec::new(),
        shm_size: SHM_SIZE,
        ulimits: Vec::new(),
        insecure: false,
        make_mounts: None,
        notes: Vec::new(),
    })
}

fn environment(config: &Config) -> Vec<(String, String)> {
    let pairs = config.env.iter().filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
