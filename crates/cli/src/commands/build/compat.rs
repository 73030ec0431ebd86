//! Flags that scripts for docker have and that Kiln has no part for: what changes no image is taken, the rest refused
//! with the reason.

use crate::failure::Failure;
use crate::terminal;
use crate::values::csv;

/// Flags for compatibility.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Taken for compatibility")]
pub(crate) struct CompatArgs {
    /// Only `false`: Kiln writes no attestations
    #[arg(long, value_name = "false", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_short_help = true)]
    provenance: Option<String>,
    /// Only `false`: Kiln writes no attestations
    #[arg(long, value_name = "false", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_short_help = true)]
    sbom: Option<String>,
    /// Nothing to do: Kiln has no builders
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    builder: Option<String>,
    /// Nothing to do: there are no containers in between
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_short_help = true)]
    rm: Option<String>,
    /// Nothing to do: there are no containers in between
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_short_help = true)]
    force_rm: Option<String>,
    /// Nothing to do: there is no daemon to send the context to
    #[arg(long, hide_short_help = true)]
    compress: bool,
    /// Nothing to do, as in BuildKit
    #[arg(long, hide_short_help = true)]
    squash: bool,
    #[arg(long, hide = true)]
    isolation: Option<String>,
    #[arg(long, hide = true)]
    security_opt: Vec<String>,
    #[arg(long, hide = true)]
    attest: Vec<String>,
    #[arg(long, hide = true)]
    policy: Vec<String>,
    #[arg(long, hide = true)]
    resource: Vec<String>,
    #[arg(long, hide = true)]
    cgroup_parent: Option<String>,
}

/// Why Kiln has it not, and what to do.
struct Refusal {
    flag: &'static str,
    given: bool,
    reason: &'static str,
    instead: &'static str,
}

const NO_ATTESTATIONS: &str = "Kiln writes no attestations";
const WITHOUT_ATTESTATIONS: &str = "leave it out, or say =false";

impl CompatArgs {
    /// Refuses what would silently not be done.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for Refusal {
            flag,
            given,
            reason,
            instead,
        } in self.refusals()
        {
            if given {
                return Err(Failure::usage(format!("{flag}: {reason}")).hint(instead));
            }
        }
        if self.squash {
            terminal::warn("--squash is ignored, as by BuildKit");
        }
        Ok(())
    }

    fn refusals(&self) -> [Refusal; 6] {
        let wanted = |value: Option<&String>| value.is_some_and(|text| csv::boolean("", Some(text)) != Ok(false));
        let attested = self.attest.iter().any(|text| !text.contains("disabled=true"));
        let refusal = |flag, given, reason, instead| Refusal {
            flag,
            given,
            reason,
            instead,
        };
        [
            refusal("--attest", attested, NO_ATTESTATIONS, WITHOUT_ATTESTATIONS),
            refusal(
                "--provenance",
                wanted(self.provenance.as_ref()),
                NO_ATTESTATIONS,
                WITHOUT_ATTESTATIONS,
            ),
            refusal(
                "--sbom",
                wanted(self.sbom.as_ref()),
                NO_ATTESTATIONS,
                WITHOUT_ATTESTATIONS,
            ),
            refusal(
                "--policy",
                !self.policy.is_empty(),
                "Kiln reads no policies",
                "leave it out; it would not be enforced",
            ),
            refusal(
                "--resource",
                !self.resource.is_empty(),
                "Kiln has flags for each: --memory, --cpus, --pids-limit, --ulimit",
                "use those",
            ),
            refusal(
                "--cgroup-parent",
                self.cgroup_parent.is_some(),
                "steps run below Kiln's own control group",
                "start Kiln where they shall be: `systemd-run --scope --slice=NAME kiln build …`",
            ),
        ]
    }
}
