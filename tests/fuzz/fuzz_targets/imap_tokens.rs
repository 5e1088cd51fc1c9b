//! A response → values, whatever they mean.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::remote::imap::fuzz::tokens(data));
