//! The specification of POP3: what is known + what a session lists + policy + time → plan. Pure: no I/O, clock,
//! randomness, threads, logging.
//!
//! One way only: mail comes into the tree, and nothing that happens in the tree reaches the server, except a deletion
//! where the policy says so. Not seen is not deleted; when unsure, the mail is fetched, and stays.
//!
//! # Who is who
//!
//! A listed message and a known one are the same, in this order of evidence:
//!
//! 1. **UIDL**, and the size agrees. It is not enough, and the header (TOP) is asked for as well, when the size differs;
//!    when the last listing lacked the message, or it was deleted or may have been (servers use a free UIDL again);
//!    and for all messages once a header has shown that one of the UIDLs names another message now. Where the UIDLs are
//!    the numbers of the messages, which would name others after a deletion, they are believed only while none has
//!    gone, all sizes agree, and the header of the last is right.
//! 2. **Size and header**, where the UIDL is unknown or missing. Only a message that should be on the server and was
//!    not found by its UIDL can be found this way: what we deleted comes back as new mail, since a person may have put it
//!    there. N listed and M known ones that cannot be told apart are the same when N ≤ M, else all N are doubtful.
//! 3. **Size and digest**, for what is doubtful: a message that may be known and has no header to tell by (no TOP; no
//!    Message-ID and no trace field in it), or has the header and is by far larger or smaller than it was. It is fetched
//!    and compared; only what is new then is delivered.
//!
//! A UIDL that several listed messages have counts as none. And whatever is fetched for whatever reason is compared
//! with the known messages that were not found: so 0 doubles hold also where sizes are counted otherwise now.
//!
//! # What is done
//!
//! | message | is |
//! | --- | --- |
//! | new, or only seen before | fetched, unless it is larger than `max-size` or `max-messages` are fetched already |
//! | doubtful | fetched and compared, within the same limits |
//! | known and delivered | kept, or deleted when `keep` says so or its file was deleted (where that counts) |
//! | delivered, and less than half or at least twice as large as listed | kept, since it may be a part, or two; and fetched once more |
//! | known and not listed | remembered for 30 days since it was first missed, or since its deletion was confirmed |
//!
//! Ages count in seconds from the first listing that had the message, whether or not it was fetched then.
//!
//! # What is recorded when
//!
//! ```text
//! Delivering → file durable → Known → DELE → Known(Unknown), Settled → QUIT → +OK → Known(Deleted) → 30 days → Forgotten
//! ```
//!
//! * *Delivering* stands before the first file of a run, *Settled* after the record of the last. A crash between a file
//!   and its record, or a record that could not be written, leaves *Delivering* behind; then, and when tree and state
//!   count their runs otherwise or the state is lost, the next run looks through the tree for files whose names say that
//!   this account delivered them (account, UIDL and serial stand there) and that nobody knows, believes those whose
//!   size agrees, makes them durable, and records them. An intent with the file's name instead would cost a
//!   transaction a batch more and know no more: a file that somebody moved or removed meanwhile is found by neither, and is
//!   fetched again. The names serve also when the state is lost as a whole, which an intent cannot.
//! * A message is deleted only when it is known, delivered and recorded. A record becomes *Deleted* only by the server's OK
//!   to QUIT. When that is lost it stays *Unknown*: a message that is listed again is deleted again, one that is not is
//!   remembered as missing.
//! * What was seen and not fetched is recorded too, for its age, if it has a UIDL to be known by.
//! * A message that was missing or deleted and is listed again is the one known: a rolled-back server, a partial listing.
//!
//! # Words
//!
//! A *record* is a [`KnownMessage`], *rival* the record that has a doubtful message's UIDL.

mod arrivals;
mod identity;
mod numbers;
pub mod plan;
pub mod policy;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use arrivals::{Arrivals, Verdict};
pub use numbers::Numbers;
pub use plan::{Action, Fetch, Fetched, Left, Plan};
pub use policy::{Keep, Order, Policy, is_as_listed};

use crate::mail::{HeaderHash, KnownMessage, MessageNumber, Serial, UidlHash, UnixSeconds};

/// What an account knows, by serial.
pub type Known = BTreeMap<Serial, KnownMessage>;

/// A message as a session lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its number in this session.
    pub number: MessageNumber,
    /// Its octets, as the server counts them.
    pub size: u64,
    /// Its UIDL; `None` without one.
    pub uidl: Option<UidlHash>,
}

/// What the session's UIDLs are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// Something of the server's.
    Proper,
    /// All are the numbers of their messages, in digits.
    Numbers,
}

/// What is known of the headers of a session's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Headers {
    /// The server gives none.
    Unavailable,
    /// Those that were asked for so far; `None` where the server refused, or the header could be another message's.
    Asked(BTreeMap<MessageNumber, Option<HeaderHash>>),
}

/// Everything a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What is known.
    pub known: &'a Known,
    /// The serial of the next new message.
    pub next: Serial,
    /// What the session lists, by number.
    pub listing: &'a [Listed],
    /// What its UIDLs are made of.
    pub ids: Ids,
    /// What was asked of its headers.
    pub headers: &'a Headers,
    /// Delivered messages whose files were deleted in the tree, where that deletes them on the server.
    pub deleted_here: &'a BTreeSet<Serial>,
    /// What the account's settings want.
    pub policy: &'a Policy,
    /// Messages that the last run could not fetch: they are tried again beside what `max-messages` allows.
    pub failed: &'a BTreeSet<MessageNumber>,
    /// Messages that this run has fetched already.
    pub fetched: u64,
    /// The time of the listing.
    pub now: UnixSeconds,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The headers of these messages are needed for a plan.
    Ask(BTreeSet<MessageNumber>),
    /// The plan.
    Plan(Plan),
}

/// Decides what a session has to do, or what it takes to decide. Ends in a plan once every header asked for is there.
#[must_use]
pub fn consider(input: &Input<'_>) -> Next {
    let identified = identity::identify(input);
    if !identified.ask.is_empty() {
        return Next::Ask(identified.ask);
    }
    Next::Plan(plan::make(input, identified))
}
