//! One session with a maildrop: opening and leaving it. What it can do stands in the files named after the work.

use super::capability::{Capabilities, Capability};
use super::listing::Sizes;
use super::open::{self, Opened, Pop3Options};
use super::wire::{Window, Wire};
use crate::error::Result;
use crate::remote::net::{Connector, Exchange, Meter};
use crate::secret::Secret;
use crate::stop::Stop;

/// One session with a maildrop, which the server keeps locked meanwhile.
///
/// An error that a method returns leaves the session unusable when [`Session::is_broken`] says so; everything else was a
/// refusal of the server. Dropped without [`Session::quit`], nothing is deleted (RFC 1939 §6).
#[derive(Debug)]
pub struct Session {
    pub(super) wire: Wire,
    pub(super) capabilities: Capabilities,
    /// What may be unanswered at once.
    pub(super) window: Window,
    /// The sizes that the server listed, once it has.
    pub(super) sizes: Sizes,
    /// How many messages are marked deleted.
    pub(super) marked: usize,
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
        let Opened { wire, capabilities } = open::open(options, connector, secret, meter, stop)?;
        Ok(Session::over(wire.map(|transport| Box::new(transport) as Box<dyn Exchange + Send>), capabilities))
    }

    /// Goes on over a connection that is logged in.
    pub(super) fn over(wire: Wire, capabilities: Capabilities) -> Session {
        let pipelined = capabilities.has(Capability::Pipelining);
        let window = if pipelined { Window::PIPELINED } else { Window::LOCK_STEP };
        Session { wire, capabilities, window, sizes: Sizes::default(), marked: 0 }
    }

    /// Sends one command at a time from here on, so that no answer can be taken for another.
    pub fn in_lock_step(&mut self) {
        self.window = Window::LOCK_STEP;
    }

    /// What the server can do and may be used.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether an error has left the connection unusable: only a new session helps then, and nothing of this one was
    /// deleted.
    pub fn is_broken(&self) -> bool {
        self.wire.is_broken()
    }
}
