//! INBOX under another name in the tree: its directory is gone, and its files are in another one.
//!
//! INBOX is never removed: when its directory is gone, it is made again and everything comes down into it. But what is
//! elsewhere under the very name that its file had, with the same content, was moved there, as the whole directory was; so
//! it goes there on the server, too, as RENAME does with INBOX there. Whatever else was in it comes back: files that only
//! have the same content may be copies.

use std::collections::BTreeSet;

use super::super::Input;
use super::super::plan::{Action, Plan};
use super::super::view::{Deletions, Direction, Expunge, TreeAge};
use super::{Left, Source};
use crate::mail::{BaseMailbox, FileId, MailboxName, Uid};

/// The one of `sources` whose file this is, brought here along with INBOX's directory, be that made again by now.
///
/// Only where a move is one: of a copy and a deletion, the first stays, and what went is there twice.
pub(super) fn brought<'a>(input: &Input<'_>, sources: &[Source<'a>], file: &FileId) -> Option<Source<'a>> {
    let inbox = MailboxName::inbox();
    let is_being_restored = input.base.get(&inbox).is_some_and(BaseMailbox::is_being_restored);
    let is_gone = (!input.local.mailboxes.contains_key(&inbox) || is_being_restored) && !input.has_dark_directories();
    let may_move = input.policy.direction == Direction::Both
        && input.policy.expunge == Expunge::Named
        && matches!(input.policy.deletions, Deletions::Expunge | Deletions::Trash)
        && input.local.age == TreeAge::AsLeft;
    let is_it = |s: &&Source<'a>| *s.mailbox == inbox && s.left == Left::Yes && s.link.file == *file;
    sources.iter().filter(|_| is_gone && may_move).find(is_it).copied()
}

/// Takes messages that move out of what comes back to INBOX.
pub(super) fn spare(input: &Input<'_>, plan: &mut Plan, moved: &BTreeSet<(MailboxName, Uid)>) {
    let inbox = MailboxName::inbox();
    let Some(actions) = plan.mailboxes.get_mut(&inbox) else { return };
    for action in actions.iter_mut() {
        let Action::Download { uids, octets } = action else { continue };
        let (away, back): (Vec<Uid>, Vec<Uid>) = uids.iter().partition(|uid| moved.contains(&(inbox.clone(), *uid)));
        let saved = away.iter().filter_map(|uid| input.link(&inbox, *uid)).map(|link| link.size);
        *octets = saved.fold(*octets, u64::saturating_sub);
        *uids = back.into_iter().collect();
    }
    actions.retain(|action| !matches!(action, Action::Download { uids, .. } if uids.is_empty()));
}
