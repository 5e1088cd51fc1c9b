//! One session with a maildrop. What it can do stands in the files named after the work.

use super::capability::Capabilities;
use super::delete::Committed;
use super::listing::{Listing, Stat};
use super::open::Pop3Options;
use super::retrieve::MaildropSink;
use crate::error::{Error, Kind, Result};
use crate::mail::MessageNumber;
use crate::remote::net::{Connector, Meter};
use crate::secret::Secret;
use crate::stop::Stop;

/// One session with a maildrop, which the server keeps locked meanwhile.
///
/// An error that a method returns leaves the session unusable when [`Session::is_broken`] says so; everything else was a
/// refusal of the server. Dropped without [`Session::quit`], nothing is deleted (RFC 1939 §6).
#[derive(Debug)]
pub struct Session {
    capabilities: Capabilities,
}

fn unbuilt() -> Error {
    Error::new(Kind::Protocol, "This part of the POP3 client is not there yet")
}

impl Session {
    /// Connects, protects and logs in.
    ///
    /// `connector` is the run's one for `options.server.trust`; `None` makes one here, which is right when there is no
    /// TLS.
    ///
    /// # Errors
    /// `Unreachable`, `Tls`, `Auth`, `TryLater`, `Refused`, `Protocol`, `Config` or `Interrupted`; each names
    /// `host:port` and, where a person can do something, what.
    pub fn open(
        options: &Pop3Options,
        connector: Option<&Connector>,
        secret: &Secret,
        meter: &Meter,
        stop: &Stop,
    ) -> Result<Session> {
        let _ = (options, connector, secret, meter, stop);
        Err(unbuilt())
    }

    /// What the server can do and may be used.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether an error has left the connection unusable: only a new session helps then, and nothing of this one was
    /// deleted, unless the error was one of [`Session::quit`].
    pub fn is_broken(&self) -> bool {
        true
    }

    /// How many messages there are and how large they are.
    ///
    /// # Errors
    /// Refused, nonsense, or the connection is over.
    pub fn stat(&mut self) -> Result<Stat> {
        Err(unbuilt())
    }

    /// Numbers, sizes and unique ids.
    ///
    /// # Errors
    /// LIST was refused, a list is no list or too long, or the connection is over. A refused UIDL is none.
    pub fn listing(&mut self) -> Result<Listing> {
        Err(unbuilt())
    }

    /// Fetches the headers, by TOP; each number ends in one `done` or `refused` of the sink.
    ///
    /// # Errors
    /// The sink failed, the server asks to come back later again and again, or the connection is over.
    pub fn headers(&mut self, numbers: &[MessageNumber], sink: &mut dyn MaildropSink) -> Result<()> {
        let _ = (numbers, sink);
        Err(unbuilt())
    }

    /// Fetches whole messages, by RETR; each number ends in one `done` or `refused` of the sink.
    ///
    /// # Errors
    /// As [`Session::headers`].
    pub fn retrieve(&mut self, numbers: &[MessageNumber], sink: &mut dyn MaildropSink) -> Result<()> {
        let _ = (numbers, sink);
        Err(unbuilt())
    }

    /// Marks messages deleted; what the server says to each, in the same order. They are deleted at [`Session::quit`].
    ///
    /// # Errors
    /// The connection is over.
    pub fn delete(&mut self, numbers: &[MessageNumber]) -> Result<Vec<(MessageNumber, Result<()>)>> {
        let _ = numbers;
        Err(unbuilt())
    }

    /// Takes all marks back.
    ///
    /// # Errors
    /// Refused, or the connection is over.
    pub fn reset(&mut self) -> Result<()> {
        Err(unbuilt())
    }

    /// Ends the session, and with it deletes what was marked.
    ///
    /// # Errors
    /// Anything but the server's OK. When messages were marked, whether they are deleted is unknown then, and the error
    /// says so.
    pub fn quit(self) -> Result<Committed> {
        Err(unbuilt())
    }
}
