//! Marking messages deleted, and the one moment in which the server deletes them: its OK to QUIT (RFC 1939 §6).

use super::session::Session;
use super::status::Reply;
use super::wire::{Command, Job, Wire};
use crate::error::{Error, Kind, Result};
use crate::mail::MessageNumber;
use crate::remote::net::Exchange;

/// The server has said OK to QUIT: what was marked deleted is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// How many messages were marked.
    pub deleted: usize,
}

impl Session {
    /// Marks messages deleted; what the server says to each, in the same order. They are deleted at [`Session::quit`].
    ///
    /// # Errors
    /// The connection is over.
    pub fn delete(&mut self, numbers: &[MessageNumber]) -> Result<Vec<(MessageNumber, Result<()>)>> {
        let mut job = Deleting { to_ask: numbers, to_hear: numbers, outcomes: Vec::with_capacity(numbers.len()) };
        self.wire.fly(self.window, &mut job)?;
        self.marked += job.outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).count();
        Ok(job.outcomes)
    }

    /// Takes all marks back.
    ///
    /// # Errors
    /// Refused, or the connection is over.
    pub fn reset(&mut self) -> Result<()> {
        let reply = self.wire.ask("RSET")?;
        if !reply.is_ok() {
            return Err(reply.refusal("The server does not take the deletions back", Kind::Refused));
        }
        self.marked = 0;
        Ok(())
    }

    /// Ends a session in which nothing was marked, without waiting for the answer: nothing depends on it.
    pub fn leave(self) {
        if !self.is_broken() && self.marked == 0 {
            self.wire.say_goodbye();
        }
    }

    /// Ends the session, and with it deletes what was marked.
    ///
    /// # Errors
    /// Anything but the server's OK. When messages were marked, whether they are deleted is unknown then, and the error
    /// says so.
    pub fn quit(mut self) -> Result<Committed> {
        if self.is_broken() {
            let lost = "The connection was lost before the end of the session, so nothing was deleted";
            return Err(Error::new(Kind::Unreachable, lost).worth_retrying());
        }
        let deleted = self.marked;
        let error = match self.wire.ask("QUIT") {
            Ok(reply) if reply.is_ok() => return Ok(Committed { deleted }),
            Ok(reply) => reply.refusal("The server refused to end the session", Kind::Refused),
            Err(error) => error,
        };
        if deleted == 0 { Err(error) } else { Err(unknown(error, deleted)) }
    }
}

/// The same error with what it means for the messages that were marked.
fn unknown(error: Error, deleted: usize) -> Error {
    let messages = if deleted == 1 { "1 message is".to_owned() } else { format!("{deleted} messages are") };
    let what = format!("Whether {messages} deleted is unknown: {}", error.what());
    let mut told = Error::new(error.kind(), what).hint("The next run looks again and deletes what is left.");
    if let Some(words) = error.server_words() {
        told = told.server_said(words);
    }
    if let Some(place) = error.place() {
        told = told.at(place);
    }
    told.worth_retrying()
}

struct Deleting<'a> {
    to_ask: &'a [MessageNumber],
    to_hear: &'a [MessageNumber],
    outcomes: Vec<(MessageNumber, Result<()>)>,
}

impl<E: Exchange> Job<E> for Deleting<'_> {
    fn next(&mut self) -> Option<Command> {
        let (number, rest) = self.to_ask.split_first()?;
        self.to_ask = rest;
        Some(Command::new(format!("DELE {number}")))
    }

    fn answered(&mut self, _which: usize, reply: Reply, _wire: &mut Wire<E>) -> Result<()> {
        let Some((&number, rest)) = self.to_hear.split_first() else { return Ok(()) };
        self.to_hear = rest;
        let refusal = || reply.refusal("The server does not delete the message", Kind::Refused);
        self.outcomes.push((number, if reply.is_ok() { Ok(()) } else { Err(refusal()) }));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
