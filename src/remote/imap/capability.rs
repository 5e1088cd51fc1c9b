//! What a server says it can do, and what of that may be used.
//!
//! Invariant: [`Capabilities::has`] is false for whatever the configuration disabled, also when another capability
//! implies it.

use std::collections::BTreeSet;

/// An extension that changes how the work is done (IANA's registry of IMAP capabilities).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// RFC 7162: what vanished and what changed since last time, in one answer.
    Qresync,
    /// RFC 7162: what changed since last time.
    CondStore,
    /// RFC 4315: expunges and appends by UID.
    Uidplus,
    /// RFC 7888: literals of any size without waiting.
    LiteralPlus,
    /// RFC 7888: literals up to 4096 octets without waiting.
    LiteralMinus,
    /// RFC 5819: STATUS of every mailbox inside LIST.
    ListStatus,
    /// RFC 5258: LIST with options.
    ListExtended,
    /// RFC 6851: MOVE.
    Move,
    /// RFC 6154: which mailbox is the trash, the drafts, …
    SpecialUse,
    /// RFC 2342: prefix and delimiter.
    Namespace,
    /// RFC 4978: COMPRESS=DEFLATE.
    Compress,
    /// RFC 4731: search results as ranges.
    Esearch,
    /// RFC 5161: ENABLE.
    Enable,
    /// RFC 3502: several messages in one APPEND.
    MultiAppend,
    /// RFC 8438: STATUS=SIZE.
    StatusSize,
    /// RFC 8474: identifiers of mailboxes and messages.
    ObjectId,
    /// Gmail: X-GM-EXT-1.
    GmailExt,
    /// RFC 2971: ID.
    Id,
    /// RFC 2177: IDLE.
    Idle,
    /// RFC 3691: UNSELECT.
    Unselect,
    /// RFC 6855: UTF8=ACCEPT.
    Utf8Accept,
    /// RFC 7889: a limit on what APPEND takes.
    AppendLimit,
    /// RFC 4959: the first answer of AUTHENTICATE inside the command.
    SaslIr,
}

impl Capability {
    /// Every capability, the ones that save most first.
    pub const ALL: [Capability; 23] = [
        Capability::Qresync,
        Capability::CondStore,
        Capability::ListStatus,
        Capability::ListExtended,
        Capability::Uidplus,
        Capability::LiteralPlus,
        Capability::LiteralMinus,
        Capability::MultiAppend,
        Capability::Move,
        Capability::ObjectId,
        Capability::GmailExt,
        Capability::Esearch,
        Capability::Enable,
        Capability::SpecialUse,
        Capability::Namespace,
        Capability::Unselect,
        Capability::Compress,
        Capability::AppendLimit,
        Capability::SaslIr,
        Capability::StatusSize,
        Capability::Utf8Accept,
        Capability::Idle,
        Capability::Id,
    ];

    /// The name as servers announce it, upper case.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// What it buys, one line for `check`; `None` where a run has no use for it.
    pub fn buys(self) -> Option<&'static str> {
        self.row().1
    }

    fn row(self) -> (&'static str, Option<&'static str>) {
        const NO_USE: &str = "";
        let (name, buys) = match self {
            Capability::Qresync => ("QRESYNC", "changed and vanished messages since last time in one answer"),
            Capability::CondStore => ("CONDSTORE", "changed flags since last time instead of all flags"),
            Capability::Uidplus => ("UIDPLUS", "deletes exactly the messages meant; an upload tells its UID"),
            Capability::LiteralPlus => ("LITERAL+", "uploads without a round trip a message"),
            Capability::LiteralMinus => ("LITERAL-", "uploads of small messages without a round trip each"),
            Capability::ListStatus => ("LIST-STATUS", "the state of all mailboxes in one round trip"),
            Capability::ListExtended => ("LIST-EXTENDED", "one LIST that says more about each mailbox"),
            Capability::Move => ("MOVE", "moves whole sets of messages in one step"),
            Capability::SpecialUse => ("SPECIAL-USE", "finds the trash, whatever its name"),
            Capability::Namespace => ("NAMESPACE", "finds where personal mailboxes start"),
            Capability::Compress => ("COMPRESS=DEFLATE", "fewer octets on a slow line, with `compress = true`"),
            Capability::Esearch => ("ESEARCH", "search results as short ranges"),
            Capability::Enable => ("ENABLE", "switches QRESYNC and CONDSTORE on"),
            Capability::MultiAppend => ("MULTIAPPEND", "uploads many messages in one step"),
            Capability::StatusSize => ("STATUS=SIZE", NO_USE),
            Capability::ObjectId => ("OBJECTID", "recognises renamed mailboxes and moved messages, no body fetched"),
            Capability::GmailExt => ("X-GM-EXT-1", "recognises moved and labelled messages at Gmail"),
            Capability::Id => ("ID", NO_USE),
            Capability::Idle => ("IDLE", NO_USE),
            Capability::Unselect => ("UNSELECT", "leaves a mailbox without expunging it"),
            Capability::Utf8Accept => ("UTF8=ACCEPT", NO_USE),
            Capability::AppendLimit => ("APPENDLIMIT", "says which messages are too large before they are sent"),
            Capability::SaslIr => ("SASL-IR", "logs in with one round trip less"),
        };
        (name, Some(buys).filter(|text| *text != NO_USE))
    }
}

