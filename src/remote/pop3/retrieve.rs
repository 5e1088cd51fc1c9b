//! Messages out of the maildrop: RETR and TOP, pipelined where the server can, streamed into a sink.
//!
//! Invariant: a message is done when its end was seen *and* what follows it is an answer, or the connection's end. A
//! server that forgets to double a dot ends a message in its middle; the rest of it is no answer, so that message is
//! never done. To see what follows the last one, a NOOP goes after it. A server that forgets the end itself runs into
//! the next answer, and each answer after it then counts for the message before: so in a pipeline a message has to have
//! about the listed size ([`Measure`]). One whose size is wrong for another reason comes in lock-step, where nothing can
//! be mistaken for it. Nothing of a message is kept.

use super::capability::Capability;
use super::measure::{Flight, Measure};
use super::session::Session;
use super::status::Reply;
use super::unstuff::LineEnd;
use super::wire::{Command, Job, Window, Wire};
use crate::error::{Error, Kind, Result};
use crate::mail::MessageNumber;
use crate::remote::net::Exchange;

/// Octets that a message of unknown size, or a header, is expected to have.
const USUAL: u64 = 4 * 1024;
/// Refusals for now in a row after which no more is asked for: a single one may be about one message.
const LATER_MOST: usize = 10;

/// Takes messages as they come off the wire, one after the other, in the order they were asked for.
///
/// A message's calls are [`start`](Self::start), [`data`](Self::data) any number of times, then
/// [`done`](Self::done); or [`refused`](Self::refused) alone. A message that was started and not done when the call
/// ends in an error is not whole and has to be thrown away. An error of any method ends the call and the connection.
pub trait MaildropSink {
    /// A message begins.
    fn start(&mut self, number: MessageNumber) -> Result<()>;
    /// The next octets of the message that began last, as the server sends them: the dots that the protocol adds are
    /// gone. A message whose last line has no end gets one from the protocol, which cannot say that.
    fn data(&mut self, octets: &[u8]) -> Result<()>;
    /// The message that began last is complete.
    fn done(&mut self, number: MessageNumber) -> Result<()>;
    /// The server does not give this message; the others go on.
    fn refused(&mut self, number: MessageNumber, error: &Error) -> Result<()>;
}

impl Session {
    /// Fetches the headers, by TOP; each number ends in one `done` or `refused` of the sink. The empty line is the last
    /// thing given, whatever the server sends (stalwartlabs/stalwart#3165 sends all).
    ///
    /// # Errors
    /// The sink failed, the server asks to come back later again and again, or the connection is over.
    pub fn headers(&mut self, numbers: &[MessageNumber], sink: &mut dyn MaildropSink) -> Result<()> {
        if self.capabilities.is_disabled(Capability::Top) {
            let error = Error::new(Kind::Refused, "TOP is switched off (`disable`)");
            return numbers.iter().try_for_each(|number| sink.refused(*number, &error));
        }
        self.get(Verb::Top, numbers, sink)
    }

    /// Fetches whole messages, by RETR; each number ends in one `done` or `refused` of the sink.
    ///
    /// # Errors
    /// As [`Session::headers`]; `Protocol` also for a message without end.
    pub fn retrieve(&mut self, numbers: &[MessageNumber], sink: &mut dyn MaildropSink) -> Result<()> {
        self.get(Verb::Retr, numbers, sink)
    }

    fn get(&mut self, verb: Verb, numbers: &[MessageNumber], sink: &mut dyn MaildropSink) -> Result<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        let sizes = &self.sizes;
        let mut job = Getting {
            verb,
            is_announced: verb == Verb::Retr || self.capabilities.has(Capability::Top),
            flight: if self.window == Window::LOCK_STEP { Flight::LockStep } else { Flight::Pipelined },
            to_ask: numbers,
            to_hear: numbers,
            noop_sent: false,
            brings: &|number| sizes.of(number),
            sink,
            unproven: None,
            later: 0,
            failure: None,
        };
        let flown = self.wire.fly(self.window, &mut job);
        if let Err(error) = flown {
            // A whole message, and then the line ended, was silent or no longer wanted: what came is what there is.
            let quiet = matches!(error.kind(), Kind::Unreachable | Kind::Interrupted);
            if let Some(number) = job.unproven.take().filter(|_| quiet && is_answer_so_far(self.wire.unused())) {
                job.sink.done(number)?;
            }
            return Err(error);
        }
        job.failure.map_or(Ok(()), Err)
    }
}

