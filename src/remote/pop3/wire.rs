//! The pipeline: commands out, answers in, one for each and in order (RFC 2449 §6.6).
//!
//! How much is on the wire unanswered is bounded in commands and in the octets they are expected to bring
//! ([`Window`]); without PIPELINING it is one command. Whatever waits for input sends at the same time, so neither side
//! can block the other. A status line or a line of a list has at most [`LINE_MOST`] octets; messages are not kept.

use std::collections::VecDeque;

use super::status::{Mark, Reply};
use super::unstuff::{LineEnd, Unstuffer};
use crate::error::{Error, Kind, Result, safe_line};
use crate::remote::net::{Exchange, Meter, OutBuffer, Until};

/// The longest status line, and the longest line of a list; RFC 2449 §4 allows 512.
pub const LINE_MOST: usize = 8 * 1024;

/// What may be unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Commands. One is always allowed.
    pub commands: usize,
    /// Octets that the answers are expected to have. Two commands are allowed whatever they bring, so that the line is
    /// not idle between two large messages.
    pub octets: u64,
}

impl Window {
    /// For servers with PIPELINING: half of it is more than a fast line holds in a long round trip.
    pub const PIPELINED: Window = Window { commands: 512, octets: 32 << 20 };
    /// One command, one answer.
    pub const LOCK_STEP: Window = Window { commands: 1, octets: 0 };

    fn has_room(self, commands: usize, octets: u64) -> bool {
        commands == 0 || commands < self.commands && (commands < 2 || octets < self.octets)
    }

    /// Whether so much has been answered that it is worth sending more, in one piece.
    fn is_half_empty(self, commands: usize, octets: u64) -> bool {
        commands < 2 || commands <= self.commands / 2 && octets <= self.octets / 2
    }
}

/// A command and how many octets its answer is expected to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub text: String,
    pub brings: u64,
}

impl Command {
    /// One whose answer is short.
    pub fn new(text: impl Into<String>) -> Command {
        Command { text: text.into(), brings: 0 }
    }
}

/// What commands to send and what to do with the answers.
///
/// An error of any method ends the connection: answers may be left on it.
pub trait Job<E> {
    /// The next command; `None` when there are no more.
    fn next(&mut self) -> Option<Command>;

    /// The answer to command `which`, counted from 0; a multi-line one is for the job to read to its end.
    fn answered(&mut self, which: usize, reply: Reply, wire: &mut Wire<E>) -> Result<()>;
}

/// A connection with commands on it.
pub struct Wire<E = Box<dyn Exchange + Send>> {
    exchange: E,
    output: OutBuffer,
    input: Vec<u8>,
    /// How much of `input` is used.
    used: usize,
    meter: Meter,
    broken: bool,
    /// The refusal that came last, if nothing came behind it: perhaps the reason why the line ends.
    last_refusal: Option<String>,
    log_words: LogWords,
}

/// Whether what a server says goes into the log: a refused login may repeat the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogWords {
    /// It does.
    All,
    /// Only whether it was `+OK`.
    Not,
}

impl<E> std::fmt::Debug for Wire<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("broken", &self.broken).finish_non_exhaustive()
    }
}

impl<E> Wire<E> {
    /// Begins with a connection on which nothing was said.
    pub fn new(exchange: E, meter: Meter) -> Wire<E> {
        Wire {
            exchange,
            output: OutBuffer::new(),
            input: Vec::new(),
            used: 0,
            meter,
            broken: false,
            last_refusal: None,
            log_words: LogWords::All,
        }
    }

    /// Goes on with the same connection in other clothes.
    pub fn map<F>(self, dress: impl FnOnce(E) -> F) -> Wire<F> {
        Wire {
            exchange: dress(self.exchange),
            output: self.output,
            input: self.input,
            used: self.used,
            meter: self.meter,
            broken: self.broken,
            last_refusal: self.last_refusal,
            log_words: self.log_words,
        }
    }

    /// Whether an error has left the connection in a state from which nothing can go on.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether what is said from now on goes into the log.
    pub fn log_words(&mut self, log_words: LogWords) {
        self.log_words = log_words;
    }

    /// What has arrived and was not used.
    pub fn unused(&self) -> &[u8] {
        self.input.get(self.used..).unwrap_or_default()
    }

    /// The connection itself, for what is no command.
    pub fn exchange(&mut self) -> &mut E {
        &mut self.exchange
    }

    /// Gives the connection back.
    pub fn into_exchange(self) -> E {
        self.exchange
    }

    /// Puts a command on its way; it is sent with the next wait for an answer.
    pub fn command(&mut self, text: &str) {
        self.meter.count_command();
        self.line_out(text);
    }

    /// Puts a line on its way that is no command of its own.
    pub fn line_out(&mut self, text: &str) {
        self.output.push(text.as_bytes());
        self.output.push(b"\r\n");
    }
}

impl<E: Exchange> Wire<E> {
    /// Runs `work`, after which the connection is broken when it failed; refuses when it is already.
    pub fn guarded<T>(&mut self, work: impl FnOnce(&mut Wire<E>) -> Result<T>) -> Result<T> {
        if self.broken {
            return Err(Error::new(Kind::Unreachable, "The connection is gone").worth_retrying());
        }
        let outcome = work(self);
        self.broken = outcome.is_err();
        outcome
    }

