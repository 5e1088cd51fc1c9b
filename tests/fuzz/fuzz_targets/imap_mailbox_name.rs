//! A name that a server lists → a mailbox name, and back.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailtide::remote::imap::fuzz::mailbox_name(data));
