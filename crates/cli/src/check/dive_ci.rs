//! `.dive-ci`: the limits of dive, read as dive reads them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::values::size;

/// dive's limits. One that is off is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct DiveRules {
    /// Its score at least.
    pub(crate) lowest_efficiency: Option<f64>,
    /// What it counts as wasted at most, in bytes.
    pub(crate) highest_wasted_bytes: Option<u64>,
    /// The same as a share of all layers but the lowest; 1 is all.
    pub(crate) highest_user_wasted_percent: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    rules: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Switch(bool),
    Number(f64),
    Text(String),
    Nothing(()),
}

impl Value {
    /// What it says; nothing where it switches the rule off.
    fn text(&self) -> Option<String> {
        match self {
            Self::Switch(false) | Self::Nothing(()) => None,
            Self::Switch(true) => Some("true".to_owned()),
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) if matches!(text.as_str(), "" | "disabled" | "off" | "false") => None,
            Self::Text(text) => Some(text.clone()),
        }
    }
}

impl DiveRules {
    /// dive's own, where no file says anything else.
    const DEFAULT: Self = Self {
        lowest_efficiency: Some(0.9),
        highest_wasted_bytes: None,
        highest_user_wasted_percent: Some(0.1),
    };

    /// Reads a file; names of both spellings are known.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let mut rules = Self::DEFAULT;
        for (name, value) in &file.rules {
            let value = value.text();
            let number = || {
                let share = value
                    .as_ref()
                    .map(|text| text.parse().ok().filter(|share| (0.0..=1.0).contains(share)));
                share
                    .map(|share| share.ok_or_else(|| format!("{name}: wanted a number between 0 and 1")))
                    .transpose()
            };
            match name.as_str() {
                "lowestEfficiency" | "lowest-efficiency" => rules.lowest_efficiency = number()?,
                "highestUserWastedPercent" | "highest-user-wasted-percent" => {
                    rules.highest_user_wasted_percent = number()?;
                }
                "highestWastedBytes" | "highest-wasted-bytes" => {
                    let bytes = value.as_deref().map(size::parse_shown).transpose();
                    rules.highest_wasted_bytes = bytes.map_err(|error| format!("{name}: {error}"))?;
                }
                other => return Err(format!("there is no rule `{other}`")),
            }
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_dive_reads() {
        let read = |text: &str| DiveRules::parse(text);
        let rules =
            read("rules:\n  lowestEfficiency: 0.95\n  highestWastedBytes: 20MB\n  highestUserWastedPercent: 0.20\n");
        let expected = DiveRules {
            lowest_efficiency: Some(0.95),
            highest_wasted_bytes: Some(20_000_000),
            highest_user_wasted_percent: Some(0.2),
        };
        assert_eq!(rules, Ok(expected));
        let rules =
            read("# off\nrules:\n  lowest-efficiency: disabled\n  highest-user-wasted-percent: \"0.5\"\n").unwrap();
        assert_eq!(
            (rules.lowest_efficiency, rules.highest_user_wasted_percent),
            (None, Some(0.5))
        );
        assert_eq!(read("rules: {}\n"), Ok(DiveRules::DEFAULT));
        for text in [
            "rules:\n  lowestEfficiency: 2\n",
            "rules:\n  other: 1\n",
            "rules: [\n",
            "rules:\n  highestWastedBytes: x\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
