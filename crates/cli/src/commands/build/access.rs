//! `--secret` and `--ssh`: by what steps and sources reach what others may not.

use std::collections::BTreeMap;

use kiln_build::request::{Access, Agent, SecretSource};

use crate::failure::Failure;
use crate::settings::Settings;
use crate::values::{secret, ssh};

/// Keys and passwords.
#[derive(Debug, clap::Args)]
pub(crate) struct AccessArgs {
    /// A secret for RUN --mount=type=secret
    #[arg(long, value_name = "id=ID[,src=FILE|,env=VARIABLE]", help_heading = "Steps")]
    secret: Vec<String>,
    /// An SSH agent, or keys for one, for RUN --mount=type=ssh and for git sources
    #[arg(long, value_name = "default|ID[=SOCKET|KEY[,KEY]]", help_heading = "Steps")]
    ssh: Vec<String>,
}

impl AccessArgs {
    /// Reads the flags. `behind_ssh`: whether the build context is.
    pub(crate) fn read(&self, behind_ssh: bool, settings: &Settings) -> Result<Access, Failure> {
        Ok(Access {
            secrets: self.secrets(settings)?,
            agents: self.agents(behind_ssh, settings)?,
            known_hosts: settings.known_hosts(),
            ca_bundle: settings.ca_bundle()?,
        })
    }

    fn secrets(&self, settings: &Settings) -> Result<BTreeMap<String, SecretSource>, Failure> {
        let parse = |text: &String| {
            let (id, source) = secret::parse(text, &settings.environment)
                .map_err(|message| Failure::usage(format!("--secret {message}")))?;
            if let SecretSource::File(path) = &source
                && !path.exists()
            {
                let message = anyhow::anyhow!("--secret {text}: {} does not exist", path.display());
                return Err(Failure::failed(message));
            }
            Ok((id, source))
        };
        self.secret.iter().map(parse).collect()
    }

    fn agents(&self, behind_ssh: bool, settings: &Settings) -> Result<BTreeMap<String, Agent>, Failure> {
        // As with docker: a context behind SSH is reached by the agent of whoever is logged in.
        let own = ["default".to_owned()];
        let said = if self.ssh.is_empty() && behind_ssh && ssh::has_agent(&settings.environment) {
            &own[..]
        } else {
            &self.ssh
        };
        let parse = |text: &String| ssh::parse(text, &settings.environment);
        let agents: Result<_, _> = said.iter().map(parse).collect();
        agents.map_err(|message| Failure::usage(format!("--ssh {message}")))
    }
}
