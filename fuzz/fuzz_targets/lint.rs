//! `kiln_properties::linted` and `fixed` hold for every input.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    kiln_properties::linted(bytes);
    kiln_properties::fixed(bytes);
});
