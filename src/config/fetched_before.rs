//! Which messages of a maildrop another program has fetched: getmail's `oldmail` files, mpop's UIDL files.
//!
//! Neither keeps sizes, digests or file names, so such a file says only that a message with that UIDL was delivered once;
//! where to, and whether it is still there, nobody knows.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

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
    /// Kind `Config` when it cannot be read: without it everything would be fetched once more.
    pub fn read(&self, host: &str, user: &str) -> Result<Fetched> {
        let octets = std::fs::read(&self.path).map_err(|error| {
            Error::new(Kind::Config, format!("What {} has fetched before cannot be read", self.by))
                .at(self.path.display())
                .because(error)
                .hint("Without the line `fetched-before` all that is on the server is fetched once more.")
        })?;
        Ok(match self.by {
            Fetcher::Getmail => getmail(&octets),
            Fetcher::Mpop => mpop(&octets, host, user),
        })
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
    /// When each was first seen, where the program keeps that.
    of_uidl: BTreeMap<Vec<u8>, Option<UnixSeconds>>,
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

/// Reads getmail's file: lines of a UIDL, a NUL, and the time of first sight. Malformed lines are passed over, as there.
fn getmail(octets: &[u8]) -> Fetched {
    let line = |line: &[u8]| {
        let line = line.trim_ascii();
        let nul = line.iter().position(|b| *b == 0)?;
        let (uidl, time) = (line.get(..nul)?, std::str::from_utf8(line.get(nul + 1..)?).ok()?);
        let first_seen = UnixSeconds(time.trim().parse().ok()?);
        Some((Uidl::new(uidl)?.as_bytes().to_vec(), Some(first_seen)))
    };
    Fetched { spelling: Spelling::Dashed, of_uidl: octets.split(|b| *b == b'\n').filter_map(line).collect() }
}

/// Reads mpop's file for one host and user: after ` NUMBER HOST USER`, one UIDL a line.
fn mpop(octets: &[u8], host: &str, user: &str) -> Fetched {
    let mut fetched = Fetched::default();
    let (mut left, mut ours) = (0u64, false);
    for line in octets.split(|b| *b == b'\n') {
        if left > 0 {
            left -= 1;
            if let Some(uidl) = Uidl::new(line).filter(|_| ours) {
                fetched.of_uidl.insert(uidl.as_bytes().to_vec(), None);
            }
        } else if let Some(heading) = line.strip_prefix(b" ") {
            let heading = String::from_utf8_lossy(heading);
            let mut words = heading.splitn(3, ' ');
            left = words.next().and_then(|n| n.parse().ok()).unwrap_or_default();
            ours = words.next() == Some(host) && words.next() == Some(user);
        }
    }
    fetched
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uidl(text: &str) -> Uidl {
        Uidl::new(text.as_bytes()).unwrap()
    }

    fn listed(fetched: &Fetched) -> Vec<(String, Option<i64>)> {
        let text = |octets: &Vec<u8>| String::from_utf8_lossy(octets).into_owned();
        fetched.of_uidl.iter().map(|(uidl, seen)| (text(uidl), seen.map(|seen| seen.0))).collect()
    }

    #[test]
    fn getmails_file_is_read_and_its_odd_lines_are_not() {
        let file = b"abc-1\x001700000000\nodd\n\x00\n\xffx\x0017\ny\x00soon\n\n";
        let fetched = getmail(file);
        assert_eq!(listed(&fetched), [("abc-1".into(), Some(1_700_000_000)), ("\u{fffd}x".into(), Some(17))]);
        for (uidl, is) in [(uidl("abc/1"), true), (uidl("abc-1"), true), (uidl("abc_1"), false)] {
            assert_eq!(fetched.get(&uidl), is.then_some(Some(UnixSeconds(1_700_000_000))));
        }
    }

    #[test]
    fn getmails_file_is_named_as_there() {
        assert_eq!(getmail_file("127.0.0.1", 110, "me@example.org"), "oldmail-127.0.0.1-110-me@example.org");
        assert_eq!(getmail_file("::1", 995, r"dom\me//x|"), r"oldmail--1-995-dom\me-x-");
    }

    #[test]
    fn mpops_file_is_read_for_one_account() {
        // As mpop 1.4.18 writes it.
        let file = b"# This file was generated by mpop version 1.4.18.\n#\n# The list of UIDs follows.\n#\n\
            \x202 127.0.0.1 other\nAAAA0001\nweird/ID 2~\n 2 127.0.0.1 me@example.org\n 9 127.0.0.1 me\nBBBB\n";
        let of = |host, user| listed(&mpop(file, host, user)).into_iter().map(|(uidl, _)| uidl).collect::<Vec<_>>();
        assert_eq!(of("127.0.0.1", "other"), ["AAAA0001", "weird/ID 2~"]);
        assert_eq!(of("127.0.0.1", "me@example.org"), [" 9 127.0.0.1 me", "BBBB"]);
        assert_eq!(of("localhost", "other"), Vec::<String>::new());
        let other = mpop(file, "127.0.0.1", "other");
        assert_eq!((other.get(&uidl("AAAA-0001")), other.get(&uidl("AAAA0001"))), (None, Some(None)));
        assert!(mpop(b" 99999999999999999999 h u\nx", "h", "u").is_empty());
    }
}
