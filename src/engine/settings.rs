//! The settings that decide what a run leaves alone, and whose mail it is, in words for the state to keep.

use crate::config::ImapAccount;
use crate::reconcile::view::{Deletions, Direction, Keywords};

/// Direction, deletions and keywords of an account. The words stand in states; they are never changed.
pub fn words(account: &ImapAccount) -> String {
    let direction = match account.direction {
        Direction::Both => "both",
        Direction::Pull => "pull",
        Direction::Push => "push",
    };
    let deletions = match account.deletions {
        Deletions::Expunge => "expunge",
        Deletions::Trash => "trash",
        Deletions::Mark => "mark",
        Deletions::Never => "never",
    };
    let keywords = match account.keywords {
        Keywords::Synced => "synced",
        Keywords::Ignored => "ignored",
    };
    format!("direction={direction} deletions={deletions} keywords={keywords}")
}

/// Whose mailboxes are meant. Its port may change, and how it is protected: many reach one server by several ways.
pub fn server(account: &ImapAccount) -> String {
    format!("{}@{}", account.imap.user, account.imap.server.host.to_ascii_lowercase())
}
