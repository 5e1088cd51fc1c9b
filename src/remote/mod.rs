//! (being written)

pub mod imap;
