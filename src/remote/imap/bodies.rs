//! Message bodies: chunked UID FETCH, the next chunk on the wire before this one ends, literals streamed to a sink.
//!
//! One flight goes through any number of mailboxes: the next one is opened while the bodies of this one still come, so
//! that many small mailboxes cost no wait each; and while it flies the sink may ask for more. Commands go out in bursts:
//! a full window at first, and the next ones when half of it has come. Memory depends on no message's size: a body goes
//! from the connection to the sink in pieces. A body counts only when its response has ended and names a UID that was
//! asked for in this mailbox and has not come yet. A chunk that is refused as a whole is asked for again one by one, so
//! that the bad message is named and the rest arrives.

mod fetching;

use std::collections::BTreeMap;

use fetching::{Fetching, Goal};

use super::name::WireName;
use super::observe::Access;
use super::session::Session;
use crate::error::{Error, Result};
use crate::mail::{HeaderFields, Uid, UidSet, UidValidity};

/// Messages a chunk.
const CHUNK: u64 = 128;
/// Messages a chunk when only a header field is wanted.
const HEADER_CHUNK: u64 = 1000;
/// Whole chunks on the wire where the caller does not say how many messages there shall be.
const IN_FLIGHT: u64 = 3;
/// Takes bodies as they come off the wire. An error ends the fetch, and the connection with it.
pub trait BodySink {
    /// What follows is of this mailbox, counted from 0, of those that are asked for. Told before the first word about a
    /// mailbox and again when another one lay between.
    fn mailbox(&mut self, which: usize) {
        let _ = which;
    }
    /// A body of `octets` begins. When no [`BodySink::message`] followed the one before, that one is to be dropped.
    fn start(&mut self, octets: u64) -> Result<()>;
    /// The next piece of the body that began last.
    fn data(&mut self, bytes: &[u8]) -> Result<()>;
    /// The body that began last is complete and belongs to this message.
    fn message(&mut self, meta: FetchedMessage) -> Result<()>;
    /// A message that was asked for was not delivered: the server refused it, or said OK without it, as it does when the
    /// message is gone.
    fn missing(&mut self, uid: Uid, refusal: Option<&Error>) -> Result<()>;
    /// What else to ask for, now that there is room on the wire.
    fn more(&mut self) -> Option<More> {
        None
    }
}

/// What a sink wants beyond what was asked for at first.
#[derive(Debug)]
pub enum More {
    /// Other messages of the mailbox that was named last.
    Same(UidSet),
    /// Another mailbox, counted on.
    Another(Wanted),
}

/// A body that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchedMessage {
    /// Whose body it is.
    pub uid: Uid,
    /// How long it was; on servers with a wrong RFC822.SIZE this is the one that is right.
    pub octets: u64,
}

/// Messages of one mailbox to fetch.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The mailbox.
    pub mailbox: WireName,
    /// The generation that the UIDs are of; `None` takes any.
    pub validity: Option<UidValidity>,
    /// The messages.
    pub uids: UidSet,
}

impl Session {
    /// Fetches bodies of one mailbox, see [`Session::fetch_all`].
    ///
    /// # Errors
    /// Those of [`Session::fetch_all`], and that the mailbox was refused or replaced meanwhile.
    pub fn fetch_bodies(
        &mut self,
        mailbox: &WireName,
        validity: UidValidity,
        uids: &UidSet,
        sink: &mut dyn BodySink,
    ) -> Result<()> {
        let wanted = Wanted { mailbox: mailbox.clone(), validity: Some(validity), uids: uids.clone() };
        self.fetch_all(vec![wanted], IN_FLIGHT * CHUNK, sink)?.pop().unwrap_or(Ok(()))
    }

    /// Fetches bodies of several mailboxes in one flight, in any order, and of those that the sink asks for meanwhile,
    /// with about `window` messages asked for and not come. Each UID of a mailbox whose outcome is `Ok` ends in one
    /// [`BodySink::message`] or [`BodySink::missing`]. An outcome is an error where the mailbox was refused or replaced
    /// meanwhile; there is one for each mailbox, in their order.
    ///
    /// A message of no octets is delivered as such: whether that can be is for the caller to judge by its size.
    ///
    /// # Errors
    /// The server asks to come back later, the sink failed, or the connection is over.
    pub fn fetch_all(&mut self, wanted: Vec<Wanted>, window: u64, sink: &mut dyn BodySink) -> Result<Vec<Result<()>>> {
        self.fetch(wanted, Goal::Bodies(sink), CHUNK.min(window.div_ceil(2)).max(1), window)
    }

    /// Fetches a few fields of headers. A UID that is not in the answer is gone.
    ///
    /// # Errors
    /// The mailbox was refused, the server asks to come back later, or the connection is over.
    pub fn header_fields(&mut self, mailbox: &WireName, uids: &UidSet) -> Result<BTreeMap<Uid, HeaderFields>> {
        let mut fields = BTreeMap::new();
        let wanted = vec![Wanted { mailbox: mailbox.clone(), validity: None, uids: uids.clone() }];
        let goal = Goal::HeaderFields(&mut fields);
        self.fetch(wanted, goal, HEADER_CHUNK, IN_FLIGHT * HEADER_CHUNK)?.pop().unwrap_or(Ok(()))?;
        Ok(fields)
    }

    fn fetch(&mut self, wanted: Vec<Wanted>, goal: Goal<'_>, whole: u64, window: u64) -> Result<Vec<Result<()>>> {
        // What is open needs no opening as long as it comes first.
        let is_open = |wanted: &Wanted| self.is_open(&wanted.mailbox, Access::ReadOnly);
        let open = wanted.iter().enumerate().find_map(|(which, wanted)| Some((which, is_open(wanted)?)));
        let mut job = Fetching::new(wanted, goal, (whole, window), open, self.eight_bit);
        job.enable = self.enable();
        job.selected = self.selected.take();
        let flight = self.wire.fly(&mut job);
        // What was not said is still to be said.
        self.enabled &= job.enable.is_none();
        flight?;
        self.selected = job.selected.take();
        job.outcomes()
    }
}

#[cfg(test)]
mod tests;
