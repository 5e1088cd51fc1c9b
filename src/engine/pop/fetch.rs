//! Bodies from the socket into `tmp`, on a thread of its own, so that the line goes on while a batch is made durable.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

use super::land::Landing;
use super::look::Looked;
use crate::engine::batch;
use crate::error::{Error, ItemFailure, Kind, Result};
use crate::local::{Folder, Incoming, Received};
use crate::mail::{HeaderHash, HeaderHashScan, MailboxName, MessageNumber};
use crate::maildrop::Fetch;
use crate::remote::pop3::{MaildropSink, Session};
use crate::report::event::Progress;
use crate::stop::Stop;

/// How many messages may wait to be landed: about a batch, so that the line goes on while one is made durable. What
/// waits are names; the octets are in `tmp`.
const QUEUE: usize = 256;

/// A message that came, or did not.
pub(super) enum Got {
    /// It is whole, in `tmp`.
    Message { fetch: Fetch, received: Received, header: Option<HeaderHash> },
    /// Octets of a body came.
    Octets(u64),
    /// The server does not give it.
    Refused(ItemFailure),
}

/// Fetches messages in this order; `landing` takes them on the calling thread.
pub(super) fn fetch(
    session: &mut Session,
    fetches: &[Fetch],
    looked: &Looked,
    landing: &mut Landing<'_>,
    stop: &Stop,
) -> Result<()> {
    if fetches.is_empty() {
        return Ok(());
    }
    landing.progress(Progress::Expected {
        messages: fetches.len() as u64,
        octets: fetches.iter().map(|fetch| fetch.size).sum(),
    });
    let numbers: Vec<MessageNumber> = fetches.iter().map(|fetch| fetch.number).collect();
    let folder = landing.folder();
    let mailbox = landing.mailbox().clone();
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(QUEUE);
        let by_number = fetches.iter().map(|fetch| (fetch.number, *fetch)).collect();
        let mut sink = Sink {
            folder: &folder,
            by_number,
            mailbox: &mailbox,
            looked,
            now: None,
            ended: 0,
            octets: 0,
            results: sender,
            stop,
        };
        let fetching = scope.spawn(move || {
            let fetched = session.retrieve(&numbers, &mut sink);
            (fetched, numbers.get(sink.ended).copied())
        });
        // An error here drops the receiver, and with it ends the fetching.
        let landed = land(receiver, landing);
        let broken = || (Err(Error::new(Kind::Protocol, "The fetching broke off")), None);
        let (fetched, broke_at) = fetching.join().unwrap_or_else(|_| broken());
        if let (Err(_), Some(number)) = (&fetched, broke_at) {
            landing.broke_at(number);
        }
        landed.and(fetched)
    })
}

/// Lands what comes, in batches; what waits while nothing comes, too.
fn land(receiver: Receiver<Got>, landing: &mut Landing<'_>) -> Result<()> {
    loop {
        match receiver.recv_timeout(batch::AGE) {
            Ok(got) => landing.take(got)?,
            Err(RecvTimeoutError::Timeout) => landing.land()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

struct Sink<'a> {
    folder: &'a Folder,
    by_number: BTreeMap<MessageNumber, Fetch>,
    mailbox: &'a MailboxName,
    looked: &'a Looked,
    now: Option<(Incoming, HeaderHashScan)>,
    /// Messages that came or were refused: they do in the order they were asked for.
    ended: usize,
    /// Octets that are not yet told.
    octets: u64,
    results: SyncSender<Got>,
    stop: &'a Stop,
}

impl Sink<'_> {
    fn send(&self, got: Got) -> Result<()> {
        self.results.send(got).map_err(|_| Error::new(Kind::Interrupted, "The run is ending"))
    }

    fn tell(&mut self) -> Result<()> {
        match std::mem::take(&mut self.octets) {
            0 => Ok(()),
            octets => self.send(Got::Octets(octets)),
        }
    }
}

impl MaildropSink for Sink<'_> {
    fn start(&mut self, _number: MessageNumber) -> Result<()> {
        self.stop.check()?;
        self.now = Some((self.folder.incoming()?, HeaderHashScan::default()));
        Ok(())
    }

    fn data(&mut self, octets: &[u8]) -> Result<()> {
        const TELL: u64 = 256 << 10;
        if let Some((incoming, scan)) = &mut self.now {
            incoming.write(octets)?;
            scan.push(octets);
        }
        self.octets += octets.len() as u64;
        if self.octets >= TELL { self.tell() } else { Ok(()) }
    }

    fn done(&mut self, number: MessageNumber) -> Result<()> {
        self.ended += 1;
        let (Some((incoming, scan)), Some(fetch)) = (self.now.take(), self.by_number.get(&number).copied()) else {
            return Ok(());
        };
        let received = incoming.finish()?;
        self.tell()?;
        self.send(Got::Message { fetch, received, header: scan.finish() })
    }

    fn refused(&mut self, number: MessageNumber, error: &Error) -> Result<()> {
        self.now = None;
        self.ended += 1;
        self.send(Got::Refused(ItemFailure::new(self.mailbox, self.looked.item(number), error)))
    }
}
