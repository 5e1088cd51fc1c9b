//! Mailbox names on both sides of the wire: the octets a server uses, and the canonical [`MailboxName`].
//!
//! A name that was listed is sent back octet by octet as it came, whatever its encoding, so a server with raw UTF-8 or
//! broken modified UTF-7 is understood. Only names that the server does not have yet are encoded here. Two listed names
//! that would become the same canonical name never do: the second is reported as unusable.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::mail::{MailboxName, utf7};

/// A mailbox's name as the server writes it: raw octets, without quotes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireName(Box<[u8]>);

impl WireName {
    /// Takes the octets of a name; `None` when it is empty or holds a NUL, CR or LF, which no command can carry.
    pub fn new(octets: &[u8]) -> Option<WireName> {
        let sendable = !octets.is_empty() && !octets.iter().any(|b| matches!(b, 0 | b'\r' | b'\n'));
        sendable.then(|| WireName(octets.into()))
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the server means the same mailbox by `octets`: INBOX has no case.
    pub fn is(&self, octets: &[u8]) -> bool {
        *self.0 == *octets || (self.0.eq_ignore_ascii_case(b"INBOX") && octets.eq_ignore_ascii_case(b"INBOX"))
    }
}

impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WireName({:?})", String::from_utf8_lossy(&self.0))
    }
}

/// How the account's names are written: the personal namespace's prefix, its delimiter, and every name that was listed.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// What stands before every name but INBOX (RFC 2342): `INBOX.` on Courier and Cyrus, nothing elsewhere.
    prefix: Box<[u8]>,
    /// The hierarchy delimiter; `None` on a server without hierarchy.
    delimiter: Option<u8>,
    /// What each canonical name is on the wire.
    known: BTreeMap<MailboxName, WireName>,
}

impl Names {
    /// Names with this prefix and delimiter, none listed yet.
    pub(super) fn new(prefix: &[u8], delimiter: Option<u8>) -> Names {
        Names { prefix: prefix.into(), delimiter, known: BTreeMap::new() }
    }

    /// The hierarchy delimiter; `None` on a server without hierarchy.
    pub fn delimiter(&self) -> Option<char> {
        self.delimiter.map(char::from)
    }

    /// The name on the wire: as listed, else encoded below the nearest listed parent.
    ///
    /// # Errors
    /// A name that the server's hierarchy cannot write: it holds the delimiter itself, or the server has no hierarchy.
    pub fn wire(&self, name: &MailboxName) -> Result<WireName> {
        if let Some(listed) = self.known.get(name) {
            return Ok(listed.clone());
        }
        if name.is_inbox() {
            return WireName::new(b"INBOX").ok_or_else(|| unwritable(name, "it is empty"));
        }
        let mut octets = match name.parent() {
            None => self.prefix.to_vec(),
            // INBOX itself stands outside the prefix; what is below it does not.
            Some(parent) if parent.is_inbox() && !self.prefix.is_empty() => [&*self.prefix, b"INBOX"].concat(),
            Some(parent) => self.wire(&parent)?.0.into_vec(),
        };
        if name.parent().is_some() {
            octets.push(self.delimiter.ok_or_else(|| unwritable(name, "this server has no mailboxes below others"))?);
        }
        let last = utf7::encode(&name.segments().last().unwrap_or_default());
        if let Some(delimiter) = self.delimiter.filter(|d| last.as_bytes().contains(d)) {
            let delimiter = char::from(delimiter);
            return Err(unwritable(name, &format!("`{delimiter}` separates levels on this server")));
        }
        octets.extend_from_slice(last.as_bytes());
        WireName::new(&octets).ok_or_else(|| unwritable(name, "it holds a control character"))
    }

