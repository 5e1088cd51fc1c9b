//! Which messages of a maildrop another program has fetched: getmail's `oldmail` files, mpop's UIDL files.
//!
//! Neither keeps sizes, digests or file names, so such a file says only that a message with that UIDL was delivered once;
//! where to, and whether it is still there, nobody knows.

mod lists;

use std::fmt;
use std::path::PathBuf;

use self::lists::{Flaw, What};
use super::file::Value;
use crate::error::{Error, Kind, Result};
use crate::mail::{Uidl, UnixSeconds};

/// A program that fetches mail by POP3 and writes down what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetcher {
    /// getmail 4 to 6.
    Getmail,
    /// mpop.
    Mpop,
}

impl Fetcher {
    /// Its name as a command, and as a key.
    pub fn word(self) -> &'static str {
        match self {
            Fetcher::Getmail => "getmail",
            Fetcher::Mpop => "mpop",
        }
    }
}

impl fmt::Display for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Where it is written down (`fetched-before`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedBefore {
    /// Who wrote it.
    pub by: Fetcher,
    /// The file.
    pub path: PathBuf,
}

impl FetchedBefore {
    /// Reads the file; `host` and `user` are those of the account.
    ///
    /// # Errors
    /// Kind `Config` when it cannot be read, is no such list, or lacks its end: without it everything would be fetched once
    /// more.
    pub fn read(&self, host: &str, user: &str) -> Result<Fetched> {
        const WITHOUT: &str = "Without the line `fetched-before` all that is on the server is fetched once more.";
        let octets = std::fs::read(&self.path).map_err(|error| {
            Error::new(Kind::Config, format!("What {} has fetched before cannot be read", self.by))
                .at(self.path.display())
                .because(error)
                .hint(WITHOUT)
        })?;
        let (spelling, listed) = match self.by {
            Fetcher::Getmail => (Spelling::Dashed, lists::getmail(&octets)),
            Fetcher::Mpop => (Spelling::Exact, lists::mpop(&octets, host, user)),
        };
        let of_uidl = listed.map_err(|flaw| {
            self.failed(&flaw).hint(format!("Name the file as {} wrote it, whole. {WITHOUT}", self.by))
        })?;
        Ok(Fetched { spelling, of_uidl })
    }

    fn failed(&self, flaw: &Flaw) -> Error {
        let by = self.by;
        let what = match flaw.what {
            What::Foreign => format!("This is no list of {by}'s of what it has fetched"),
            What::Cut => format!("The list of what {by} has fetched ends in the midst of a line"),
            What::Short { there, promised } => {
                format!("The list of what {by} has fetched ends after {there} of {promised} messages")
            }
        };
        Error::new(Kind::Config, what).at(format!("{}:{}", self.path.display(), flaw.line))
    }

    /// What is to be said of a list that has nothing of this host and user: it may be right, or another's.
    pub fn nothing(&self, host: &str, user: &str) -> String {
        let (path, by) = (self.path.display(), self.by);
        format!(
            "{path} has nothing that {by} fetched for {user} at {host}: none of the messages counts as fetched before"
        )
    }
}

/// Reads the value of the key: `{ getmail = "PATH" }` or `{ mpop = "PATH" }`.
pub(super) fn value(value: &Value<'_>) -> Result<FetchedBefore> {
    let table = value.table()?;
    table.only(&["getmail", "mpop"], &[])?;
    let mut files = Vec::new();
    for by in [Fetcher::Getmail, Fetcher::Mpop] {
        if let Some(path) = table.get(by.word()) {
            files.push(FetchedBefore { by, path: path.path()? });
        }
    }
    match (files.pop(), files.pop()) {
        (Some(file), None) => Ok(file),
        (_, _) => Err(value.fail("must name one file: `{ getmail = \"…\" }` or `{ mpop = \"…\" }`")),
    }
}

/// UIDLs of messages that were fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fetched {
    spelling: Spelling,
    of_uidl: lists::Listed,
}

/// How a UIDL is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Spelling {
    /// As the server sent it.
    #[default]
    Exact,
    /// With `-` for each `/`.
    Dashed,
}

impl Fetched {
    /// How many.
    pub fn len(&self) -> usize {
        self.of_uidl.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.of_uidl.is_empty()
    }

    /// When the message with this UIDL was first seen, if that is known; `None` outside: it was not fetched.
    pub fn get(&self, listed: &Uidl) -> Option<Option<UnixSeconds>> {
        match self.spelling {
            Spelling::Exact => self.of_uidl.get(listed.as_bytes()),
            Spelling::Dashed => {
                let dashed = |octet: &u8| if *octet == b'/' { b'-' } else { *octet };
                self.of_uidl.get(&listed.as_bytes().iter().map(dashed).collect::<Vec<u8>>())
            }
        }
        .copied()
    }
}

/// The name of getmail's file for a server, a port and a user.
pub fn getmail_file(host: &str, port: u16, user: &str) -> String {
    let name = format!("oldmail-{host}-{port}-{user}");
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '/' | ':' | ';' | '<' | '>' | '|' if out.ends_with('\u{0}') => {}
            '/' | ':' | ';' | '<' | '>' | '|' => out.push('\u{0}'),
            c => out.push(c),
        }
    }
    out.replace('\u{0}', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn getmail_writes_a_dash_for_a_slash_and_mpop_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let read = |by, text: &str| {
            let path = dir.path().join("list");
            std::fs::write(&path, text).unwrap();
            FetchedBefore { by, path }.read("h", "u").unwrap()
        };
        let seen = |fetched: &Fetched, uidl: &str| fetched.get(&Uidl::new(uidl.as_bytes()).unwrap());
        let getmail = read(Fetcher::Getmail, "abc-1\x001700000000\n");
        for (uidl, is) in [("abc/1", true), ("abc-1", true), ("abc_1", false)] {
            assert_eq!(seen(&getmail, uidl), is.then_some(Some(UnixSeconds(1_700_000_000))));
        }
        let mpop = read(Fetcher::Mpop, " 1 h u\nabc-1\n");
        assert_eq!((seen(&mpop, "abc/1"), seen(&mpop, "abc-1")), (None, Some(None)));
    }

    #[test]
    fn getmails_file_is_named_as_there() {
        assert_eq!(getmail_file("127.0.0.1", 110, "me@example.org"), "oldmail-127.0.0.1-110-me@example.org");
        assert_eq!(getmail_file("::1", 995, r"dom\me//x|"), r"oldmail--1-995-dom\me-x-");
    }
}
