//! A configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::config::fuzz::config(data));
