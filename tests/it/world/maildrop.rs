//! A scripted POP3 server: a maildrop that outlives its sessions, served rightly but for the faults a test orders.
//!
//! Deletion is real: DELE marks, QUIT removes and then says so. A session that is cut is shut down behind its last
//! octet, so that the client sees exactly what was meant, and then hears the client out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::server::{PASSWORD, USER};

/// A message in the maildrop, as RETR gives it, with CRLF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub uidl: String,
    pub bytes: Vec<u8>,
    /// Which one it is, whatever a test makes of the rest.
    id: usize,
}

/// What goes wrong in a session. Several may.
#[derive(Clone)]
pub enum Fault {
    /// The line ends after so many octets from the server, greeting included.
    CutAfter(u64),
    /// Nothing more comes after so many octets; the connection stays.
    StallAfter(u64),
    /// The line ends after so many octets of the answer to `RETR number`.
    CutInside { number: usize, octets: usize },
    /// Nothing more comes after so many octets of the answer to `RETR number`.
    StallInside { number: usize, octets: usize },
    /// Every login is refused in these words, `-ERR` included.
    RefuseLogin(&'static str),
    /// `RETR number` is refused in these words, `-ERR` included.
    RefuseRetr { number: usize, words: &'static str },
    /// DELE is answered in these words, `+OK` or `-ERR` included, and deletes nothing.
    NoDele(&'static str),
    /// CAPA does not tell of PIPELINING, and commands that come before the last was answered count as a failed test.
    LockStep,
    /// No CAPA.
    NoCapa,
    /// UIDL is not known.
    NoUidl,
    /// TOP is not known.
    NoTop,
    /// Every unique id has this before it.
    UidlsWith(&'static str),
    /// Every message has this unique id.
    OneUidl(&'static str),
    /// STAT, LIST and UIDL tell of the first so many messages only; the others are there.
    ListsOnly(usize),
    /// QUIT is answered by the end of the line, after or without removing what was marked.
    QuitLost { committed: bool },
    /// What is said leaves in pieces of so many octets.
    Pieces(usize),
    /// What is said instead of the right thing.
    Answer(Arc<Instead>),
}

/// What is said to a command; `None`: the right thing.
type Instead = dyn Fn(&Asked<'_>) -> Option<Answer> + Send + Sync;

impl Fault {
    /// See [`Fault::Answer`].
    pub fn answer(answer: impl Fn(&Asked<'_>) -> Option<Answer> + Send + Sync + 'static) -> Fault {
        Fault::Answer(Arc::new(answer))
    }

    /// To each command that begins so (`""` for the greeting), these octets instead of the right answer.
    pub fn saying(command: &'static str, octets: impl Into<Vec<u8>>) -> Fault {
        let octets = octets.into();
        Fault::answer(move |asked| {
            let meant = if command.is_empty() { asked.command.is_empty() } else { asked.command.starts_with(command) };
            meant.then(|| Answer::Say(octets.clone()))
        })
    }
}

/// A command and what a good server says to it.
pub struct Asked<'a> {
    /// The session, counted from 0.
    pub session: usize,
    /// The command in capitals; empty for the greeting.
    pub command: &'a str,
    pub reply: &'a [u8],
}

/// What is said instead.
#[derive(Debug, Clone)]
pub enum Answer {
    Say(Vec<u8>),
    /// And then the line ends.
    SayAndHangUp(Vec<u8>),
    /// And then nothing more comes.
    SayAndStall(Vec<u8>),
    /// The first once, the second until the client has gone.
    Endlessly(Vec<u8>, Vec<u8>),
}

/// Listens until dropped.
pub struct Maildrop {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    messages: Mutex<Vec<Message>>,
    faults: Mutex<Ordered>,
    heard: Mutex<Vec<Vec<String>>>,
    last_id: AtomicUsize,
}

/// The faults for the sessions to come.
#[derive(Default)]
struct Ordered {
    now: Vec<Fault>,
    /// How many sessions have them; `None`: all.
    sessions: Option<usize>,
}

impl Maildrop {
    /// Serves these messages, with unique ids `uid-1`, `uid-2`, …
    pub fn start(messages: &[Vec<u8>]) -> Maildrop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let weak = Arc::downgrade(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(shared) = weak.upgrade() else { return };
                std::thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    // A client that has gone ends its session, whatever was to be said.
                    let _ = Session::begin(stream, shared).serve();
                });
            }
        });
        let maildrop = Maildrop { port, shared };
        messages.iter().for_each(|bytes| maildrop.deliver(bytes));
        maildrop
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// New mail, under the next unique id.
    pub fn deliver(&self, bytes: &[u8]) {
        let id = self.shared.last_id.fetch_add(1, Ordering::SeqCst) + 1;
        let mut bytes = bytes.to_vec();
        if !bytes.ends_with(b"\r\n") {
            bytes.extend_from_slice(b"\r\n");
        }
        self.messages().push(Message { uidl: format!("uid-{id}"), bytes, id });
    }

    /// What is in it now, to look at or to change.
    pub fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        self.shared.messages.lock().unwrap()
    }

    /// Every session from now on has these faults; none heal it.
    pub fn trouble(&self, faults: &[Fault]) {
        *self.shared.faults.lock().unwrap() = Ordered { now: faults.to_vec(), sessions: None };
    }

    /// The next so many sessions have these faults, and those after them none.
    pub fn trouble_for(&self, sessions: usize, faults: &[Fault]) {
        *self.shared.faults.lock().unwrap() = Ordered { now: faults.to_vec(), sessions: Some(sessions) };
    }

    /// The commands of each session so far.
    pub fn heard(&self) -> Vec<Vec<String>> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// How often any session was told something that begins so.
    pub fn heard_times(&self, command: &str) -> usize {
        self.heard().iter().flatten().filter(|c| c.starts_with(command)).count()
    }
}

impl Drop for Maildrop {
    fn drop(&mut self) {
        self.shared = Arc::default();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Why a session says nothing more.
enum Over {
    /// The client has gone.
    Gone,
    HangUp,
    Stall,
}

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Over {
        Over::Gone
    }
}

struct Session {
    reader: BufReader<TcpStream>,
    shared: Arc<Shared>,
    number: usize,
    faults: Vec<Fault>,
    said: u64,
    marked: Vec<bool>,
    /// What was there at the login; numbers mean this.
    messages: Vec<Message>,
    user: String,
}

impl Session {
    fn begin(stream: TcpStream, shared: Arc<Shared>) -> Session {
        let faults = {
            let mut ordered = shared.faults.lock().unwrap();
            match &mut ordered.sessions {
                None => ordered.now.clone(),
                Some(0) => Vec::new(),
                Some(left) => {
                    *left -= 1;
                    ordered.now.clone()
                }
            }
        };
        let number = {
            let mut heard = shared.heard.lock().unwrap();
            heard.push(Vec::new());
            heard.len() - 1
        };
        let messages = shared.messages.lock().unwrap().clone();
        let marked = vec![false; messages.len()];
        let reader = BufReader::new(stream);
        Session { reader, shared, number, faults, said: 0, marked, messages, user: String::new() }
    }

