//! Where messages arrive: batches of received files become durable at once, over all their mailboxes, and are entered.
//!
//! A link is entered only after its file is in its mailbox and on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::download::Got;
use super::meanwhile::Meanwhile;
use super::openings::Opening;
use super::{World, ends_the_run, item_failed, mailboxes};
use crate::engine::batch::Batch;
use crate::engine::ledger::Ledger;
use crate::engine::pool::{Heard, Receive};
use crate::error::{Error, Item, Kind, Result};
use crate::local::{self, Delivered, Delivery, Folder, Received};
use crate::mail::{Fact, FileId, Flags, Link, MailboxName, Origin, Presence, Uid, UidSet, UnixSeconds};
use crate::reconcile::guard::ApprovedPlan;
use crate::report::event::{Event, Progress};

/// A batch is full, too, when it goes into this many mailboxes, each of which holds file descriptors.
pub(super) const BATCH_MAILBOXES: usize = 30;
/// So many of them stay open for the next batch.
const KEPT_OPEN: usize = 8;

/// Where messages arrive: gathers them into batches, makes those durable, and enters them.
pub(super) struct Landing<'l, 'w, 'b, 'p> {
    world: &'l World<'w>,
    ledger: &'l mut Ledger<'b>,
    plan: &'p ApprovedPlan,
    making: &'l Meanwhile<'p>,
    folders: BTreeMap<MailboxName, Folder>,
    arrived: BTreeMap<MailboxName, Vec<(Uid, Received, Arc<Opening>)>>,
    batch: Batch,
    tally: BTreeMap<MailboxName, (u64, u64)>,
    /// What went wrong with messages here, by its words: it is told when it is known with how many.
    untold: BTreeMap<(MailboxName, String), (Error, UidSet)>,
}

impl<'l, 'w, 'b, 'p> Landing<'l, 'w, 'b, 'p> {
    pub(super) fn new(
        world: &'l World<'w>,
        ledger: &'l mut Ledger<'b>,
        plan: &'p ApprovedPlan,
        making: &'l Meanwhile<'p>,
    ) -> Landing<'l, 'w, 'b, 'p> {
        let (folders, arrived, tally, untold) = Default::default();
        Landing { world, ledger, plan, making, folders, arrived, batch: Batch::default(), tally, untold }
    }

    /// Makes mailboxes that are not made yet, and for which nobody waited.
    pub(super) fn make_the_rest(&mut self) -> Result<()> {
        while self.make_some()? {}
        Ok(())
    }

    /// A message that the tree does not take: in a directory that cannot be written to, none is taken.
    fn failed(&mut self, name: &MailboxName, uid: Uid, error: Error) -> Result<()> {
        if ends_the_run(&error) {
            return Err(error.at(name));
        }
        let key = (name.clone(), error.to_string());
        self.untold.entry(key).or_insert_with(|| (error, UidSet::new())).1.insert(uid);
        Ok(())
    }

    /// Tells what went wrong with messages, once for all with which the same did.
    pub(super) fn tell(&mut self) -> Result<()> {
        for ((name, _), (error, uids)) in std::mem::take(&mut self.untold) {
            match uids.first().filter(|_| uids.len() == 1) {
                Some(uid) => item_failed(self.ledger, &name, Item::Message(uid), error)?,
                None => item_failed(self.ledger, &name, Item::Mailbox, error.of_messages(uids.len()))?,
            }
        }
        Ok(())
    }

    fn make_some(&mut self) -> Result<bool> {
        let names = self.making.some();
        if names.is_empty() {
            return Ok(false);
        }
        mailboxes::create_later(self.world, self.ledger, self.plan, &names)?;
        self.making.made(&names, |name| self.ledger.is_broken(name));
        Ok(true)
    }

    /// How many messages and octets landed in each mailbox.
    pub(super) fn tally(self) -> BTreeMap<MailboxName, (u64, u64)> {
        self.tally
    }

    fn take(&mut self, heard: Heard<Got<'_>>) -> Result<()> {
        match heard {
            Heard::Result(Got::Message { name, uid, received, opening }) => {
                self.batch.add(received.content.wire_size);
                self.arrived.entry(name.clone()).or_default().push((uid, received, opening));
                let full = self.batch.is_full() || self.arrived.len() >= BATCH_MAILBOXES;
                if full { self.land() } else { Ok(()) }
            }
            Heard::Result(Got::Failed { name, item: Item::Message(uid), error }) if error.kind() == Kind::LocalTree => {
                self.failed(name, uid, error)
            }
            Heard::Result(Got::Failed { name, item, error }) => item_failed(self.ledger, name, item, error),
            Heard::Result(Got::GoneMeanwhile { name }) => {
                self.ledger.hold(name);
                Ok(())
            }
            Heard::Pause => self.land(),
        }
    }

