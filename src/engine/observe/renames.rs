//! Mailboxes that got another name since the last run: from here on, everything goes by the new one.

use std::collections::BTreeMap;

use super::local::{Listed, LocalSide, Scanned};
use super::names::Directory;
use super::remote::RemoteSide;
use super::this_side::ThisSide;
use crate::config::ImapAccount;
use crate::error::{Error, Kind, Result};
use crate::mail::{Base, BaseMailbox, MailboxId, MailboxName};
use crate::reconcile::renames::{LocalTrace, RemoteTrace, Trace, Traces, find, is_still};
use crate::reconcile::view::{Coverage, Direction, LeftOut, RemoteMailbox, TreeAge};
use crate::reconcile::{Names, Renamed, Side};
use crate::state::State;

/// Finds renamed mailboxes; the links of every mailbox that a side lacks, or has as another one, must have been read.
pub fn look(base: &Base, local: &LocalSide, remote: &RemoteSide, direction: Direction, age: TreeAge) -> Names {
    let here = |name: &MailboxName| match (local.scans.get(name), base.get(name)) {
        (Some(Scanned::Listed(Listed { listing, .. })), Some(known)) => {
            is_still(known, listing.checkpoint.inode, |file| listing.files.contains_key(file))
        }
        (scanned, _) => scanned.is_some(),
    };
    let there = |name: &MailboxName| match (remote.view.mailboxes.get(name), base.get(name)) {
        (Some(RemoteMailbox::Observed(listing)), Some(known)) => {
            known.remote.as_ref().is_none_or(|c| c.uid_validity == listing.uid_validity)
        }
        (Some(_), _) => true,
        (None, _) => false,
    };
    // Nearly always everything is where it was.
    if base.keys().all(|name| here(name) && there(name)) {
        return Names::default();
    }
    let mut traces = Traces { age, ..Traces::default() };
    for (name, scanned) in &local.scans {
        let trace = match scanned {
            Scanned::Unchanged => Trace::Known,
            Scanned::Unknown => Trace::Unknown,
            Scanned::Listed(Listed { listing, .. }) => {
                Trace::Seen(LocalTrace { inode: listing.checkpoint.inode, files: listing.files.keys().collect() })
            }
        };
        traces.local.insert(name, trace);
    }
    for (name, mailbox) in &remote.view.mailboxes {
        let trace = match mailbox {
            RemoteMailbox::Unchanged => Trace::Known,
            RemoteMailbox::Unknown => Trace::Unknown,
            RemoteMailbox::Observed(listing) => match listing.coverage {
                Coverage::Changes { .. } => Trace::Known,
                Coverage::Everything => Trace::Seen(RemoteTrace {
                    uid_validity: listing.uid_validity,
                    object_id: remote.checkpoints.get(name).and_then(|c| c.object_id.as_deref()),
                    messages: listing.messages.iter().map(|(uid, m)| (*uid, (m.size, m.internal_date))).collect(),
                }),
            },
        };
        traces.remote.insert(name, trace);
    }
    find(base, &traces, direction)
}

/// Has mailboxes wait whose name the server has given to one that only this run leaves out: the mail of both would be taken
/// for new, in both. So do those that the server does not list any more, where one is new there that the run leaves out: it
/// may be the same.
pub fn wait_for_left_out(
    account: &ImapAccount,
    state: Option<&State>,
    base: &Base,
    remote: &mut RemoteSide,
    directory: &Directory<'_>,
) -> Result<()> {
    let reset = remote.view.reset(base);
    let is_left_out = |name: &MailboxName| account.mailboxes.leaves_out(name) == Some(LeftOut::ThisTime);
    let is_gone = |(name, known): &(&MailboxName, &BaseMailbox)| {
        known.remote.is_some() && !remote.view.mailboxes.contains_key(*name)
    };
    let gone: Vec<MailboxName> = match directory.others.iter().any(is_left_out) {
        true => base.iter().filter(is_gone).map(|(name, _)| name.clone()).collect(),
        false => Vec::new(),
    };
    let Some(state) = state.filter(|_| !reset.is_empty() || !gone.is_empty()) else { return Ok(()) };
    let left_out = state.base(&is_left_out)?;
    let hint = "Run it without `--mailbox`: then both follow.";
    if let Some(new) = directory.others.iter().find(|name| is_left_out(name) && !left_out.contains_key(*name)) {
        let what =
            format!("The server does not list it any more, but `{new}`, which is new and which the run leaves out");
        for name in gone {
            remote.unknown(&name, &Error::new(Kind::Refused, what.clone()).hint(hint));
        }
    }
    for name in reset {
        let Some(now) = remote.checkpoints.get(&name).map(|now| now.uid_validity) else { continue };
        let had = |known: &BaseMailbox| known.remote.as_ref().is_some_and(|then| then.uid_validity == now);
        if let Some((other, _)) = left_out.iter().find(|(_, known)| had(known)) {
            let why = Error::new(
                Kind::Refused,
                format!("The server has this name for `{other}` now, which the run leaves out"),
            )
            .hint(hint);
            remote.unknown(&name, &why);
        }
    }
    Ok(())
}

/// Lets everything that was observed go by the new names. Gives the numbers of mailboxes that were known by a name that
/// another one has now, and have none any more.
pub fn apply(
    renamed: &[Renamed],
    here: &mut ThisSide<'_>,
    remote: &mut RemoteSide,
    directory: &mut Directory<'_>,
) -> BTreeMap<MailboxName, MailboxId> {
    let known = || renamed.iter().map(|r| (&r.known, &r.to));
    let follows = |side: Side| renamed.iter().filter(move |r| r.follows == Some(side)).map(|r| (&r.from, &r.to));
    let replaced = rename(&mut here.base, known());
    rename(&mut here.intents, known());
    rename(&mut here.local.scans, follows(Side::Local));
    rename(&mut remote.view.mailboxes, follows(Side::Remote));
    rename(&mut remote.checkpoints, follows(Side::Remote));
    directory.rename(follows(Side::Remote));
    replaced.into_iter().map(|(name, mailbox)| (name, mailbox.id)).collect()
}

/// Moves entries from old to new names, all at once: two may swap theirs. Gives those whose name was taken.
pub(super) fn rename<'r, T>(
    map: &mut BTreeMap<MailboxName, T>,
    names: impl Iterator<Item = (&'r MailboxName, &'r MailboxName)> + Clone,
) -> Vec<(MailboxName, T)> {
    let moved: Vec<_> = names.clone().filter_map(|(from, to)| Some((to.clone(), map.remove(from)?))).collect();
    let replaced = names.filter_map(|(_, to)| Some((to.clone(), map.remove(to)?))).collect();
    map.extend(moved);
    replaced
}
