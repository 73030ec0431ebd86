//! What a row should come to.

use super::workload::Contender;

/// A bound for Kiln.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Aim {
    /// At most so many milliseconds.
    Within(f64),
    /// At most so many times what the floor took.
    Floors(f64),
    /// At most so many milliseconds more than the floor.
    OverFloor(f64),
    /// At most this peer's time divided by so much.
    Ahead(Contender, f64),
}

impl Aim {
    /// The most that Kiln may take in milliseconds, given what others took in the same run; `None` if the one who
    /// counts was not measured.
    pub(super) fn at_most(self, took: impl Fn(Contender) -> Option<f64>) -> Option<f64> {
        match self {
            Self::Within(milliseconds) => Some(milliseconds),
            Self::Floors(times) => Some(took(Contender::Floor)? * times),
            Self::OverFloor(milliseconds) => Some(took(Contender::Floor)? + milliseconds),
            Self::Ahead(peer, times) => Some(took(peer)? / times),
        }
    }
}

impl std::fmt::Display for Aim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Within(milliseconds) => write!(f, "{milliseconds} ms"),
            Self::Floors(times) => write!(f, "{times} × floor"),
            Self::OverFloor(milliseconds) => write!(f, "floor + {milliseconds} ms"),
            Self::Ahead(peer, times) => write!(f, "{} / {times}", peer.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let took = |contender| match contender {
            Contender::Floor => Some(10.0),
            Contender::Docker => Some(80.0),
            _ => None,
        };
        assert_eq!(Aim::Within(30.0).at_most(took), Some(30.0));
        assert_eq!(Aim::Floors(1.5).at_most(took), Some(15.0));
        assert_eq!(Aim::OverFloor(8.0).at_most(took), Some(18.0));
        assert_eq!(Aim::Ahead(Contender::Docker, 8.0).at_most(took), Some(10.0));
        assert_eq!(Aim::Ahead(Contender::Buildah, 8.0).at_most(took), None);
        assert_eq!(Aim::Ahead(Contender::Docker, 8.0).to_string(), "BuildKit / 8");
    }
}
