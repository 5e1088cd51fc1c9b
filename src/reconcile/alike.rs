//! The same message without a look at its body: what both sides have alone with one Message-ID and one size.
//!
//! Where a mailbox was synchronised before, its file's mtime must be the INTERNALDATE, too. Where nothing was ever agreed
//! on in it, as when a tree is adopted, or the state or the UIDs are gone, an mtime may be anything: that such a pair is
//! not one message is far less likely than that it is. A message without a Message-ID is never taken so.
//!
//! Sizes are those without the stamps of other synchronisers: the length of these lines is known exactly on both sides.

use std::collections::BTreeMap;

use super::view::RemoteMessage;
use crate::mail::{BaseMailbox, Content, MessageIdHash, Uid, UidValidity, UnixSeconds};

/// Whether an mtime says when a message arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// It does.
    Agree,
    /// It may.
    MayDiffer,
}

impl Dates {
    /// What the dates of a mailbox mean whose UIDs are of generation `now`.
    pub fn of(base: Option<&BaseMailbox>, now: Option<UidValidity>) -> Dates {
        let checked = base.and_then(|b| b.remote.as_ref()).filter(|c| c.uid_next.is_some());
        match checked {
            Some(checkpoint) if Some(checkpoint.uid_validity) == now => Dates::Agree,
            Some(_) | None => Dates::MayDiffer,
        }
    }
}

/// Pairs each of `files`, their content without stamps, with the one of `messages` that it is, both without a link.
pub fn alike<'a, F: Copy>(
    files: impl Iterator<Item = (F, Content, UnixSeconds)>,
    messages: impl Iterator<Item = (Uid, &'a RemoteMessage)>,
    dates: Dates,
) -> Vec<(F, Uid)> {
    let mut groups: BTreeMap<(MessageIdHash, u64), Group<F>> = BTreeMap::new();
    for (file, content, modified) in files {
        if let Some(id) = content.message_id {
            groups.entry((id, content.wire_size)).or_default().files.push((file, modified));
        }
    }
    for (uid, message) in messages {
        if let (Some(id), Some(size)) = (message.message_id, message.plain_size())
            && let Some(group) = groups.get_mut(&(id, size))
        {
            group.messages.push((uid, message.internal_date));
        }
    }
    let pair = |group: Group<F>| match (group.files.as_slice(), group.messages.as_slice()) {
        ([(file, modified)], [(uid, date)]) => {
            (dates == Dates::MayDiffer || *date == Some(*modified)).then_some((*file, *uid))
        }
        _ => None,
    };
    groups.into_values().filter_map(pair).collect()
}

struct Group<F> {
    files: Vec<(F, UnixSeconds)>,
    messages: Vec<(Uid, Option<UnixSeconds>)>,
}

impl<F> Default for Group<F> {
    fn default() -> Self {
        Group { files: Vec::new(), messages: Vec::new() }
    }
}
