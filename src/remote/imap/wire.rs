//! The pipeline: commands out, replies in, each reply to the job that waits for it.
//!
//! A [`Job`] gives commands as long as there is room and takes what comes back. Commands of a connection are executed
//! in order where order matters (RFC 3501 §5.5), so untagged data belongs to the oldest command that has not ended; the
//! tagged OK marks the border. What is on the wire unanswered is bounded in commands and octets, and replies are read
//! while commands are written, so neither side can block the other.

use std::collections::VecDeque;

use super::command::Command;
use super::frame::{Framer, Line, Literals, Went, keep_small};
use super::gate::Word;
use super::reply::{Code, Reply, Status, Untagged};
use crate::error::{Error, Kind, Result, safe_line, safe_text};
use crate::remote::net::{Exchange, Meter, OutBuffer, Until};

/// Commands that may be unanswered.
pub const WINDOW: usize = 128;
/// Octets of commands that may be unanswered (one command is always sent).
const WINDOW_OCTETS: usize = 64 * 1024;
/// Replies that may come before a command ends: a large mailbox described, and all of it expunged by somebody else.
const DATA_MOST: u64 = 30_000_000;
/// And others: a server that asks for patience says so every few seconds.
const TALK_MOST: u64 = 100_000;
/// Characters of a line that the log shows.
const SHOWN: usize = 300;
/// Unsent octets at which a body that is being uploaded waits.
const UNSENT_MOST: usize = 256 * 1024;

/// What commands to send and what to do with the replies.
///
/// An error of any method ends the connection: replies may be left on it. What concerns a command only is kept by the job.
pub trait Job {
    /// The next command; `None` when there is none, or none yet.
    fn next(&mut self) -> Option<Command>;

    /// How many commands may be unanswered.
    fn window(&self) -> usize {
        WINDOW
    }

    /// Where a literal of `octets` goes that follows `line`, while command `current` is the oldest unanswered one.
    fn literal(&mut self, current: usize, line: &Line, octets: u64) -> Result<Went> {
        let _ = (current, line);
        Ok(keep_small(octets))
    }

    /// The next piece of a literal that is streamed.
    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        let _ = bytes;
        Ok(())
    }

    /// Untagged data while command `current` (counted from 0) is the oldest unanswered one.
    fn untagged(&mut self, current: usize, data: Untagged<'_>) -> Result<()>;

    /// Command `which` has ended.
    fn tagged(&mut self, which: usize, status: Status) -> Result<()>;

    /// The server waits for the literal of command `current`.
    fn go_ahead(&mut self, current: usize) {
        let _ = current;
    }
}

/// A connection with commands on it.
pub struct Wire<E = Box<dyn Exchange + Send>> {
    exchange: E,
    output: OutBuffer,
    input: Vec<u8>,
    /// How much of `input` is used.
    used: usize,
    framer: Framer,
    meter: Meter,
    last_tag: u64,
    /// Replies since the last command ended: data that jobs keep account of, and all else.
    talk: (u64, u64),
    /// Commands sent in this flight.
    sent: usize,
    unanswered: VecDeque<Sent>,
    farewell: Option<Status>,
    broken: bool,
}

struct Sent {
    tag: u64,
    which: usize,
    octets: usize,
}

impl<E> std::fmt::Debug for Wire<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("unanswered", &self.unanswered.len()).field("broken", &self.broken).finish()
    }
}

struct Taker<'a, J: ?Sized> {
    job: &'a mut J,
    current: Option<usize>,
}

impl<J: Job + ?Sized> Literals for Taker<'_, J> {
    fn literal(&mut self, line: &Line, octets: u64) -> Result<Went> {
        // What nobody asked for goes nowhere.
        self.current.map_or(Ok(keep_small(octets)), |current| self.job.literal(current, line, octets))
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.job.data(bytes)
    }
}

impl Exchange for Box<dyn Exchange + Send> {
    fn exchange(&mut self, output: &mut OutBuffer, input: &mut Vec<u8>, until: Until) -> Result<()> {
        (**self).exchange(output, input, until)
    }
}

