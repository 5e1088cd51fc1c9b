//! Text → modified UTF-7 and mailbox names, there and back.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::mail::fuzz::names(data));
