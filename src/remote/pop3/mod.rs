//! The POP3 client (RFC 1939, 2449, 2595, 5034): opening a session, listing a maildrop, streaming messages out of it,
//! and marking them deleted, each with the fewest round trips that the server allows.
//!
//! What it promises: a message is [`done`](MaildropSink::done) only when all of it came and its end was no accident;
//! what was deleted is deleted only when [`Session::quit`] says so. What it leaves out: whatever needs memory of an
//! earlier session, that is, which messages are new.

pub mod auth;
pub mod capability;
mod delete;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod listing;
mod measure;
pub mod open;
pub mod quirk;
mod retrieve;
#[cfg(test)]
mod scripted;
mod session;
mod status;
mod unstuff;
mod wire;

pub use auth::Pop3Auth;
pub use capability::{Capabilities, Capability, Expire};
pub use delete::Committed;
pub use listing::{Entry, Listing, Odd, Stat};
pub use open::Pop3Options;
pub use retrieve::MaildropSink;
pub use session::Session;
