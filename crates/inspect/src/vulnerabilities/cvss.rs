//! The base score of the Common Vulnerability Scoring System, 3.0 and 3.1 (specification, sections 7.1 and 7.4).

/// The base score in tenths, of a vector that has all of the base metrics; `None` of any other.
pub(super) fn base_score(vector: &str) -> Option<u8> {
    let rest = vector
        .strip_prefix("CVSS:3.1/")
        .or_else(|| vector.strip_prefix("CVSS:3.0/"))?;
    let metric = |name: &str| {
        let mut found = rest
            .split('/')
            .filter_map(|metric| metric.split_once(':'))
            .filter(|(metric, _)| *metric == name);
        let (_, value) = found.next()?;
        // Each is there once.
        found.next().is_none().then_some(value)
    };
    let of = |name: &str, values: &[(&str, f64)]| {
        let value = metric(name)?;
        values
            .iter()
            .find(|(known, _)| *known == value)
            .map(|(_, weight)| *weight)
    };
    let is_changed = of("S", &[("U", 0.0), ("C", 1.0)])? > 0.5;
    let (low, high) = if is_changed { (0.68, 0.5) } else { (0.62, 0.27) };
    let exploitability = 8.22
        * of("AV", &[("N", 0.85), ("A", 0.62), ("L", 0.55), ("P", 0.2)])?
        * of("AC", &[("L", 0.77), ("H", 0.44)])?
        * of("PR", &[("N", 0.85), ("L", low), ("H", high)])?
        * of("UI", &[("N", 0.85), ("R", 0.62)])?;
    let part = |name| of(name, &[("N", 0.0), ("L", 0.22), ("H", 0.56)]).map(|weight| 1.0 - weight);
    let base = 1.0 - part("C")? * part("I")? * part("A")?;
    let impact = if is_changed {
        7.52 * (base - 0.029) - 3.25 * (base - 0.02_f64).powi(15)
    } else {
        6.42 * base
    };
    if impact <= 0.0 {
        return Some(0);
    }
    let sum = if is_changed {
        1.08 * (impact + exploitability)
    } else {
        impact + exploitability
    };
    Some(round_up(sum.min(10.0)))
}

/// The next tenth, as appendix A has it: what is no more than an error of floating point does not count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number between 0 and 10"
)]
fn round_up(number: f64) -> u8 {
    let number = (number * 100_000.0).round() as u32;
    number.div_ceil(10_000) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From FIRST's "Common Vulnerability Scoring System v3.1: Examples".
    #[test]
    fn published_examples() {
        for (vector, expected) in [
            ("AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61),
            ("AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 64),
            ("AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 31),
            ("AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 99),
            ("AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 42),
            ("AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 88),
            ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 75),
            ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98),
            ("AV:N/AC:H/PR:N/UI:N/S:C/C:N/I:H/A:N", 68),
            ("AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N", 46),
            ("AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0),
            ("AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H/E:P/RL:O", 100),
        ] {
            for version in ["3.0", "3.1"] {
                assert_eq!(
                    base_score(&format!("CVSS:{version}/{vector}")),
                    Some(expected),
                    "{vector}"
                );
            }
        }
        for vector in [
            "",
            "CVSS:3.1/",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            "AV:N/AC:L/Au:N/C:P/I:P/A:P",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
            "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        ] {
            assert_eq!(base_score(vector), None, "{vector}");
        }
    }
}
