//! Rules over a parsed Dockerfile: what is found, where, and what would mend it.
//!
//! Pure. The parser is the builder's; BuildKit's checks come from it and from the plan, hadolint's rules (`DL…`) and
//! Kiln's own (`K…`) are here, one file for each family.

mod announced;
mod apply;
mod buildkit;
mod config;
mod cost;
pub mod editor;
mod finding;
mod format;
mod known;
mod pages;
mod pragma;
mod rules;
mod run;
mod scripts;
mod shell;
mod state;
mod twins;
mod values;
mod view;

pub use announced::{Announced, announced};
pub use apply::{Fixed, fix};
pub use config::{Config, Context, LabelKind, Threshold};
pub use cost::{Amount, Cost, Measure, Measured};
pub use finding::{Edit, Finding, Fix, Safety, Severity};
pub use format::format;
pub use known::{Base, Known, Manager, Versions};
pub use pages::{page, pages};
pub use rules::{RULES, Rule, find};
pub use run::{lint, rules};
