//! A small IMAP server in memory, on the scripted one: INBOX alone, and faults that real servers have on bad days only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::scratch::Scratch;
use super::scripted::{Conversation, Scripted};
use super::server::USER;

/// How the server differs from a healthy one without extensions.
#[derive(Debug, Clone)]
pub struct Ways {
    pub capability: &'static str,
    /// PERMANENTFLAGS.
    pub permanent: &'static str,
    /// How long it takes to store a message.
    pub store: Duration,
}

impl Default for Ways {
    fn default() -> Self {
        Ways {
            capability: "IMAP4rev1",
            permanent: "\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*",
            store: Duration::ZERO,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Message {
    pub flags: BTreeSet<String>,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct Inbox {
    pub messages: BTreeMap<u32, Message>,
    /// Whoever asks for the body of one of these loses the session in the middle of it.
    pub fatal: BTreeSet<u32>,
    /// These arrive when somebody says NOOP.
    pub at_noop: Vec<Vec<u8>>,
    last: u32,
    /// Whether storing takes no time any more.
    quick: bool,
    sessions: usize,
}

impl Inbox {
    /// Adds a message; gives its UID.
    pub fn add(&mut self, bytes: &[u8], flags: &[&str]) -> u32 {
        self.last += 1;
        let flags = flags.iter().map(|f| (*f).to_owned()).collect();
        self.messages.insert(self.last, Message { flags, bytes: bytes.to_vec() });
        self.last
    }
}

pub struct Small {
    server: Scripted,
    inbox: Arc<Mutex<Inbox>>,
}

impl Small {
    pub fn start(ways: Ways) -> Small {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let for_peers = inbox.clone();
        let server = Scripted::start(move |peer| {
            for_peers.lock().unwrap().sessions += 1;
            peer.say(&format!("* OK [CAPABILITY {}] ready", ways.capability));
            while let Some((tag, command)) = peer.command() {
                match answer(peer, &command, &ways, &for_peers) {
                    Some(last) => peer.say(&format!("{tag} {last}")),
                    None => break,
                }
                if command.eq_ignore_ascii_case("LOGOUT") {
                    break;
                }
            }
            for_peers.lock().unwrap().sessions -= 1;
        });
        Small { server, inbox }
    }

    /// Writes a configuration for an account of it, whose tree is `~/Mail`, with more lines of `[accounts.small]`.
    pub fn configuration(&self, scratch: &Scratch, account: &str) -> String {
        let path = scratch.path().join("small.toml");
        let text = format!(
            "[accounts.small]\nmaildir = \"~/Mail\"\n{account}[accounts.small.imap]\nhost = \"localhost\"\n\
             user = \"{USER}\"\nport = {}\ntls = \"none\"\npassword = {{ env = \"MAILTIDE_PASSWORD\" }}\n",
            self.server.port()
        );
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Every command so far, without tags.
    pub fn heard(&self) -> Vec<String> {
        self.server.heard()
    }

    /// From now on storing takes no time; messages that are being stored still take theirs.
    pub fn stores_at_once(&self) {
        self.inbox().quick = true;
    }

    /// Waits until everything that any client ever sent has been dealt with.
    pub fn wait_for_sessions_to_end(&self) {
        while self.inbox().sessions > 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap()
    }
}

/// Says the untagged part of the answer and gives the rest; `None` ends the session.
fn answer(peer: &mut Conversation, command: &str, ways: &Ways, inbox: &Mutex<Inbox>) -> Option<String> {
    let upper = command.to_ascii_uppercase();
    let words: Vec<&str> = upper.split(' ').collect();
    match words[0] {
        "CAPABILITY" => peer.say(&format!("* CAPABILITY {}", ways.capability)),
        "NOOP" => {
            let mut inbox = inbox.lock().unwrap();
            for bytes in std::mem::take(&mut inbox.at_noop) {
                inbox.add(&bytes, &["\\Seen"]);
            }
        }
        "LIST" => peer.say("* LIST () \"/\" INBOX"),
        "STATUS" => {
            let inbox = inbox.lock().unwrap();
            let (messages, next) = (inbox.messages.len(), inbox.last + 1);
            peer.say(&format!("* STATUS INBOX (MESSAGES {messages} UIDNEXT {next} UIDVALIDITY 7)"));
        }
        "SELECT" | "EXAMINE" => {
            let inbox = inbox.lock().unwrap();
            peer.say(&format!("* {} EXISTS\r\n* OK [UIDVALIDITY 7] x", inbox.messages.len()));
            peer.say(&format!("* OK [UIDNEXT {}] x\r\n* OK [PERMANENTFLAGS ({})] x", inbox.last + 1, ways.permanent));
        }
        "APPEND" => {
            if !inbox.lock().unwrap().quick {
                std::thread::sleep(ways.store);
            }
            let uid = append(command, &mut inbox.lock().unwrap());
            if ways.capability.contains("UIDPLUS") {
                return Some(format!("OK [APPENDUID 7 {uid}] stored"));
            }
        }
        "UID" if words[1] == "FETCH" => fetch(peer, &words, &inbox.lock().unwrap())?,
        "UID" if words[1] == "SEARCH" => {
            let inbox = inbox.lock().unwrap();
            let wanted = |uid: &u32, message: &Message| match words[2] {
                "DELETED" => message.flags.contains("\\Deleted"),
                "UID" => set(words[3], &inbox).contains(uid),
                _ => true,
            };
            let found = inbox.messages.iter().filter(|(uid, m)| wanted(uid, m)).map(|(uid, _)| format!(" {uid}"));
            peer.say(&format!("* SEARCH{}", found.collect::<String>()));
        }
        "EXPUNGE" => {
            let mut inbox = inbox.lock().unwrap();
            let marked = |(n, m): (usize, &Message)| m.flags.contains("\\Deleted").then_some(n + 1);
            let numbers: Vec<usize> = inbox.messages.values().enumerate().filter_map(marked).collect();
            inbox.messages.retain(|_, m| !m.flags.contains("\\Deleted"));
            // Each number counts after the expunges before it.
            numbers.iter().rev().for_each(|n| peer.say(&format!("* {n} EXPUNGE")));
        }
        "UID" if words[1] == "STORE" => store(command, &words, &mut inbox.lock().unwrap()),
        _ => {}
    }
    Some("OK done".to_owned())
}

/// `APPEND name (flags) "date" {n+}` and, right behind it, the message.
fn append(command: &str, inbox: &mut Inbox) -> u32 {
    let flags = command.split_once('(').and_then(|(_, rest)| rest.split_once(')')).unwrap().0;
    let flags: Vec<&str> = flags.split_ascii_whitespace().collect();
    let bytes = command.split_once('}').unwrap().1;
    inbox.add(bytes.as_bytes(), &flags)
}

fn fetch(peer: &mut Conversation, words: &[&str], inbox: &Inbox) -> Option<()> {
    let items = words[3..].join(" ");
    let asked = set(words[2], inbox);
    for (n, (uid, message)) in inbox.messages.iter().enumerate().filter(|(_, (uid, _))| asked.contains(uid)) {
        let mut said = format!("* {} FETCH (UID {uid}", n + 1);
        if items.contains("FLAGS") {
            let flags: Vec<&str> = message.flags.iter().map(String::as_str).collect();
            said.push_str(&format!(" FLAGS ({})", flags.join(" ")));
        }
        if items.contains("INTERNALDATE") {
            said.push_str(" INTERNALDATE \"17-Jul-1996 09:44:25 +0000\"");
        }
        if items.contains("RFC822.SIZE") {
            said.push_str(&format!(" RFC822.SIZE {}", message.bytes.len()));
        }
        if items.contains("MESSAGE-ID") {
            let text = String::from_utf8_lossy(&message.bytes);
            let id = text.lines().find(|l| l.to_ascii_uppercase().starts_with("MESSAGE-ID:")).unwrap_or_default();
            let header = if id.is_empty() { "\r\n".to_owned() } else { format!("{id}\r\n\r\n") };
            said.push_str(&format!(" BODY[HEADER.FIELDS (MESSAGE-ID)] {{{}}}\r\n{header}", header.len()));
        }
        if items.contains("BODY.PEEK[]") {
            said.push_str(&format!(" BODY[] {{{}}}\r\n", message.bytes.len()));
            peer.say_raw(said.as_bytes());
            if inbox.fatal.contains(uid) {
                peer.say_raw(&message.bytes[..message.bytes.len() / 2]);
                return None;
            }
            peer.say_raw(&message.bytes);
            said.clear();
        }
        peer.say(&format!("{said})"));
    }
    Some(())
}

fn store(command: &str, words: &[&str], inbox: &mut Inbox) {
    let asked = set(words[2], inbox);
    let flags = command.split_once('(').and_then(|(_, rest)| rest.split_once(')')).unwrap().0;
    for (_, message) in inbox.messages.iter_mut().filter(|(uid, _)| asked.contains(uid)) {
        for flag in flags.split_ascii_whitespace().map(str::to_owned) {
            match words[3].starts_with('+') {
                true => _ = message.flags.insert(flag),
                false => _ = message.flags.remove(&flag),
            }
        }
    }
}

/// `1:3,7,9:*`
fn set(text: &str, inbox: &Inbox) -> BTreeSet<u32> {
    let number = |text: &str| if text == "*" { inbox.last } else { text.parse().unwrap() };
    let range = |part: &str| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (first, last) = (number(first), number(last));
        first.min(last)..=first.max(last)
    };
    text.split(',').flat_map(range).collect()
}
