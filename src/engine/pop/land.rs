//! Batches of fetched messages into the mailbox, durably, and then into the state.
//!
//! Invariant: a fact about a message is recorded only when its file is durable; a message that turns out to be known
//! leaves no file. A run in which a batch failed never says that everything is recorded: files of it may be there.

use std::collections::{BTreeMap, BTreeSet};

use super::fetch::Got;
use super::look::Looked;
use super::others::Others;
use crate::config::{Dedup, Pop3Account};
use crate::engine::Job;
use crate::engine::batch::Batch;
use crate::error::{Error, ItemFailure, Kind, Result};
use crate::local::{Delivery, Folder, Received, Store};
use crate::mail::{
    AccountId, DeliveredMessage, Digest, FileOrigin, Flags, HeaderHash, KnownMessage, LocalCopy, MailboxName,
    MaildropFact, MaildropOrigin, MessageNumber, Serial, ServerCopy,
};
use crate::maildrop::{Arrivals, Fetch, Verdict, is_as_listed};
use crate::report::event::{Counts, Event, Progress, Report};
use crate::state::State;

type Arrived = (Fetch, Received, Option<HeaderHash>);

/// Takes fetched messages.
pub(super) struct Landing<'a> {
    account: &'a Pop3Account,
    id: AccountId,
    folder: std::sync::Arc<Folder>,
    state: &'a mut State,
    looked: &'a Looked,
    arrivals: Arrivals<'a>,
    others: Others<'a>,
    report: &'a dyn Report,
    arrived: Vec<Arrived>,
    batch: Batch,
    harvest: Harvest,
    batches: Batches,
}

/// How the batches went so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batches {
    /// Every file that was delivered is recorded.
    Recorded,
    /// One failed, and may have left files that nobody knows.
    Failed,
}

/// What was brought in.
#[derive(Default)]
pub(super) struct Harvest {
    /// Messages delivered.
    pub delivered: u64,
    /// Messages that were fetched and turned out to be known.
    pub compared: u64,
    /// Records that fetched messages turned out to be.
    pub found: BTreeSet<Serial>,
    /// What has to go from the server, with what is recorded of it.
    pub due: BTreeMap<MessageNumber, (Serial, KnownMessage)>,
    /// For the summary.
    pub counts: Counts,
    /// What did not come, or not as it should have.
    pub failures: Vec<ItemFailure>,
    /// The message at which the session broke.
    pub broke_at: Option<MessageNumber>,
}

