//! Names of mailboxes ⇄ directories, through one reversible encoder.
//!
//! Invariant: whatever a server calls its mailboxes, their directories stand below the root, are no two the same, and
//! never `cur`, `new`, `tmp` or a file of ours. What would break that is written as `%` and two upper-case hex digits
//! an octet; all other text stays as it is, in UTF-8. A directory that the encoder would not have written has no name.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Kind, Result, safe_line};
use crate::mail::MailboxName;

/// How mailbox names become directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// `A/B` is `root/A/B`; INBOX is `root/INBOX`.
    #[default]
    Nested,
    /// `A/B` is `root/.A.B`; INBOX is the root itself.
    MaildirPlusPlus,
}

/// What a file system keeps in its own root, for root's eyes only; never a mailbox.
pub(super) const LOST_AND_FOUND: &str = "lost+found";
/// Names in a directory that mean something else than a mailbox below it.
const RESERVED_NESTED: [&str; 7] =
    ["cur", "new", "tmp", "dovecot-keywords", "dovecot-uidlist", "maildirfolder", LOST_AND_FOUND];
/// Behind a dot in the root it is the marker file.
const RESERVED_FLAT: [&str; 1] = ["mailtide"];
/// What file systems allow for one name, in bytes.
const NAME_MAX: usize = 255;

impl Layout {
    /// Its name in the configuration and in a tree's marker.
    pub fn word(self) -> &'static str {
        match self {
            Layout::Nested => "nested",
            Layout::MaildirPlusPlus => "maildir++",
        }
    }

    /// The directory of `name`, relative to the root; empty for INBOX in Maildir++.
    ///
    /// Fails with [`Kind::LocalTree`] when a part is longer than a file system allows.
    pub(super) fn directory(self, name: &MailboxName) -> Result<PathBuf> {
        let encoded = name.segments().map(|s| self.encode(&s));
        let path: PathBuf = match self {
            Layout::Nested => encoded.collect(),
            Layout::MaildirPlusPlus if name.is_inbox() => PathBuf::new(),
            Layout::MaildirPlusPlus => encoded.map(|s| format!(".{s}")).collect::<String>().into(),
        };
        if path.iter().any(|part| part.len() > NAME_MAX) {
            return Err(Error::new(Kind::LocalTree, "The mailbox's name is too long for a directory")
                .hint("Rename the mailbox on the server, or leave it out with `mailboxes = [\"*\", \"!NAME\"]`.")
                .at(safe_line(name.path())));
        }
        Ok(path)
    }

    /// The mailbox whose directory is `relative`; `None` for a path that [`Layout::directory`] does not give.
    pub(super) fn mailbox(self, relative: &Path) -> Option<MailboxName> {
        let parts = relative.components().map(|c| match c {
            Component::Normal(part) => part.to_str(),
            _ => None,
        });
        let parts: Vec<&str> = parts.collect::<Option<_>>()?;
        let segments: Vec<&str> = match (self, parts.as_slice()) {
            (Layout::Nested, parts) => parts.to_vec(),
            (Layout::MaildirPlusPlus, []) => vec!["INBOX"],
            (Layout::MaildirPlusPlus, [part]) => part.strip_prefix('.')?.split('.').collect(),
            (Layout::MaildirPlusPlus, _) => return None,
        };
        let segments: Vec<String> = segments.into_iter().map(decode).collect::<Option<_>>()?;
        let name = MailboxName::from_segments(segments)?;
        (self.directory(&name).ok()? == relative).then_some(name)
    }

    /// A name to report `relative` under when [`Layout::mailbox`] knows none.
    pub(super) fn stand_in(self, relative: &Path) -> MailboxName {
        let clean = |part: &std::ffi::OsStr| {
            let text: String =
                part.to_string_lossy().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            text
        };
        MailboxName::from_segments(relative.iter().map(clean)).unwrap_or_else(MailboxName::inbox)
    }

    fn encode(self, segment: &str) -> String {
        let reserved = match self {
            Layout::Nested => RESERVED_NESTED.contains(&segment),
            Layout::MaildirPlusPlus => RESERVED_FLAT.contains(&segment),
        };
        let mut out = String::with_capacity(segment.len());
        for (at, c) in segment.char_indices() {
            let plain = match c {
                '/' => false,
                '.' => self == Layout::Nested && at > 0,
                '%' => escaped_octet(segment.as_bytes().get(at..).unwrap_or_default()).is_none(),
                c => !(c.is_control() || at == 0 && reserved),
            };
            if plain {
                out.push(c);
            } else {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| out.push_str(&format!("%{b:02X}")));
            }
        }
        out
    }
}