/// Everything that a server announced, and what the configuration took away from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    names: BTreeSet<String>,
    disabled: BTreeSet<String>,
}

/// What a server with IMAP4rev2 alone can do without saying so (RFC 9051, appendix E).
const IN_REV2: [Capability; 12] = [
    Capability::Namespace,
    Capability::Unselect,
    Capability::Uidplus,
    Capability::Esearch,
    Capability::Enable,
    Capability::Idle,
    Capability::SaslIr,
    Capability::ListExtended,
    Capability::ListStatus,
    Capability::Move,
    Capability::LiteralMinus,
    Capability::StatusSize,
];

impl Capabilities {
    /// Takes the words that follow `CAPABILITY`, in any case; `disabled` holds upper-case names.
    pub fn new(words: &str, disabled: &BTreeSet<String>) -> Capabilities {
        let names = words.split_ascii_whitespace().map(str::to_ascii_uppercase).collect();
        Capabilities { names, disabled: disabled.clone() }
    }

    /// Whether the server can and the configuration allows it.
    pub fn has(&self, capability: Capability) -> bool {
        if self.disabled.contains(capability.name()) {
            return false;
        }
        match capability {
            // RFC 7162, section 3.2: QRESYNC includes CONDSTORE and is nothing without its mod-sequences.
            Capability::CondStore => self.says("CONDSTORE") || self.says("QRESYNC"),
            Capability::Qresync => self.says("QRESYNC") && !self.disabled.contains("CONDSTORE"),
            Capability::AppendLimit => self.names.iter().any(|n| n.starts_with("APPENDLIMIT")),
            Capability::Utf8Accept => self.says("UTF8=ACCEPT") || self.says("UTF8=ONLY"),
            _ => self.says(capability.name()) || self.only_rev2() && IN_REV2.contains(&capability),
        }
    }

    /// The largest message that APPEND takes anywhere, in octets (RFC 7889); `None` when the server names no number.
    pub fn append_limit(&self) -> Option<u64> {
        if !self.has(Capability::AppendLimit) {
            return None;
        }
        self.names.iter().find_map(|n| n.strip_prefix("APPENDLIMIT=")?.parse().ok())
    }

    /// Every name as announced, upper case and sorted, also unknown and disabled ones.
    pub fn all_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether the server announced this name (upper case), disabled or not.
    pub(super) fn says(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether it announced `AUTH=` this mechanism (upper case) and the configuration allows it.
    pub(super) fn authenticates_by(&self, mechanism: &str) -> bool {
        let name = format!("AUTH={mechanism}");
        self.says(&name) && !self.disabled.contains(&name)
    }

    fn only_rev2(&self) -> bool {
        self.says("IMAP4REV2") && !self.says("IMAP4REV1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disabled(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| n.to_string()).collect()
    }

    #[test]
    fn what_is_announced_is_there_in_any_case() {
        let c = Capabilities::new("IMAP4rev1 qresync LITERAL+ AUTH=PLAIN APPENDLIMIT=35651584", &disabled(&[]));
        assert!(c.has(Capability::Qresync) && c.has(Capability::CondStore) && c.has(Capability::LiteralPlus));
        assert!(!c.has(Capability::LiteralMinus) && !c.has(Capability::Move));
        assert_eq!(c.append_limit(), Some(35_651_584));
        assert!(c.authenticates_by("PLAIN") && !c.authenticates_by("XOAUTH2"));
        assert_eq!(Capabilities::new("APPENDLIMIT", &disabled(&[])).append_limit(), None);
    }

    #[test]
    fn what_is_disabled_is_never_there() {
        let words = "IMAP4rev1 CONDSTORE QRESYNC LITERAL+ APPENDLIMIT=5 AUTH=PLAIN";
        let c = Capabilities::new(words, &disabled(&["CONDSTORE", "LITERAL+", "APPENDLIMIT", "AUTH=PLAIN"]));
        assert!(!c.has(Capability::CondStore) && !c.has(Capability::Qresync) && !c.has(Capability::LiteralPlus));
        assert!(c.append_limit().is_none() && !c.authenticates_by("PLAIN"));
        assert!(c.all_names().any(|n| n == "CONDSTORE"));
        let c = Capabilities::new(words, &disabled(&["QRESYNC"]));
        assert!(c.has(Capability::CondStore) && !c.has(Capability::Qresync));
    }

    #[test]
    fn rev2_alone_implies_what_it_absorbed() {
        assert!(Capabilities::new("IMAP4rev2", &disabled(&[])).has(Capability::ListStatus));
        assert!(!Capabilities::new("IMAP4rev1 IMAP4rev2", &disabled(&[])).has(Capability::ListStatus));
        assert!(!Capabilities::new("IMAP4rev2", &disabled(&["MOVE"])).has(Capability::Move));
    }

    #[test]
    fn each_capability_is_listed_once_under_its_own_name() {
        let names: BTreeSet<&str> = Capability::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), Capability::ALL.len());
        assert!(Capability::ALL.iter().all(|c| c.name() == c.name().to_uppercase()));
    }
}
