//! A server in memory for the tests of the engine: it answers lines, in pieces, and writes down what it heard.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use super::capability::Capabilities;
use super::session::Session;
use super::wire::Wire;
use crate::error::{Error, Kind, Result};
use crate::remote::net::{Exchange, Meter, OutBuffer, Until};

/// Everything that was sent, shared with the test; line ends are LF.
pub type Log = Arc<Mutex<String>>;

/// The server. All that is sent in one flight is heard before anything is answered.
pub struct Scripted<F> {
    heard: Vec<u8>,
    log: Log,
    answer: F,
    waiting: VecDeque<u8>,
}

impl<F: FnMut(&str) -> String + Send + 'static> Scripted<F> {
    /// `answer` gets each line and says what is sent back, with LF line ends.
    pub fn wire(answer: F) -> (Wire, Log) {
        let (server, log) = Scripted::server(answer);
        (Wire::new(server, Vec::new(), Meter::default()), log)
    }

    /// A session with a server that announces `capabilities`.
    pub fn session(capabilities: &str, answer: F) -> (Session, Log) {
        let (server, log) = Scripted::server(answer);
        let capabilities = Capabilities::new(capabilities, &BTreeSet::new());
        (Session::over(server, Vec::new(), capabilities, &Meter::default()), log)
    }

    fn server(answer: F) -> (Box<dyn Exchange + Send>, Log) {
        let log = Log::default();
        (Box::new(Scripted { heard: Vec::new(), log: log.clone(), answer, waiting: VecDeque::new() }), log)
    }
}

/// A session with a server that expects these lines in this order (a prefix each, without the tag) and answers so.
///
/// `TAG` in an answer is the tag of the command before it.
pub fn play(capabilities: &str, script: &[(&str, &str)]) -> (Session, Log) {
    let mut script: VecDeque<(String, String)> =
        script.iter().map(|(want, reply)| (want.to_string(), reply.to_string())).collect();
    let mut tag = String::new();
    Scripted::session(capabilities, move |line| {
        let (want, reply) = script.pop_front().unwrap_or_else(|| panic!("not in the script: {line:?}"));
        let command = line.strip_prefix('A').and_then(|l| l.split_once(' ')).filter(|(n, _)| n.parse::<u64>().is_ok());
        if let Some((number, _)) = command {
            tag = format!("A{number}");
        }
        let text = command.map_or(line, |(_, text)| text);
        assert!(text.starts_with(&want), "got {text:?}, the script wants {want:?}");
        reply.replace("TAG", &tag)
    })
}

impl<F: FnMut(&str) -> String + Send> Exchange for Scripted<F> {
    fn exchange(&mut self, output: &mut OutBuffer, input: &mut Vec<u8>, until: Until) -> Result<()> {
        self.heard.extend_from_slice(output.as_slice());
        output.consume(usize::MAX);
        while let Some(end) = self.heard.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.heard.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).into_owned();
            self.log.lock().unwrap().push_str(&line.replace("\r\n", "\n"));
            self.waiting.extend((self.answer)(line.trim_end()).replace('\n', "\r\n").into_bytes());
        }
        if until == Until::InputArrives {
            if self.waiting.is_empty() {
                let gone = Error::new(Kind::Unreachable, "The connection was closed by the server");
                return Err(gone.worth_retrying());
            }
            let piece = 7.min(self.waiting.len());
            input.extend(self.waiting.drain(..piece));
        }
        Ok(())
    }
}

/// `reply` with the tag of the command in `line` for `TAG`.
pub fn tagged(line: &str, reply: &str) -> String {
    reply.replace("TAG", line.split(' ').next().unwrap())
}
