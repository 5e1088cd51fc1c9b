//! Which mailboxes there are: NAMESPACE and LIST, and in the same flight how they stand where the server can.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::capability::Capability;
use super::command::Command;
use super::gate::Word;
use super::name::{Names, WireName};
use super::reply::{Status, Untagged};
use super::session::Session;
use super::status::{MailboxStatus, Numbers, folded, items, name};
use super::token::{Tokens, Value};
use super::wire::Job;
use crate::error::{Error, Kind, Result};
use crate::mail::MailboxName;

/// Mailboxes that one listing may have: memory is not the server's to fill.
const MAILBOXES_MOST: usize = 100_000;

/// What the server lists of the user's own mailboxes; other users' and shared ones are left out.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// How names are written.
    pub names: Names,
    /// Every mailbox, containers included.
    pub mailboxes: BTreeMap<MailboxName, Listed>,
    /// Listed names that cannot be used, each as a sentence for a person; foreign text in it is not yet safe.
    pub unusable: Vec<String>,
    /// Whether a line of the listing was not understood: it may have told of any mailbox.
    pub garbled: bool,
    /// Mailboxes that the namespaces say belong to others, under the names they would have here.
    pub foreign: BTreeSet<MailboxName>,
}

/// One listed mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name as the server writes it.
    pub wire: WireName,
    /// Whether it can hold messages (no `\Noselect`, no `\NonExistent`).
    pub selectable: bool,
    /// What it is for (RFC 6154), where the server says so.
    pub special_use: Option<SpecialUse>,
    /// How it stands; `None` when it is a container or its STATUS was refused.
    pub status: Option<MailboxStatus>,
    /// MAILBOXID (RFC 8474 §4), where the server has one.
    pub object_id: Option<String>,
}

/// What a mailbox is for (RFC 6154 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    /// All messages of the account.
    All,
    /// An archive.
    Archive,
    /// Drafts.
    Drafts,
    /// Everything `\Flagged`.
    Flagged,
    /// Important messages (RFC 8457).
    Important,
    /// Junk.
    Junk,
    /// Sent messages.
    Sent,
    /// Deleted messages.
    Trash,
}

impl SpecialUse {
    /// The attribute's name without `\`, lower case.
    pub fn word(self) -> &'static str {
        match self {
            SpecialUse::All => "all",
            SpecialUse::Archive => "archive",
            SpecialUse::Drafts => "drafts",
            SpecialUse::Flagged => "flagged",
            SpecialUse::Important => "important",
            SpecialUse::Junk => "junk",
            SpecialUse::Sent => "sent",
            SpecialUse::Trash => "trash",
        }
    }

    fn of(attribute: &[u8]) -> Option<SpecialUse> {
        Some(match attribute.to_ascii_lowercase().as_slice() {
            b"\\all" => SpecialUse::All,
            b"\\archive" => SpecialUse::Archive,
            b"\\drafts" => SpecialUse::Drafts,
            b"\\flagged" => SpecialUse::Flagged,
            b"\\important" => SpecialUse::Important,
            b"\\junk" => SpecialUse::Junk,
            b"\\sent" => SpecialUse::Sent,
            b"\\trash" => SpecialUse::Trash,
            _ => return None,
        })
    }
}

/// One LIST reply.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    raw: Vec<u8>,
    delimiter: Option<u8>,
    selectable: bool,
    special_use: Option<SpecialUse>,
}

impl Entry {
    /// Reads `(attributes) delimiter name`; extended data behind it says nothing that is used.
    fn read(mut tokens: Tokens<'_>) -> Option<Entry> {
        let attributes = tokens.value()?;
        let delimiter = tokens.value()?.octets().and_then(|d| d.first().copied());
        let raw = name(&mut tokens)?.into_owned();
        let attributes = || attributes.items().iter().filter_map(Value::octets);
        let hidden = |a: &[u8]| a.eq_ignore_ascii_case(b"\\Noselect") || a.eq_ignore_ascii_case(b"\\NonExistent");
        let (selectable, special_use) = (!attributes().any(hidden), attributes().find_map(SpecialUse::of));
        Some(Entry { raw, delimiter, selectable, special_use })
    }
}

/// Prefixes and delimiters (RFC 2342).
#[derive(Debug, Default, PartialEq, Eq)]
struct Namespaces {
    personal: Option<(Vec<u8>, Option<u8>)>,
    /// Prefixes of mailboxes of others.
    foreign: Vec<Vec<u8>>,
}

