//! A response → the data of one message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::remote::imap::fuzz::fetch(data));
