//! Names of message files, whoever made them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::local::fuzz::file_name(data));
