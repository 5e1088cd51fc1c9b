//! Octets of an IMAP server → framing, tokenizer, FETCH and status parsers, every job of a session.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::remote::imap::fuzz::server(data));
