//! What another program fetched before the account's first run, and has written down: known by UIDL, and not fetched again.

use std::collections::BTreeSet;

use super::recover::Found;
use crate::config::{Fetched, Pop3Account};
use crate::error::Result;
use crate::mail::{KnownMessage, LocalCopy, Serial, ServerCopy, UidlHash, UnixSeconds};
use crate::maildrop::{Ids, Known};
use crate::remote::pop3::Listing;

/// Reads what it has written down, as long as nothing is recorded here.
pub(super) fn read(account: &Pop3Account, found: &Found) -> Result<Fetched> {
    match &account.fetched_before {
        Some(before) if found.is_first => before.read(&account.pop3.server.host, &account.pop3.user),
        _ => Ok(Fetched::default()),
    }
}

/// What a person should know who has named a list that has nothing of the account.
pub(super) fn nothing(account: &Pop3Account, found: &Found, fetched: &Fetched) -> Option<String> {
    let before = account.fetched_before.as_ref().filter(|_| found.is_first && fetched.is_empty())?;
    Some(before.nothing(&account.pop3.server.host, &account.pop3.user))
}

/// Adds records of the listed messages among `fetched` to `known`, from the serial `next` on; how many there are.
pub(super) fn recognise(
    fetched: &Fetched,
    listing: &Listing,
    ids: Ids,
    known: &mut Known,
    next: &mut Serial,
    now: UnixSeconds,
) -> u64 {
    // Numbers name other messages in each session.
    if fetched.is_empty() || ids == Ids::Numbers {
        return 0;
    }
    let recorded: BTreeSet<UidlHash> = known.values().filter_map(|message| message.uidl).collect();
    let mut many = 0;
    for entry in &listing.entries {
        let Some((uidl, first_seen)) = entry.uidl.as_ref().and_then(|uidl| Some((uidl, fetched.get(uidl)?))) else {
            continue;
        };
        let hash = UidlHash::of(uidl);
        if recorded.contains(&hash) {
            continue;
        }
        let message = KnownMessage {
            uidl: Some(hash),
            size: entry.size,
            first_seen: first_seen.unwrap_or(now),
            local: LocalCopy::Elsewhere,
            copy: ServerCopy::Unknown,
        };
        known.insert(*next, message);
        *next = next.next();
        many += 1;
    }
    many
}