    pub(super) fn land(&mut self) -> Result<()> {
        self.batch = Batch::default();
        let mut groups: BTreeMap<MailboxName, Group> = BTreeMap::new();
        // They end when everything here has landed.
        let mut openings = Vec::new();
        for (name, arrived) in std::mem::take(&mut self.arrived) {
            let mut group = Group::default();
            for (uid, received, opening) in arrived {
                openings.push(opening);
                if let Some((link, delivery)) = self.prepare(&name, uid, received)? {
                    group.links.push(link);
                    group.deliveries.push(delivery);
                }
            }
            if !group.links.is_empty() {
                groups.insert(name, group);
            }
        }
        // Each holds file descriptors.
        self.folders.retain(|name, _| groups.contains_key(name));
        for name in groups.keys() {
            if !self.folders.contains_key(name) {
                self.folders.insert(name.clone(), self.world.store.folder(name)?);
            }
        }
        let (mut links, mut batches) = (Vec::new(), Vec::new());
        for (name, group) in groups {
            let Some((name, folder)) = self.folders.get_key_value(&name) else { continue };
            links.push((name.clone(), group.links));
            batches.push((folder, group.deliveries));
        }
        // Of a mailbox that is not on record nothing could tell, after a crash, what came to it.
        self.ledger.flush()?;
        let mut landed = 0;
        for ((name, links), outcomes) in links.into_iter().zip(local::deliver(batches)) {
            landed += self.enter(&name, links, outcomes)?;
        }
        if self.folders.len() > KEPT_OPEN {
            self.folders.clear();
        }
        drop(openings);
        if landed > 0 {
            self.ledger.flush()?;
            self.ledger.event(Event::Progress(Progress::Messages(landed)));
        }
        Ok(())
    }

    /// What is delivered, and the link it becomes; `None` where the mailbox was given up meanwhile.
    fn prepare(&self, name: &MailboxName, uid: Uid, received: Received) -> Result<Option<(Link, Delivery)>> {
        let (world, ledger) = (self.world, &*self.ledger);
        let Some(id) = ledger.id(name) else { return Ok(None) };
        let uid_validity = world.uid_validity(ledger, name)?;
        let internal_date = world.internal_date(ledger, name, uid).unwrap_or(UnixSeconds(0));
        let link = Link {
            uid,
            file: FileId::new(""),
            presence: Presence::Both,
            flags: Flags::none(),
            size: received.content.wire_size,
            digest: received.content.digest,
            message_id: received.content.message_id,
            internal_date,
            email_id: world.email_id(name, uid),
        };
        let origin = Origin { account: world.id, mailbox: id, uid_validity, uid };
        let flags = world.remote_flags(ledger, name, uid);
        Ok(Some((link, Delivery { received, origin: origin.into(), flags, internal_date })))
    }

    /// Enters what was delivered; how many that is.
    fn enter(&mut self, name: &MailboxName, links: Vec<Link>, outcomes: Vec<Result<Delivered>>) -> Result<u64> {
        let Some(id) = self.ledger.id(name) else { return Ok(0) };
        let mut landed = 0;
        for (mut link, outcome) in links.into_iter().zip(outcomes) {
            match outcome {
                Ok(delivered) => {
                    link.file = delivered.file;
                    link.flags = delivered.flags;
                    let tally = self.tally.entry(name.clone()).or_default();
                    *tally = (tally.0 + 1, tally.1 + link.size);
                    landed += 1;
                    self.ledger.enter(name, Fact::Linked(id, link))?;
                }
                Err(error) => self.failed(name, link.uid, error)?,
            }
        }
        Ok(landed)
    }
}

impl<'g> Receive<Got<'g>> for &mut Landing<'_, '_, '_, '_> {
    fn hear(&mut self, heard: Heard<Got<'g>>) -> Result<()> {
        self.take(heard)
    }

    fn idle(&mut self) -> Result<bool> {
        self.make_some()
    }
}

/// What lands in one mailbox.
#[derive(Default)]
struct Group {
    links: Vec<Link>,
    deliveries: Vec<Delivery>,
}
