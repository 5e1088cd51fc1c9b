//! The IMAP engine: opening a session, framing and pipelining, and the commands a synchroniser needs (RFC 3501 and
//! extensions), each with the fewest round trips the server allows.

mod append;
mod bodies;
pub mod capability;
mod change;
mod folder;
mod gate;
mod mailboxes;
mod name;
mod observe;
pub mod open;
mod session;

pub use append::Append;
pub use bodies::{BodySink, FetchedMessage};
pub use capability::{Capabilities, Capability};
pub use change::Expunged;
pub use folder::Deleted;
pub use mailboxes::{Listed, Listing, MailboxStatus, SpecialUse};
pub use name::{Names, WireName};
pub use observe::{Access, Ask, Seen, SeenCoverage, SeenMessage};
pub use open::{ImapOptions, Opened, open};
pub use session::Session;
