//! Missing files that were moved to mailboxes which the run leaves out: to the run that looks like a deletion, and is none.
//!
//! Only the tree is looked at: in mailboxes that the settings exclude nothing is asked of the server. There a message
//! counts as gone when it left for one of them; its mail is there.
//!
//! A mailbox is read only where something came to it since the missing files were last seen, and only files that may be one
//! of them. The Trash is no such mailbox: a mail program deletes by moving files there.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::local::{Directory, Lately, Store};
use crate::mail::{Base, Digest, Link, MailboxName, Presence};
use crate::reconcile::view::{LeftOut, LocalView, Outside};
use crate::stop::Stop;

/// What is missing, and where and when.
#[derive(Default)]
struct Missing {
    digests: BTreeSet<Digest>,
    lately: Lately,
}

/// Finds where missing files went.
pub fn look(
    store: &Store,
    base: &Base,
    local: &LocalView,
    leaves_out: &dyn Fn(&MailboxName) -> Option<LeftOut>,
    trash: Option<&MailboxName>,
    stop: &Stop,
) -> Result<BTreeMap<Digest, Outside>> {
    let mut outside = BTreeMap::new();
    let missing = missing(base, local);
    if missing.digests.is_empty() {
        return Ok(outside);
    }
    for (mailbox, directory) in store.mailboxes()? {
        stop.check()?;
        let Some(left_out) = leaves_out(&mailbox).filter(|_| matches!(directory, Directory::Usable)) else { continue };
        if left_out == LeftOut::Always && trash.is_some_and(|trash| mailbox == *trash || mailbox.is_below(trash)) {
            continue;
        }
        let arrived = match store.arrived(&mailbox, &missing.lately) {
            Ok(arrived) => arrived,
            // Nobody asked for this mailbox; what cannot be read there keeps nothing from being done here.
            Err(error) => {
                log::warn!("{mailbox} takes no part, and cannot be looked into: {error}");
                continue;
            }
        };
        for content in arrived.into_iter().filter(|c| missing.digests.contains(&c.digest)) {
            let here = Outside { left_out, mailbox: mailbox.clone() };
            // What another run is going to move comes first.
            match outside.get_mut(&content.digest) {
                Some(found) if *found <= here => {}
                _ => _ = outside.insert(content.digest, here),
            }
        }
    }
    Ok(outside)
}

fn missing(base: &Base, local: &LocalView) -> Missing {
    let mut missing = Missing::default();
    for (name, mailbox) in base {
        let is_gone = |link: &&Link| local.lacks(name, &link.file);
        let links = mailbox.links.iter().flat_map(BTreeMap::values);
        let mut gone = links.filter(|l| l.presence == Presence::Both).filter(is_gone).peekable();
        if gone.peek().is_none() {
            continue;
        }
        let check = mailbox.local.unwrap_or_default();
        // It went after the last look, which came after the last change before that.
        missing.lately.since(check.new_time.max(check.cur_time));
        if !local.mailboxes.contains_key(name) {
            missing.lately.directories.insert(check.inode);
        }
        for link in gone {
            missing.lately.sizes.insert(link.size);
            missing.digests.insert(link.digest);
        }
    }
    missing
}
