//! Opening a mailbox: what SELECT and EXAMINE tell, and the check that it is the mailbox the caller means.

use super::capability::Capability;
use super::command::Command;
use super::name::WireName;
use super::observe::Access;
use super::reply::{Code, Status, Untagged};
use super::session::Session;
use super::wire::Job;
use crate::error::{Error, Kind, Result};
use crate::mail::{ModSeq, PermanentFlags, RemoteCheckpoint, Uid, UidValidity};

/// What the server tells of a mailbox while it opens it (RFC 3501 §6.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opening {
    /// EXISTS, kept up while the mailbox is open.
    pub exists: u32,
    /// UIDVALIDITY.
    pub validity: Option<UidValidity>,
    /// UIDNEXT.
    pub uid_next: Option<Uid>,
    /// HIGHESTMODSEQ; `None` under NOMODSEQ.
    pub highest_modseq: Option<ModSeq>,
    /// PERMANENTFLAGS.
    pub permanent: Option<PermanentFlags>,
    /// MAILBOXID.
    pub object_id: Option<String>,
}

impl Opening {
    /// Takes data in that came before the mailbox was open.
    pub fn take(&mut self, data: &Untagged<'_>) {
        match data {
            Untagged::Exists(n) => self.exists = *n,
            Untagged::Status(Status { code: Some(code), .. }) => match code {
                // What came before was of the mailbox before.
                Code::Closed => *self = Opening::default(),
                Code::UidValidity(validity) => self.validity = Some(*validity),
                Code::UidNext(uid) => self.uid_next = Some(*uid),
                Code::HighestModSeq(modseq) => self.highest_modseq = Some(*modseq),
                Code::NoModSeq => self.highest_modseq = None,
                Code::PermanentFlags(flags) => self.permanent = Some(flags.clone()),
                Code::MailboxId(id) => self.object_id = Some(id.clone()),
                _ => (),
            },
            _ => (),
        }
    }

    /// The checkpoint as of the opening.
    ///
    /// # Errors
    /// The server gave no UIDVALIDITY, so no message could be recognised later.
    pub fn checkpoint(&self, access: Access) -> Result<RemoteCheckpoint> {
        let uid_validity = self.validity.ok_or_else(|| {
            Error::new(Kind::Protocol, "The server gives no UIDVALIDITY, so messages cannot be recognised again")
        })?;
        // RFC 3501 §7.1: without PERMANENTFLAGS all flags are taken to be permanent; EXAMINE can only say "none".
        let permanent = self.permanent.clone().filter(|_| access == Access::ReadWrite);
        Ok(RemoteCheckpoint {
            uid_validity,
            uid_next: self.uid_next,
            highest_modseq: self.highest_modseq,
            messages: self.exists,
            permanent: permanent.unwrap_or_else(PermanentFlags::everything),
            object_id: self.object_id.clone().map(String::into_boxed_str),
        })
    }
}

/// The mailbox that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its name.
    pub wire: WireName,
    /// How it was opened.
    pub access: Access,
    /// Its generation.
    pub validity: UidValidity,
}

/// The refusal of work on UIDs that mean other messages now.
pub fn changed_meanwhile() -> Error {
    Error::new(Kind::Refused, "The mailbox was replaced by another of the same name meanwhile; nothing was done in it")
        .hint("Run the same command again.")
        .worth_retrying()
}

struct Open {
    commands: Vec<Command>,
    select: usize,
    opening: Opening,
    outcome: Option<Status>,
}

impl Job for Open {
    fn next(&mut self) -> Option<Command> {
        self.commands.pop()
    }

    fn untagged(&mut self, current: usize, data: Untagged<'_>) -> Result<()> {
        if current == self.select {
            self.opening.take(&data);
        }
        Ok(())
    }

    fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
        if which == self.select {
            self.outcome = Some(status);
        }
        Ok(())
    }
}

impl Session {
    /// The command that opens `mailbox`, with `parameters` such as ` (CONDSTORE)`.
    pub(super) fn select(&self, mailbox: &WireName, access: Access, parameters: &str) -> Command {
        let word = match access {
            Access::ReadOnly => "EXAMINE",
            Access::ReadWrite => "SELECT",
        };
        Command::new(word).mailbox(mailbox, self.eight_bit).text(parameters)
    }

    /// ENABLE, when a tier wants it and this connection has not said it yet (RFC 5161: once, before the first SELECT).
    pub(super) fn enable(&mut self) -> Option<Command> {
        let wanted = self.capabilities.has(Capability::Qresync) && self.capabilities.has(Capability::Enable);
        (wanted && !std::mem::replace(&mut self.enabled, true)).then(|| Command::new("ENABLE QRESYNC"))
    }

    /// Whether `mailbox` is open already, at least as `access` wants.
    pub(super) fn is_open(&self, mailbox: &WireName, access: Access) -> Option<UidValidity> {
        let selected = self.selected.as_ref()?;
        (selected.wire == *mailbox && selected.access >= access).then_some(selected.validity)
    }

    /// Whether `mailbox` is the one that is open.
    pub fn has_open(&self, mailbox: &WireName) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected.wire == *mailbox)
    }

    /// Opens `mailbox` unless it is open, waits for the answer and checks that its UIDs mean what they meant.
    ///
    /// # Errors
    /// The mailbox was refused or replaced, or the connection is over.
    pub(super) fn open_mailbox(
        &mut self,
        mailbox: &WireName,
        access: Access,
        expected: Option<UidValidity>,
    ) -> Result<()> {
        let found = match self.is_open(mailbox, access) {
            Some(validity) => validity,
            None => self.select_and_wait(mailbox, access)?,
        };
        if expected.is_some_and(|e| e != found) { Err(changed_meanwhile()) } else { Ok(()) }
    }

    fn select_and_wait(&mut self, mailbox: &WireName, access: Access) -> Result<UidValidity> {
        let mut commands = vec![self.select(mailbox, access, "")];
        commands.extend(self.enable());
        let select = commands.len() - 1;
        let mut job = Open { commands, select, opening: Opening::default(), outcome: None };
        self.selected = None;
        self.wire.fly(&mut job)?;
        let Open { opening, outcome, .. } = job;
        if let Some(refused) = outcome.filter(|s| !s.is_ok()) {
            return Err(refused.refusal("The mailbox cannot be opened"));
        }
        let validity = opening.checkpoint(access)?.uid_validity;
        self.selected = Some(Selected { wire: mailbox.clone(), access, validity });
        Ok(validity)
    }
}
