//! `ShellCheck`'s rules, as the crate `shuck-linter` knows them. No other file knows that crate.

use std::fmt::Write as _;

use shuck_linter::{AnalysisRequest, Diagnostic, LinterSettings, Rule, ShellCheckCodeMap, ShellDialect};
use shuck_parser::parser::Parser;

use super::check::{Checker, Dialect, Remark, Text};

/// The crate, told what is asked of it.
pub(super) struct Shuck {
    rules: Vec<(Rule, &'static str)>,
    settings: LinterSettings,
}

impl Shuck {
    /// Its rules for those codes.
    pub(super) fn new(codes: &[&'static str]) -> Self {
        let known = ShellCheckCodeMap::default();
        let rules: Vec<_> = codes
            .iter()
            .filter_map(|code| Some((known.resolve(code)?, *code)))
            .collect();
        let settings = LinterSettings::for_rules(rules.iter().map(|(rule, _)| *rule));
        Self {
            rules,
            settings: settings.with_resolve_source_closure(false),
        }
    }
}

impl Checker for Shuck {
    fn check(&self, text: &Text<'_>) -> Vec<Remark> {
        let dialect = dialect(text.dialect);
        let settings = self.settings.clone().with_shell(dialect);
        let mut source = String::new();
        for name in text.names {
            let _ = writeln!(source, "export {name}=1");
        }
        let start = source.len();
        source.push_str(text.script);
        let parsed = Parser::with_dialect(&source, dialect.parser_dialect()).parse();
        let mut request = AnalysisRequest::from_parse_result(&parsed, &source, &settings);
        if !text.script.contains("shellcheck") {
            // Nothing is silenced by comments: what reads them costs more than all the rest.
            request = request.without_suppressions();
        }
        let remark = |diagnostic: Diagnostic| {
            let (_, code) = self.rules.iter().find(|(rule, _)| *rule == diagnostic.rule)?;
            let range = diagnostic.span.start.offset()..diagnostic.span.end.offset().min(source.len());
            // What is said of the variables before the script is about our own text.
            (range.start >= start).then(|| Remark {
                code,
                message: diagnostic.message,
                range: range.start - start..range.end.max(range.start) - start,
            })
        };
        request.lint().into_iter().filter_map(remark).collect()
    }
}

const fn dialect(dialect: Dialect) -> ShellDialect {
    match dialect {
        Dialect::Sh => ShellDialect::Sh,
        Dialect::Bash => ShellDialect::Bash,
        Dialect::Dash => ShellDialect::Dash,
        Dialect::Ksh => ShellDialect::Ksh,
    }
}
