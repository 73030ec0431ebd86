//! `kiln_properties::vulnerabilities` holds for every input.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kiln_properties::vulnerabilities(bytes));
