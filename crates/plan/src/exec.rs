//! RUN.

use std::collections::BTreeSet;

use kiln_dockerfile::ast::{Command, Run, Span, Word};
use kiln_dockerfile::code;
use kiln_dockerfile::device::Device;
use kiln_dockerfile::diagnostic::{Diagnostic, Severity};
use kiln_image::Platform;

use crate::dispatch::Dispatch;
use crate::graph::Unit;
use crate::report::error;
use crate::step::{Exec, Mount, MountKind, Network, Op};
use crate::{history, names};

/// Where here-documents that are scripts stand.
const PIPES: &str = "/dev/pipes";
/// `/dev/shm` where nobody asked for another size, bytes.
const SHM_SIZE: u64 = 64 << 20;
/// What BuildKit calls the machine of a step.
const HOSTNAME: &str = "buildkitsandbox";
/// The build-arg that calls it something else.
const HOSTNAME_ARG: &str = "BUILDKIT_SANDBOX_HOSTNAME";
/// The variables that are passed to every step without ARG.
const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];
/// Where programs look for an SSH agent.
const AGENT_VARIABLE: &str = "SSH_AUTH_SOCK";

impl Dispatch<'_, '_> {
    pub(crate) fn run_command(&mut self, unit: &Unit<'_>, run: &Run) -> Result<(), Diagnostic> {
        let network = self.network(unit, run.network.as_ref())?;
        let insecure = self.security(run.security.as_ref())?;
        let devices: Result<_, _> = run.devices.iter().map(|word| self.device(word)).collect();
        let devices = devices?;
        let mut mounts = self.mounts(unit, &run.mounts)?;
        let masked: BTreeSet<String> = mounts.iter().filter_map(secret_variable).collect();
        let mut name = self.step_name(unit, &masked);
        let (args, script) = self.arguments(run);
        mounts.extend(script);
        if let (Command::Shell(text), [heredoc]) = (&run.command, run.heredocs.as_slice())
            && text.raw.trim() == heredoc.operator.raw
        {
            name.push_str(&names::summary(heredoc));
        }
        let text = history::run(&args, &self.stage.args, &self.stage.vars);
        let exec = Exec {
            devices,
            ..self.exec(args, mounts, network, insecure)
        };
        let name = self.names.next(&name, &self.stage.vars);
        self.stage.root = Some(self.push(unit, Op::Exec(exec), name));
        self.history(text, true);
        Ok(())
    }

