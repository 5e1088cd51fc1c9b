//! Octets of an IMAP server in pieces → responses and literals.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::remote::imap::fuzz::framing(data));
