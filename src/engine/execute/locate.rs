//! Which UID did an appended message get, when the server does not say (no UIDPLUS, RFC 4315)?
//!
//! Only UIDs from the UIDNEXT before the first APPEND on come into question, less those seen before. The Message-ID
//! decides where it is unambiguous on both sides, the content where it is not. What is still open is paired in order when
//! the numbers agree, and no Message-ID speaks against it: UIDs rise in the order of the APPENDs, and some servers rewrite
//! what they store. They do not rewrite what they move; and a server says OK to a move of what is gone already.

use std::collections::BTreeMap;

use crate::engine::execute::World;
use crate::engine::observe::same::digests;
use crate::error::Result;
use crate::mail::{Content, Contents, MailboxName, MessageIdHash, Uid, UidSet, UidValidity};
use crate::reconcile::view::RemoteMailbox;
use crate::remote::imap::{Session, WireName};

/// A mailbox in which messages arrived: what is to be looked for is new since it was observed.
pub struct Destination<'a> {
    wire: &'a WireName,
    uid_validity: UidValidity,
    uid_next: Option<Uid>,
    /// UIDs at or above UIDNEXT that were there already when the mailbox was observed.
    seen_before: UidSet,
}

impl<'a> Destination<'a> {
    /// The mailbox `name`, which had this UIDNEXT when it was observed.
    pub fn new(
        world: &World<'_>,
        name: &MailboxName,
        wire: &'a WireName,
        uid_validity: UidValidity,
        uid_next: Option<Uid>,
    ) -> Destination<'a> {
        let seen_before = match world.seen.remote.mailboxes.get(name) {
            Some(RemoteMailbox::Observed(listing)) => listing.messages.keys().copied().collect(),
            _ => UidSet::new(),
        };
        Destination { wire, uid_validity, uid_next, seen_before }
    }

    /// Finds the UID of each message of `sent`, which is in the order of sending.
    pub fn appended(&self, session: &mut Session, sent: &[Content]) -> Result<Vec<Option<Uid>>> {
        let new = self.new_messages(session)?;
        let mut found = self.recognised(session, &new, sent)?;
        in_order(&new, sent, &mut found);
        Ok(found)
    }

    /// Finds the UID of each message of `moved`, as far as it came: by its Message-ID or content, and by nothing less.
    pub fn moved(&self, session: &mut Session, moved: &[Content]) -> Result<Vec<Option<Uid>>> {
        let new = self.new_messages(session)?;
        self.recognised(session, &new, moved)
    }

    /// Finds messages that may have been appended by a run that broke off: by their content, and by nothing less.
    pub fn turned_up(&self, session: &mut Session, sent: &[Content]) -> Result<Vec<Option<Uid>>> {
        let new = self.new_messages(session)?;
        let could_be = |id: &Option<MessageIdHash>| sent.iter().any(|content| content.message_id == *id);
        let candidates: UidSet = new.iter().filter(|(_, id)| could_be(id)).map(|(uid, _)| *uid).collect();
        let mut found = vec![None; sent.len()];
        if !candidates.is_empty() {
            by_content(&digests(session, self.wire, self.uid_validity, &candidates)?, sent, &mut found);
        }
        Ok(found)
    }

    fn new_messages(&self, session: &mut Session) -> Result<New> {
        let arrived = session.uids_from(self.wire, self.uid_validity, self.uid_next.unwrap_or(Uid::MIN))?;
        let arrived: UidSet = arrived.iter().filter(|uid| !self.seen_before.contains(*uid)).collect();
        let fields = session.header_fields(self.wire, &arrived)?;
        Ok(arrived.iter().map(|uid| (uid, fields.get(&uid).and_then(|f| f.message_id))).collect())
    }

    fn recognised(&self, session: &mut Session, new: &New, sent: &[Content]) -> Result<Vec<Option<Uid>>> {
        let mut found = by_message_id(new, sent);
        let open: UidSet = new.keys().copied().filter(|uid| !found.contains(&Some(*uid))).collect();
        if found.iter().any(Option::is_none) && !open.is_empty() {
            by_content(&digests(session, self.wire, self.uid_validity, &open)?, sent, &mut found);
        }
        Ok(found)
    }
}

