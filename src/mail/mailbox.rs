//! A mailbox's name, the same on both sides: Unicode segments, `/` between them.
//!
//! The server's delimiter and namespace prefix, and the local layout's way of writing directories, are applied at the
//! edges. Where a segment itself holds a `/` (a server with another delimiter allows it), it stands as `%2F`; a `%`
//! is written `%25` only where it would otherwise be misread. So a name can be typed, printed and kept as one string.

use std::fmt;

use serde::{Serialize, Serializer};

/// The canonical name of a mailbox; `INBOX` is always in capitals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

const ASIDE: &str = "mailtide-renaming-";

impl MailboxName {
    /// The mailbox every account has (RFC 3501 §5.1).
    pub fn inbox() -> MailboxName {
        MailboxName("INBOX".into())
    }

    /// A free name, at which a mailbox stands on the server while others get its name and it gets theirs.
    pub fn aside(is_taken: impl Fn(&MailboxName) -> bool) -> MailboxName {
        let mut number = 1;
        loop {
            let name = MailboxName(format!("{ASIDE}{number}").into());
            if !is_taken(&name) {
                return name;
            }
            number += 1;
        }
    }

    /// Whether it stands at such a name ([`MailboxName::aside`]), or below one that does.
    pub fn is_aside(&self) -> bool {
        let number = self.0.strip_prefix(ASIDE).and_then(|rest| rest.split('/').next());
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    }

    /// Joins unescaped segments. `None` when there is none, one is empty, or one holds a NUL, CR or LF.
    pub fn from_segments<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> Option<MailboxName> {
        let mut path = String::new();
        for segment in segments {
            let segment = segment.as_ref();
            if segment.is_empty() || segment.contains(['\0', '\r', '\n']) {
                return None;
            }
            if path.is_empty() {
                if segment.eq_ignore_ascii_case("INBOX") {
                    path.push_str("INBOX");
                    continue;
                }
            } else {
                path.push('/');
            }
            path.push_str(&escape(segment));
        }
        (!path.is_empty()).then(|| MailboxName(path.into()))
    }

    /// Reads what [`MailboxName::path`] gives, or what a person types.
    pub fn parse(path: &str) -> Option<MailboxName> {
        MailboxName::from_segments(path.split('/').map(unescape))
    }

    /// The escaped path: what is kept, matched against patterns and typed.
    pub fn path(&self) -> &str {
        &self.0
    }

    /// The unescaped segments, outermost first.
    pub fn segments(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('/').map(unescape)
    }

    /// Whether this is INBOX, which can be neither created nor removed.
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// The mailbox it stands below; `None` at the top.
    pub fn parent(&self) -> Option<MailboxName> {
        self.0.rsplit_once('/').map(|(parent, _)| MailboxName(parent.into()))
    }

    /// Whether `self` stands somewhere below `other`.
    pub fn is_below(&self, other: &MailboxName) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn escape(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for (at, c) in segment.char_indices() {
        match c {
            '/' => out.push_str("%2F"),
            '%' if is_escape(segment.get(at..)) => out.push_str("%25"),
            c => out.push(c),
        }
    }
    out
}

fn unescape(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if is_escape(Some(from)) {
            out.push(if from.get(1..3) == Some("25") { '%' } else { '/' });
            rest = from.get(3..).unwrap_or_default();
        } else {
            out.push('%');
            rest = from.get(1..).unwrap_or_default();
        }
    }
    out + rest
}

fn is_escape(text: Option<&str>) -> bool {
    text.and_then(|t| t.get(..3)).is_some_and(|t| t == "%25" || t.eq_ignore_ascii_case("%2f"))
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for MailboxName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn inbox_has_one_spelling_at_the_top_only() {
        assert!(MailboxName::parse("inBox").unwrap().is_inbox());
        assert_eq!(MailboxName::parse("a/inbox").unwrap().path(), "a/inbox");
        assert_eq!(MailboxName::parse("inbox/x").unwrap().path(), "INBOX/x");
    }

    #[test]
    fn a_mailbox_stands_aside_at_a_free_name_that_is_known_again() {
        let first = MailboxName::aside(|_| false);
        let second = MailboxName::aside(|name| *name == first);
        assert_eq!([first.path(), second.path()], ["mailtide-renaming-1", "mailtide-renaming-2"]);
        let below = MailboxName::parse("mailtide-renaming-2/x/y").unwrap();
        assert!([first, second, below].iter().all(MailboxName::is_aside));
        let others = ["mailtide-renaming-", "mailtide-renaming-1x", "x/mailtide-renaming-1", "INBOX"];
        assert!(!others.iter().any(|path| MailboxName::parse(path).unwrap().is_aside()));
    }

    #[test]
    fn percent_signs_stay_readable() {
        let name = MailboxName::from_segments(["100% a/b", "50%25"]).unwrap();
        assert_eq!(name.path(), "100% a%2Fb/50%2525");
    }

    #[test]
    fn empty_segments_and_line_ends_are_no_names() {
        for bad in ["", "/a", "a//b", "a/", "a\nb", "a\0"] {
            assert_eq!(MailboxName::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn segments_come_back(segments in prop::collection::vec("[a%/25F.é ~]{1,8}", 1..4)) {
            let name = MailboxName::from_segments(&segments).unwrap();
            prop_assert_eq!(name.segments().collect::<Vec<_>>(), segments);
            prop_assert_eq!(MailboxName::parse(name.path()), Some(name));
        }
    }
}
