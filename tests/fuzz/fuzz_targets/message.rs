//! A message in pieces → its form on disk, digest, Message-ID, header hash; and back on the wire.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::local::fuzz::message(data));