impl<E: Exchange> Wire<E> {
    /// Goes on with a connection on which `leftover` has arrived already.
    pub fn new(exchange: E, leftover: Vec<u8>, meter: Meter) -> Wire<E> {
        Wire {
            exchange,
            output: OutBuffer::new(),
            input: leftover,
            used: 0,
            framer: Framer::default(),
            meter,
            last_tag: 0,
            talk: (0, 0),
            sent: 0,
            unanswered: VecDeque::new(),
            farewell: None,
            broken: false,
        }
    }

    /// Whether an error has left the connection in a state from which nothing can go on.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Sends the job's commands and takes the replies until all have ended.
    ///
    /// # Errors
    /// The connection is over.
    pub fn fly(&mut self, job: &mut dyn Job) -> Result<()> {
        self.guarded(|wire| {
            wire.sent = 0;
            loop {
                // In bursts: a command for each reply would be a packet each, and a reply to each of those.
                if wire.is_half_empty(job.window()) {
                    while wire.has_room(job.window())
                        && let Some(command) = job.next()
                    {
                        wire.begin(command.as_bytes());
                        wire.put(b"\r\n");
                    }
                }
                if wire.unanswered.is_empty() {
                    return Ok(());
                }
                if !wire.take(job)? {
                    wire.pump(Until::InputArrives)?;
                }
            }
        })
    }

    /// Runs `work`, after which the connection is broken when it failed; refuses when it is already.
    pub fn guarded<T>(&mut self, work: impl FnOnce(&mut Wire<E>) -> Result<T>) -> Result<T> {
        if self.broken {
            return Err(Error::new(Kind::Unreachable, "The connection is gone").worth_retrying());
        }
        self.sent = 0;
        let outcome = work(self);
        self.broken = outcome.is_err();
        outcome
    }

    /// Whether another command may be sent.
    pub fn has_room(&self, window: usize) -> bool {
        self.unanswered.is_empty() || (self.unanswered.len() < window && self.unanswered_octets() < WINDOW_OCTETS)
    }

    /// Whether as much was answered that another burst of commands is worth its packets.
    fn is_half_empty(&self, window: usize) -> bool {
        self.unanswered.len() <= window / 2 && self.unanswered_octets() <= WINDOW_OCTETS / 2
    }

    fn unanswered_octets(&self) -> usize {
        self.unanswered.iter().map(|s| s.octets).sum()
    }

    /// How many commands have not ended.
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Begins a command: tag and `octets`, without a line end. Counted from 0 in a flight.
    pub fn begin(&mut self, octets: &[u8]) -> usize {
        let which = self.sent;
        self.sent += 1;
        self.last_tag += 1;
        self.meter.count_command();
        log::debug!("sent A{}: {}", self.last_tag, safe_text(String::from_utf8_lossy(octets).trim_end(), SHOWN));
        self.output.push(format!("A{} ", self.last_tag).as_bytes());
        self.output.push(octets);
        self.unanswered.push_back(Sent { tag: self.last_tag, which, octets: octets.len() });
        which
    }

    /// Goes on with a command.
    pub fn put(&mut self, octets: &[u8]) {
        self.output.push(octets);
    }

    /// Goes on with a body: waits for room, and takes replies meanwhile.
    pub fn put_body(&mut self, octets: &[u8], job: &mut dyn Job) -> Result<()> {
        self.output.push(octets);
        if self.output.len() > UNSENT_MOST {
            self.pump(Until::OutputBelow(UNSENT_MOST / 2))?;
            self.take(job)?;
        }
        Ok(())
    }

    /// Moves octets both ways until the wish is met.
    pub fn pump(&mut self, until: Until) -> Result<()> {
        if self.used == self.input.len() {
            self.input.clear();
            self.used = 0;
        } else if self.used > 0 {
            self.input.drain(..self.used);
            self.used = 0;
        }
        let moved = self.exchange.exchange(&mut self.output, &mut self.input, until);
        moved.map_err(|error| match self.farewell.take() {
            Some(bye) if error.kind() == Kind::Unreachable => {
                let later = matches!(bye.code, Some(Code::Unavailable | Code::InUse | Code::Limit));
                let kind = if later { Kind::TryLater } else { Kind::Unreachable };
                let said = Error::new(kind, "The server ended the connection").server_said(bye.words).worth_retrying();
                match error.place() {
                    Some(place) => said.at(place),
                    None => said,
                }
            }
            _ => error,
        })
    }

