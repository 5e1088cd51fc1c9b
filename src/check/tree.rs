//! The local tree: there, ours, writable, laid out as configured.

use rustix::fs::{Access, access};

use super::Finding;
use super::kept::Known;
use crate::local::{Expected, Layout, LocalOptions, Marker, Store};

/// Looks at the tree; one that does not exist yet is not made.
pub(super) fn check(options: &LocalOptions, known: Known, put: &mut dyn FnMut(Finding)) {
    const SUBJECT: &str = "tree";
    let root = options.root.display();
    let expected = match known {
        Known::Account(id) => Expected::Known(id),
        Known::Nothing | Known::Unreadable => Expected::First,
    };
    let opened = match Store::open_existing(options, expected) {
        Ok(Some(opened)) => opened,
        Ok(None) => {
            put(Finding::ok(SUBJECT, format!("{root} does not exist yet; the first run makes it")));
            return;
        }
        Err(error) => {
            put(Finding::error(SUBJECT, &error));
            return;
        }
    };
    let whose = match (opened.marker, known) {
        (Marker::Absent, _) => "no marker yet; the first run adopts what is there".to_owned(),
        (Marker::Present(id), Known::Account(_)) => format!("the marker names this account, {id}"),
        (Marker::Present(id), _) => format!("the marker names account {id}; the state is made again from the mail"),
    };
    put(Finding::ok(SUBJECT, format!("{root}: {whose}")));
    if let Err(errno) = access(&options.root, Access::WRITE_OK | Access::EXEC_OK) {
        put(Finding::warn(
            SUBJECT,
            format!("{root} cannot be written to: {}", std::io::Error::from(errno)),
            format!("Make it writable: `chmod u+rwx '{root}'`, or mount its file system for writing."),
        ));
    }
    match opened.store.mailboxes() {
        Ok(mailboxes) => put(Finding::ok(SUBJECT, format!("{} mailboxes", mailboxes.len()))),
        Err(error) => put(Finding::error(SUBJECT, &error)),
    }
    if let Some(other) = other_layout(options) {
        put(Finding::warn(
            SUBJECT,
            format!("{root} looks like the layout \"{other}\""),
            format!("If it is, set `layout = \"{other}\"`."),
        ));
    }
}

/// The other layout, if the root's directories are those it would have.
fn other_layout(options: &LocalOptions) -> Option<&'static str> {
    let is_mailbox = |path: &std::path::Path| path.join("cur").is_dir() && path.join("new").is_dir();
    let (at_root, at_inbox) = (is_mailbox(&options.root), is_mailbox(&options.root.join("INBOX")));
    match options.layout {
        Layout::Nested if at_root && !at_inbox => Some("maildir++"),
        Layout::MaildirPlusPlus if at_inbox && !at_root => Some("nested"),
        _ => None,
    }
}