    /// Sends the job's commands and hands it the answers, until all are answered.
    ///
    /// # Errors
    /// The connection is over.
    pub fn fly(&mut self, window: Window, job: &mut dyn Job<E>) -> Result<()> {
        self.guarded(|wire| {
            let mut unanswered: VecDeque<u64> = VecDeque::new();
            let (mut octets, mut answered, mut more) = (0u64, 0, true);
            loop {
                // What ended too early goes on: a server that puts no dots, and a text with a line of one.
                if answered > 0 && unanswered.is_empty() && !wire.unused().is_empty() {
                    return Err(garbage(wire.unused()));
                }
                if more && window.is_half_empty(unanswered.len(), octets) {
                    while window.has_room(unanswered.len(), octets) {
                        let Some(command) = job.next() else {
                            more = false;
                            break;
                        };
                        log::debug!("sent: {}", command.text);
                        wire.command(&command.text);
                        octets = octets.saturating_add(command.brings);
                        unanswered.push_back(command.brings);
                    }
                }
                if unanswered.is_empty() {
                    return Ok(());
                }
                let reply = wire.reply()?;
                job.answered(answered, reply, wire)?;
                answered += 1;
                octets = octets.saturating_sub(unanswered.pop_front().unwrap_or_default());
            }
        })
    }

    /// Says goodbye without waiting for the answer.
    pub fn say_goodbye(mut self) {
        self.command("QUIT");
        // Whether it arrives changes nothing any more.
        let _ = self.exchange.exchange(&mut self.output, &mut self.input, Until::OutputBelow(0));
    }

    /// Sends a command and takes the one line that answers it.
    pub fn ask(&mut self, command: &str) -> Result<Reply> {
        // What follows the word may be a password.
        log::debug!("sent: {}", safe_line(command.split(' ').next().unwrap_or_default()));
        self.guarded(|wire| {
            wire.command(command);
            wire.reply()
        })
    }

    /// The next line as a one-line answer.
    pub fn reply(&mut self) -> Result<Reply> {
        let (line, line_end) = self.line()?;
        let reply = Reply::parse(&line, line_end).ok_or_else(|| garbage(&line))?;
        match self.log_words {
            LogWords::All => log::trace!("heard: {}", safe_line(&reply.said())),
            LogWords::Not => log::trace!("heard: {} …", if reply.is_ok() { "+OK" } else { "no +OK" }),
        }
        self.last_refusal = (reply.mark == Mark::Err).then(|| reply.said());
        Ok(reply)
    }

    /// The next line without its end.
    pub fn line(&mut self) -> Result<(Vec<u8>, LineEnd)> {
        let mut searched = 0;
        loop {
            let waiting = self.unused();
            if let Some(at) = memchr::memchr(b'\n', waiting.get(searched..).unwrap_or_default()) {
                let end = searched + at;
                let line = waiting.get(..end).unwrap_or_default();
                let (line, line_end) = match line.strip_suffix(b"\r") {
                    Some(line) => (line.to_vec(), LineEnd::CrLf),
                    None => (line.to_vec(), LineEnd::Lf),
                };
                self.used += end + 1;
                return if line.len() > LINE_MOST { Err(too_long()) } else { Ok((line, line_end)) };
            }
            searched = waiting.len();
            if searched > LINE_MOST {
                return Err(too_long());
            }
            self.pump()?;
        }
    }

    /// Takes the rest of a multi-line answer, after its status line ended by `line_end`.
    pub fn body(&mut self, line_end: LineEnd, deliver: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut unstuffer = Unstuffer::new(line_end);
        loop {
            let fed = unstuffer.feed(self.input.get(self.used..).unwrap_or_default(), deliver)?;
            self.used += fed.used;
            if fed.ended {
                return Ok(());
            }
            self.pump()?;
        }
    }

    /// Takes the rest of a multi-line answer that is a list: `each` gets its lines without their ends.
    pub fn list(&mut self, line_end: LineEnd, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut line = Vec::new();
        self.body(line_end, &mut |mut octets| {
            while let Some(at) = memchr::memchr(b'\n', octets) {
                let (head, rest) = octets.split_at(at);
                line.extend_from_slice(head);
                octets = rest.get(1..).unwrap_or_default();
                let text = line.strip_suffix(b"\r").unwrap_or(&line);
                if text.len() > LINE_MOST {
                    return Err(too_long());
                }
                each(text)?;
                line.clear();
            }
            line.extend_from_slice(octets);
            if line.len() > LINE_MOST { Err(too_long()) } else { Ok(()) }
        })?;
        // The last line may lack its end when bare CRs end lines.
        if line.is_empty() { Ok(()) } else { each(&line) }
    }

    /// Waits for input, and sends meanwhile.
    fn pump(&mut self) -> Result<()> {
        if self.used == self.input.len() {
            self.input.clear();
        } else {
            self.input.drain(..self.used);
        }
        self.used = 0;
        let moved = self.exchange.exchange(&mut self.output, &mut self.input, Until::InputArrives);
        moved.map_err(|error| match self.last_refusal.take() {
            Some(words) if error.kind() == Kind::Unreachable => error.server_said(words),
            _ => error,
        })
    }
}

fn garbage(line: &[u8]) -> Error {
    let shown = line.get(..200).unwrap_or(line);
    Error::new(Kind::Protocol, "The server said something that answers nothing")
        .server_said(String::from_utf8_lossy(shown))
        .worth_retrying()
}

fn too_long() -> Error {
    Error::new(
        Kind::Protocol,
        format!("The server sent a line of more than {LINE_MOST} octets where none can be so long"),
    )
}
