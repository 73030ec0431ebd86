//! Tables and figures for people.

/// Lays out rows under a heading; columns after the first are right-aligned.
pub fn render(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let columns = cells.iter().zip(&widths).enumerate();
        let cells = columns.map(|(at, (cell, &width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let mut text = line(heading.to_vec());
    let rule = widths.iter().enumerate().map(|(at, &width)| match at {
        0 => "-".repeat(width + 2),
        _ => format!("{}:", "-".repeat(width + 1)),
    });
    text.push('|');
    text.push_str(&rule.collect::<Vec<_>>().join("|"));
    text.push_str("|\n");
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// A size in megabytes (10⁶ bytes, as docker shows them).
#[expect(clippy::cast_precision_loss, reason = "for show; sizes are far below 2⁵²")]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A duration in seconds, or in milliseconds where it is short.
pub fn seconds(time: std::time::Duration) -> String {
    match time.as_millis() {
        0..1000 => format!("{} ms", time.as_millis()),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// The middle value.
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn columns_line_up() {
        let text = render(
            &["what", "n"],
            &[vec!["a".into(), "1000".into()], vec!["longer".into(), "1".into()]],
        );
        assert_eq!(
            text,
            "| what   |    n |\n|--------|-----:|\n| a      | 1000 |\n| longer |    1 |\n"
        );
    }

    #[test]
    fn figures() {
        assert_eq!(megabytes(12_345_678), "12.3 MB");
        assert_eq!(seconds(Duration::from_millis(25)), "25 ms");
        assert_eq!(seconds(Duration::from_millis(2540)), "2.5 s");
        assert_eq!(median(&[3, 1, 2]), Some(2));
        assert_eq!(median::<u32>(&[]), None);
    }
}