    fn exec(&self, args: Vec<String>, mounts: Vec<Mount>, network: Network, insecure: bool) -> Exec {
        let options = self.planner.graph.options;
        let hostname = options
            .hostname
            .clone()
            .or_else(|| options.build_args.get(HOSTNAME_ARG).cloned());
        let mut env = self.stage.vars.to_vec();
        if let Some(socket) = mounts.iter().find(|mount| matches!(mount.kind, MountKind::Ssh { .. })) {
            env.retain(|(name, _)| name != AGENT_VARIABLE);
            env.push((AGENT_VARIABLE.to_owned(), socket.target.clone()));
        }
        Exec {
            root: self.stage.root,
            platform: self.platform(),
            args,
            env,
            transient_env: self.proxies(),
            cwd: self.stage.directory().to_owned(),
            user: self.stage.config.config.user.clone(),
            network,
            insecure,
            mounts,
            devices: Vec::new(),
            hostname: hostname
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| HOSTNAME.to_owned()),
            extra_hosts: options.extra_hosts.clone(),
            shm_size: options.shm_size.unwrap_or(SHM_SIZE),
            ulimits: options.ulimits.clone(),
        }
    }

    /// What the stage's programs are for, as far as its base says it; otherwise what the stage is for.
    pub(crate) fn platform(&self) -> Platform {
        let own = self.stage.config.platform();
        if own.os.is_empty() || own.architecture.is_empty() {
            self.planner.graph.heads[self.index].platform.clone()
        } else {
            own
        }
    }

    /// `--network`
    fn network(&mut self, unit: &Unit<'_>, word: Option<&Word>) -> Result<Network, Diagnostic> {
        let Some(word) = word else {
            return Ok(self.planner.graph.options.network);
        };
        match word.raw.as_str() {
            "default" => Ok(self.planner.graph.options.network),
            "none" => Ok(Network::None),
            "host" => {
                self.host_network(unit.at(word.span))?;
                Ok(Network::Host)
            }
            other => Err(error(
                "BadNetwork",
                word.span,
                format!("unsupported network mode {other:?}: it is one of default, none and host"),
            )),
        }
    }

    /// Whether a step may ask for the machine's network. Where steps have that anyway it may, but is warned of: for
    /// `BuildKit` it must be allowed.
    fn host_network(&mut self, span: Span) -> Result<(), Diagnostic> {
        let options = self.planner.graph.options;
        if options.allow.network_host {
            return Ok(());
        }
        let refused = Diagnostic {
            help: Some("pass `--allow network.host` if you trust this Dockerfile with it".to_owned()),
            ..error(code::NETWORK_HOST_NOT_ALLOWED, span, "network.host is not allowed")
        };
        if options.network == Network::None {
            return Err(refused);
        }
        self.planner.report.push(Diagnostic {
            severity: Severity::Warning,
            message:
                "the machine's network is what steps have anyway; BuildKit refuses to build this, as network.host \
                      is not allowed"
                    .to_owned(),
            ..refused
        });
        Ok(())
    }

    /// `--device`
    fn device(&self, word: &Word) -> Result<Device, Diagnostic> {
        let device = Device::parse(&word.raw).map_err(|cause| error("BadDevice", word.span, cause))?;
        match self.planner.graph.options.allow.devices.real(&device.name) {
            Some(name) => Ok(Device {
                name: name.to_owned(),
                ..device
            }),
            None => Err(Diagnostic {
                help: Some(format!(
                    "pass `--allow device={}` if you trust this Dockerfile with it",
                    device.name
                )),
                ..error(
                    "DeviceNotAllowed",
                    word.span,
                    format!("the device {} is not allowed", device.name),
                )
            }),
        }
    }

    /// `--security`
    fn security(&self, word: Option<&Word>) -> Result<bool, Diagnostic> {
        let span = word.map(|word| word.span).unwrap_or_default();
        match word.map_or("sandbox", |word| word.raw.as_str()) {
            "sandbox" => Ok(false),
            "insecure" if self.planner.graph.options.allow.insecure => Ok(true),
            "insecure" => Err(Diagnostic {
                help: Some("pass `--allow security.insecure` if you trust this Dockerfile with the machine".to_owned()),
                ..error("InsecureNotAllowed", span, "security.insecure is not allowed")
            }),
            other => Err(error(
                "BadSecurity",
                span,
                format!("unsupported security mode {other:?}: it is one of sandbox and insecure"),
            )),
        }
    }

    /// What runs. A here-document alone is the text for the shell, or, if it starts with `#!`, a script that the
    /// shell starts; with anything else on the line, the shell reads all of it as it stands.
    fn arguments(&self, run: &Run) -> (Vec<String>, Option<Mount>) {
        let text = match &run.command {
            Command::Exec(args) => return (args.clone(), None),
            Command::Shell(text) => &text.raw,
        };
        match run.heredocs.as_slice() {
            [] => (self.with_shell(text), None),
            [alone] if text.trim() == alone.operator.raw => {
                if self.stage.config.os == "windows" || !alone.content.starts_with("#!") {
                    return (self.with_shell(&alone.content), None);
                }
                let target = format!("{PIPES}/{}", alone.name);
                let script = Mount {
                    target: target.clone(),
                    kind: MountKind::Inline {
                        content: alone.content.clone(),
                        mode: 0o755,
                    },
                };
                (self.with_shell(&target), Some(script))
            }
            several => {
                let bodies = several
                    .iter()
                    .map(|heredoc| format!("\n{}{}", heredoc.content, heredoc.name));
                (self.with_shell(&(text.clone() + &bodies.collect::<String>())), None)
            }
        }
    }

    /// The proxies among the build-args, in both cases.
    fn proxies(&self) -> Vec<(String, String)> {
        let args = &self.planner.graph.options.build_args;
        let mut env = Vec::new();
        for proxy in PROXIES {
            let given = args.iter().rfind(|(name, _)| name.eq_ignore_ascii_case(proxy));
            if let Some((_, value)) = given.filter(|(_, value)| !value.is_empty()) {
                env.push(((*proxy).to_owned(), value.clone()));
                env.push((proxy.to_lowercase(), value.clone()));
            }
        }
        env
    }
}

fn secret_variable(mount: &Mount) -> Option<String> {
    match &mount.kind {
        MountKind::SecretEnv { variable, .. } => Some(variable.clone()),
        _ => None,
    }
}