    /// Takes a listed name in.
    ///
    /// # Errors
    /// A sentence for a person when it cannot be a canonical name, or is one that another listed name is already.
    pub(super) fn take(&mut self, raw: &[u8], delimiter: Option<u8>) -> Result<(MailboxName, WireName), String> {
        let shown = || String::from_utf8_lossy(raw).into_owned();
        let wire = WireName::new(raw).ok_or_else(|| format!("`{}` holds a NUL or a line end", shown()))?;
        let own = raw.strip_prefix(&*self.prefix).filter(|_| !wire.is(b"INBOX")).unwrap_or(raw);
        let segments: Vec<String> = match delimiter {
            Some(delimiter) => own.split(|b| *b == delimiter).map(decode).collect(),
            None => vec![decode(own)],
        };
        let name = MailboxName::from_segments(segments)
            .ok_or_else(|| format!("`{}` has an empty level or a control character", shown()))?;
        if let Some(other) = self.known.get(&name).filter(|other| **other != wire) {
            return Err(format!("`{}` reads the same as `{other}`", shown()));
        }
        self.known.insert(name.clone(), wire.clone());
        Ok((name, wire))
    }
}

/// One level of a name: modified UTF-7 when it is that, else UTF-8 as it stands, else with `U+FFFD` for what is neither.
fn decode(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    utf7::decode(&text).unwrap_or_else(|| text.into_owned())
}

fn unwritable(name: &MailboxName, why: &str) -> Error {
    Error::new(Kind::Refused, format!("The mailbox cannot have this name on the server: {why}"))
        .at(name)
        .hint("Rename the local mailbox, or give it another name on the server with `rename`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> MailboxName {
        MailboxName::parse(path).unwrap()
    }

    fn wire(octets: &str) -> WireName {
        WireName::new(octets.as_bytes()).unwrap()
    }

    #[test]
    fn a_prefix_is_taken_off_and_put_on_again() {
        let mut names = Names::new(b"INBOX.", Some(b'.'));
        for (raw, path) in [
            ("INBOX", "INBOX"),
            ("INBOX.Sent", "Sent"),
            ("INBOX.a.b/c", "a/b%2Fc"),
            ("INBOX.INBOX.x", "INBOX/x"),
            ("INBOX.Entw&APw-rfe", "Entwürfe"),
        ] {
            assert_eq!(names.take(raw.as_bytes(), Some(b'.')).unwrap(), (name(path), wire(raw)), "{raw}");
            assert_eq!(names.wire(&name(path)).unwrap(), wire(raw));
            // A server that is asked for a name it does not have yet is asked in the same way.
            assert_eq!(Names::new(b"INBOX.", Some(b'.')).wire(&name(path)).unwrap(), wire(raw));
        }
    }

    #[test]
    fn what_was_listed_goes_back_as_it_came_and_carries_what_is_below() {
        let mut names = Names::new(b"", Some(b'/'));
        for (raw, path) in [
            (&b"R\xc3\xa9ponses"[..], "Réponses"),
            (b"R&D", "R&D"),
            (b"caf\xe9", "caf\u{fffd}"),
            (b"f00/cur", "f00/cur"),
            (b"inbox", "INBOX"),
        ] {
            assert_eq!(names.take(raw, Some(b'/')).unwrap(), (name(path), WireName::new(raw).unwrap()));
        }
        assert_eq!(names.wire(&name("Réponses/Été")).unwrap().as_bytes(), b"R\xc3\xa9ponses/&AMk-t&AOk-");
    }

    #[test]
    fn names_that_cannot_be_are_said() {
        let mut names = Names::new(b"", Some(b'/'));
        assert!(names.take(b"a//b", Some(b'/')).unwrap_err().contains("empty level"));
        assert!(names.take(b"a\0b", Some(b'/')).unwrap_err().contains("NUL"));
        names.take(b"R&-D", Some(b'/')).unwrap();
        assert!(names.take(b"R&D", Some(b'/')).unwrap_err().contains("reads the same as `R&-D`"));
    }

    #[test]
    fn names_the_hierarchy_cannot_write_are_refused_with_words() {
        let dots = Names::new(b"", Some(b'.'));
        assert!(dots.wire(&name("v1.0")).unwrap_err().to_string().contains("`.` separates levels"));
        assert_eq!(dots.wire(&name("a/b")).unwrap(), wire("a.b"));
        let flat = Names::new(b"", None);
        assert!(flat.wire(&name("a/b")).unwrap_err().to_string().contains("no mailboxes below"));
        assert_eq!(flat.wire(&name("a%2Fb")).unwrap(), wire("a/b"));
    }
}