/// Whether `octets` are nothing or the beginning of an answer.
fn is_answer_so_far(octets: &[u8]) -> bool {
    [&b"+OK"[..], b"-ERR"].iter().any(|mark| octets.starts_with(mark) || mark.starts_with(octets))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Retr,
    Top,
}

struct Getting<'a> {
    verb: Verb,
    /// Whether the server says that it knows the command, or has shown it.
    is_announced: bool,
    flight: Flight,
    to_ask: &'a [MessageNumber],
    to_hear: &'a [MessageNumber],
    noop_sent: bool,
    brings: &'a dyn Fn(MessageNumber) -> Option<u64>,
    sink: &'a mut dyn MaildropSink,
    /// A message whose end was seen, while what follows was not.
    unproven: Option<MessageNumber>,
    /// How many were refused for now in a row.
    later: usize,
    failure: Option<Error>,
}

impl<E: Exchange> Job<E> for Getting<'_> {
    fn next(&mut self) -> Option<Command> {
        if let Some((&number, rest)) = self.to_ask.split_first() {
            self.to_ask = rest;
            let (text, brings) = match self.verb {
                Verb::Retr => (format!("RETR {number}"), (self.brings)(number).unwrap_or(USUAL)),
                Verb::Top => (format!("TOP {number} 0"), USUAL),
            };
            return Some(Command { text, brings });
        }
        if std::mem::replace(&mut self.noop_sent, true) { None } else { Some(Command::new("NOOP")) }
    }

    fn answered(&mut self, _which: usize, reply: Reply, wire: &mut Wire<E>) -> Result<()> {
        if let Some(number) = self.unproven.take() {
            self.sink.done(number)?;
        }
        let Some((&number, rest)) = self.to_hear.split_first() else { return Ok(()) };
        self.to_hear = rest;
        if !reply.is_ok() {
            return self.refused(number, &reply);
        }
        self.later = 0;
        self.is_announced = true;
        self.sink.start(number)?;
        match self.verb {
            Verb::Retr => self.message(number, reply.line_end, wire)?,
            Verb::Top => {
                let mut header = Header::Line { octets: 0 };
                wire.body(reply.line_end, &mut |octets| match header.part_of(octets) {
                    [] => Ok(()),
                    part => self.sink.data(part),
                })?;
            }
        }
        self.unproven = Some(number);
        Ok(())
    }
}

impl<'a> Getting<'a> {
    fn message<E: Exchange>(&mut self, number: MessageNumber, line_end: LineEnd, wire: &mut Wire<E>) -> Result<()> {
        let mut measure = (self.brings)(number).map(|listed| Measure::new(listed, self.flight));
        wire.body(line_end, &mut |octets| {
            if let Some(measure) = &mut measure {
                measure.pass(octets)?;
            }
            self.sink.data(octets)
        })?;
        measure.map_or(Ok(()), |measure| measure.end())
    }

    fn refused(&mut self, number: MessageNumber, reply: &Reply) -> Result<()> {
        let error = reply.refusal("The server does not give the message", Kind::Refused);
        self.sink.refused(number, &error)?;
        if error.kind() != Kind::TryLater {
            self.later = 0;
            // A server that does not know TOP would say so to each.
            let unasked = if self.is_announced { &[] } else { self.ask_no_more() };
            return unasked.iter().try_for_each(|number| self.sink.refused(*number, &error));
        }
        self.later += 1;
        if self.later >= LATER_MOST && self.failure.is_none() {
            self.failure = Some(error);
            self.ask_no_more();
        }
        Ok(())
    }

    /// Leaves what was not asked for yet, and gives it out; what was asked for is still answered.
    fn ask_no_more(&mut self) -> &'a [MessageNumber] {
        let unasked = std::mem::take(&mut self.to_ask);
        let asked = self.to_hear.len().saturating_sub(unasked.len());
        self.to_hear = self.to_hear.get(..asked).unwrap_or_default();
        unasked
    }
}

/// Finds the end of a header, which is its first empty line.
enum Header {
    /// In a line that has so many octets yet, CRs not counted.
    Line { octets: usize },
    /// The empty line has been.
    Over,
}

impl Header {
    /// What of the next `octets` is the header, its empty line included.
    fn part_of<'a>(&mut self, octets: &'a [u8]) -> &'a [u8] {
        let Header::Line { octets: in_line } = self else { return &[] };
        for (at, octet) in octets.iter().enumerate() {
            match octet {
                b'\n' if *in_line == 0 => {
                    *self = Header::Over;
                    return octets.get(..=at).unwrap_or(octets);
                }
                b'\n' => *in_line = 0,
                b'\r' => {}
                _ => *in_line += 1,
            }
        }
        octets
    }
}

#[cfg(test)]
mod tests;
