//! The dialog before the login: one capped line at a time, so that nothing of what follows the login is over-read.
//!
//! [`Gate`] is the stream that the `imap` crate speaks through. It gives at most one line a `read`, and of each line
//! only what the crate has to know: `TAG OK`, or `+`. The server's words stay here, where 8-bit text, unknown untagged
//! lines and odd challenges do no harm. Before the login at most [`LINE`] octets a line and [`ALL`] in all are taken.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::rc::Rc;

use crate::error::{Error, Kind, Result, safe_line};
use crate::remote::net::certificate::Shown;
use crate::remote::net::conceal::Concealed;
use crate::remote::net::{Connector, Exchange, OutBuffer, Transport, Until};

/// The longest line before the login, in octets.
const LINE: usize = 64 * 1024;
/// The most that a server may say before the login, in octets.
const ALL: usize = 256 * 1024;

/// A status response without its tag (RFC 3501, section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) word: Word,
    /// What stands in the brackets, as sent.
    pub(super) code: Option<String>,
    /// The whole line behind the tag, for a person.
    pub(super) words: String,
}

/// The word that a status response starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

impl Status {
    fn parse(words: &str) -> Option<Status> {
        let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
        let word = match word.to_ascii_uppercase().as_str() {
            "OK" => Word::Ok,
            "NO" => Word::No,
            "BAD" => Word::Bad,
            "BYE" => Word::Bye,
            "PREAUTH" => Word::Preauth,
            _ => return None,
        };
        let code = rest.trim_start().strip_prefix('[').and_then(|r| r.split_once(']')).map(|(code, _)| code.to_owned());
        Some(Status { word, code, words: words.to_owned() })
    }

    /// The code's first word, upper case; empty without a code.
    pub(super) fn code_name(&self) -> String {
        let code = self.code.as_deref().unwrap_or_default();
        code.split(' ').next().unwrap_or_default().to_ascii_uppercase()
    }

    fn capabilities(&self) -> Option<&str> {
        after_word(self.code.as_deref()?, "CAPABILITY")
    }
}

/// The text behind `word` when it starts with that, in any case.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    first.eq_ignore_ascii_case(word).then_some(rest)
}

/// A connection before the login, and what the server said on it.
pub(super) struct Dialog {
    transport: Transport,
    output: OutBuffer,
    input: Vec<u8>,
    /// How much of `input` is known to hold no line end.
    searched: usize,
    heard: usize,
    /// What the crate has not read yet.
    passed_on: Vec<u8>,
    challenged: bool,
    capabilities: Option<String>,
    tagged: Option<Status>,
    failure: Option<Error>,
    /// What no line that is shown may hold.
    concealed: Option<Rc<Concealed>>,
}

impl Dialog {
    pub(super) fn new(transport: Transport) -> Dialog {
        Dialog {
            transport,
            output: OutBuffer::new(),
            input: Vec::new(),
            searched: 0,
            heard: 0,
            passed_on: Vec::new(),
            challenged: false,
            capabilities: None,
            tagged: None,
            failure: None,
            concealed: None,
        }
    }

    /// From now on nothing that is shown holds the password.
    pub(super) fn conceal(&mut self, concealed: Rc<Concealed>) {
        self.concealed = Some(concealed);
    }

    /// The transport, and what it gave beyond the last line read.
    pub(super) fn into_parts(self) -> (Transport, Vec<u8>) {
        (self.transport, self.input)
    }

    /// The latest words behind `CAPABILITY`, in a code or a line of their own; they are told once.
    pub(super) fn take_capabilities(&mut self) -> Option<String> {
        self.capabilities.take()
    }

    /// The reply that ended the last command.
    pub(super) fn take_tagged(&mut self) -> Option<Status> {
        self.tagged.take()
    }

    /// Why the gate gave the crate no more lines.
    pub(super) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    pub(super) fn peer_is_loopback(&mut self) -> bool {
        self.transport.peer_is_loopback()
    }

    /// Reads the greeting: OK or PREAUTH.
    ///
    /// # Errors
    /// `Protocol` for anything else, `Unreachable` or `TryLater` for BYE, and when nothing comes at all.
    pub(super) fn greeting(&mut self) -> Result<Word> {
        let line = self.line().map_err(|error| {
            if error.kind() != Kind::Unreachable || !self.input.is_empty() {
                return error;
            }
            self.transport.ungreeted(&error, (993, 143))
        })?;
        let text = String::from_utf8_lossy(&line).into_owned();
        match text.strip_prefix("* ").and_then(Status::parse) {
            Some(status) if matches!(status.word, Word::Ok | Word::Preauth) => {
                self.note(&status);
                Ok(status.word)
            }
            Some(status) if status.word == Word::Bye => Err(turned_away(&status)),
            _ if matches!(line.as_slice(), [0x15 | 0x16, 0x03, ..]) => {
                Err(Error::new(Kind::Tls, "The server speaks TLS from the start on this port")
                    .hint("Set `tls = \"implicit\"`, or `port` to the one without (usually 143)."))
            }
            _ => Err(Error::new(Kind::Protocol, "This is no IMAP server")
                .server_said(text)
                .hint("Check `host` and `port`: IMAP is usually on 993 with TLS from the start, else on 143.")),
        }
    }

    /// Sends STARTTLS and shakes hands (RFC 3501, section 6.2.1). What was said before is forgotten.
    pub(super) fn start_tls(&mut self, connector: &Connector, host: &str) -> Result<()> {
        self.ask_for_tls()?;
        self.transport.start_tls(connector, host)
    }

