//! Mailboxes that the server put back to an earlier state: their UIDNEXT is lower than it was, and so it gives out UIDs again
//! that messages had which it lost. No server should (RFC 3501 §2.3.1.1 wants a new UIDVALIDITY then), and one whose
//! Maildir is restored from a backup does.
//!
//! Taken at its word, new mail would be taken for what had its UIDs before. So nothing that is known of its UIDs counts: all
//! of the mailbox is listed, and matched by what the messages are, as where UIDVALIDITY is another. Where so much came
//! since that UIDNEXT is as high again, nothing tells.

use super::names::Directory;
use super::remote::{self, RemoteSide};
use super::this_side::ThisSide;
use crate::error::Result;
use crate::mail::{BaseMailbox, MailboxName, RemoteCheckpoint, UidValidity};
use crate::reconcile::view::Direction;
use crate::remote::imap::Session;

/// Looks into such mailboxes again, and has what is known of them be of a generation that is gone.
pub fn look(
    session: &mut Session,
    directory: &Directory<'_>,
    direction: Direction,
    here: &mut ThisSide<'_>,
    seen: &mut RemoteSide,
) -> Result<()> {
    let went_back = |(name, now): &(&MailboxName, &RemoteCheckpoint)| {
        let known = here.base.get(*name).filter(|known| known.messages() > 0).and_then(|known| known.remote.as_ref());
        let is_same = known.is_some_and(|then| then.uid_validity == now.uid_validity);
        is_same && known.and_then(|then| then.uid_next).zip(now.uid_next).is_some_and(|(then, now)| now < then)
    };
    let names: Vec<MailboxName> = seen.checkpoints.iter().filter(went_back).map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        return Ok(());
    }
    for name in &names {
        log::warn!("{name}: the server has put it back to an earlier state; all of it is compared");
        let known = here.base.get_mut(name).and_then(|known: &mut BaseMailbox| known.remote.as_mut());
        if let Some(then) = known {
            then.look_again();
            then.uid_validity = UidValidity::PUT_BACK;
        }
    }
    remote::look_into(session, directory, &names, here, direction, seen)
}
