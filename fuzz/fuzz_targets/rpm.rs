//! `kiln_properties::rpm` holds for every input.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kiln_properties::rpm(bytes));