fn decode(part: &str) -> Option<String> {
    let mut out = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match escaped_octet(rest) {
            Some(octet) => {
                out.push(octet);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// The octet that `text` begins with in escaped form.
fn escaped_octet(text: &[u8]) -> Option<u8> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    };
    match text {
        [b'%', high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LAYOUTS: [Layout; 2] = [Layout::Nested, Layout::MaildirPlusPlus];

    fn name(segments: &[&str]) -> MailboxName {
        MailboxName::from_segments(segments).unwrap()
    }

    #[test]
    fn writes_what_people_read_and_escapes_what_would_break_the_tree() {
        for (segments, nested, flat) in [
            (vec!["INBOX"], "INBOX", ""),
            (vec!["inbox", "x"], "INBOX/x", ".INBOX.x"),
            (vec!["Entwürfe", "台北 2024"], "Entwürfe/台北 2024", ".Entwürfe.台北 2024"),
            (vec!["..", ".", "..."], "%2E./%2E/%2E..", ".%2E%2E.%2E.%2E%2E%2E"),
            (vec!["cur", "new", "tmp", "current"], "%63ur/%6Eew/%74mp/current", ".cur.new.tmp.current"),
            (vec!["a", "dovecot-keywords"], "a/%64ovecot-keywords", ".a.dovecot-keywords"),
            (vec!["mailtide"], "mailtide", ".%6Dailtide"),
            (vec!["lost+found"], "%6Cost+found", ".lost+found"),
            (vec!["a/b", "../../etc"], "a%2Fb/%2E.%2F..%2Fetc", ".a%2Fb.%2E%2E%2F%2E%2E%2Fetc"),
            (vec!["100%", "50%25", "%2f", "%zz"], "100%/50%2525/%2f/%zz", ".100%.50%2525.%2f.%zz"),
            (vec!["a\u{1b}[1m\u{85}"], "a%1B[1m%C2%85", ".a%1B[1m%C2%85"),
            (vec!["v1.2.3"], "v1.2.3", ".v1%2E2%2E3"),
        ] {
            let name = name(&segments);
            for (layout, want) in [(Layout::Nested, nested), (Layout::MaildirPlusPlus, flat)] {
                assert_eq!(layout.directory(&name).unwrap(), Path::new(want));
                assert_eq!(layout.mailbox(Path::new(want)).as_ref(), Some(&name));
            }
        }
    }

    #[test]
    fn directories_we_would_not_have_made_have_no_name() {
        use std::os::unix::ffi::OsStrExt;
        for bad in ["inbox", "Inbox/x", "%41", "a/.hidden", "..", "/a", "a/cur", "%FF", "%0D", ""] {
            assert_eq!(Layout::Nested.mailbox(Path::new(bad)), None, "{bad}");
        }
        for bad in ["a", ".INBOX", ".a..b", ".", ".a/b", ".mailtide", ".a."] {
            assert_eq!(Layout::MaildirPlusPlus.mailbox(Path::new(bad)), None, "{bad}");
        }
        let latin1 = Path::new(std::ffi::OsStr::from_bytes(b"Entw\xfcrfe"));
        assert_eq!(Layout::Nested.mailbox(latin1), None);
        assert_eq!(Layout::Nested.stand_in(latin1).path(), "Entw\u{fffd}rfe");
    }

    #[test]
    fn a_name_too_long_is_refused_with_a_way_out() {
        let long = name(&["a", &"x".repeat(250)]);
        assert!(Layout::Nested.directory(&long).is_ok() && Layout::MaildirPlusPlus.directory(&long).is_ok());
        let longer = name(&["abcd", &"x".repeat(250)]);
        assert!(Layout::Nested.directory(&longer).is_ok());
        let e = Layout::MaildirPlusPlus.directory(&longer).unwrap_err();
        assert!(e.hint_text().unwrap().contains("mailboxes ="));
        assert!(Layout::Nested.directory(&name(&[&"\u{1}".repeat(86)])).is_err());
    }

    fn segment() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a%/25FE.é~\u{1}\u{7f} :-]{1,10}",
            "\\PC{1,20}",
            prop::sample::select(vec!["cur", "new", "tmp", ".", "..", "INBOX", "mailtide", "maildirfolder", "%2E"])
                .prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn stays_in_the_tree_and_comes_back(segments in prop::collection::vec(segment(), 1..5)) {
            let Some(name) = MailboxName::from_segments(&segments) else { return Ok(()) };
            for layout in LAYOUTS {
                let Ok(path) = layout.directory(&name) else { continue };
                prop_assert!(path.components().all(|c| matches!(c, Component::Normal(_))));
                let nested = layout == Layout::Nested;
                let depth = if nested { segments.len() } else { usize::from(!name.is_inbox()) };
                prop_assert_eq!(path.iter().count(), depth);
                for part in path.iter() {
                    let part = part.to_str().unwrap();
                    prop_assert!(!part.chars().any(char::is_control) && part.len() <= NAME_MAX);
                    if layout == Layout::Nested {
                        prop_assert!(!part.starts_with('.') && !RESERVED_NESTED.contains(&part));
                    } else {
                        prop_assert!(part.starts_with('.') && part != ".mailtide");
                    }
                }
                prop_assert_eq!(layout.mailbox(&path), Some(name.clone()));
            }
        }

        #[test]
        fn what_has_a_name_is_written_the_same_again(dir in "[.]?[a%2EF.cur/]{1,12}") {
            for layout in LAYOUTS {
                if let Some(name) = layout.mailbox(Path::new(&dir)) {
                    let again = layout.directory(&name).unwrap();
                    prop_assert_eq!(again.as_path(), Path::new(&dir));
                }
            }
        }
    }
}