    fn serve(mut self) -> std::io::Result<()> {
        let over = match self.converse() {
            Ok(()) => Over::HangUp,
            Err(over) => over,
        };
        if !matches!(over, Over::Stall) {
            let _ = self.reader.get_ref().shutdown(Shutdown::Write);
        }
        if !matches!(over, Over::Gone) {
            let mut sink = [0; 4096];
            while self.reader.read(&mut sink)? > 0 {}
        }
        Ok(())
    }

    fn converse(&mut self) -> Result<(), Over> {
        self.answer("", b"+OK ready\r\n".to_vec())?;
        loop {
            let mut line = Vec::new();
            if self.reader.read_until(b'\n', &mut line)? == 0 {
                return Err(Over::Gone);
            }
            if self.has(|f| matches!(f, Fault::LockStep)) && !self.reader.buffer().is_empty() {
                self.heard("PIPELINED AGAINST THE RULES".into());
                return Ok(());
            }
            let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            // No password into the logs of failed tests.
            let shown = if verb == "PASS" { "PASS".to_owned() } else { format!("{verb} {rest}").trim_end().to_owned() };
            self.heard(shown.clone());
            if verb == "QUIT" {
                return self.quit();
            }
            let reply = self.reply(&verb, rest);
            self.answer(&shown.to_ascii_uppercase(), reply)?;
        }
    }

