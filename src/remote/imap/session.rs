//! One logged-in connection: opening and leaving it. What it can do stands in the files named after the work.

use super::capability::{Capabilities, Capability};
use super::command::{Command, EightBit};
use super::open::{self, ImapOptions, Opened};
use super::reply::{Code, Status, Untagged};
use super::select::Selected;
use super::wire::{Job, Wire};
use crate::error::Result;
use crate::remote::net::{Connector, Exchange, Meter, Protection};
use crate::secret::Secret;
use crate::stop::Stop;

/// One logged-in connection.
///
/// An error that a method returns as its outer one leaves the connection unusable when [`Session::is_broken`] says so;
/// everything else was a refusal of the server, and the next call may well succeed. Errors name no mailbox: the caller
/// knows its canonical name.
#[derive(Debug)]
pub struct Session {
    pub(super) wire: Wire,
    pub(super) capabilities: Capabilities,
    pub(super) eight_bit: EightBit,
    /// The mailbox that is open.
    pub(super) selected: Option<Selected>,
    /// ENABLE was sent.
    pub(super) enabled: bool,
    /// QRESYNC can be used: offered, and not refused when it was to be enabled.
    pub(super) qresync: bool,
    protection: Option<Protection>,
}

impl Session {
    /// Connects, protects and logs in; compresses when the options and the server allow it.
    ///
    /// # Errors
    /// As [`open::open`]; `Unreachable` when the connection ends while compression is agreed on.
    pub fn open(
        options: &ImapOptions,
        connector: Option<&Connector>,
        secret: &Secret,
        meter: &Meter,
        stop: &Stop,
    ) -> Result<Session> {
        let Opened { transport, leftover, capabilities } = open::open(options, connector, secret, meter, stop)?;
        let protection = transport.protection();
        let over = |transport, leftover, capabilities| {
            let session = Session::over(Box::new(transport), leftover, capabilities, meter);
            Ok(Session { protection, ..session })
        };
        if !(options.compress && capabilities.has(Capability::Compress)) {
            return over(transport, leftover, capabilities);
        }
        let mut compress = Compress { command: Some(Command::new("COMPRESS DEFLATE")), agreed: false };
        let mut wire = Wire::new(transport, leftover, meter.clone());
        wire.fly(&mut compress)?;
        let (mut transport, mut leftover) = wire.into_parts();
        if compress.agreed {
            transport.start_deflate(std::mem::take(&mut leftover))?;
        }
        over(transport, leftover, capabilities)
    }

    /// Goes on over a connection that is logged in.
    pub(super) fn over(
        exchange: Box<dyn Exchange + Send>,
        leftover: Vec<u8>,
        capabilities: Capabilities,
        meter: &Meter,
    ) -> Session {
        let literals = capabilities.has(Capability::LiteralPlus) || capabilities.has(Capability::LiteralMinus);
        Session {
            wire: Wire::new(exchange, leftover, meter.clone()),
            eight_bit: if literals { EightBit::Literal } else { EightBit::Quoted },
            selected: None,
            enabled: false,
            qresync: capabilities.has(Capability::Qresync) && capabilities.has(Capability::Enable),
            capabilities,
            protection: None,
        }
    }

    /// What protects the connection; `None` without TLS.
    pub fn protection(&self) -> Option<&Protection> {
        self.protection.as_ref()
    }

    /// What the server can do and may be used.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether an error has left the connection unusable: only a new one helps then.
    pub fn is_broken(&self) -> bool {
        self.wire.is_broken()
    }

    /// The command that tells the UIDs of messages that `keys` fit, as ranges where the server can (RFC 4731 §3.1).
    pub(super) fn uid_search(&self, keys: impl std::fmt::Display) -> Command {
        let word = if self.capabilities.has(Capability::Esearch) { "UID SEARCH RETURN (ALL)" } else { "UID SEARCH" };
        Command::new(format_args!("{word} {keys}"))
    }

    /// Says goodbye, without waiting for the answer.
    pub fn logout(self) {
        self.wire.say_goodbye();
    }
}

struct Compress {
    command: Option<Command>,
    agreed: bool,
}

impl Job for Compress {
    fn next(&mut self) -> Option<Command> {
        self.command.take()
    }

    fn untagged(&mut self, _current: usize, _data: Untagged<'_>) -> Result<()> {
        Ok(())
    }

    fn tagged(&mut self, _which: usize, status: Status) -> Result<()> {
        // A refusal leaves the connection as it was.
        self.agreed = status.is_ok() && status.code != Some(Code::CompressionActive);
        Ok(())
    }
}