    /// From the greeting on as [`Dialog::start_tls`], only to see the certificate: the connection ends with it.
    pub(super) fn look_at_certificate(mut self, host: &str) -> Result<Shown> {
        self.greeting()?;
        self.ask_for_tls()?;
        self.transport.look_at_certificate(host)
    }

    fn ask_for_tls(&mut self) -> Result<()> {
        self.output.push(b"s1 STARTTLS\r\n");
        loop {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line);
            if let Some(untagged) = text.strip_prefix("* ") {
                self.untagged(untagged)?;
                continue;
            }
            match text.strip_prefix("s1 ").and_then(Status::parse) {
                Some(status) if status.word == Word::Ok => break,
                Some(status) if matches!(status.word, Word::No | Word::Bad) => {
                    return Err(no_starttls().server_said(status.words));
                }
                _ => return Err(garbage(&text)),
            }
        }
        if !self.input.is_empty() {
            return Err(Error::new(Kind::Tls, "Unprotected data came between STARTTLS and the TLS handshake")
                .server_said(String::from_utf8_lossy(&self.input))
                .hint("Somebody on the way may be injecting it: use `tls = \"implicit\"` (usually port 993)."));
        }
        self.capabilities = None;
        Ok(())
    }

    /// The next line, without its end.
    fn line(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(at) = self.input.iter().skip(self.searched).position(|&octet| octet == b'\n') {
                let mut line: Vec<u8> = self.input.drain(..=self.searched + at).collect();
                self.searched = 0;
                self.heard += line.len();
                if self.heard > ALL {
                    return Err(too_much(ALL, "in all"));
                }
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            self.searched = self.input.len();
            if self.searched > LINE {
                return Err(too_much(LINE, "in one line"));
            }
            self.transport.exchange(&mut self.output, &mut self.input, Until::InputArrives)?;
        }
    }

    /// Takes an untagged line in; only BYE is an error.
    fn untagged(&mut self, text: &str) -> Result<()> {
        if let Some(words) = after_word(text, "CAPABILITY") {
            self.capabilities = Some(words.to_owned());
        } else if let Some(status) = Status::parse(text) {
            if status.word == Word::Bye {
                return Err(turned_away(&status));
            }
            self.note(&status);
        }
        Ok(())
    }

    fn note(&mut self, status: &Status) {
        if let Some(words) = status.capabilities() {
            self.capabilities = Some(words.to_owned());
        }
        if status.code_name() == "ALERT" {
            let words = self.concealed.as_ref().map_or_else(|| status.words.clone(), |c| c.words(&status.words));
            log::warn!("The server alerts: `{}`", safe_line(&words));
        }
    }

    /// Reads on until there is a line that the crate has to see.
    fn pass_on(&mut self) -> Result<()> {
        loop {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line);
            if let Some(untagged) = text.strip_prefix("* ") {
                self.untagged(untagged)?;
                continue;
            }
            // Whatever the challenge says, PLAIN has one answer; the crate would insist on base64.
            if text.starts_with('+') && !std::mem::replace(&mut self.challenged, true) {
                self.passed_on.extend_from_slice(b"+ \r\n");
                return Ok(());
            }
            let tagged = text.split_once(' ').and_then(|(tag, words)| Some((tag, Status::parse(words)?)));
            let (tag, status) = tagged.ok_or_else(|| garbage(&text))?;
            let word = match status.word {
                Word::Ok => "OK",
                Word::No => "NO",
                Word::Bad => "BAD",
                Word::Bye | Word::Preauth => return Err(garbage(&text)),
            };
            self.passed_on.extend_from_slice(format!("{tag} {word} -\r\n").as_bytes());
            self.note(&status);
            self.tagged = Some(status);
            return Ok(());
        }
    }
}

fn turned_away(status: &Status) -> Error {
    match status.code_name().as_str() {
        "UNAVAILABLE" | "INUSE" | "LIMIT" => Error::new(Kind::TryLater, "The server asks to come back later"),
        _ => Error::new(Kind::Unreachable, "The server turned the connection away"),
    }
    .server_said(&status.words)
    .hint("Try again later; a server that counts connections may want a lower `connections`.")
    .worth_retrying()
}

/// The refusal of a server that cannot do what `tls = "starttls"` demands.
pub(super) fn no_starttls() -> Error {
    Error::new(Kind::Tls, "The server offers no STARTTLS, so the connection cannot be protected")
        .hint("Set `tls = \"implicit\"` (usually port 993). Somebody on the way may also be hiding the offer.")
}

fn garbage(text: &str) -> Error {
    Error::new(Kind::Protocol, "The server said something that no IMAP server says here").server_said(text)
}

fn too_much(limit: usize, of: &str) -> Error {
    Error::new(Kind::Protocol, format!("The server says more than {} kB {of} before the login", limit / 1024))
        .hint("Check `host` and `port`.")
}

/// The stream that the `imap` crate reads and writes; see the module.
pub(super) struct Gate<'a>(pub(super) &'a RefCell<Dialog>);

impl Read for Gate<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut dialog = self.0.borrow_mut();
        if dialog.passed_on.is_empty()
            && let Err(error) = dialog.pass_on()
        {
            dialog.failure = Some(error);
            return Err(io::Error::other("the dialog failed"));
        }
        let given = dialog.passed_on.as_slice().read(buf)?;
        dialog.passed_on.drain(..given);
        Ok(given)
    }
}

impl Write for Gate<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().output.push(buf);
        Ok(buf.len())
    }

    /// Does nothing: what was written goes out with the next `read`.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