impl<'a> Landing<'a> {
    /// Expects the messages of the plan in `looked`.
    pub(super) fn new(
        job: &'a Job<'_, Pop3Account>,
        id: AccountId,
        store: &Store,
        state: &'a mut State,
        looked: &'a Looked,
        report: &'a dyn Report,
    ) -> Result<Landing<'a>> {
        Ok(Landing {
            account: job.account,
            id,
            folder: std::sync::Arc::new(store.folder(&job.account.mailbox)?),
            state,
            arrivals: Arrivals::new(&looked.known, &looked.plan),
            looked,
            others: Others::new(&job.state_dir, id, &looked.known),
            report,
            arrived: Vec::new(),
            batch: Batch::default(),
            harvest: Harvest::default(),
            batches: Batches::Recorded,
        })
    }

    /// The mailbox, to write messages into its `tmp`.
    pub(super) fn folder(&self) -> std::sync::Arc<Folder> {
        std::sync::Arc::clone(&self.folder)
    }

    /// Its name.
    pub(super) fn mailbox(&self) -> &'a MailboxName {
        &self.account.mailbox
    }

    /// Tells how far it is.
    pub(super) fn progress(&self, step: Progress) {
        self.report.event(&self.account.name, Event::Progress(step));
    }

    /// Takes what came off the wire.
    pub(super) fn take(&mut self, got: Got) -> Result<()> {
        match got {
            Got::Octets(octets) => self.progress(Progress::Octets(octets)),
            Got::Refused(failure) => self.harvest.failures.push(failure),
            Got::Message { fetch, received, header } => {
                self.batch.add(received.content.wire_size);
                self.arrived.push((fetch, received, header));
                if self.batch.is_full() {
                    self.land()?;
                }
            }
        }
        Ok(())
    }

    /// Lands what is left; then everything that was delivered is recorded, or the next run looks for it.
    pub(super) fn end(&mut self) -> Result<()> {
        self.land()?;
        match self.batches {
            Batches::Recorded if !self.looked.plan.fetch.is_empty() => {
                self.state.record_maildrop(&[MaildropFact::Settled])
            }
            Batches::Recorded | Batches::Failed => Ok(()),
        }
    }

    /// The session broke at this message.
    pub(super) fn broke_at(&mut self, number: MessageNumber) {
        self.harvest.broke_at = Some(number);
    }

    /// What was brought in.
    pub(super) fn harvest(self) -> Harvest {
        self.harvest
    }

    /// Lands what has come.
    pub(super) fn land(&mut self) -> Result<()> {
        self.batch = Batch::default();
        let arrived = std::mem::take(&mut self.arrived);
        if arrived.is_empty() {
            return Ok(());
        }
        let landed = self.land_batch(arrived);
        if landed.is_err() {
            self.batches = Batches::Failed;
        }
        landed
    }

    fn land_batch(&mut self, batch: Vec<Arrived>) -> Result<()> {
        // Whoever delivers once looks and delivers in one turn, so that two accounts do not both find nothing.
        let turn = match self.account.dedup {
            Dedup::Once => Some(self.folder.turn()?),
            Dedup::Each => None,
        };
        if turn.is_some() {
            self.others.look(&self.folder)?;
        }
        let messages = batch.len() as u64;
        let mut facts = Vec::new();
        let mut arriving: Vec<(Fetch, Option<HeaderHash>, Digest, u64)> = Vec::new();
        let mut deliveries = Vec::new();
        for (fetch, received, header) in batch {
            let content = received.content;
            match self.arrivals.judge(&fetch, content.digest, header) {
                Verdict::Known { serial, first_seen, facts: learned } => {
                    self.harvest.compared += 1;
                    self.harvest.counts.linked += 1;
                    self.harvest.found.insert(serial);
                    let whole = is_as_listed(fetch.size, content.wire_size);
                    let over = whole && self.account.policy.keep.is_over(first_seen, self.looked.now);
                    let now = learned.iter().find_map(|fact| match fact {
                        MaildropFact::Known(s, known) if *s == serial => Some(known.clone()),
                        _ => None,
                    });
                    if let (true, Some(known)) = (over, now) {
                        self.harvest.due.insert(fetch.number, (serial, known));
                    }
                    facts.extend(learned);
                }
                Verdict::New(learned) => {
                    facts.extend(learned);
                    let twin = match self.account.dedup {
                        Dedup::Once => self.others.file_with(&self.folder, &content.digest)?,
                        Dedup::Each => None,
                    };
                    if let Some(file) = twin {
                        self.harvest.counts.linked += 1;
                        let delivered = DeliveredMessage { digest: content.digest, header, file };
                        facts.push(self.known(&fetch, delivered, content.wire_size));
                        continue;
                    }
                    let origin = MaildropOrigin { account: self.id, uidl: fetch.uidl, serial: fetch.serial };
                    arriving.push((fetch, header, content.digest, content.wire_size));
                    deliveries.push(Delivery {
                        received,
                        origin: FileOrigin::Maildrop(origin),
                        flags: Flags::none(),
                        internal_date: fetch.first_seen,
                    });
                }
            }
        }
        let outcomes = self.folder.deliver(deliveries);
        let mut trouble = None;
        for ((fetch, header, digest, octets), outcome) in arriving.into_iter().zip(outcomes) {
            match outcome {
                Ok(delivered) => {
                    self.others.take(&delivered.file);
                    if !is_as_listed(fetch.size, octets) {
                        self.harvest.failures.push(self.unlike(&fetch, octets));
                    }
                    let delivered = DeliveredMessage { digest, header, file: delivered.file };
                    facts.push(self.known(&fetch, delivered, octets));
                    self.harvest.delivered += 1;
                    self.harvest.counts.local.new += 1;
                    self.harvest.counts.local.octets += octets;
                }
                // The tree itself is in trouble, and so would be every other message.
                Err(error) if error.kind() == Kind::LocalTree => trouble = trouble.or(Some(error)),
                Err(error) => {
                    let failure = ItemFailure::new(&self.account.mailbox, self.looked.item(fetch.number), &error);
                    self.harvest.failures.push(failure);
                }
            }
        }
        self.state.record_maildrop(&facts)?;
        drop(turn);
        if let Some(error) = trouble {
            return Err(error);
        }
        self.progress(Progress::Messages(messages));
        Ok(())
    }

    /// Tells of a message that may be a part of one, or two.
    fn unlike(&self, fetch: &Fetch, octets: u64) -> ItemFailure {
        let listed = fetch.size;
        let what =
            format!("{octets} octets came where the server lists {listed}: its copy is kept, whatever `keep` says");
        let error =
            Error::new(Kind::Protocol, what).hint("Look at the message; is it whole, delete it there yourself.");
        ItemFailure::new(&self.account.mailbox, self.looked.item(fetch.number), &error)
    }

    /// The record of a message that is delivered now.
    fn known(&mut self, fetch: &Fetch, delivered: DeliveredMessage, octets: u64) -> MaildropFact {
        let known = KnownMessage {
            uidl: fetch.uidl,
            size: fetch.size,
            first_seen: fetch.first_seen,
            local: LocalCopy::File(delivered),
            copy: ServerCopy::Listed,
        };
        if fetch.due && is_as_listed(fetch.size, octets) {
            self.harvest.due.insert(fetch.number, (fetch.serial, known.clone()));
        }
        MaildropFact::Known(fetch.serial, known)
    }
}
