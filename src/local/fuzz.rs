//! Names of files and directories as other programs may have made them. Entry points of the targets in `tests/fuzz`, and
//! of the mutation test.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;

use super::Layout;
use super::name::{self, Letters};
use crate::mail::{FileOrigin, MailboxName, UnixSeconds};

/// Names of message files: whatever another program made of one, renaming it keeps its unique part and what it says.
pub fn file_name(data: &[u8]) {
    let old = OsStr::from_bytes(data);
    let unique = name::unique(old);
    let letters = Letters::of(old);
    let new = letters.name(unique);
    if !unique.is_empty() {
        assert_eq!(name::unique(&new), unique, "the unique part stays");
        assert_eq!(Letters::of(&new).name(name::unique(&new)), new, "one renaming is enough");
    }
    assert!(new.len() <= data.len() + 4);
    let from_mailbox = name::origin(unique).map(FileOrigin::Mailbox);
    let from_maildrop = name::maildrop_origin(unique).map(|(origin, _)| FileOrigin::Maildrop(origin));
    for origin in [from_mailbox, from_maildrop].into_iter().flatten() {
        let date = unique.to_str().and_then(|text| text.split('.').next()?.parse().ok()).unwrap_or_default();
        let written = name::delivered(&origin, UnixSeconds(date), 0, 0, 0);
        let mark = |name: &OsStr| name.as_bytes().split(|b| *b == b',').next().map(<[u8]>::to_vec);
        // Seconds beyond what we write are no reason to disown a file.
        if date > 0 {
            assert_eq!(mark(&written), mark(unique), "an origin is read from what we write only");
        }
        if let Some((file, wire)) = name::delivered_sizes(unique) {
            assert_eq!(
                name::delivered_sizes(&name::delivered(&origin, UnixSeconds(0), file, wire, 1)),
                Some((file, wire))
            );
        }
    }
}

/// Names of mailboxes as directories: below the root, never one that means something else, and back.
pub fn directory(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for layout in [Layout::Nested, Layout::MaildirPlusPlus] {
        if let Some(name) = MailboxName::parse(&text)
            && let Ok(path) = layout.directory(&name)
        {
            assert_eq!(layout.mailbox(&path).as_ref(), Some(&name), "there and back");
            let stays = |part| matches!(part, Component::Normal(part) if !["cur", "new", "tmp", ".mailtide"].map(OsStr::new).contains(&part));
            assert!(path.components().all(stays), "{path:?}");
        }
        let found = std::path::Path::new(&*text);
        if let Some(name) = layout.mailbox(found) {
            assert_eq!(layout.directory(&name).ok().as_deref(), Some(found), "a directory has one name");
        }
        let _ = layout.stand_in(found);
    }
}
