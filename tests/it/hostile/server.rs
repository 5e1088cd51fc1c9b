//! The scripted server: a good small one in memory, until it is given twists. Its mail outlives every connection.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

use super::answer::{Answer, Session};
use super::behaviour::{Does, Protection, Twist};
use super::store::Store;
use super::talk::{Command, Line, Reader};
use crate::world::certs::{self, Certificate};

/// A command and what a good server says to it.
pub struct Asked<'a> {
    pub tag: &'a str,
    /// The command in capitals, without its tag.
    pub command: &'a str,
    pub reply: &'a [u8],
}

/// What the server heard.
#[derive(Debug, Clone)]
pub struct Heard {
    pub protected: bool,
    pub text: String,
}

/// Listens until dropped.
pub struct Server {
    pub port: u16,
    shared: Arc<Shared>,
}

pub struct Shared {
    pub store: Mutex<Store>,
    pub capability: &'static str,
    pub prefix: &'static str,
    protection: Protection,
    acceptor: Option<SslAcceptor>,
    twists: Mutex<Arc<Vec<(Twist, AtomicUsize)>>>,
    heard: Mutex<Vec<Heard>>,
}

impl Server {
    /// Its certificate and key go to `dir`, if it needs any.
    pub fn start(capability: &'static str, prefix: &'static str, protection: Protection, dir: &Path) -> Server {
        let acceptor = (protection != Protection::None).then(|| {
            let files = certs::write_server(dir, Certificate::Good);
            let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
            acceptor.set_private_key_file(&files.key, SslFiletype::PEM).unwrap();
            acceptor.set_certificate_chain_file(&files.cert).unwrap();
            acceptor.build()
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            store: Mutex::default(),
            capability,
            prefix,
            protection,
            acceptor,
            twists: Mutex::default(),
            heard: Mutex::default(),
        });
        let weak = Arc::downgrade(&shared);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let Some(shared) = weak.upgrade() else { return };
                std::thread::spawn(move || {
                    let _ = tcp.set_nodelay(true);
                    Talk::begin(&shared, tcp);
                });
            }
        });
        Server { port, shared }
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock().unwrap()
    }

    /// From now on it behaves so.
    pub fn behave(&self, twists: Vec<Twist>) {
        let twists = twists.into_iter().map(|twist| (twist, AtomicUsize::new(0))).collect();
        *self.shared.twists.lock().unwrap() = Arc::new(twists);
    }

    /// Whether each twist was used.
    pub fn unused_twists(&self) -> Vec<&'static str> {
        let twists = self.shared.twists.lock().unwrap().clone();
        twists.iter().filter(|(t, met)| met.load(Ordering::SeqCst) <= t.skip).map(|(t, _)| t.at).collect()
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared = Arc::new(Shared {
            store: Mutex::default(),
            capability: "",
            prefix: "",
            protection: Protection::None,
            acceptor: None,
            twists: Mutex::default(),
            heard: Mutex::default(),
        });
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// `VERB…WORD|VERB`: whether a command is one of these. The empty pattern is the greeting.
fn is_at(pattern: &str, command: &str) -> bool {
    if pattern.is_empty() || command.is_empty() {
        return pattern.is_empty() && command.is_empty();
    }
    pattern.split('|').any(|one| {
        let mut parts = one.split('…');
        let begins = parts.next().is_some_and(|verb| command.starts_with(verb));
        begins && parts.all(|word| command.contains(word))
    })
}

/// How a connection goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Command,
    Over,
}

struct Talk<'a> {
    shared: &'a Shared,
    reader: Reader,
    session: Session<'a>,
}

impl<'a> Talk<'a> {
    fn begin(shared: &'a Shared, tcp: TcpStream) {
        let mut reader = Reader::new(Line::Plain(tcp));
        if shared.protection == Protection::Implicit {
            let Some(protected) = shared.acceptor.as_ref().and_then(|acceptor| reader.protect(acceptor)) else {
                return;
            };
            reader = protected;
        }
        Talk { shared, reader, session: Session::new(shared) }.serve();
    }

    fn capability(&self) -> String {
        let unprotected = self.shared.protection == Protection::StartTls && !self.reader.line.is_protected();
        let capability = if unprotected { "IMAP4rev1 STARTTLS LOGINDISABLED" } else { self.shared.capability };
        capability.to_owned()
    }

    fn serve(mut self) {
        let greeting = format!("OK [CAPABILITY {}] ready", self.capability());
        let mut next =
            self.answer(&Command { tag: "*".into(), ..Command::default() }, "", |_, _| Answer::only(greeting));
        while next == Next::Command {
            let Some(command) = self.hear() else { break };
            let upper = command.shown.to_ascii_uppercase();
            let verb = upper.split(' ').next().unwrap_or_default().to_owned();
            if command.arguments.is_empty() && !command.shown.is_empty() {
                // A literal that was refused: that was the answer.
                continue;
            }
            let capability = self.capability();
            next = self.answer(&command, &upper, |session, command| session.perform(command, &capability));
            if verb == "LOGOUT" {
                break;
            }
            if verb == "STARTTLS" && next == Next::Command {
                let Talk { shared, reader, session } = self;
                let Some(protected) = shared.acceptor.as_ref().and_then(|acceptor| reader.protect(acceptor)) else {
                    return;
                };
                self = Talk { shared, reader: protected, session };
            }
        }
        self.reader.line.hang_up();
        self.reader.listen();
    }

