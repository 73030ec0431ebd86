//! The language, area by area: cases are data where that is natural, derived from what BuildKit does.

mod checks;
mod dump;
mod errors;
mod expand;
mod glob;
mod ignore;
mod limits;
mod mount;
mod parse;
mod properties;
