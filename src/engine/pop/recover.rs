//! Files that are in the tree and not in the state: delivered by a run that broke off, by runs whose state was lost or is
//! an older copy, or by another program before the first run. Then it is settled that tree and state belong together.
//!
//! The names of our own tell account, UIDL and serial. They are believed when their size is still the one in their name.

use std::collections::{BTreeMap, BTreeSet};

use super::gone;
use super::ground::{Ground, Memory};
use crate::config::Pop3Account;
use crate::engine::now;
use crate::error::Result;
use crate::local::{Recovered, Scan, ScannedFile, Store};
use crate::mail::{
    DeliveredMessage, FileId, KnownMessage, LocalCopy, MailboxName, MaildropFact, Serial, ServerCopy, UidlHash,
    UnixSeconds,
};
use crate::maildrop::Known;
use crate::reconcile::view::TreeAge;
use crate::state::{Settling, State};
use crate::stop::Stop;

/// How many files are read before it is asked whether to stop.
const PORTION: usize = 200;

/// What is in the tree and not in the state.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The messages.
    pub known: Known,
    /// How many of them an earlier run of ours delivered.
    pub ours: u64,
    /// Whether nothing is recorded: the account is new, or its state was lost.
    pub is_first: bool,
}

/// Looks for it; changes nothing.
pub(super) fn look(account: &Pop3Account, ground: &Ground, stop: &Stop) -> Result<Found> {
    // Only a dry run before the first run finds no tree.
    let Some(store) = &ground.store else { return Ok(Found { is_first: true, ..Found::default() }) };
    let state = ground.state.as_ref();
    let outline = state.map(State::maildrop_outline).transpose()?;
    let (next, settling) = outline.unwrap_or((Serial::FIRST, Settling::Settled));
    let tree = Tree { account, store, stop };
    // A state in which nothing was ever recorded may be that of a first run that broke off.
    let is_first = next == Serial::FIRST;
    let (is_ours, is_others) = match (ground.memory, settling) {
        (Memory::New, _) => (false, true),
        (Memory::Lost, _) => (true, true),
        (Memory::Other, _) | (Memory::Kept, Settling::Delivering) => (true, is_first),
        (Memory::Kept, Settling::Settled) => (false, is_first),
    };
    let mut known = Known::new();
    if is_ours {
        let recorded = state.map(State::maildrop).transpose()?.map(|maildrop| maildrop.known).unwrap_or_default();
        known = tree.ours(ground, &recorded)?;
    }
    let ours = known.len() as u64;
    if is_others {
        let next = known.keys().next_back().map_or(next, |last| next.max(last.next()));
        known.extend(tree.others(next)?);
    }
    Ok(Found { known, ours, is_first: is_others })
}

/// Records it; then everything that was delivered is known, and tree and state count the same.
pub(super) fn record(account: &Pop3Account, ground: &mut Ground, found: &Found) -> Result<()> {
    let Ground { store: Some(store), state: Some(state), age, memory, .. } = &mut *ground else { return Ok(()) };
    let settled = state.maildrop_outline()?.1 == Settling::Settled;
    if !found.known.is_empty() || !settled {
        // All of it or nothing: half of it would be taken for the whole.
        let facts = found.known.iter().map(|(serial, known)| MaildropFact::Known(*serial, known.clone()));
        state.record_maildrop(&facts.chain([MaildropFact::Settled]).collect::<Vec<_>>())?;
    }
    if *age == TreeAge::Older {
        let known = state.maildrop()?.known;
        let missing = gone::gone(account, store, &known)?;
        let facts = known.into_iter().filter(|(serial, _)| missing.contains(serial));
        let facts = facts.map(|(serial, known)| MaildropFact::Known(serial, not_delivered(known)));
        state.record_maildrop(&facts.collect::<Vec<_>>())?;
    }
    match memory {
        Memory::Kept | Memory::New => Ok(()),
        Memory::Other | Memory::Lost => ground.count(),
    }
}

