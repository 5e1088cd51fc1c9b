//! Mailboxes of the tree that are read although nothing changed in them, because of what changed on the server.

use std::collections::BTreeSet;

use crate::config::ImapAccount;
use crate::mail::{Base, MailboxName};
use crate::reconcile::view::{Direction, Keywords, RemoteMailbox, RemoteView};

/// Those whose UIDs were `reset`, and those for whose flags the directory has to be seen.
pub fn to_read(
    account: &ImapAccount,
    base: &Base,
    remote: &RemoteView,
    reset: &BTreeSet<MailboxName>,
) -> BTreeSet<MailboxName> {
    let mut again = reset.clone();
    if account.keywords == Keywords::Synced {
        again.extend(with_new_keywords(base, remote));
    }
    if account.direction != Direction::Pull {
        again.extend(that_keep_more(base, remote));
    }
    again
}

/// Mailboxes in which the server shows a keyword that no link has: which letters are left, only the directory tells.
fn with_new_keywords(base: &Base, remote: &RemoteView) -> BTreeSet<MailboxName> {
    let shows_new = |(name, mailbox): &(&MailboxName, &RemoteMailbox)| {
        let RemoteMailbox::Observed(listing) = mailbox else { return false };
        let known = base.get(*name);
        let mut shown = listing.messages.values().flat_map(|m| &m.flags.keywords).peekable();
        // Most servers show none, and then the links need not be gone through.
        shown.peek().is_some() && {
            let linked = known.iter().flat_map(|m| &m.links).flatten().flat_map(|(_, link)| &link.flags.keywords);
            let known: BTreeSet<_> = linked.chain(known.iter().flat_map(|m| m.standing.keywords())).collect();
            shown.any(|keyword| !known.contains(keyword))
        }
    };
    remote.mailboxes.iter().filter(shows_new).map(|(name, _)| name.clone()).collect()
}

/// Mailboxes that keep flags which they did not keep before: those that the tree has may have waited for it.
fn that_keep_more<'v>(base: &'v Base, remote: &'v RemoteView) -> impl Iterator<Item = MailboxName> + 'v {
    let keeps_more = |(name, mailbox): (&MailboxName, &RemoteMailbox)| {
        let RemoteMailbox::Observed(listing) = mailbox else { return None };
        let before = &base.get(name)?.remote.as_ref()?.permanent;
        listing.permanent.allow_more_than(before).then(|| name.clone())
    };
    remote.mailboxes.iter().filter_map(keeps_more)
}
