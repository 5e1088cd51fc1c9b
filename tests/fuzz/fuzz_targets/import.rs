//! A configuration of another tool → one of Mailtide's.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::import::fuzz::import(data));