impl Namespaces {
    fn read(mut tokens: Tokens<'_>) -> Namespaces {
        let mut kind = || -> Vec<(Vec<u8>, Option<u8>)> {
            let spaces = tokens.value();
            let spaces = spaces.as_ref().map(Value::items).unwrap_or_default();
            let space = |space: &Value<'_>| match space.items() {
                [prefix, rest @ ..] => {
                    let delimiter = rest.first().and_then(Value::octets).and_then(|d| d.first().copied());
                    Some((prefix.octets()?.to_vec(), delimiter))
                }
                [] => None,
            };
            spaces.iter().filter_map(space).collect()
        };
        let personal = kind().into_iter().next();
        let foreign = kind().into_iter().chain(kind()).map(|(prefix, _)| prefix).filter(|p| !p.is_empty()).collect();
        Namespaces { personal, foreign }
    }

    /// Whether a listed name belongs to somebody else, or is the bare root that only carries a prefix.
    fn hides(&self, entry: &Entry) -> bool {
        let root = |prefix: &[u8]| {
            let bare = prefix.split_last().map_or(prefix, |(_, bare)| bare);
            entry.raw == bare && !entry.selectable && !bare.eq_ignore_ascii_case(b"INBOX")
        };
        let personal = self.personal.as_ref().is_some_and(|(prefix, _)| !prefix.is_empty() && root(prefix));
        personal || self.foreign.iter().any(|prefix| entry.raw.starts_with(prefix) || root(prefix))
    }
}

#[derive(Default)]
struct Lister {
    commands: VecDeque<Command>,
    list: usize,
    namespaces: Namespaces,
    entries: Vec<Entry>,
    garbled: bool,
    numbers: BTreeMap<Vec<u8>, Numbers>,
    refused: Option<Status>,
}

