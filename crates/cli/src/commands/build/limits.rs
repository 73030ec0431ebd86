//! Limits of steps.

use kiln_build::request::{CpuTime, Limits};

use crate::failure::Failure;
use crate::values::{duration, size};

/// Limits of every RUN.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits of a step")]
pub(crate) struct LimitArgs {
    /// Memory, without swap
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,
    /// Memory and swap together; -1: any amount of swap
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// Processors, like 1.5
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["cpu_quota", "cpu_period"])]
    cpus: Option<f64>,
    /// Processes and threads; -1: any number
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// How long it may take, like 90s or 1h30m
    #[arg(long, value_name = "TIME")]
    step_timeout: Option<String>,
    /// Microseconds of processor time in every period; -1: any amount
    #[arg(
        long,
        value_name = "MICROSECONDS",
        allow_hyphen_values = true,
        hide_short_help = true
    )]
    cpu_quota: Option<i64>,
    /// The period of --cpu-quota
    #[arg(long, value_name = "MICROSECONDS", default_value_t = PERIOD, hide_short_help = true)]
    cpu_period: u64,
    /// Weight where processors are scarce; others have 1024
    #[arg(short = 'c', long, value_name = "NUMBER", hide_short_help = true)]
    cpu_shares: Option<u64>,
    /// The processors that it may use, like 0-2,4
    #[arg(long, value_name = "LIST", hide_short_help = true)]
    cpuset_cpus: Option<String>,
    /// The memory nodes that it may use
    #[arg(long, value_name = "LIST", hide_short_help = true)]
    cpuset_mems: Option<String>,
}

/// The kernel's usual period, in microseconds.
const PERIOD: u64 = 100_000;

impl LimitArgs {
    /// What control groups limit.
    pub(crate) fn limits(&self) -> Result<Limits, Failure> {
        let memory = self.memory.as_deref().map(size::parse).transpose();
        let memory = memory.map_err(|message| Failure::usage(format!("--memory {message}")))?;
        Ok(Limits {
            memory,
            memory_and_swap: self.memory_swap(memory)?,
            pids: count("--pids-limit", self.pids_limit)?,
            cpu: self.cpu()?,
            // As with docker 0 is no weight at all.
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0),
            cpuset_cpus: list("--cpuset-cpus", self.cpuset_cpus.as_deref())?,
            cpuset_mems: list("--cpuset-mems", self.cpuset_mems.as_deref())?,
        })
    }

    /// `--step-timeout`
    pub(crate) fn step_timeout(&self) -> Result<Option<std::time::Duration>, Failure> {
        let timeout = self.step_timeout.as_deref().map(duration::parse).transpose();
        timeout.map_err(|message| Failure::usage(format!("--step-timeout {message}")))
    }

    fn memory_swap(&self, memory: Option<u64>) -> Result<Option<u64>, Failure> {
        let both = match self.memory_swap.as_deref() {
            None => return Ok(None),
            Some("-1") => u64::MAX,
            Some(text) => size::parse(text).map_err(|message| Failure::usage(format!("--memory-swap {message}")))?,
        };
        match memory {
            None => Err(Failure::usage("--memory-swap: it needs --memory")),
            Some(memory) if both < memory => Err(Failure::usage(
                "--memory-swap: memory and swap together are less than --memory",
            )),
            Some(_) => Ok(Some(both)),
        }
    }

    fn cpu(&self) -> Result<Option<CpuTime>, Failure> {
        if let Some(cpus) = self.cpus {
            return time_of(cpus).map(Some);
        }
        if !(1000..=1_000_000).contains(&self.cpu_period) {
            return Err(Failure::usage("--cpu-period: it is from 1000 to 1000000 microseconds"));
        }
        match count("--cpu-quota", self.cpu_quota)? {
            None => Ok(None),
            Some(quota) if quota < 1000 => Err(Failure::usage("--cpu-quota: the least is 1000 microseconds")),
            Some(quota) => Ok(Some(CpuTime {
                quota,
                period: self.cpu_period,
            })),
        }
    }
}

/// `--cpus`
fn time_of(cpus: f64) -> Result<CpuTime, Failure> {
    if !(0.01..=100_000.0).contains(&cpus) {
        return Err(Failure::usage(format!(
            "--cpus {cpus}: wanted a number from 0.01 up, like 1.5"
        )));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "checked to be in range"
    )]
    let quota = (cpus * PERIOD as f64).round() as u64;
    Ok(CpuTime { quota, period: PERIOD })
}

/// A number; none for docker's "any": -1 and 0.
fn count(flag: &str, value: Option<i64>) -> Result<Option<u64>, Failure> {
    match value {
        None | Some(-1 | 0) => Ok(None),
        Some(number) => u64::try_from(number)
            .map(Some)
            .map_err(|_| Failure::usage(format!("{flag} {number}: wanted a number, or -1 for any"))),
    }
}

/// A list of numbers and ranges.
fn list(flag: &str, value: Option<&str>) -> Result<Option<String>, Failure> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let range = |text: &str| {
        text.split_once('-')
            .map_or(number(text), |(from, to)| number(from) && number(to))
    };
    match value {
        Some(text) if !text.split(',').all(range) => {
            Err(Failure::usage(format!("{flag} {text}: wanted a list like 0-2,4")))
        }
        other => Ok(other.map(ToOwned::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        limits: LimitArgs,
    }

    fn limits(text: &str) -> Result<Limits, String> {
        let words = std::iter::once("kiln").chain(text.split_whitespace());
        let flags = Flags::try_parse_from(words).map_err(|error| error.to_string())?;
        flags.limits.limits().map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn dockers_flags() {
        let cpu = |quota, period| Some(CpuTime { quota, period });
        assert_eq!(limits(""), Ok(Limits::default()));
        let all =
            limits("-m 64m --memory-swap 1g --pids-limit 9 --cpus 1.5 -c 512 --cpuset-cpus 0-1,3 --cpuset-mems 0");
        let expected = Limits {
            memory: Some(64 << 20),
            memory_and_swap: Some(1 << 30),
            pids: Some(9),
            cpu: cpu(150_000, 100_000),
            cpu_shares: Some(512),
            cpuset_cpus: Some("0-1,3".to_owned()),
            cpuset_mems: Some("0".to_owned()),
        };
        assert_eq!(all, Ok(expected));
        assert_eq!(
            limits("--cpu-quota 5000 --cpu-period 10000").unwrap().cpu,
            cpu(5000, 10_000)
        );
        assert_eq!(
            limits("--memory 1m --memory-swap -1").unwrap().memory_and_swap,
            Some(u64::MAX)
        );
        // What docker takes for no limit.
        assert_eq!(
            limits("--pids-limit -1 --cpu-quota -1 -c 0 --cpu-period 10000"),
            Ok(Limits::default())
        );
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in [
            "-m lots",
            "--memory-swap 1g",
            "-m 1g --memory-swap 1m",
            "--cpus 0",
            "--cpus 1 --cpu-quota 1000",
            "--cpu-quota 10",
            "--cpu-quota 1000 --cpu-period 1",
            "--pids-limit -2",
            "--cpuset-cpus 0-",
            "--cpuset-cpus a",
            "--cpuset-mems ,",
        ] {
            assert!(limits(text).is_err(), "{text}");
        }
    }
}
