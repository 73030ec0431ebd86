//! Flags that docker has and Kiln has not (yet): those that change nothing here are taken, the others refused.

use crate::failure::Failure;
use crate::terminal;
use crate::values::csv;

/// Flags for compatibility.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "every flag is one")]
#[command(next_help_heading = "For compatibility")]
pub(crate) struct CompatArgs {
    /// Not supported yet
    #[arg(long, value_name = "REFERENCE | type=TYPE,…", hide_short_help = true)]
    cache_from: Vec<String>,
    /// Not supported yet
    #[arg(long, value_name = "REFERENCE | type=TYPE,…", hide_short_help = true)]
    cache_to: Vec<String>,
    /// Not supported yet
    #[arg(long, value_name = "KEY=VALUE", hide_short_help = true)]
    annotation: Vec<String>,
    /// Not supported yet
    #[arg(long, value_name = "type=TYPE,…", hide_short_help = true)]
    attest: Vec<String>,
    /// Only `false`, yet
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_short_help = true)]
    provenance: Option<String>,
    /// Only `false`, yet
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_short_help = true)]
    sbom: Option<String>,
    /// Only `build`, yet
    #[arg(long, hide_short_help = true)]
    call: Option<String>,
    /// Not supported yet
    #[arg(long, hide_short_help = true)]
    check: bool,
    /// Not supported yet
    #[arg(long, hide_short_help = true)]
    policy: Vec<String>,
    /// Not supported yet
    #[arg(long, value_name = "KEY=VALUE", hide_short_help = true)]
    resource: Vec<String>,
    /// Not supported yet
    #[arg(long, hide_short_help = true)]
    cgroup_parent: Option<String>,
    /// Not supported yet
    #[arg(short = 'c', long, hide = true)]
    cpu_shares: Option<String>,
    /// Not supported yet
    #[arg(long, hide = true)]
    cpuset_cpus: Option<String>,
    /// Not supported yet
    #[arg(long, hide = true)]
    cpuset_mems: Option<String>,
    /// Not supported yet
    #[arg(long, hide = true)]
    print: Option<String>,
    /// Taken and ignored: Kiln has no builders
    #[arg(long, hide_short_help = true)]
    builder: Option<String>,
    /// Taken and ignored
    #[arg(long, hide = true)]
    compress: bool,
    /// Taken and ignored
    #[arg(long, hide = true)]
    isolation: Option<String>,
    /// Taken and ignored
    #[arg(long, hide = true)]
    security_opt: Vec<String>,
    /// Taken and ignored
    #[arg(long, hide = true)]
    squash: bool,
    /// Taken and ignored
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    rm: Option<String>,
    /// Taken and ignored
    #[arg(long, hide = true)]
    force_rm: bool,
    /// Taken and ignored: Kiln adds no swap
    #[arg(long, hide = true)]
    memory_swap: Option<String>,
}

impl CompatArgs {
    /// Refuses what would silently not be done.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wanted = |value: Option<&String>| value.is_some_and(|text| csv::boolean("", Some(text)) != Ok(false));
        let refused = [
            ("--cache-from", !self.cache_from.is_empty()),
            ("--cache-to", !self.cache_to.is_empty()),
            ("--annotation", !self.annotation.is_empty()),
            (
                "--attest",
                self.attest.iter().any(|text| !text.contains("disabled=true")),
            ),
            ("--provenance", wanted(self.provenance.as_ref())),
            ("--sbom", wanted(self.sbom.as_ref())),
            ("--call", self.call.as_deref().is_some_and(|call| call != "build")),
            ("--check", self.check),
            ("--policy", !self.policy.is_empty()),
            ("--resource", !self.resource.is_empty()),
            ("--cgroup-parent", self.cgroup_parent.is_some()),
            ("--cpu-shares", self.cpu_shares.is_some()),
            ("--cpuset-cpus", self.cpuset_cpus.is_some()),
            ("--cpuset-mems", self.cpuset_mems.is_some()),
            ("--print", self.print.is_some()),
        ];
        for (flag, given) in refused {
            if given {
                return Err(Failure::usage(format!("{flag} is not supported yet"))
                    .hint(format!("leave {flag} out; Kiln does not ignore what changes a result")));
            }
        }
        if self.squash {
            terminal::warn("--squash is ignored, as by BuildKit");
        }
        Ok(())
    }
}
