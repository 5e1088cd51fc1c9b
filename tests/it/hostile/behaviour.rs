//! A behaviour as data: what it is called, where it was seen, how the server differs from a good one, what must happen.

use std::time::Duration;

use super::server::Asked;

/// A server without any extension.
pub const PLAIN: &str = "IMAP4rev1";
/// What most have today.
pub const USUAL: &str = "IMAP4rev1 UIDPLUS MOVE LITERAL+ NAMESPACE";
/// Everything that the base server can.
pub const MODERN: &str =
    "IMAP4rev1 UIDPLUS MOVE LITERAL+ NAMESPACE ENABLE CONDSTORE QRESYNC ESEARCH LIST-EXTENDED LIST-STATUS SPECIAL-USE";

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Plain text, over loopback, by an explicit setting.
    None,
    StartTls,
    Implicit,
}

/// One named behaviour of a hostile or broken server.
pub struct Behaviour {
    pub name: String,
    /// An advisory, a section of an RFC, a bug report of a known server.
    pub source: &'static str,
    pub capability: &'static str,
    pub protection: Protection,
    /// What stands before every mailbox's name but INBOX; its last character is the delimiter.
    pub prefix: &'static str,
    /// Mailboxes that are there while it behaves so, each with a message.
    pub lists: Vec<Vec<u8>>,
    /// How the server differs from a good one.
    pub says: Vec<Twist>,
    /// More arguments of the run.
    pub arguments: &'static [&'static str],
    /// Whether the program waits for a quiet server between its tries (see `engine::settle`), half a minute each run.
    pub waits: bool,
    pub must: Must,
}

/// What must happen in the run against the hostile server. All else is demanded of every row alike.
#[derive(Default)]
pub struct Must {
    /// The exit codes that are right.
    pub exit: Vec<i32>,
    /// What it must say.
    pub tells: Vec<&'static str>,
    /// What the behaviour explains.
    pub may: Vec<May>,
}

/// What would be an error of the program, had the server not caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// The server said that messages are gone; the files may go, and must come back with the messages.
    Go,
    /// The server handed out messages that it does not have.
    Come,
    /// A move that broke off left a message at both places.
    BeTwice,
    /// The server made the UIDs that were known worthless, or did not do what it said: what was deleted or moved meanwhile
    /// may be back, in the end too. When unsure, the mail stays.
    Remain,
    /// The server dropped its copy; the tree's must go up again.
    GoThere,
}

/// One difference.
pub struct Twist {
    /// The commands, as `VERB…WORD`, in capitals, several joined by `|`; empty: the greeting.
    pub at: &'static str,
    /// How many such commands have it, and how many go before them; over all connections.
    pub skip: usize,
    pub times: usize,
    pub does: std::sync::Arc<Does>,
}

/// Makes another answer of the right one.
type Rewriting = dyn Fn(&Asked<'_>) -> Vec<u8> + Send + Sync;

/// What is said or done otherwise. `TAG` in octets stands for the command's tag.
pub enum Does {
    /// Nothing but these octets, and no effect.
    Instead(Vec<u8>),
    /// These octets before the right answer.
    Before(Vec<u8>),
    /// These octets between the data and the tagged line.
    Among(Vec<u8>),
    /// These octets after the right answer.
    After(Vec<u8>),
    /// The command takes effect, and ends with this line instead of an OK.
    Ends(Vec<u8>),
    /// The right answer, with the first in each place made the second.
    Replace(Vec<u8>, Vec<u8>),
    /// The right answer as this makes it.
    Rewrite(Box<Rewriting>),
    /// No effect, these octets, and the line ends.
    HangUp(Vec<u8>),
    /// The command takes effect, its answer never comes, and the line ends.
    LoseReply,
    /// These octets, and then nothing more.
    FallSilent(Vec<u8>),
    /// The first once, and the second until the client has gone.
    Endless(Vec<u8>, Vec<u8>),
    /// The right answer, an octet after each such time.
    Drip(Duration),
}

/// Text with line ends as the wire has them.
pub fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// A twist of every such command.
pub fn at(at: &'static str, does: Does) -> Twist {
    Twist { at, skip: 0, times: usize::MAX, does: std::sync::Arc::new(does) }
}

impl Twist {
    /// Of the first only.
    pub fn once(self) -> Twist {
        Twist { times: 1, ..self }
    }

    /// Not of the first so many.
    pub fn after(self, skip: usize) -> Twist {
        Twist { skip, ..self }
    }
}

/// `\n` stands for CR LF in all of these.
pub fn instead(command: &'static str, text: &str) -> Twist {
    at(command, Does::Instead(crlf(text)))
}

pub fn before(command: &'static str, text: &str) -> Twist {
    at(command, Does::Before(crlf(text)))
}

pub fn among(command: &'static str, text: &str) -> Twist {
    at(command, Does::Among(crlf(text)))
}

pub fn after(command: &'static str, text: &str) -> Twist {
    at(command, Does::After(crlf(text)))
}

pub fn ends(command: &'static str, text: &str) -> Twist {
    at(command, Does::Ends(crlf(text)))
}

pub fn replace(command: &'static str, from: &str, to: &str) -> Twist {
    at(command, Does::Replace(crlf(from), crlf(to)))
}

pub fn hang_up(command: &'static str, text: &str) -> Twist {
    at(command, Does::HangUp(crlf(text)))
}

pub fn fall_silent(command: &'static str, text: &str) -> Twist {
    at(command, Does::FallSilent(crlf(text)))
}

pub fn endless(command: &'static str, first: &str, again: &str) -> Twist {
    at(command, Does::Endless(crlf(first), crlf(again)))
}

pub fn rewrite(command: &'static str, to: impl Fn(&Asked<'_>) -> Vec<u8> + Send + Sync + 'static) -> Twist {
    at(command, Does::Rewrite(Box::new(to)))
}

/// Begins a row: the usual server, plain text, and a run that must end well.
pub fn row(name: impl Into<String>, source: &'static str) -> Behaviour {
    Behaviour {
        name: name.into(),
        source,
        capability: USUAL,
        protection: Protection::None,
        prefix: "",
        lists: Vec::new(),
        says: Vec::new(),
        arguments: &[],
        waits: false,
        must: Must { exit: vec![0], ..Must::default() },
    }
}

impl Behaviour {
    pub fn speaks(self, capability: &'static str) -> Behaviour {
        Behaviour { capability, ..self }
    }

    pub fn over(self, protection: Protection) -> Behaviour {
        Behaviour { protection, ..self }
    }

    pub fn below(self, prefix: &'static str) -> Behaviour {
        Behaviour { prefix, ..self }
    }

    pub fn with(self, arguments: &'static [&'static str]) -> Behaviour {
        Behaviour { arguments, ..self }
    }

    pub fn says(mut self, twist: Twist) -> Behaviour {
        self.says.push(twist);
        self
    }

    pub fn waits(self) -> Behaviour {
        Behaviour { waits: true, ..self }
    }

    pub fn lists(mut self, name: impl Into<Vec<u8>>) -> Behaviour {
        self.lists.push(name.into());
        self
    }

    pub fn exits(mut self, codes: &[i32]) -> Behaviour {
        self.must.exit = codes.to_vec();
        self
    }

    pub fn tells(mut self, words: &[&'static str]) -> Behaviour {
        self.must.tells.extend(words);
        self
    }

    pub fn may(mut self, may: May) -> Behaviour {
        self.must.may.push(may);
        self
    }
}