    /// The next command; the rest of AUTHENTICATE is read with it.
    fn hear(&mut self) -> Option<Command> {
        let shared = self.shared;
        let mut command = self.reader.command(|line, tag, so_far| {
            let asked = format!("GOAHEAD {}", so_far.to_ascii_uppercase());
            match shared.twist(&asked).as_deref() {
                None => line.write_all(b"+ go ahead\r\n").is_ok(),
                Some(Does::Instead(octets)) => {
                    let _ = line.write_all(&tagged(octets, tag));
                    false
                }
                Some(Does::Before(octets)) => line.write_all(octets).and_then(|()| line.write_all(b"+ go\r\n")).is_ok(),
                Some(Does::Endless(_, again)) => {
                    while line.write_all(again).is_ok() {}
                    false
                }
                Some(_) => panic!("no such twist of {asked}"),
            }
        })?;
        let protected = self.reader.line.is_protected();
        if command.shown.eq_ignore_ascii_case("AUTHENTICATE PLAIN") {
            self.reader.line.write_all(b"+ \r\n").ok()?;
            let answer = self.reader.read_line()?;
            command.shown.push(' ');
            command.shown.push_str(&String::from_utf8_lossy(&answer));
            command.arguments.push(super::talk::Argument::Text(answer));
        }
        self.shared.heard.lock().unwrap().push(Heard { protected, text: command.shown.clone() });
        Some(command)
    }

    /// Performs, and says the right thing or what a twist makes of it.
    fn answer(
        &mut self,
        command: &Command,
        upper: &str,
        perform: impl FnOnce(&mut Session<'a>, &Command) -> Answer,
    ) -> Next {
        let tag = command.tag.as_str();
        let does = self.shared.twist(upper);
        let right = || {
            let Answer { data, last } = perform(&mut self.session, command);
            (data, format!("{tag} {last}\r\n").into_bytes())
        };
        let whole = |(mut data, last): (Vec<u8>, Vec<u8>)| {
            data.extend(last);
            data
        };
        let (said, next) = match does.as_deref() {
            None => (whole(right()), Next::Command),
            Some(Does::Instead(octets)) => (tagged(octets, tag), Next::Command),
            Some(Does::Before(octets)) => ([tagged(octets, tag), whole(right())].concat(), Next::Command),
            Some(Does::Among(octets)) => {
                let (data, last) = right();
                ([data, tagged(octets, tag), last].concat(), Next::Command)
            }
            Some(Does::After(octets)) => ([whole(right()), tagged(octets, tag)].concat(), Next::Command),
            Some(Does::Ends(octets)) => ([right().0, tagged(octets, tag)].concat(), Next::Command),
            Some(Does::Replace(from, to)) => (swap(&whole(right()), from, &tagged(to, tag)), Next::Command),
            Some(Does::Rewrite(to)) => {
                let reply = whole(right());
                (to(&Asked { tag, command: upper, reply: &reply }), Next::Command)
            }
            Some(Does::HangUp(octets)) => (tagged(octets, tag), Next::Over),
            Some(Does::LoseReply) => {
                right();
                (Vec::new(), Next::Over)
            }
            Some(Does::FallSilent(octets)) => {
                let _ = self.reader.line.write_all(&tagged(octets, tag));
                self.reader.listen();
                (Vec::new(), Next::Over)
            }
            Some(Does::Endless(first, again)) => {
                let _ = self.reader.line.write_all(&tagged(first, tag));
                let block = tagged(again, tag).repeat((65536 / again.len().max(1)).max(1));
                while self.reader.line.write_all(&block).is_ok() {}
                (Vec::new(), Next::Over)
            }
            Some(Does::Drip(pause)) => {
                for octet in whole(right()) {
                    std::thread::sleep(*pause);
                    if self.reader.line.write_all(&[octet]).is_err() {
                        break;
                    }
                }
                (Vec::new(), Next::Command)
            }
        };
        match self.reader.line.write_all(&said) {
            Ok(()) => next,
            Err(_) => Next::Over,
        }
    }
}

impl Shared {
    /// The first twist that a command meets.
    fn twist(&self, command: &str) -> Option<Arc<Does>> {
        let twists = self.twists.lock().unwrap().clone();
        for (twist, met) in twists.iter().filter(|(twist, _)| is_at(twist.at, command)) {
            let before = met.fetch_add(1, Ordering::SeqCst);
            if before >= twist.skip && before - twist.skip < twist.times {
                return Some(twist.does.clone());
            }
        }
        None
    }
}

/// `octets` with the command's tag in place of `TAG`.
fn tagged(octets: &[u8], tag: &str) -> Vec<u8> {
    swap(octets, b"TAG", tag.as_bytes())
}

/// `octets` with every `from` made `to`.
pub fn swap(octets: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(octets.len()), octets);
    // Some are of megabytes, and a client does not wait for long.
    while let Some(at) = memchr::memmem::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
