//! The Maildir store: mailboxes as directories, messages as files, every effect durable before it is reported.
//!
//! Only this module touches the local tree. It observes ([`Store::mailboxes`], [`Store::scan`], [`Store::examine`]) and
//! acts ([`Folder`]); what should be done is decided elsewhere. Two invariants hold everywhere: nothing below the root
//! is reached through a symbolic link, and what could not be read is an error, never absence.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `access` | whether a run would be allowed what it has to do |
//! | `bench` | a door for benchmarks |
//! | `layout` | names of mailboxes ⇄ directories: the one encoder |
//! | `name` | names of message files: origin, sizes, flag letters |
//! | `dir` | a directory by descriptor |
//! | `temporary` | files on their way to their place |
//! | `trouble` | the words for what goes wrong |
//! | `store` | opening a tree, its marker |
//! | `tree` | which mailboxes there are |
//! | `mailbox` | making and removing one |
//! | `settle` | one readdir a directory, checkpoints |
//! | `scan` | what a mailbox holds |
//! | `namesakes` | files of one unique part: one message, or two names |
//! | `lately` | what came to a mailbox that is left out |
//! | `lines` | line ends, there and back |
//! | `content` | digests, sizes |
//! | `incoming` | messages that arrive, into `tmp` |
//! | `deliver` | from `tmp` into the mailbox: flush, rename, flush |
//! | `folder` | messages that are there: flags, removal |
//! | `flush` | what others wrote, onto the disk before it is recorded |
//! | `together` | many files or directories flushed at once |
//! | `outgoing` | messages to be sent |
//! | `relocate` | messages that come from another mailbox |
//! | `rename` | mailboxes that get another name |
//! | `maildrop` | a tree that the mail of a POP3 account goes into, perhaps beside another account's |
//! | `keywords` | `dovecot-keywords` |

mod access;
#[doc(hidden)]
pub mod bench;
mod content;
mod deliver;
mod dir;
mod flush;
mod folder;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod incoming;
mod keywords;
mod lately;
mod layout;
mod lines;
mod mailbox;
mod maildrop;
mod name;
mod namesakes;
mod outgoing;
mod places;
mod relocate;
mod rename;
mod scan;
mod settle;
mod store;
mod temporary;
mod together;
mod tree;
mod trouble;

use std::path::PathBuf;

pub use access::{Need, allows_making};
pub use content::WireDigest;
pub use deliver::{Delivered, Delivery, deliver};
pub use folder::Folder;
pub use incoming::{Incoming, Received};
pub use keywords::{KeywordLetters, KeywordTable};
pub use lately::Lately;
pub use layout::Layout;
pub use mailbox::Removed;
pub use maildrop::{Recovered, Turn};
pub use outgoing::Outgoing;
pub use relocate::{Arrival, Way};
pub use scan::{Examined, Listing, Roll, Scan, ScannedFile};
pub use store::{Expected, Marker, Opened, Store};
pub use tree::{Directory, unusable_at};

/// Where an account's tree is and how it is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalOptions {
    /// The tree's root; `~` is already resolved.
    pub root: PathBuf,
    /// How mailbox names become directories.
    pub layout: Layout,
}