/// What an older copy of the tree lacks was not delivered, as far as it knows.
pub(super) fn not_delivered(known: KnownMessage) -> KnownMessage {
    KnownMessage { local: LocalCopy::None, ..known }
}

struct Tree<'a> {
    account: &'a Pop3Account,
    store: &'a Store,
    stop: &'a Stop,
}

impl Tree<'_> {
    /// Files that we delivered, wherever they are by now.
    fn ours(&self, ground: &Ground, recorded: &Known) -> Result<Known> {
        let delivered = |(serial, known): (&Serial, &KnownMessage)| known.local.is_done().then_some(*serial);
        let mut taken: BTreeSet<Serial> = recorded.iter().filter_map(delivered).collect();
        let mut all = Known::new();
        for mailbox in self.store.mailboxes()?.into_keys() {
            let mut files = match self.files(&mailbox) {
                Ok(files) => files,
                // The others may be another account's business.
                Err(error) if mailbox != self.account.mailbox => {
                    log::warn!("{mailbox} cannot be looked into: {error}");
                    continue;
                }
                Err(error) => return Err(error),
            };
            files.retain(|_, file| match file.maildrop_origin() {
                Some((origin, _)) => origin.account == ground.id && taken.insert(origin.serial),
                None => false,
            });
            let recovered = self.read(&mailbox, &files)?;
            for (file, found) in recovered.into_iter().filter(|(file, found)| found.agrees_with(file)) {
                let Some((origin, first_seen)) = files.get(&file).and_then(ScannedFile::maildrop_origin) else {
                    continue;
                };
                let seen = recorded.get(&origin.serial);
                let size = seen.map_or(found.content.wire_size, |seen| seen.size);
                let first_seen = seen.map_or(first_seen, |seen| seen.first_seen);
                all.insert(origin.serial, known(&found, file, origin.uidl, size, first_seen));
            }
        }
        Ok(all)
    }

    /// Files that another program delivered before the account's first run: it may have been the same mail.
    ///
    /// They are known by size and header, or else by their content, and nothing comes twice. Which of them are nobody's
    /// is forgotten in time, as what is gone from the server.
    fn others(&self, mut serial: Serial) -> Result<Known> {
        let mut all = Known::new();
        if !self.store.mailboxes()?.contains_key(&self.account.mailbox) {
            return Ok(all);
        }
        let mut files = self.files(&self.account.mailbox)?;
        // What has our kind of name belongs to another account of ours, and is another message.
        files.retain(|_, file| file.origin.is_none() && file.maildrop_origin().is_none());
        for (file, found) in self.read(&self.account.mailbox, &files)? {
            all.insert(serial, known(&found, file, None, found.content.wire_size, now()));
            serial = serial.next();
        }
        Ok(all)
    }

    fn files(&self, mailbox: &MailboxName) -> Result<BTreeMap<FileId, ScannedFile>> {
        match self.store.scan(mailbox, None)? {
            Scan::Listed(listing) => Ok(listing.files),
            // Said only of a checkpoint, and there is none.
            Scan::Unchanged => Ok(BTreeMap::new()),
        }
    }

    fn read(
        &self,
        mailbox: &MailboxName,
        files: &BTreeMap<FileId, ScannedFile>,
    ) -> Result<BTreeMap<FileId, Recovered>> {
        let mut all = BTreeMap::new();
        let each: Vec<_> = files.iter().collect();
        for portion in each.chunks(PORTION) {
            self.stop.check()?;
            let portion = portion.iter().map(|(id, file)| ((*id).clone(), (*file).clone())).collect();
            all.extend(self.store.recover(mailbox, &portion)?);
        }
        Ok(all)
    }
}

fn known(found: &Recovered, file: FileId, uidl: Option<UidlHash>, size: u64, first_seen: UnixSeconds) -> KnownMessage {
    let delivered = DeliveredMessage { digest: found.content.digest, header: found.header, file };
    KnownMessage { uidl, size, first_seen, local: LocalCopy::File(delivered), copy: ServerCopy::Unknown }
}
