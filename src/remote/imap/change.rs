//! Changes to messages: flags, expunging, moving. Nothing here is sent before the mailbox is open and its UIDVALIDITY
//! is the one the caller means.

use super::capability::Capability;
use super::command::Command;
use super::name::WireName;
use super::observe::Access;
use super::reply::Status;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::mail::{FlagChange, Flags, UidSet, UidValidity};

/// Octets a command may have; RFC 7162 §4 wants clients to stay below 8192.
const COMMAND_MOST: usize = 8000;

/// What became of messages that were to be expunged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expunged {
    /// They are gone.
    Gone,
    /// They are marked `\Deleted` and still there: without UIDPLUS an EXPUNGE would also have removed what others marked.
    LeftMarked {
        /// How many messages others have marked.
        foreign: u64,
    },
}

impl Session {
    /// Changes flags; one result a change, in order.
    ///
    /// # Errors
    /// The outer error: the mailbox was refused or replaced meanwhile (nothing was done), or the connection is over. An
    /// inner one: the server refused this change for some or all of its messages.
    pub fn store(
        &mut self,
        mailbox: &WireName,
        validity: UidValidity,
        changes: &[(UidSet, FlagChange)],
    ) -> Result<Vec<Result<()>>> {
        self.open_mailbox(mailbox, Access::ReadWrite, Some(validity))?;
        let commands = changes.iter().enumerate().flat_map(|(item, (uids, change))| {
            let added = stores(uids, '+', &change.add);
            added.chain(stores(uids, '-', &change.remove)).map(move |command| (item, command))
        });
        let outcome = self.batch(changes.len(), commands)?;
        let result = |refused: Option<Status>| match refused {
            Some(refused) => Err(refused.refusal("The flags cannot be changed")),
            None => Ok(()),
        };
        Ok(outcome.refused.into_iter().map(result).collect())
    }

    /// Removes messages for good.
    ///
    /// # Errors
    /// The mailbox was refused or replaced meanwhile (nothing was done), the server refused (some may be gone), or the
    /// connection is over.
    pub fn expunge(&mut self, mailbox: &WireName, validity: UidValidity, uids: &UidSet) -> Result<Expunged> {
        if uids.is_empty() {
            return Ok(Expunged::Gone);
        }
        self.open_mailbox(mailbox, Access::ReadWrite, Some(validity))?;
        let mut deleted = Flags::none();
        deleted.insert_imap("\\Deleted");
        let mark = stores(uids, '+', &deleted);
        if self.capabilities.has(Capability::Uidplus) {
            let chunks = uids.chunks(u64::MAX, COMMAND_MOST);
            let commands = mark.chain(chunks.iter().map(|c| Command::new(format_args!("UID EXPUNGE {c}"))));
            let outcome = self.batch(1, commands.map(|command| (0, command)))?;
            return gone(outcome.refused);
        }
        // Everything that is marked would go: so look last, and expunge only what is all ours.
        let commands = mark.chain([Command::new("UID SEARCH DELETED")]);
        let outcome = self.batch(1, commands.map(|command| (0, command)))?;
        let found = outcome.found;
        gone(outcome.refused)?;
        let found = found.ok_or_else(|| {
            Error::new(Kind::Protocol, "The server does not tell which messages are marked \\Deleted")
        })?;
        let ours = uids.iter().filter(|uid| found.contains(*uid)).count() as u64;
        let foreign = found.len().saturating_sub(ours);
        if foreign > 0 {
            return Ok(Expunged::LeftMarked { foreign });
        }
        let refused = self.one(Command::new("EXPUNGE"))?;
        gone(vec![refused])
    }

    /// Moves messages.
    ///
    /// # Errors
    /// The mailbox was refused or replaced meanwhile (nothing was done), the server refused (some may have moved; none
    /// is lost), or the connection is over.
    pub fn move_messages(
        &mut self,
        mailbox: &WireName,
        validity: UidValidity,
        uids: &UidSet,
        to: &WireName,
    ) -> Result<Expunged> {
        self.open_mailbox(mailbox, Access::ReadWrite, Some(validity))?;
        let moves = self.capabilities.has(Capability::Move);
        let word = if moves { "MOVE" } else { "COPY" };
        let room = COMMAND_MOST.saturating_sub(2 * to.as_bytes().len());
        let chunks = uids.chunks(u64::MAX, room);
        let command = |chunk| Command::new(format_args!("UID {word} {chunk}")).mailbox(to, self.eight_bit);
        let commands: Vec<_> = chunks.iter().map(command).enumerate().collect();
        let mut refused = self.batch(chunks.len(), commands)?.refused;
        let mut outcome = Expunged::Gone;
        if !moves {
            // Only what has a copy now may go.
            let copied = chunks.iter().zip(&refused).filter(|(_, refused)| refused.is_none());
            let copied: UidSet = copied.flat_map(|(chunk, _)| chunk.iter()).collect();
            outcome = self.expunge(mailbox, validity, &copied)?;
        }
        match refused.iter_mut().find_map(Option::take) {
            Some(refused) => Err(refused.refusal("The messages cannot be moved")),
            None => Ok(outcome),
        }
    }
}

/// The commands that add (`+`) or remove (`-`) flags; none when there is nothing to do.
fn stores(uids: &UidSet, sign: char, flags: &Flags) -> impl Iterator<Item = Command> + use<> {
    let names = flags.imap_names().collect::<Vec<_>>().join(" ");
    let room = COMMAND_MOST.saturating_sub(names.len()).max(COMMAND_MOST / 4);
    let chunks = if flags.is_empty() { Vec::new() } else { uids.chunks(u64::MAX, room) };
    chunks.into_iter().map(move |chunk| Command::new(format_args!("UID STORE {chunk} {sign}FLAGS.SILENT ({names})")))
}

fn gone(refused: Vec<Option<Status>>) -> Result<Expunged> {
    match refused.into_iter().flatten().next() {
        Some(refused) => Err(refused.refusal("The messages cannot be deleted")),
        None => Ok(Expunged::Gone),
    }
}
