//! What holds for every input, however hostile: one function for each kind of input. Each takes any bytes, uses what
//! Kiln reads them with, and panics if something does not hold that always must.
//!
//! The tests of this crate call them with random input, with all Dockerfiles of `tests/`, and with those damaged at
//! random; the targets of `fuzz/` call them with what a fuzzer finds.

mod dockerfile;
mod fixes;
mod image;
mod include;
mod inspect;
mod tar;
mod text;

pub use dockerfile::{dockerfile, edited, json_form, linted};
pub use fixes::fixed;
pub use image::{image, reference};
pub use include::include;
pub use inspect::{elf, layer_index, layer_tar, ld_so_cache, rpm, vulnerabilities};
pub use tar::tar;
pub use text::{flags, globs, ignore, words};
