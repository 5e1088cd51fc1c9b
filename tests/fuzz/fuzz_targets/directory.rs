//! Text → directories of mailboxes in both layouts, there and back.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::local::fuzz::directory(data));