/// Messages that have arrived, with Message-IDs.
type New = BTreeMap<Uid, Option<MessageIdHash>>;

fn by_message_id(new: &New, sent: &[Content]) -> Vec<Option<Uid>> {
    let only = |id: MessageIdHash| {
        let mut on_server = new.iter().filter(|(_, i)| **i == Some(id)).map(|(uid, _)| *uid);
        let once_here = sent.iter().filter(|content| content.message_id == Some(id)).count() == 1;
        on_server.next().filter(|_| once_here && on_server.next().is_none())
    };
    sent.iter().map(|content| content.message_id.and_then(only)).collect()
}

fn by_content(contents: &BTreeMap<Uid, Contents>, sent: &[Content], found: &mut [Option<Uid>]) {
    for (at, one) in sent.iter().enumerate() {
        let free = |uid: &Uid| !found.contains(&Some(*uid));
        let twin = contents.iter().filter(|(_, c)| c.whole.digest == one.digest).map(|(uid, _)| *uid).find(free);
        if let Some(slot) = found.get_mut(at).filter(|slot| slot.is_none()) {
            *slot = twin;
        }
    }
}

fn in_order(new: &New, sent: &[Content], found: &mut [Option<Uid>]) {
    let left: Vec<Uid> = new.keys().copied().filter(|uid| !found.contains(&Some(*uid))).collect();
    if left.len() != found.iter().filter(|f| f.is_none()).count() {
        return;
    }
    for ((slot, one), uid) in found.iter_mut().zip(sent).filter(|(slot, _)| slot.is_none()).zip(left) {
        // A server may give one to a message that had none, and takes none away.
        let id = one.message_id;
        *slot = Some(uid).filter(|uid| id.is_none() || new.get(uid) == Some(&id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Digest;

    fn sent(digest: u8, id: Option<u64>) -> Content {
        Content { digest: Digest([digest; 32]), wire_size: 1, message_id: id.map(MessageIdHash) }
    }

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    #[test]
    fn an_unambiguous_message_id_is_enough_and_an_ambiguous_one_is_not() {
        let new = BTreeMap::from([
            (uid(5), Some(MessageIdHash(1))),
            (uid(6), Some(MessageIdHash(2))),
            (uid(7), Some(MessageIdHash(2))),
        ]);
        let all = [sent(1, Some(1)), sent(2, Some(2)), sent(3, None)];
        assert_eq!(by_message_id(&new, &all), [Some(uid(5)), None, None]);
    }

    #[test]
    fn content_pairs_equal_messages_one_to_one() {
        let contents = BTreeMap::from([5, 6].map(|n| (uid(n), sent(1, None).into())));
        let mut found = vec![None, None, None];
        by_content(&contents, &[sent(1, None), sent(1, None), sent(2, None)], &mut found);
        assert_eq!(found, [Some(uid(5)), Some(uid(6)), None]);
    }

    #[test]
    fn order_decides_only_when_the_numbers_agree_and_no_message_id_speaks_against_it() {
        let new = |ids: [Option<u64>; 3]| (5..).map(uid).zip(ids.map(|id| id.map(MessageIdHash))).collect::<New>();
        let all = [sent(1, Some(1)), sent(2, None), sent(3, Some(3))];
        let mut found = vec![Some(uid(5)), None, None];
        in_order(&new([Some(1), Some(2), Some(3)]), &all, &mut found);
        assert_eq!(found, [Some(uid(5)), Some(uid(6)), Some(uid(7))]);
        let mut found = vec![None, None];
        in_order(&new([Some(1), Some(2), Some(3)]), &all[1..], &mut found);
        assert_eq!(found, [None, None]);
        // Somebody took the third away, and another message came.
        let mut found = vec![Some(uid(5)), Some(uid(6)), None];
        in_order(&new([Some(1), Some(2), Some(9)]), &all, &mut found);
        assert_eq!(found, [Some(uid(5)), Some(uid(6)), None]);
    }
}
