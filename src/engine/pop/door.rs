//! Sessions with the maildrop, one after the other.

use crate::config::Pop3Account;
use crate::engine::Job;
use crate::engine::pool::{Connectors, Credentials};
use crate::error::Result;
use crate::remote::net::Meter;
use crate::remote::pop3::{Capability, Session};
use crate::stop::Stop;

/// The way to the maildrop.
pub(super) struct Door<'a> {
    account: &'a Pop3Account,
    connectors: &'a Connectors,
    credentials: Credentials<'a>,
    meter: Meter,
    stop: &'a Stop,
    /// Opened before it was needed.
    ahead: Option<Session>,
    had_session: bool,
    in_lock_step: bool,
}

impl<'a> Door<'a> {
    /// Nothing is opened yet.
    pub(super) fn new(job: &'a Job<'_, Pop3Account>, stop: &'a Stop) -> Self {
        Door {
            account: job.account,
            connectors: job.connectors,
            credentials: Credentials::new(job.secret),
            meter: Meter::default(),
            stop,
            ahead: None,
            had_session: false,
            in_lock_step: false,
        }
    }

    /// Opens the session that is needed next.
    pub(super) fn knock(&mut self) -> Result<()> {
        self.ahead = Some(self.open()?);
        Ok(())
    }

    /// A new session.
    pub(super) fn open(&mut self) -> Result<Session> {
        if let Some(session) = self.ahead.take() {
            return Ok(session);
        }
        let options = &self.account.pop3;
        let connector = self.connectors.of(&options.server)?;
        let secret = self.credentials.get()?;
        let mut session = Session::open(options, connector.as_ref(), &secret, &self.meter, self.stop)?;
        self.had_session = true;
        if self.in_lock_step {
            session.in_lock_step();
        }
        Ok(session)
    }

    /// Whether a session ever stood.
    pub(super) fn had_session(&self) -> bool {
        self.had_session
    }

    /// One command at a time in all later sessions: an answer was taken for another.
    pub(super) fn lock_step(&mut self) {
        self.in_lock_step = true;
    }

    /// Octets and commands of all sessions.
    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Host and port.
    pub(super) fn place(&self) -> String {
        self.account.pop3.server.to_string()
    }
}

/// What the server can that matters for speed and safety, in a few words.
pub(super) fn tier(session: &Session) -> String {
    let useful = [Capability::Pipelining, Capability::Uidl, Capability::Top];
    let can = useful.into_iter().filter(|c| session.capabilities().has(*c)).map(Capability::name);
    std::iter::once("POP3").chain(can).collect::<Vec<_>>().join(", ")
}
