//! Commands that are sent one after another without waiting, each for one of several items, and what became of the items.

use std::collections::VecDeque;

use super::command::Command;
use super::copied::CopyUid;
use super::reply::{Code, Status, Untagged};
use super::session::Session;
use super::wire::Job;
use crate::error::Result;
use crate::mail::UidSet;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// For each item the first refusal of one of its commands.
    pub refused: Vec<Option<Status>>,
    /// What the SEARCHes among the commands found.
    pub found: Option<UidSet>,
    /// Where copied and moved messages went.
    pub copied: Vec<CopyUid>,
    /// Messages that went meanwhile.
    pub vanished: UidSet,
    /// Others went, and the server does not say which.
    pub expunged: bool,
}

struct Batch {
    commands: VecDeque<(usize, Command)>,
    sent: Vec<usize>,
    outcome: Outcome,
}

impl Job for Batch {
    fn next(&mut self) -> Option<Command> {
        let (item, command) = self.commands.pop_front()?;
        self.sent.push(item);
        Some(command)
    }

    fn untagged(&mut self, _current: usize, data: Untagged<'_>) -> Result<()> {
        match data {
            Untagged::Search(uids) => self.outcome.found.get_or_insert_default().insert_all(&uids),
            Untagged::Vanished { earlier: false, uids } => self.outcome.vanished.insert_all(&uids),
            Untagged::Expunge => self.outcome.expunged = true,
            // MOVE tells it before the messages go (RFC 6851 §4.3).
            Untagged::Status(Status { code: Some(Code::CopyUid(copied)), .. }) => self.outcome.copied.push(copied),
            _ => {}
        }
        Ok(())
    }

    fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
        if let Some(Code::CopyUid(copied)) = &status.code
            && status.is_ok()
        {
            self.outcome.copied.push(copied.clone());
        }
        let refused = self.sent.get(which).and_then(|item| self.outcome.refused.get_mut(*item));
        if let Some(refused @ None) = refused {
            *refused = Some(status).filter(|s| !s.is_ok());
        }
        Ok(())
    }
}

impl Session {
    /// Sends `commands`, each for the item whose number (below `items`) stands beside it.
    ///
    /// # Errors
    /// The connection is over.
    pub(super) fn batch(
        &mut self,
        items: usize,
        commands: impl IntoIterator<Item = (usize, Command)>,
    ) -> Result<Outcome> {
        let outcome = Outcome { refused: vec![None; items], ..Outcome::default() };
        let mut batch = Batch { commands: commands.into_iter().collect(), sent: Vec::new(), outcome };
        self.wire.fly(&mut batch)?;
        Ok(batch.outcome)
    }

    /// Sends one command and tells how it was refused.
    ///
    /// # Errors
    /// The connection is over.
    pub(super) fn one(&mut self, command: Command) -> Result<Option<Status>> {
        Ok(self.batch(1, [(0, command)])?.refused.pop().flatten())
    }
}
