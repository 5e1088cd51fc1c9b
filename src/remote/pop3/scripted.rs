//! A server in memory for the tests of the session: it answers commands, in pieces, and writes down what it heard.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use super::capability::Capabilities;
use super::session::Session;
use super::wire::Wire;
use crate::error::{Error, Kind, Result};
use crate::mail::MessageNumber;
use crate::remote::net::{Exchange, Meter, OutBuffer, Until};

/// Everything that was heard, shared with the test: one line a command, an empty line between two flights.
pub type Log = Arc<Mutex<String>>;

/// The server. All that is sent in one flight is heard before anything is answered.
struct Scripted<F> {
    heard: Vec<u8>,
    log: Log,
    answer: F,
    waiting: VecDeque<u8>,
    piece: usize,
}

/// A session with a server that announces `capabilities`; `answer` gets each command and says what is sent back.
///
/// It hangs up when it has nothing to say and is not asked anything.
pub fn session(capabilities: &[&str], answer: impl FnMut(&str) -> Vec<u8> + Send + 'static) -> (Session, Log) {
    session_in_pieces(capabilities, 7, answer)
}

/// The same with answers that arrive in pieces of `piece` octets.
pub fn session_in_pieces(
    capabilities: &[&str],
    piece: usize,
    answer: impl FnMut(&str) -> Vec<u8> + Send + 'static,
) -> (Session, Log) {
    let log = Log::default();
    let server = Scripted { heard: Vec::new(), log: log.clone(), answer, waiting: VecDeque::new(), piece };
    let lines = capabilities.iter().map(|line| line.to_string()).collect();
    let capabilities = Capabilities::new(Some(lines), &BTreeSet::new());
    let boxed: Box<dyn Exchange + Send> = Box::new(server);
    (Session::over(Wire::new(boxed, Meter::default()), capabilities), log)
}

/// A server that answers each of these commands so, with LF for CRLF.
pub fn answering(script: &[(&str, &str)]) -> impl FnMut(&str) -> Vec<u8> + Send + 'static + use<> {
    let script: Vec<(String, String)> =
        script.iter().map(|(command, reply)| (command.to_string(), reply.replace('\n', "\r\n"))).collect();
    move |command| {
        let found = script.iter().find(|(wanted, _)| wanted == command);
        found.unwrap_or_else(|| panic!("not in the script: {command:?}")).1.clone().into_bytes()
    }
}

impl<F: FnMut(&str) -> Vec<u8> + Send> Exchange for Scripted<F> {
    fn exchange(&mut self, output: &mut OutBuffer, input: &mut Vec<u8>, until: Until) -> Result<()> {
        if !output.is_empty() {
            self.log.lock().unwrap().push('\n');
        }
        self.heard.extend_from_slice(output.as_slice());
        output.consume(usize::MAX);
        while let Some(end) = self.heard.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.heard.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap();
            let line = line.strip_suffix("\r\n").expect("commands end in CRLF");
            self.log.lock().unwrap().push_str(&format!("{line}\n"));
            self.waiting.extend((self.answer)(line));
        }
        if until != Until::InputArrives {
            return Ok(());
        }
        if self.waiting.is_empty() {
            let gone = Error::new(Kind::Unreachable, "The connection was closed by the server");
            return Err(gone.worth_retrying());
        }
        let piece = self.piece.min(self.waiting.len());
        input.extend(self.waiting.drain(..piece));
        Ok(())
    }
}

/// The flights of a log, each a list of commands with blanks between.
pub fn flights(log: &Log) -> Vec<String> {
    let log = log.lock().unwrap();
    log.split("\n\n").map(|flight| flight.trim().replace('\n', ", ")).filter(|flight| !flight.is_empty()).collect()
}

/// A message number.
pub fn number(n: u32) -> MessageNumber {
    MessageNumber::new(n).unwrap()
}

/// Message numbers from 1.
pub fn numbers(most: u32) -> Vec<MessageNumber> {
    (1..=most).map(number).collect()
}
