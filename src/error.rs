//! What can go wrong with a run, in words for a person: kind, what, where, the server's own words, what to type next.
//!
//! [`Error`] ends a run (or one account of it). [`ItemFailure`] is one message or one mailbox that could not be handled
//! while the rest went on; it never ends anything. The binary maps [`Kind`] to exit codes in one place, [`crate::exit`].

use std::{fmt, io};

use crate::mail::{FileId, MailboxName, MessageNumber, Uid, Uidl};

/// Who must act, and whether waiting helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command line does not fit.
    Usage,
    /// The configuration file, a value in it, or a secret's source is wrong.
    Config,
    /// The local tree is missing, foreign, unreadable, read-only or full.
    LocalTree,
    /// The state file cannot be read or written.
    State,
    /// The state file is not what was written into it.
    Damaged,
    /// The server refused the credentials, or no safe way to send them exists.
    Auth,
    /// Name resolution, TCP, a timeout or a lost connection.
    Unreachable,
    /// TLS could not be established as required, or the certificate was refused.
    Tls,
    /// The server asked to come back later (`[UNAVAILABLE]`, `[INUSE]`, `[LIMIT]`, …).
    TryLater,
    /// The server broke the protocol.
    Protocol,
    /// The server answered NO or BAD to a command that has to succeed.
    Refused,
    /// The guard stopped the plan.
    Guard,
    /// Another run holds the account's lock.
    Locked,
    /// Ctrl-C, SIGTERM or the deadline.
    Interrupted,
}

/// Whether the same run can succeed a moment later without anybody doing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// A new connection may succeed.
    Worthwhile,
    /// The same would happen again.
    Pointless,
}

/// How far the trouble goes that an error was met in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// As far as what was being done.
    #[default]
    Here,
    /// The whole run, wherever it happens to be met: it is told once.
    Run,
}

/// An error that ends a run of an account.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    place: Option<String>,
    server: Option<String>,
    hint: Option<String>,
    retry: Retry,
    reach: Reach,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything that can end a run.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error of `kind`; `what` is a full sentence without the final stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        let (place, server, hint, source) = (None, None, None, None);
        Error { kind, what: what.into(), place, server, hint, retry: Retry::Pointless, reach: Reach::Here, source }
    }

    /// Names where it happened: an account, a mailbox, a file. The innermost place stays; outer ones are put before it.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(match self.place {
            Some(inner) => format!("{place}: {inner}"),
            None => place.to_string(),
        });
        self
    }

    /// Says what to do or to type next, as a full sentence.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the server's own words; they are made safe for a terminal when shown.
    #[must_use]
    pub fn server_said(mut self, words: impl Into<String>) -> Self {
        self.server = Some(words.into());
        self
    }

    /// Keeps the underlying error; it is shown behind the message.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Marks the error as one that a new connection may cure.
    #[must_use]
    pub fn worth_retrying(mut self) -> Self {
        self.retry = Retry::Worthwhile;
        self
    }

    /// Marks the error as one that may be met anywhere in the run.
    #[must_use]
    pub fn of_the_run(mut self) -> Self {
        self.reach = Reach::Run;
        self
    }

    /// Says of how many messages it is true.
    #[must_use]
    pub fn of_messages(mut self, messages: u64) -> Self {
        self.what = format!("{} ({messages} messages)", self.what);
        self
    }

    /// The kind, which decides the exit code.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message without place, server words, cause and hint.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The place, outermost first.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// The server's own words, raw.
    pub fn server_words(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// What to do next.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// How far the trouble goes.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Whether a disk is full, or a quota used up: what needs no room can be done all the same, and may make some.
    pub fn is_want_of_room(&self) -> bool {
        let cause = self.source.as_deref().and_then(|cause| cause.downcast_ref::<io::Error>());
        cause.is_some_and(|e| matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// Whether a new connection may cure it.
    pub fn retry(&self) -> Retry {
        self.retry
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.what)?;
        let mut cause = self.source.as_deref().map(|e| e as &dyn std::error::Error);
        while let Some(e) = cause {
            write!(f, ": {e}")?;
            cause = e.source();
        }
        if let Some(words) = &self.server {
            write!(f, "; the server said `{}`", safe_line(words))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

/// Makes foreign text (a server's words, a file name) one line without control characters, 300 characters at most.
///
/// What [`is_hidden`] names becomes `\u{…}`, so that no text can move a cursor, colour a terminal or reorder a line.
pub fn safe_line(text: &str) -> String {
    safe_text(text, 300)
}

/// As [`safe_line`], of at most `limit` characters: for a whole message that foreign text is only a part of.
pub fn safe_text(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for (n, c) in text.trim_end_matches(['\r', '\n']).chars().enumerate() {
        if n == limit {
            out.push('…');
            break;
        }
        if is_hidden(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Whether a terminal would act on `c` instead of showing it: C0, C1, DEL, bidirectional controls, line separators.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// What an [`ItemFailure`] is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// The mailbox as a whole.
    Mailbox,
    /// A message on the server.
    Message(Uid),
    /// A message in a local file.
    File(FileId),
    /// A message in a maildrop, by its unique id.
    Uidl(Uidl),
    /// A message in a maildrop without unique ids, by its number in that session.
    Number(MessageNumber),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Mailbox => f.write_str("mailbox"),
            Item::Message(uid) => write!(f, "UID {uid}"),
            Item::File(id) => write!(f, "file {}", safe_line(&id.to_string())),
            Item::Uidl(uidl) => write!(f, "UIDL {uidl}"),
            Item::Number(number) => write!(f, "message {number}"),
        }
    }
}

/// One message or mailbox that could not be handled; the rest went on, and every later run tries it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemFailure {
    /// The mailbox it happened in.
    pub mailbox: MailboxName,
    /// The message or file, or the mailbox itself.
    pub item: Item,
    /// What went wrong, a full sentence without the final stop; foreign text in it is already safe.
    pub what: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Whether it is the item's own.
    pub reach: Reach,
}

impl ItemFailure {
    /// Makes a failure from an error that turned out to concern one item only.
    pub fn new(mailbox: &MailboxName, item: Item, error: &Error) -> Self {
        ItemFailure {
            mailbox: mailbox.clone(),
            item,
            what: error.to_string(),
            hint: error.hint_text().map(str::to_owned),
            reach: error.reach(),
        }
    }
}

impl fmt::Display for ItemFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", safe_line(&self.mailbox.to_string()), self.item, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_place_cause_and_the_servers_words_made_safe() {
        let e = Error::new(Kind::Auth, "The login was refused")
            .because(std::io::Error::other("inner"))
            .server_said("NO \u{1b}[31mred\r\n")
            .at("INBOX")
            .at("work");
        assert_eq!(e.to_string(), "work: INBOX: The login was refused: inner; the server said `NO \\u{1b}[31mred`");
    }

    #[test]
    fn safe_line_is_bounded() {
        assert_eq!(safe_line(&"x".repeat(1000)).chars().count(), 301);
        assert_eq!(safe_line("a\u{202e}b"), "a\\u{202e}b");
    }
}
