//! Octets of a POP3 server → status lines, lists, unstuffing, every job of a session.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::remote::pop3::fuzz::server(data));