    fn quit(&mut self) -> Result<(), Over> {
        let lost = self.faults.iter().find_map(|f| match f {
            Fault::QuitLost { committed } => Some(*committed),
            _ => None,
        });
        if lost != Some(false) {
            let mut marked = self.messages.iter().zip(&self.marked).filter(|(_, marked)| **marked);
            let gone: Vec<usize> = marked.by_ref().map(|(message, _)| message.id).collect();
            self.shared.messages.lock().unwrap().retain(|m| !gone.contains(&m.id));
        }
        if lost.is_some() { Ok(()) } else { self.answer("QUIT", b"+OK bye\r\n".to_vec()) }
    }

    fn has(&self, is: impl Fn(&Fault) -> bool) -> bool {
        self.faults.iter().any(is)
    }

    fn heard(&self, command: String) {
        self.shared.heard.lock().unwrap()[self.number].push(command);
    }

    /// What a good server says, but for the faults that are no more than another content.
    fn reply(&mut self, verb: &str, rest: &str) -> Vec<u8> {
        let refused = self.faults.iter().find_map(|f| match f {
            Fault::RefuseLogin(words) => Some(*words),
            _ => None,
        });
        let no_dele = self.faults.iter().find_map(|f| match f {
            Fault::NoDele(words) => Some(*words),
            _ => None,
        });
        match (verb, refused.or(no_dele.filter(|_| verb == "DELE"))) {
            ("PASS" | "AUTH" | "DELE", Some(words)) => return format!("{words}\r\n").into_bytes(),
            ("CAPA", _) if !self.has(|f| matches!(f, Fault::NoCapa)) => return self.capa(),
            _ => {}
        }
        let number = rest.split(' ').next().and_then(|n| n.parse::<usize>().ok());
        let text = match verb {
            "USER" => {
                self.user = rest.to_owned();
                "+OK\r\n".to_owned()
            }
            "PASS" => login(self.user == USER && rest == PASSWORD),
            "AUTH" => {
                let encoded = rest.strip_prefix("PLAIN ").unwrap_or_default();
                let message = openssl::base64::decode_block(encoded).unwrap_or_default();
                login(message == format!("\0{USER}\0{PASSWORD}").as_bytes())
            }
            "STAT" => {
                let listed = self.listed();
                format!("+OK {} {}\r\n", listed.len(), listed.iter().map(|(_, m)| m.bytes.len()).sum::<usize>())
            }
            "LIST" => list(self.listed().iter().map(|(n, m)| format!("{n} {}", m.bytes.len()))),
            "UIDL" if !self.has(|f| matches!(f, Fault::NoUidl)) => {
                list(self.listed().iter().map(|(n, m)| format!("{n} {}", self.uidl(m))))
            }
            "RETR" | "TOP" if verb == "RETR" || !self.has(|f| matches!(f, Fault::NoTop)) => {
                match number.and_then(|n| self.there(n)) {
                    Some(message) if verb == "RETR" => return multi_line(&message.bytes),
                    Some(message) => return multi_line(header(&message.bytes)),
                    None => "-ERR no such message\r\n".to_owned(),
                }
            }
            "DELE" => match number.filter(|n| self.there(*n).is_some()) {
                Some(n) => {
                    self.marked[n - 1] = true;
                    "+OK\r\n".to_owned()
                }
                None => "-ERR no such message\r\n".to_owned(),
            },
            "RSET" => {
                self.marked.fill(false);
                "+OK\r\n".to_owned()
            }
            "NOOP" => "+OK\r\n".to_owned(),
            _ => "-ERR unknown command\r\n".to_owned(),
        };
        text.into_bytes()
    }

    fn capa(&self) -> Vec<u8> {
        let mut lines = vec!["RESP-CODES", "USER", "SASL PLAIN"];
        let absent = |fault: fn(&Fault) -> bool| self.has(fault);
        if !absent(|f| matches!(f, Fault::LockStep)) {
            lines.push("PIPELINING");
        }
        if !absent(|f| matches!(f, Fault::NoUidl)) {
            lines.push("UIDL");
        }
        if !absent(|f| matches!(f, Fault::NoTop)) {
            lines.push("TOP");
        }
        list(lines.into_iter().map(str::to_owned)).into_bytes()
    }

    /// The messages that lists tell of, with their numbers.
    fn listed(&self) -> Vec<(usize, &Message)> {
        let most = self.faults.iter().find_map(|f| match f {
            Fault::ListsOnly(most) => Some(*most),
            _ => None,
        });
        let there = self.messages.iter().enumerate().filter(|(at, _)| !self.marked[*at]);
        there.map(|(at, m)| (at + 1, m)).take(most.unwrap_or(usize::MAX)).collect()
    }

