//! `--format`: `json`, `table`, or a template; `table` before a template for a header.

pub(crate) mod encoding;
mod template;

use std::fmt::Write as _;

use serde_json::Value;

use crate::failure::Failure;
pub(crate) use template::Template;

/// How rows are printed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    /// The command's own table.
    Table,
    /// A JSON object per line.
    Json,
    /// A line per row.
    Template {
        /// What to print.
        template: Template,
        /// Whether a header comes first.
        header: bool,
    },
}

impl Format {
    /// Reads the option's value.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Failure> {
        match text {
            None | Some("table") => Ok(Self::Table),
            Some("json" | "{{json .}}") => Ok(Self::Json),
            Some(text) => {
                let header = text.strip_prefix("table ");
                let template = Template::parse(header.unwrap_or(text)).map_err(Failure::usage)?;
                Ok(Self::Template {
                    template,
                    header: header.is_some(),
                })
            }
        }
    }
}

/// Prints rows that are JSON objects.
pub(crate) fn rows(format: &Format, rows: &[Value]) -> Result<String, Failure> {
    let mut text = String::new();
    match format {
        Format::Table | Format::Json => {
            for row in rows {
                let _ = writeln!(text, "{row}");
            }
        }
        Format::Template { template, header } => {
            if *header {
                let _ = writeln!(text, "{}", template.header());
            }
            for row in rows {
                let _ = writeln!(text, "{}", template.render(row).map_err(Failure::usage)?);
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prints_a_header() {
        let format = Format::parse(Some("table {{.Repository}}\t{{.CreatedSince}}")).unwrap();
        let rows = rows(&format, &[json!({"Repository": "a", "CreatedSince": "now"})]).unwrap();
        assert_eq!(rows, "REPOSITORY\tCREATED SINCE\na\tnow\n");
    }
}
