//! BuildKit's warnings: those that need nothing but the text, the settings (`# check=…`) that silence them, and what
//! each of the rules is about.

mod config;
mod rules;
mod run;

pub use config::Config;
pub use rules::{Rule, find as rule};
pub use run::expose;
pub(crate) use run::{empty_continuation, run};
