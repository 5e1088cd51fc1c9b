//! The IMAP engine: opening a session, framing and pipelining, and the commands a synchroniser needs (RFC 3501 and
//! extensions), each with the fewest round trips the server allows.

mod append;
mod bodies;
mod change;
mod folder;
mod mailboxes;
mod name;
mod observe;
mod session;

pub use append::Append;
pub use bodies::{BodySink, FetchedMessage};
pub use change::Expunged;
pub use folder::Deleted;
pub use mailboxes::{Listed, Listing, MailboxStatus, SpecialUse};
pub use name::{Names, WireName};
pub use observe::{Access, Ask, Seen, SeenCoverage, SeenMessage};
pub use session::Session;
