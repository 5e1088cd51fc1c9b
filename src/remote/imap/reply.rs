//! Replies: what a complete response is, and what a response code means for whoever asked (RFC 3501 §7, RFC 5530).
//!
//! Unknown untagged data is [`Untagged::Other`], an unknown code [`Code::Other`]: neither is ever an error.

use super::copied::CopyUid;
use super::frame::Line;
use super::gate::Word;
use super::quirk;
use super::token::{self, Tokens};
use crate::error::{Error, Kind};
use crate::mail::{Flags, ModSeq, PermanentFlags, Uid, UidSet, UidValidity};

/// Octets of a server's words that are kept for a person.
const WORDS_MOST: usize = 1000;

/// One response.
#[derive(Debug)]
pub enum Reply<'a> {
    /// A command has ended.
    Tagged(&'a [u8], Status),
    /// The server waits for the rest of a command (`+`).
    GoAhead,
    /// Data.
    Untagged(Untagged<'a>),
    /// Nothing that IMAP knows.
    Garbage,
}

/// A status response without its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How it went.
    pub word: Word,
    /// The code in brackets.
    pub code: Option<Code>,
    /// The whole of it, for a person; not yet safe.
    pub words: String,
}

/// A response code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// A person has to see the words.
    Alert,
    /// A mailbox of that name exists.
    AlreadyExists,
    /// Where appended messages went, in the order they were sent (RFC 4315 §3); empty unless the UIDs rise.
    AppendUid(UidValidity, UidSet),
    /// What went before belonged to the mailbox selected before (RFC 7162 §3.2.11).
    Closed,
    /// COMPRESS is on already.
    CompressionActive,
    /// Where copied or moved messages went (RFC 4315 §3).
    CopyUid(CopyUid),
    /// Only an administrator can help.
    ContactAdmin,
    /// The mailbox is damaged.
    Corruption,
    /// Some of the messages are gone by now (RFC 5530).
    ExpungeIssued,
    /// The mailbox has others below it and cannot be deleted.
    HasChildren,
    /// The highest modification sequence of the mailbox.
    HighestModSeq(ModSeq),
    /// Another process has it.
    InUse,
    /// A limit is reached.
    Limit,
    /// MAILBOXID (RFC 8474).
    MailboxId(String),
    /// The mailbox keeps no modification sequences.
    NoModSeq,
    /// No such mailbox or message.
    NonExistent,
    /// The rights do not suffice.
    NoPerm,
    /// The account is full.
    OverQuota,
    /// Flags that can be changed.
    PermanentFlags(PermanentFlags),
    /// The mailbox cannot be changed.
    ReadOnly,
    /// The message is too large (RFC 4469).
    TooBig,
    /// The target does not exist.
    TryCreate,
    /// The next UID, at least.
    UidNext(Uid),
    /// The generation of UIDs.
    UidValidity(UidValidity),
    /// Something behind the server is down.
    Unavailable,
    /// Any other.
    Other,
}

