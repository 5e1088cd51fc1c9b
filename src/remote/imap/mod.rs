//! The IMAP engine (RFC 3501, RFC 9051): opening a session, what the server can do, framing and pipelining, and the
//! commands a synchroniser needs, each with the fewest round trips the server allows.

mod append;
mod arrived;
mod batch;
#[doc(hidden)]
pub mod bench;
mod block;
mod bodies;
pub mod capability;
mod change;
mod command;
mod copied;
mod date;
mod fetch;
mod folder;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gate;
mod mailboxes;
mod name;
mod observe;
pub mod open;
mod quirk;
mod relocate;
mod reply;
#[cfg(test)]
mod scripted;
mod select;
mod session;
mod status;
mod token;
mod wire;

pub use append::{Append, Grouping, Uploaded};
pub use bodies::{BodySink, FetchedMessage, More, Wanted};
pub use capability::{Capabilities, Capability};
pub use change::{Expunged, Stored};
pub use folder::Deleted;
pub use mailboxes::{Listed, Listing, SpecialUse};
pub use name::{Names, WireName};
pub use observe::{Access, Ask, Seen, SeenCoverage, SeenMessage};
pub use open::{ImapOptions, Opened, open};
pub use relocate::Relocated;
pub use session::Session;
pub use status::MailboxStatus;