impl Job for Lister {
    fn next(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn untagged(&mut self, _current: usize, data: Untagged<'_>) -> Result<()> {
        match data {
            Untagged::Namespace(tokens) => self.namespaces = Namespaces::read(tokens),
            Untagged::List(tokens) => match Entry::read(tokens) {
                Some(_) if self.entries.len() >= MAILBOXES_MOST => return Err(too_many()),
                Some(entry) => self.entries.push(entry),
                None => self.garbled = true,
            },
            Untagged::MailboxStatus(tokens) => {
                if let Some((name, numbers)) = Numbers::read(tokens) {
                    if self.numbers.len() >= MAILBOXES_MOST {
                        return Err(too_many());
                    }
                    self.numbers.insert(folded(&name), numbers);
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
        if which == self.list && !status.is_ok() {
            self.refused = Some(status);
        }
        Ok(())
    }
}

impl Session {
    /// Lists the user's mailboxes and how they stand: one flight with LIST-STATUS, else one more for STATUS.
    ///
    /// # Errors
    /// The server refused to list, or the connection is over.
    pub fn list(&mut self) -> Result<Listing> {
        let mut lister = self.list_once(self.list_command())?;
        if lister.refused.as_ref().is_some_and(|r| r.word == Word::Bad) {
            lister = self.list_once(Command::new("LIST \"\" \"*\""))?;
        }
        if let Some(refused) = lister.refused {
            return Err(refused.refusal("The server does not list the mailboxes"));
        }
        let mut listing = named(lister.entries, &lister.namespaces);
        listing.garbled = lister.garbled;
        let fill = |listed: &mut Listed, numbers: &Numbers| {
            listed.status = numbers.status();
            listed.object_id.clone_from(&numbers.object_id);
        };
        for listed in listing.mailboxes.values_mut().filter(|l| l.selectable) {
            if let Some(numbers) = lister.numbers.get(&folded(listed.wire.as_bytes())) {
                fill(listed, numbers);
            }
        }
        let mut left: Vec<&mut Listed> =
            listing.mailboxes.values_mut().filter(|l| l.selectable && l.status.is_none()).collect();
        let names: Vec<WireName> = left.iter().map(|l| l.wire.clone()).collect();
        for (listed, answer) in left.iter_mut().zip(self.ask(names)?) {
            if let Ok(numbers) = answer {
                fill(listed, &numbers);
            }
        }
        Ok(listing)
    }

    fn list_once(&mut self, list: Command) -> Result<Lister> {
        let mut commands = VecDeque::new();
        if self.capabilities.has(Capability::Namespace) {
            commands.push_back(Command::new("NAMESPACE"));
        }
        let at = commands.len();
        commands.push_back(list);
        let mut lister = Lister { commands, list: at, ..Lister::default() };
        self.wire.fly(&mut lister)?;
        Ok(lister)
    }

    fn list_command(&self) -> Command {
        let has = |capability| self.capabilities.has(capability);
        let mut wanted = Vec::new();
        if has(Capability::ListExtended) && has(Capability::SpecialUse) {
            wanted.push("SPECIAL-USE".to_owned());
        }
        if has(Capability::ListStatus) {
            wanted.push(format!("STATUS {}", items(&self.capabilities)));
        }
        let list = Command::new("LIST \"\" \"*\"");
        if wanted.is_empty() { list } else { list.text(format_args!(" RETURN ({})", wanted.join(" "))) }
    }
}

fn too_many() -> Error {
    Error::new(Kind::Protocol, format!("The server lists more than {MAILBOXES_MOST} mailboxes"))
}

/// Gives the listed mailboxes their canonical names.
fn named(entries: Vec<Entry>, namespaces: &Namespaces) -> Listing {
    let (hidden, mut entries): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| namespaces.hides(entry));
    let flat = || entries.iter().find_map(|entry| entry.delimiter);
    let (prefix, delimiter) = match &namespaces.personal {
        Some((prefix, delimiter)) => (prefix.as_slice(), delimiter.or_else(flat)),
        None => (&b""[..], flat()),
    };
    let mut listing = Listing { names: Names::new(prefix, delimiter), ..Listing::default() };
    // What stands below the prefix has the first right to its name.
    entries.sort_by_key(|entry| !entry.raw.starts_with(prefix));
    for entry in entries {
        match listing.names.take(&entry.raw, entry.delimiter) {
            Ok((name, wire)) => {
                let listed = listing.mailboxes.entry(name).or_insert(Listed {
                    wire,
                    selectable: entry.selectable,
                    special_use: None,
                    status: None,
                    object_id: None,
                });
                listed.selectable |= entry.selectable;
                listed.special_use = listed.special_use.or(entry.special_use);
            }
            // A container that cannot be named holds nothing that would be missed.
            Err(_) if !entry.selectable => (),
            Err(why) => listing.unusable.push(why),
        }
    }
    let mut names = Names::new(prefix, delimiter);
    let hidden = hidden.iter().filter_map(|entry| names.take(&entry.raw, entry.delimiter).ok());
    listing.foreign = hidden.map(|(name, _)| name).collect();
    listing
}

#[cfg(test)]
mod tests {
    use super::super::scripted::play;
    use super::*;
    use crate::mail::{ModSeq, Uid};

    /// `name=wire` of each mailbox, with `!` for a container, its special use and its messages.
    fn listed(capabilities: &str, script: &[(&str, &str)]) -> (Vec<String>, Listing) {
        let (mut session, _) = play(capabilities, script);
        let listing = session.list().unwrap();
        let shown = |(name, listed): (&MailboxName, &Listed)| {
            let hidden = if listed.selectable { "" } else { "!" };
            let special = listed.special_use.map_or_else(String::new, |s| format!(" {s:?}"));
            let messages = listed.status.map_or_else(String::new, |s| format!(" {}", s.messages));
            format!("{hidden}{name}={}{special}{messages}", listed.wire)
        };
        (listing.mailboxes.iter().map(shown).collect(), listing)
    }

    #[test]
    fn dovecot_tells_everything_in_one_flight() {
        let (shown, listing) = listed(
            "IMAP4rev1 NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE OBJECTID",
            &[
                ("NAMESPACE", "* NAMESPACE ((\"\" \"/\")) NIL ((\"shared/\" \"/\"))\nTAG OK\n"),
                (
                    "LIST \"\" \"*\" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))",
                    "* LIST (\\HasNoChildren \\Trash) \"/\" \"Deleted Items\"\n\
                     * STATUS \"Deleted Items\" (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 5 HIGHESTMODSEQ 77 MAILBOXID (F-1))\n\
                     * LIST (\\Noselect \\HasChildren) \"/\" Lists\n* LIST () \"/\" Lists/R&-D\n\
                     * LIST (\\NonExistent) \"/\" old\n* LIST () \"/\" shared/all\n* LIST () \"/\" {4}\na\"b\\\n\
                     * LIST () \"/\" x//y\n* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1 HIGHESTMODSEQ 0)\n\
                     * STATUS Lists/R&-D (MESSAGES 4294967295 UIDNEXT 4294967296 UIDVALIDITY 3 X (1 2) HIGHESTMODSEQ 1)\n\
                     * STATUS {4}\na\"b\\ (UIDVALIDITY 4 MESSAGES 1)\n* LIST () \"/\" inbox\nTAG OK\n",
                ),
            ],
        );
        assert_eq!(
            shown,
            [
                "Deleted Items=Deleted Items Trash 3",
                "INBOX=inbox 0",
                "!Lists=Lists",
                "Lists/R&D=Lists/R&-D 4294967295",
                "a\"b\\=a\"b\\ 1",
                "!old=old"
            ]
        );
        let trash = &listing.mailboxes[&MailboxName::parse("Deleted Items").unwrap()];
        assert_eq!(trash.object_id.as_deref(), Some("F-1"));
        let status = trash.status.unwrap();
        assert_eq!((status.uid_next, status.highest_modseq), (Uid::new(9), Some(ModSeq(77))));
        assert_eq!(listing.mailboxes[&MailboxName::inbox()].status.unwrap().highest_modseq, None);
        assert_eq!(listing.unusable.len(), 1);
    }

    #[test]
    fn courier_and_cyrus_put_everything_below_inbox() {
        let (shown, listing) = listed(
            "IMAP4rev1 NAMESPACE",
            &[
                ("NAMESPACE", "* NAMESPACE ((\"INBOX.\" \".\")) ((\"user.\" \".\")) ((\"\" \".\"))\nTAG OK\n"),
                (
                    "LIST \"\" \"*\"",
                    "* LIST (\\Unmarked \\HasChildren) \".\" \"INBOX\"\n* LIST (\\HasNoChildren) \".\" \"INBOX.Sent\"\n\
                     * LIST () \".\" \"user.you.Sent\"\n* LIST () \".\" \"Sent\"\n* LIST (\\NoInferiors) NIL \"odd.one\"\nTAG OK\n",
                ),
                (
                    "STATUS \"INBOX\" (MESSAGES UIDNEXT UIDVALIDITY)",
                    "* STATUS \"INBOX\" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)\nTAG OK\n",
                ),
                ("STATUS \"INBOX.Sent\"", "* STATUS \"INBOX.Sent\" (MESSAGES 2 UIDVALIDITY 3)\nTAG OK\n"),
                ("STATUS \"odd.one\"", "TAG NO no\n"),
            ],
        );
        assert_eq!(shown, ["INBOX=INBOX 1", "Sent=INBOX.Sent 2", "odd.one=odd.one"]);
        assert!(listing.unusable[0].contains("`Sent` reads the same as `INBOX.Sent`"), "{:?}", listing.unusable);
        let new = listing.names.wire(&MailboxName::parse("a/b").unwrap()).unwrap();
        assert_eq!(new.as_bytes(), b"INBOX.a.b");
    }

    #[test]
    fn names_without_quotes_hold_blanks_and_options_may_not_be_understood() {
        let (shown, _) = listed(
            "IMAP4rev1 LIST-EXTENDED SPECIAL-USE",
            &[
                ("LIST \"\" \"*\" RETURN (SPECIAL-USE)", "TAG BAD what\n"),
                (
                    "LIST \"\" \"*\"",
                    "* LIST () \"/\" Sent Items\n* LIST () \"/\" [Gmail]/All Mail\n* LIST () \"/\" NIL\nTAG OK\n",
                ),
                ("STATUS \"NIL\"", "* STATUS NIL (MESSAGES 5 UIDVALIDITY 1)\nTAG OK\n"),
                ("STATUS \"Sent Items\"", "* STATUS Sent Items (MESSAGES 7 UIDVALIDITY 1)\nTAG OK\n"),
                ("STATUS \"[Gmail]/All Mail\"", "* STATUS whatever (MESSAGES 8 UIDVALIDITY 1)\nTAG OK\n"),
            ],
        );
        assert_eq!(shown, ["NIL=NIL 5", "Sent Items=Sent Items 7", "[Gmail]/All Mail=[Gmail]/All Mail 8"]);
    }
}
