//! How severe a vulnerability is.

use super::cvss;

/// In words: as CVSS 3 puts its scores, and as distributions say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rating {
    /// Nobody says.
    #[default]
    Unknown,
    /// A weakness that is no problem by itself (Debian's "unimportant", a score of 0).
    Negligible,
    /// Scores below 4.
    Low,
    /// Scores below 7.
    Medium,
    /// Scores below 9.
    High,
    /// Scores from 9 on.
    Critical,
}

impl Rating {
    /// All of them, the most severe first.
    pub const ALL: [Self; 6] = [
        Self::Critical,
        Self::High,
        Self::Medium,
        Self::Low,
        Self::Negligible,
        Self::Unknown,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// What a database calls it; `None` of words that rate nothing.
    fn named(text: &str) -> Option<Self> {
        Some(match text.trim_end_matches('*').to_ascii_lowercase().as_str() {
            "critical" => Self::Critical,
            "high" | "important" => Self::High,
            "medium" | "moderate" => Self::Medium,
            "low" => Self::Low,
            "negligible" | "unimportant" | "none" => Self::Negligible,
            _ => return None,
        })
    }

    const fn of_score(tenths: u8) -> Self {
        match tenths {
            0 => Self::Negligible,
            1..40 => Self::Low,
            40..70 => Self::Medium,
            70..90 => Self::High,
            _ => Self::Critical,
        }
    }
}

/// A rating, and the score that it comes from, if it does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Severity {
    /// In words.
    pub rating: Rating,
    /// The base score of CVSS 3, in tenths.
    pub tenths: Option<u8>,
}

impl Severity {
    /// Of a vector of CVSS 3.0 or 3.1; `None` of anything else.
    pub(super) fn of_vector(vector: &str) -> Option<Self> {
        cvss::base_score(vector).map(|tenths| Self {
            rating: Rating::of_score(tenths),
            tenths: Some(tenths),
        })
    }

    /// By its name alone; `None` of words that rate nothing.
    pub(super) fn named(text: &str) -> Option<Self> {
        Rating::named(text).map(|rating| Self { rating, tenths: None })
    }
}
