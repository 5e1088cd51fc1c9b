//! Octets of a POP3 server in pieces → status lines and multi-line answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::remote::pop3::fuzz::replies(data));