    /// Takes what has arrived; `false` when there was no whole reply.
    pub fn take(&mut self, job: &mut dyn Job) -> Result<bool> {
        let mut any = false;
        while self.used < self.input.len() {
            let rest = self.input.get(self.used..).unwrap_or_default();
            let current = self.unanswered.front().map(|s| s.which);
            let fed = self.framer.feed(rest, &mut Taker { job, current })?;
            self.used += fed.used;
            if fed.complete {
                any = true;
                self.reply(job)?;
            }
        }
        Ok(any)
    }

    fn reply(&mut self, job: &mut dyn Job) -> Result<()> {
        log::trace!("heard: {}", safe_text(&String::from_utf8_lossy(self.framer.line().text()), SHOWN));
        let current = self.unanswered.front().map(|s| s.which);
        let reply = Reply::of(self.framer.line());
        self.talk = match (&reply, self.talk) {
            (Reply::Tagged(..), _) => (0, 0),
            (
                Reply::Untagged(
                    Untagged::Fetch(_) | Untagged::Expunge | Untagged::List(_) | Untagged::MailboxStatus(_),
                ),
                (data, other),
            ) => (data + 1, other),
            (_, (data, other)) => (data, other + 1),
        };
        if self.talk.0 > DATA_MOST || self.talk.1 > TALK_MOST {
            return Err(Error::new(Kind::Protocol, "The server talks without end and answers nothing")
                .hint("Nothing here can cure that; ask whoever runs the server."));
        }
        match reply {
            Reply::Untagged(data) => {
                if let Untagged::Status(status) = &data {
                    note(status);
                    if status.word == Word::Bye {
                        self.farewell = Some(status.clone());
                    }
                }
                current.map_or(Ok(()), |current| job.untagged(current, data))
            }
            Reply::GoAhead => {
                current.into_iter().for_each(|current| job.go_ahead(current));
                Ok(())
            }
            Reply::Tagged(tag, status) => {
                note(&status);
                let number = tag.strip_prefix(b"A").and_then(super::token::number);
                match self.unanswered.iter().position(|s| Some(s.tag) == number) {
                    Some(at) => {
                        let ended = self.unanswered.remove(at);
                        ended.map_or(Ok(()), |ended| job.tagged(ended.which, status))
                    }
                    None => Err(self.garbage()),
                }
            }
            // Some servers end a literal with a line end too many.
            Reply::Garbage if self.framer.line().text().trim_ascii().is_empty() => Ok(()),
            Reply::Garbage => Err(self.garbage()),
        }
    }

    fn garbage(&self) -> Error {
        let text = self.framer.line().text();
        let shown = text.get(..200).unwrap_or(text);
        Error::new(Kind::Protocol, "The server said something that answers nothing")
            .server_said(String::from_utf8_lossy(shown))
            .worth_retrying()
    }

    /// Says LOGOUT, without waiting for the answer: that would cost a round trip and tell nothing.
    pub fn say_goodbye(mut self) {
        if !self.broken {
            self.begin(b"LOGOUT\r\n");
            // Whether it arrives changes nothing any more.
            let _ = self.pump(Until::OutputBelow(0));
        }
    }

    /// Gives the connection back with what has arrived and was not used; everything is sent and answered.
    pub fn into_parts(mut self) -> (E, Vec<u8>) {
        self.input.drain(..self.used);
        (self.exchange, self.input)
    }
}

