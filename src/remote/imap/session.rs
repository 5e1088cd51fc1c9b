//! One logged-in connection. (The bodies of these methods are being written; the signatures stand.)

use std::collections::BTreeMap;

use super::append::Append;
use super::bodies::BodySink;
use super::capability::Capabilities;
use super::change::Expunged;
use super::folder::Deleted;
use super::mailboxes::{Listing, MailboxStatus};
use super::name::WireName;
use super::observe::{Ask, Seen};
use super::open::ImapOptions;
use crate::error::{Error, Kind, Result};
use crate::mail::{FlagChange, MessageIdHash, Uid, UidSet, UidValidity};
use crate::remote::net::{Connector, Meter};
use crate::secret::Secret;
use crate::stop::Stop;

/// One logged-in connection.
#[derive(Debug)]
pub struct Session {
    capabilities: Capabilities,
}

fn soon<T>() -> Result<T> {
    Err(Error::new(Kind::Protocol, "Being written"))
}

impl Session {
    /// Connects, protects and logs in.
    pub fn open(
        _options: &ImapOptions,
        _connector: Option<&Connector>,
        _secret: &Secret,
        _meter: &Meter,
        _stop: &Stop,
    ) -> Result<Session> {
        soon()
    }
    /// What the server can do and may be used.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
    /// Lists the user's mailboxes and how they stand.
    pub fn list(&mut self) -> Result<Listing> {
        soon()
    }
    /// Looks into mailboxes; the answers stand in the order of the asks, an inner error concerns that mailbox only.
    pub fn observe(&mut self, _asks: &[Ask]) -> Result<Vec<Result<Seen>>> {
        soon()
    }
    /// Fetches Message-IDs; a UID that is not in the answer is gone.
    pub fn message_ids(&mut self, _mailbox: &WireName, _uids: &UidSet) -> Result<BTreeMap<Uid, Option<MessageIdHash>>> {
        soon()
    }
    /// Fetches bodies.
    pub fn fetch_bodies(
        &mut self,
        _mailbox: &WireName,
        _validity: UidValidity,
        _uids: &UidSet,
        _sink: &mut dyn BodySink,
    ) -> Result<()> {
        soon()
    }
    /// Changes flags; one result a change.
    pub fn store(
        &mut self,
        _mailbox: &WireName,
        _validity: UidValidity,
        _changes: &[(UidSet, FlagChange)],
    ) -> Result<Vec<Result<()>>> {
        soon()
    }
    /// Removes messages for good.
    pub fn expunge(&mut self, _mailbox: &WireName, _validity: UidValidity, _uids: &UidSet) -> Result<Expunged> {
        soon()
    }
    /// Moves messages.
    pub fn move_messages(
        &mut self,
        _mailbox: &WireName,
        _validity: UidValidity,
        _uids: &UidSet,
        _to: &WireName,
    ) -> Result<Expunged> {
        soon()
    }
    /// Uploads messages; the outcome of each, by its index, goes to `done`.
    pub fn append(
        &mut self,
        _mailbox: &WireName,
        _messages: &mut dyn Iterator<Item = Append>,
        _done: &mut dyn FnMut(usize, Result<Option<(UidValidity, Uid)>>),
    ) -> Result<()> {
        soon()
    }
    /// Makes a mailbox and subscribes to it.
    pub fn create(&mut self, _mailbox: &WireName) -> Result<()> {
        soon()
    }
    /// Removes an empty mailbox.
    pub fn delete(&mut self, _mailbox: &WireName) -> Result<Deleted> {
        soon()
    }
    /// Asks how mailboxes stand.
    pub fn status(&mut self, _mailboxes: &[&WireName]) -> Result<Vec<Result<MailboxStatus>>> {
        soon()
    }
    /// Says goodbye.
    pub fn logout(self) {}
}
