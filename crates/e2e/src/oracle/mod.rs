//! A second opinion on what Dockerfiles mean: a slow, obvious interpreter of a part of the language over a tree in
//! memory, and programs of that part to try on it. It shares no code with Kiln.

pub mod interpret;
pub mod program;
pub mod random;
pub mod tree;