/// Untagged data.
#[derive(Debug)]
pub enum Untagged<'a> {
    /// `OK`, `NO`, `BAD`, `BYE` without a tag.
    Status(Status),
    /// How many messages the mailbox holds now.
    Exists(u32),
    /// One message is gone.
    Expunge,
    /// These UIDs are gone; `earlier` when before the mailbox was opened (RFC 7162 §3.2.10).
    Vanished {
        /// Whether they went before the mailbox was opened.
        earlier: bool,
        /// Which; may name UIDs that never were.
        uids: UidSet,
    },
    /// Data of one message, behind the word.
    Fetch(Tokens<'a>),
    /// The UIDs that were searched for, as SEARCH or ESEARCH tell.
    Search(UidSet),
    /// A mailbox.
    List(Tokens<'a>),
    /// How a mailbox stands.
    MailboxStatus(Tokens<'a>),
    /// Namespaces.
    Namespace(Tokens<'a>),
    /// Anything else.
    Other,
}

impl<'a> Reply<'a> {
    /// Reads a response.
    pub fn of(line: &'a Line) -> Reply<'a> {
        let mut tokens = Tokens::new(line);
        if tokens.peek() == Some(b'+') {
            return Reply::GoAhead;
        }
        match tokens.atom() {
            Some(b"*") => Reply::Untagged(Untagged::read(tokens)),
            Some(tag) => Status::read(tokens).map_or(Reply::Garbage, |status| Reply::Tagged(tag, status)),
            None => Reply::Garbage,
        }
    }
}

impl<'a> Untagged<'a> {
    fn read(mut tokens: Tokens<'a>) -> Untagged<'a> {
        if let Some(status) = Status::read(tokens.clone()) {
            return Untagged::Status(status);
        }
        let Some(first) = tokens.atom() else { return Untagged::Other };
        if let Some(number) = token::number(first) {
            return match tokens.atom().unwrap_or_default().to_ascii_uppercase().as_slice() {
                b"FETCH" => Untagged::Fetch(tokens),
                b"EXISTS" => Untagged::Exists(u32::try_from(number).unwrap_or(u32::MAX)),
                b"EXPUNGE" => Untagged::Expunge,
                _ => Untagged::Other,
            };
        }
        match first.to_ascii_uppercase().as_slice() {
            b"LIST" => Untagged::List(tokens),
            b"STATUS" => Untagged::MailboxStatus(tokens),
            b"NAMESPACE" => Untagged::Namespace(tokens),
            b"VANISHED" => vanished(tokens),
            b"SEARCH" => Untagged::Search(search(tokens)),
            b"ESEARCH" => esearch(tokens),
            _ => Untagged::Other,
        }
    }
}

fn vanished(mut tokens: Tokens<'_>) -> Untagged<'_> {
    let earlier = tokens.peek() == Some(b'(') && tokens.pass();
    match tokens.atom().and_then(token::uid_set) {
        Some(uids) => Untagged::Vanished { earlier, uids },
        None => Untagged::Other,
    }
}

fn search(mut tokens: Tokens<'_>) -> UidSet {
    // `(MODSEQ n)` at the end (RFC 7162 §3.1.5) is no atom and ends the loop.
    let mut uids: Vec<Uid> = std::iter::from_fn(|| tokens.atom()).filter_map(token::uid).collect();
    uids.sort_unstable();
    uids.into_iter().collect()
}

/// `(TAG "A1") UID ALL 1:3,7` (RFC 4731 §3.1); without ALL nothing was found.
fn esearch(mut tokens: Tokens<'_>) -> Untagged<'_> {
    if tokens.peek() == Some(b'(') {
        tokens.pass();
    }
    while let Some(word) = tokens.atom() {
        if word.eq_ignore_ascii_case(b"ALL") {
            return tokens.atom().and_then(token::uid_set).map_or(Untagged::Other, Untagged::Search);
        }
        if !word.eq_ignore_ascii_case(b"UID") {
            tokens.pass();
        }
    }
    Untagged::Search(UidSet::new())
}

impl Status {
    /// Reads from the word on; `None` when it is another one.
    fn read(mut tokens: Tokens<'_>) -> Option<Status> {
        let whole = tokens.rest();
        let word = match tokens.atom()?.to_ascii_uppercase().as_slice() {
            b"OK" => Word::Ok,
            b"NO" => Word::No,
            b"BAD" => Word::Bad,
            b"BYE" => Word::Bye,
            b"PREAUTH" => Word::Preauth,
            _ => return None,
        };
        let code = tokens.rest().strip_prefix(b"[").map(Code::read);
        let words = String::from_utf8_lossy(whole.get(..WORDS_MOST).unwrap_or(whole)).into_owned();
        Some(Status { word, code, words })
    }

    /// Whether it is OK.
    pub fn is_ok(&self) -> bool {
        self.word == Word::Ok
    }

    /// The error for a person: `what` could not be done, and why and what helps when the code tells.
    pub fn refusal(&self, what: &str) -> Error {
        let refused = |why: &str| Error::new(Kind::Refused, format!("{what}: {why}"));
        let later = |why: &str| Error::new(Kind::TryLater, format!("{what}: {why}")).worth_retrying();
        match &self.code {
            _ if quirk::is_throttled(&self.words) => later("the account has used up what the server allows for now")
                .hint("Try again in an hour; the provider counts octets and commands."),
            Some(Code::OverQuota) => {
                refused("the account is full").hint("Delete mail on the server, or ask for more room.")
            }
            Some(Code::TooBig) => refused("the server takes no message of this size"),
            Some(Code::TryCreate | Code::NonExistent) => {
                refused("the mailbox is not there any more").hint("Run the same command again.")
            }
            Some(Code::NoPerm) => {
                refused("the account may not do this").hint("Ask who owns the mailbox for the right.")
            }
            Some(Code::ReadOnly) => refused("the mailbox is read-only"),
            Some(Code::ContactAdmin) => refused("only the server's administrator can help"),
            Some(Code::Corruption) => refused("the server finds the mailbox damaged").hint("Tell its administrator."),
            Some(Code::Limit) => refused("the server's limit is reached"),
            Some(Code::InUse) => later("another program holds the mailbox just now"),
            Some(Code::Unavailable) => later("the server cannot do this just now"),
            _ if self.word == Word::Bad => refused("the server does not understand the command")
                .hint("If it announces what it cannot do, switch that off with `disable`."),
            _ => Error::new(Kind::Refused, what),
        }
        .server_said(&self.words)
    }
}

impl Code {
    /// Reads what stands behind the `[`.
    fn read(text: &[u8]) -> Code {
        // `]` may stand inside the parentheses of PERMANENTFLAGS; everywhere else it ends the code.
        let end = text.iter().position(|b| *b == b')').unwrap_or(0);
        let close = |from: usize| text.iter().skip(from).position(|b| *b == b']').map(|at| from + at);
        let list = text.get(..15).is_some_and(|t| t.eq_ignore_ascii_case(b"PERMANENTFLAGS "));
        let end = close(if list { end } else { 0 }).unwrap_or(text.len());
        let inner = text.get(..end).unwrap_or_default();
        let at = inner.iter().position(|b| *b == b' ').unwrap_or(inner.len());
        let (name, arguments) = inner.split_at(at);
        let arguments = arguments.trim_ascii();
        Code::known(name, arguments).unwrap_or(Code::Other)
    }

    fn known(name: &[u8], arguments: &[u8]) -> Option<Code> {
        let validity = |text: &[u8]| token::number(text).and_then(|n| u32::try_from(n).ok()).map(UidValidity);
        Some(match name.to_ascii_uppercase().as_slice() {
            b"ALERT" => Code::Alert,
            b"ALREADYEXISTS" => Code::AlreadyExists,
            b"APPENDUID" => {
                let (first, uid) = arguments.split_at(arguments.iter().position(|b| *b == b' ')?);
                Code::AppendUid(validity(first)?, rising(uid.trim_ascii()).unwrap_or_default())
            }
            b"CLOSED" => Code::Closed,
            b"COMPRESSIONACTIVE" => Code::CompressionActive,
            b"CONTACTADMIN" => Code::ContactAdmin,
            b"COPYUID" => Code::CopyUid(CopyUid::read(arguments)?),
            b"CORRUPTION" => Code::Corruption,
            b"HASCHILDREN" => Code::HasChildren,
            b"HIGHESTMODSEQ" => Code::HighestModSeq(modseq(arguments)?),
            b"EXPUNGEISSUED" => Code::ExpungeIssued,
            b"INUSE" => Code::InUse,
            b"LIMIT" => Code::Limit,
            b"MAILBOXID" => {
                let id = arguments.strip_prefix(b"(").unwrap_or(arguments);
                Code::MailboxId(String::from_utf8(id.strip_suffix(b")").unwrap_or(id).to_vec()).ok()?)
            }
            b"NOMODSEQ" => Code::NoModSeq,
            b"NONEXISTENT" => Code::NonExistent,
            b"NOPERM" => Code::NoPerm,
            b"OVERQUOTA" => Code::OverQuota,
            b"PERMANENTFLAGS" => Code::PermanentFlags(permanent(arguments)),
            b"READ-ONLY" => Code::ReadOnly,
            b"TOOBIG" => Code::TooBig,
            b"TRYCREATE" => Code::TryCreate,
            b"UIDNEXT" => Code::UidNext(token::uid(arguments)?),
            b"UIDVALIDITY" => Code::UidValidity(validity(arguments)?),
            b"UNAVAILABLE" => Code::Unavailable,
            _ => return None,
        })
    }
}

/// A modification sequence; 0 means that there is none (RFC 7162 §3.1.2).
pub fn modseq(text: &[u8]) -> Option<ModSeq> {
    token::number(text).filter(|n| *n > 0).map(ModSeq)
}

fn permanent(list: &[u8]) -> PermanentFlags {
    let mut named = Flags::none();
    let mut any_keyword = false;
    let list = list.strip_prefix(b"(").unwrap_or(list);
    let list = list.strip_suffix(b")").unwrap_or(list);
    for flag in list.split(|b| *b == b' ') {
        any_keyword |= flag == b"\\*";
        if let Ok(flag) = std::str::from_utf8(flag) {
            named.insert_imap(flag);
        }
    }
    PermanentFlags { named, any_keyword }
}

/// A set of UIDs that is written in rising order.
fn rising(text: &[u8]) -> Option<UidSet> {
    let (mut set, mut before) = (UidSet::new(), None);
    for part in text.split(|b| *b == b',') {
        let mut ends = part.splitn(2, |b| *b == b':');
        let first = token::uid(ends.next()?)?;
        let last = ends.next().map_or(Some(first), token::uid)?;
        if first > last || before.is_some_and(|before| first <= before) {
            return None;
        }
        set.insert_range(first, last);
        before = Some(last);
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<Code> {
        let line = Line::of(format!("A1 OK {text}\r\n").as_bytes());
        match Reply::of(&line) {
            Reply::Tagged(b"A1", status) => status.code,
            other => panic!("{other:?}"),
        }
    }

    fn set(text: &str) -> UidSet {
        UidSet::parse(text).unwrap()
    }

    #[test]
    fn codes() {
        assert_eq!(code("[APPENDUID 38505 3955] ok"), Some(Code::AppendUid(UidValidity(38505), set("3955"))));
        assert_eq!(code("[appenduid 1 3:4] ok"), Some(Code::AppendUid(UidValidity(1), set("3:4"))));
        assert_eq!(code("[APPENDUID 1 4,3]"), Some(Code::AppendUid(UidValidity(1), UidSet::new())));
        assert_eq!(code("[HIGHESTMODSEQ 715194045007] x"), Some(Code::HighestModSeq(ModSeq(715_194_045_007))));
        assert_eq!(code("[HIGHESTMODSEQ 0]"), Some(Code::Other));
        assert_eq!(code("[MAILBOXID (F1-2)] x"), Some(Code::MailboxId("F1-2".into())));
        assert_eq!(code("[UIDVALIDITY 4294967295]"), Some(Code::UidValidity(UidValidity(u32::MAX))));
        assert_eq!(code("[TRYCREATE"), Some(Code::TryCreate));
        assert_eq!(code("[REFERRAL imap://x/] y"), Some(Code::Other));
        assert_eq!(code("done"), None);
        let Some(Code::PermanentFlags(flags)) = code("[PERMANENTFLAGS (\\Seen \\* a]b $Forwarded)] y") else {
            panic!()
        };
        assert!(flags.any_keyword);
        assert_eq!(flags.named.to_string(), "$Forwarded \\Seen");
    }

    fn untagged(text: &str) -> String {
        let line = Line::of(format!("* {text}\r\n").as_bytes());
        match Reply::of(&line) {
            Reply::Untagged(Untagged::Search(uids)) => format!("search {uids}"),
            Reply::Untagged(Untagged::Vanished { earlier, uids }) => format!("vanished {earlier} {uids}"),
            Reply::Untagged(other) => format!("{other:?}").split(['(', ' ']).next().unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn untagged_data() {
        assert_eq!(untagged("SEARCH 5 1 2 3 (MODSEQ 9)"), "search 1:3,5");
        assert_eq!(untagged("SEARCH"), "search ");
        assert_eq!(untagged("ESEARCH (TAG \"A1\") UID COUNT 3 ALL 1:3,9"), "search 1:3,9");
        assert_eq!(untagged("ESEARCH (TAG \"A1\") UID"), "search ");
        assert_eq!(untagged("VANISHED (EARLIER) 300:310,405"), "vanished true 300:310,405");
        assert_eq!(untagged("vanished 3"), "vanished false 3");
        assert_eq!(untagged("VANISHED 1:*"), "Other");
        assert_eq!(untagged("3 EXPUNGE"), "Expunge");
        assert_eq!(untagged("99999999999 EXISTS"), "Exists");
        assert_eq!(untagged("XWHATEVER ((((\""), "Other");
        assert_eq!(untagged("bye"), "Status");
        assert_eq!(untagged(""), "Other");
    }

    #[test]
    fn refusals_say_what_helps() {
        let refusal = |text: &str| {
            let line = Line::of(format!("A1 {text}\r\n").as_bytes());
            let Reply::Tagged(_, status) = Reply::of(&line) else { panic!() };
            status.refusal("The upload failed")
        };
        let full = refusal("NO [OVERQUOTA] Quota exceeded");
        assert_eq!(
            full.to_string(),
            "The upload failed: the account is full; the server said `NO [OVERQUOTA] Quota exceeded`"
        );
        assert_eq!(refusal("NO [UNAVAILABLE] x").kind(), Kind::TryLater);
        assert_eq!(refusal("NO [OVERQUOTA] Account exceeded command or bandwidth limits.").kind(), Kind::TryLater);
        assert!(refusal("BAD what?").hint_text().unwrap().contains("disable"));
        assert!(refusal(&format!("NO {}", "x".repeat(5000))).server_words().unwrap().len() <= 1000);
    }
}