/// Shows what a person has to see (RFC 3501 §7.1 ALERT).
fn note(status: &Status) {
    if status.code == Some(Code::Alert) {
        log::warn!("The server alerts: `{}`", safe_line(&status.words));
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Scripted, tagged};
    use super::*;

    #[derive(Default)]
    struct Recorder {
        commands: VecDeque<Command>,
        window: usize,
        seen: Vec<String>,
        /// How many replies each command followed.
        asked_at: Vec<usize>,
    }

    impl Job for Recorder {
        fn next(&mut self) -> Option<Command> {
            let command = self.commands.pop_front()?;
            self.asked_at.push(self.seen.len());
            Some(command)
        }

        fn window(&self) -> usize {
            self.window
        }

        fn untagged(&mut self, current: usize, data: Untagged<'_>) -> Result<()> {
            let text = format!("{data:?}");
            self.seen.push(format!("{current} {}", text.split(['(', ' ', '{']).next().unwrap()));
            Ok(())
        }

        fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
            self.seen.push(format!("{which} {:?}", status.word));
            Ok(())
        }
    }

    fn job(commands: &[&str]) -> Recorder {
        Recorder { commands: commands.iter().map(Command::new).collect(), window: WINDOW, ..Recorder::default() }
    }

    #[test]
    fn untagged_data_belongs_to_the_oldest_command_and_tags_may_come_in_any_order() {
        let (mut wire, log) = Scripted::wire(|line| match line.split_once(' ').unwrap().1 {
            "a" => tagged(line, "* 1 EXISTS\n* 1 EXPUNGE\n"),
            "b" => tagged(line, "* X\nTAG OK\n* SEARCH 1\nA1 NO x\n* 2 EXISTS\n"),
            _ => tagged(line, "\n* 3 EXISTS\nTAG BAD\n"),
        });
        let mut job = job(&["a", "b", "c"]);
        wire.fly(&mut job).unwrap();
        assert_eq!(
            job.seen,
            ["0 Exists", "0 Expunge", "0 Other", "1 Ok", "0 Search", "0 No", "2 Exists", "2 Exists", "2 Bad"]
        );
        assert_eq!(*log.lock().unwrap(), "A1 a\nA2 b\nA3 c\n");
        assert!(!wire.is_broken());
    }

    #[test]
    fn what_is_unanswered_is_bounded() {
        let most = std::sync::Arc::new(std::sync::Mutex::new(0));
        let seen = most.clone();
        let mut held: Vec<String> = Vec::new();
        let (mut wire, _) = Scripted::wire(move |line| {
            held.push(tagged(line, "TAG OK\n"));
            let mut most = seen.lock().unwrap();
            *most = held.len().max(*most);
            // Answers only once the window is full or the last command has come.
            if held.len() == 4 || line.ends_with("9") { std::mem::take(&mut held).concat() } else { String::new() }
        });
        let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let mut job = job(&names.iter().map(String::as_str).collect::<Vec<_>>());
        job.window = 4;
        wire.fly(&mut job).unwrap();
        assert_eq!(*most.lock().unwrap(), 4);
        assert_eq!(job.seen.len(), 10);
    }

    #[test]
    fn commands_go_out_in_bursts() {
        let (mut wire, _) = Scripted::wire(|line| tagged(line, "TAG OK\n"));
        let mut job = job(&["a", "b", "c", "d", "e", "f", "g"]);
        job.window = 4;
        wire.fly(&mut job).unwrap();
        assert_eq!(job.asked_at, [0, 0, 0, 0, 2, 2, 4]);
    }

    #[test]
    fn a_farewell_is_told_and_ends_the_connection() {
        let (mut wire, _) = Scripted::wire(|_| "* BYE [UNAVAILABLE] going down\n".to_owned());
        let error = wire.fly(&mut job(&["a"])).unwrap_err();
        assert_eq!(error.kind(), Kind::TryLater);
        assert!(error.to_string().contains("going down"), "{error}");
        assert!(wire.is_broken());
        assert_eq!(wire.fly(&mut job(&["a"])).unwrap_err().kind(), Kind::Unreachable);
    }

    #[test]
    fn a_tag_nobody_waits_for_is_refused() {
        let (mut wire, _) = Scripted::wire(|_| "A7 OK injected\n".to_owned());
        assert_eq!(wire.fly(&mut job(&["a"])).unwrap_err().kind(), Kind::Protocol);
    }
}