    fn there(&self, number: usize) -> Option<&Message> {
        let at = number.checked_sub(1)?;
        self.messages.get(at).filter(|_| !self.marked[at])
    }

    fn uidl(&self, message: &Message) -> String {
        let mut uidl = message.uidl.clone();
        for fault in &self.faults {
            match fault {
                Fault::UidlsWith(before) => uidl = format!("{before}{uidl}"),
                Fault::OneUidl(one) => uidl = (*one).to_owned(),
                _ => {}
            }
        }
        uidl
    }

    /// Says `reply`, or what the faults make of it.
    fn answer(&mut self, command: &str, reply: Vec<u8>) -> Result<(), Over> {
        let asked = Asked { session: self.number, command, reply: &reply };
        let instead = self.faults.iter().find_map(|fault| instead(fault, &asked));
        match instead.unwrap_or(Answer::Say(reply)) {
            Answer::Say(octets) => self.say(&octets),
            Answer::SayAndHangUp(octets) => self.say(&octets).and(Err(Over::HangUp)),
            Answer::SayAndStall(octets) => self.say(&octets).and(Err(Over::Stall)),
            Answer::Endlessly(first, again) => {
                self.say(&first)?;
                loop {
                    self.say(&again)?;
                }
            }
        }
    }

    fn say(&mut self, octets: &[u8]) -> Result<(), Over> {
        let (mut end, mut piece) = (None, usize::MAX);
        for fault in &self.faults {
            match fault {
                Fault::Pieces(octets) => piece = *octets,
                Fault::CutAfter(most) => end = Some((*most, Over::HangUp)),
                Fault::StallAfter(most) => end = Some((*most, Over::Stall)),
                _ => {}
            }
        }
        let left = end.as_ref().map_or(u64::MAX, |(most, _)| most - self.said.min(*most));
        let share = octets.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        for piece in octets[..share].chunks(piece) {
            self.reader.get_mut().write_all(piece)?;
        }
        self.said += share as u64;
        match end {
            Some((most, over)) if self.said >= most => Err(over),
            _ => Ok(()),
        }
    }
}

fn instead(fault: &Fault, asked: &Asked<'_>) -> Option<Answer> {
    let retr = |number: &usize| asked.command == format!("RETR {number}");
    let some = |octets: &usize| asked.reply[..*octets.min(&asked.reply.len())].to_vec();
    match fault {
        Fault::CutInside { number, octets } if retr(number) => Some(Answer::SayAndHangUp(some(octets))),
        Fault::StallInside { number, octets } if retr(number) => Some(Answer::SayAndStall(some(octets))),
        Fault::RefuseRetr { number, words } if retr(number) => Some(Answer::Say(format!("{words}\r\n").into_bytes())),
        Fault::Answer(answer) => answer(asked),
        _ => None,
    }
}

fn login(right: bool) -> String {
    if right { "+OK logged in\r\n".to_owned() } else { "-ERR [AUTH] wrong\r\n".to_owned() }
}

fn list(lines: impl Iterator<Item = String>) -> String {
    let mut text = "+OK\r\n".to_owned();
    lines.for_each(|line| text.push_str(&format!("{line}\r\n")));
    text + ".\r\n"
}

/// A message with the dots that the protocol wants, between `+OK` and the end.
pub fn multi_line(bytes: &[u8]) -> Vec<u8> {
    let mut out = b"+OK\r\n".to_vec();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") && out.ends_with(b"\r\n") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}

fn header(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
    end.map_or(bytes, |at| &bytes[..at + 4])
}

/// A file's octets as they went over the wire: CRLF line ends, unless the message is stored as it came.
pub fn on_the_wire(file: &[u8]) -> Vec<u8> {
    let bare_cr = file.iter().zip(file.iter().skip(1).chain([&0])).any(|(a, b)| *a == b'\r' && *b != b'\n');
    if bare_cr || file.windows(2).any(|w| w == b"\r\n") {
        return file.to_vec();
    }
    let mut out = Vec::with_capacity(file.len());
    for byte in file {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

/// What a message is on the wire, as [`Maildrop::deliver`] has it.
pub fn crlf_ended(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
