//! The Maildir store: mailboxes as directories, messages as files, every effect durable before it is reported.
//!
//! Only this module touches the local tree. It observes ([`Store::mailboxes`], [`Store::scan`], [`Store::examine`]) and
//! acts ([`Folder`]); what should be done is decided elsewhere. Two invariants hold everywhere: nothing below the root
//! is reached through a symbolic link, and what could not be read is an error, never absence.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `layout` | names of mailboxes ⇄ directories: the one encoder |
//! | `name` | names of message files: origin, sizes, flag letters |
//! | `dir` | a directory by descriptor; the words for what goes wrong |
//! | `store` | opening a tree, its marker |
//! | `tree` | which mailboxes there are |
//! | `mailbox` | making and removing one |
//! | `scan` | one readdir a directory, checkpoints |
//! | `content` | line ends, digests, sizes |
//! | `deliver` | messages that arrive: `tmp`, flush, rename, flush |
//! | `folder` | messages that are there: flags, removal, reading |
//! | `keywords` | `dovecot-keywords` |

mod content;
mod deliver;
mod dir;
mod folder;
mod keywords;
mod layout;
mod mailbox;
mod name;
mod scan;
mod store;
mod tree;

use std::path::PathBuf;

pub use content::WireDigest;
pub use deliver::{Delivered, Delivery, Incoming, Received};
pub use folder::{Folder, Outgoing};
pub use keywords::KeywordTable;
pub use layout::Layout;
pub use mailbox::Removed;
pub use scan::{Examined, Listing, Scan, ScannedFile};
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
