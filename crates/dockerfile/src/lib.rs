//! Dockerfile text to a syntax tree with byte spans; words and their expansion; `.dockerignore` patterns.
//!
//! Pure. Parsing never fails: it gives a tree and what there is to say about the text.

pub mod ast;
pub mod boolean;
pub mod checks;
pub mod code;
pub mod device;
pub mod diagnostic;
pub mod expand;
pub mod extensions;
pub mod glob;
pub mod ignore;
pub mod include;
pub mod mount;
pub mod path;
pub mod source;
pub mod suggest;

mod automaton;
mod csv;
mod lines;
mod parse;

pub use ast::Dockerfile;
pub use parse::{Joined, parse, parse_bytes, parse_instruction, vocabulary};
