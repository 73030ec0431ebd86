//! Limits as the files of control groups.

use crate::{CpuTime, Error, Limits};

/// The values for one controller: its name, and for either version the files and what to write.
#[derive(Debug)]
pub(super) struct Setting {
    /// What is limited, for messages.
    pub(super) limit: &'static str,
    pub(super) controller: &'static str,
    pub(super) v2: Vec<(&'static str, String)>,
    pub(super) v1: Vec<(&'static str, String)>,
    /// Files that may be missing (swap accounting is an option of the kernel).
    pub(super) optional: &'static [&'static str],
    /// Files of version 1 that a new group must be given the values of the group above.
    pub(super) inherited: &'static [&'static str],
}

impl Setting {
    const fn new(limit: &'static str, controller: &'static str) -> Self {
        Self {
            limit,
            controller,
            v2: Vec::new(),
            v1: Vec::new(),
            optional: &[],
            inherited: &[],
        }
    }
}

/// The settings that limits come to, one for each controller.
pub(super) fn settings(limits: &Limits) -> Result<Vec<Setting>, Error> {
    let all = [memory(limits)?, pids(limits), cpu(limits)?, cpuset(limits)];
    Ok(all.into_iter().flatten().collect())
}

fn memory(limits: &Limits) -> Result<Option<Setting>, Error> {
    let Some(memory) = limits.memory else {
        return match limits.memory_and_swap {
            Some(_) => invalid("memory and swap are limited together, but memory alone is not"),
            None => Ok(None),
        };
    };
    let mut setting = Setting::new("memory", "memory");
    setting.v2.push(("memory.max", memory.to_string()));
    setting.v1.push(("memory.limit_in_bytes", memory.to_string()));
    let swap = match limits.memory_and_swap {
        None => {
            setting.optional = &["memory.swap.max", "memory.memsw.limit_in_bytes"];
            Some(0)
        }
        Some(u64::MAX) => None,
        Some(both) if both < memory => {
            return invalid("the limit of memory and swap together is less than that of memory");
        }
        Some(both) => Some(both - memory),
    };
    let text = |bytes: Option<u64>, unlimited: &str| bytes.map_or(unlimited.to_owned(), |bytes| bytes.to_string());
    setting.v2.push(("memory.swap.max", text(swap, "max")));
    let both = swap.map(|swap| memory.saturating_add(swap));
    setting.v1.push(("memory.memsw.limit_in_bytes", text(both, "-1")));
    Ok(Some(setting))
}

fn pids(limits: &Limits) -> Option<Setting> {
    let value = ("pids.max", limits.pids?.to_string());
    let mut setting = Setting::new("pids", "pids");
    setting.v2.push(value.clone());
    setting.v1.push(value);
    Some(setting)
}

fn cpu(limits: &Limits) -> Result<Option<Setting>, Error> {
    let mut setting = Setting::new("processor time", "cpu");
    if let Some(CpuTime { quota, period }) = limits.cpu {
        if quota < 1000 || !(1000..=1_000_000).contains(&period) {
            return invalid(&format!(
                "{quota} of every {period} microseconds are no limit of processor time: the least is 1000, the longest \
                 period 1000000"
            ));
        }
        setting.v2.push(("cpu.max", format!("{quota} {period}")));
        setting.v1.push(("cpu.cfs_period_us", period.to_string()));
        setting.v1.push(("cpu.cfs_quota_us", quota.to_string()));
    }
    if let Some(shares) = limits.cpu_shares {
        if !(2..=262_144).contains(&shares) {
            return invalid(&format!(
                "{shares} are no shares of processor time: they go from 2 to 262144"
            ));
        }
        setting.v2.push(("cpu.weight", weight(shares).to_string()));
        setting.v1.push(("cpu.shares", shares.to_string()));
    }
    Ok((!setting.v2.is_empty()).then_some(setting))
}

/// Shares, 2 to 262144, as weight, 1 to 10000, as container runtimes convert them.
const fn weight(shares: u64) -> u64 {
    1 + ((shares - 2) * 9999) / 262_142
}

fn cpuset(limits: &Limits) -> Option<Setting> {
    let mut setting = Setting::new("processors", "cpuset");
    setting.inherited = &["cpuset.cpus", "cpuset.mems"];
    for (file, value) in [
        ("cpuset.cpus", &limits.cpuset_cpus),
        ("cpuset.mems", &limits.cpuset_mems),
    ] {
        if let Some(value) = value {
            setting.v2.push((file, value.clone()));
            setting.v1.push((file, value.clone()));
        }
    }
    (!setting.v2.is_empty()).then_some(setting)
}

fn invalid<T>(message: &str) -> Result<T, Error> {
    Err(Error::InvalidSpec(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limits: &Limits, v2: &[&str], v1: &[&str]) {
        let settings = settings(limits).unwrap();
        let text = |values: &[(&str, String)]| -> Vec<String> {
            values.iter().map(|(file, value)| format!("{file}={value}")).collect()
        };
        let found: Vec<String> = settings.iter().flat_map(|setting| text(&setting.v2)).collect();
        assert_eq!(found, v2);
        let found: Vec<String> = settings.iter().flat_map(|setting| text(&setting.v1)).collect();
        assert_eq!(found, v1);
    }

    #[test]
    fn files_and_values() {
        check(&Limits::default(), &[], &[]);
        let limits = Limits {
            memory: Some(1 << 30),
            pids: Some(10),
            cpu: Some(CpuTime {
                quota: 50_000,
                period: 100_000,
            }),
            cpu_shares: Some(1024),
            cpuset_cpus: Some("0-1".to_owned()),
            ..Limits::default()
        };
        check(
            &limits,
            &[
                "memory.max=1073741824",
                "memory.swap.max=0",
                "pids.max=10",
                "cpu.max=50000 100000",
                "cpu.weight=39",
                "cpuset.cpus=0-1",
            ],
            &[
                "memory.limit_in_bytes=1073741824",
                "memory.memsw.limit_in_bytes=1073741824",
                "pids.max=10",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=50000",
                "cpu.shares=1024",
                "cpuset.cpus=0-1",
            ],
        );
    }

    #[test]
    fn swap() {
        let limits = |both| Limits {
            memory: Some(100),
            memory_and_swap: Some(both),
            ..Limits::default()
        };
        check(
            &limits(150),
            &["memory.max=100", "memory.swap.max=50"],
            &["memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=150"],
        );
        check(
            &limits(u64::MAX),
            &["memory.max=100", "memory.swap.max=max"],
            &["memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=-1"],
        );
        // Swap that was asked for must be there to be limited.
        assert!(settings(&limits(150)).unwrap()[0].optional.is_empty());
    }

    #[test]
    fn limits_that_are_none() {
        let cpu = |quota, period| Limits {
            cpu: Some(CpuTime { quota, period }),
            ..Limits::default()
        };
        let shares = |shares| Limits {
            cpu_shares: Some(shares),
            ..Limits::default()
        };
        let swap = |memory| Limits {
            memory,
            memory_and_swap: Some(50),
            ..Limits::default()
        };
        for limits in [
            cpu(0, 100_000),
            cpu(1000, 10),
            shares(1),
            shares(300_000),
            swap(None),
            swap(Some(100)),
        ] {
            assert!(settings(&limits).is_err(), "{limits:?}");
        }
    }
}
