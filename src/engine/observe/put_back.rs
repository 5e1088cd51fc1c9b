//! Mailboxes that the server put back to an earlier state: their UIDNEXT is lower than it was, and so it gives out UIDs again
//! that messages had which it lost. No server should (RFC 3501 §2.3.1.1 wants a new UIDVALIDITY then), and one whose Maildir
//! is restored from a backup does. One that lies about UIDNEXT has them still.
//!
//! Taken at its word, new mail would be taken for what had its UIDs before. So nothing that is known of its UIDs counts: all
//! of the mailbox is listed, and matched by what the messages are, as where UIDVALIDITY is another. Where so much came
//! since that UIDNEXT is as high again, nothing tells.

use std::collections::BTreeMap;

use super::names::Directory;
use super::remote::{self, RemoteSide};
use super::this_side::ThisSide;
use crate::error::Result;
use crate::mail::{BaseMailbox, MailboxName, Presence, RemoteCheckpoint, Uid, UidValidity};
use crate::reconcile::view::{Direction, RemoteMailbox};
use crate::remote::imap::Session;

/// Looks into all of such mailboxes; where known messages are gone that had UIDs from there on, and none has one, what is
/// known is of a generation that is gone.
pub fn look(
    session: &mut Session,
    directory: &Directory<'_>,
    direction: Direction,
    here: &mut ThisSide<'_>,
    seen: &mut RemoteSide,
) -> Result<()> {
    let went_back = |(name, now): (&MailboxName, &RemoteCheckpoint)| {
        let then = here.base.get(name).filter(|known| known.messages() > 0)?.remote.as_ref()?;
        let (next_then, next_now) = then.uid_next.zip(now.uid_next)?;
        let is_it = then.uid_validity == now.uid_validity && next_now < next_then;
        is_it.then(|| (name.clone(), next_now, then.clone()))
    };
    let doubtful: Vec<_> = seen.checkpoints.iter().filter_map(went_back).collect();
    if doubtful.is_empty() {
        return Ok(());
    }
    for (name, ..) in &doubtful {
        here.base
            .get_mut(name)
            .and_then(|known| known.remote.as_mut())
            .into_iter()
            .for_each(RemoteCheckpoint::look_again);
    }
    let names: Vec<MailboxName> = doubtful.iter().map(|(name, ..)| name.clone()).collect();
    remote::look_into(session, directory, &names, here, direction, seen)?;
    let mut put_back = Vec::new();
    for (name, next, then) in doubtful {
        let is_put_back = lost_all_from(next, here.base.get(&name), seen.view.mailboxes.get(&name));
        if let Some(known) = here.base.get_mut(&name) {
            let uid_validity = if is_put_back { UidValidity::PUT_BACK } else { then.uid_validity };
            let mut then = RemoteCheckpoint { uid_validity, ..then };
            if is_put_back {
                then.look_again();
            }
            known.remote = Some(then);
        }
        if is_put_back {
            log::warn!("{name}: the server has put it back to an earlier state; all of it is compared");
            put_back.push(name);
        }
    }
    // Now more is to be known of messages than what flags they have.
    remote::look_into(session, directory, &put_back, here, direction, seen)
}

/// Whether messages are known that had UIDs from `next` on, and the server has none that has.
fn lost_all_from(next: Uid, known: Option<&BaseMailbox>, seen: Option<&RemoteMailbox>) -> bool {
    let (Some(known), Some(RemoteMailbox::Observed(listing))) = (known, seen) else { return false };
    let has = listing.messages.keys().next_back().is_some_and(|last| *last >= next)
        || known.standing.by_flags().values().any(|uids| uids.last().is_some_and(|last| last >= next));
    let links = known.links.iter().flat_map(BTreeMap::values).filter(|link| link.presence != Presence::LocalOnly);
    !has && links.map(|link| link.uid).any(|uid| uid >= next)
}
