//! Dockerfile text to a syntax tree with byte spans; words and their expansion; `.dockerignore` patterns.
//!
//! Pure. Parsing never fails: it gives a tree and what there is to say about the text.

pub mod ast;
pub mod diagnostic;

pub use ast::Dockerfile;
