//! IMAP (RFC 3501, RFC 9051): opening a session, and what the server can do.

pub mod capability;
mod gate;
pub mod open;

pub use capability::{Capabilities, Capability};
pub use open::{ImapOptions, Opened, open};
