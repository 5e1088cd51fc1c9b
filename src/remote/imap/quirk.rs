//! What servers do that the standard does not foresee, one by one: a name, where it was seen, and what it looks like.
//!
//! A quirk that changes what is *done* is a function here; one that only has to be *understood* is bytes in the corpus
//! of the tests below, which goes through the same framing and parsers as live traffic.

/// **Throttled in words**: that waiting helps is told by the words only, and the code may even mislead.
///
/// Gmail: `NO [OVERQUOTA] Account exceeded command or bandwidth limits.` (ljmerza/ha-email-sensor#16, Google's limits:
/// support.google.com/a/answer/1071518). Outlook: `NO Request is throttled. Suggested Backoff Time: 299910 milliseconds`
/// (ikvk/imap_tools#135), also as BAD before a BYE (simonrob/email-oauth2-proxy#191). Gmail on opening too many
/// connections: `Too many simultaneous connections` (MailCore/mailcore2#587).
pub fn is_throttled(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["bandwidth limit", "request is throttled", "too many simultaneous"].iter().any(|w| words.contains(w))
}

/// **Empty range refused**: FETCH of `1:*` in an empty mailbox is BAD or NO instead of an OK without data.
///
/// `BAD Error in IMAP command FETCH: Invalid messageset` (Dovecot; postalsys/imapflow#209, jstedfast/MailKit#1258). For
/// UIDs RFC 3501 §9 makes `*` UIDNEXT there, but not every server does. No error when the mailbox holds nothing.
pub fn is_empty_range(exists: u32) -> bool {
    exists == 0
}

/// **Already there, in words**: CREATE of what exists is a plain NO without ALREADYEXISTS on servers before RFC 5530.
pub fn says_exists(words: &str) -> bool {
    words.to_ascii_lowercase().contains("already exists")
}

/// **Not there, in words**: STATUS and DELETE of what is gone is a plain NO without NONEXISTENT.
///
/// Dovecot 2.3.19 to STATUS: `NO Mailbox doesn't exist: a`.
pub fn says_gone(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["doesn't exist", "does not exist", "no such mailbox", "unknown mailbox"].iter().any(|w| words.contains(w))
}

#[cfg(test)]
mod tests {
    use super::super::fetch::{Body, Fetched};
    use super::super::frame::{Framer, KeepSmall, Line};
    use super::super::reply::{Reply, Untagged};
    use super::*;
    use crate::mail::UnixSeconds;

    /// What is understood of a FETCH response, in words.
    fn understood(line: &Line) -> String {
        let Reply::Untagged(Untagged::Fetch(tokens)) = Reply::of(line) else { return "no FETCH".to_owned() };
        let f = Fetched::read(tokens);
        let mut words = Vec::new();
        words.extend(f.uid.map(|uid| format!("uid {uid}")));
        words.extend(f.flags.map(|flags| format!("flags <{flags}>")));
        words.extend(f.size.map(|size| format!("size {size}")));
        words.extend(f.internal_date.map(|UnixSeconds(at)| format!("date {at}")));
        words.extend(f.email_id.map(|id| format!("id {id}")));
        for (what, body) in [("body", f.body), ("header", f.header)] {
            words.extend(body.map(|body| match body {
                Body::Kept(octets) => format!("{what} {:?}", String::from_utf8_lossy(&octets)),
                Body::Streamed(octets) => format!("{what} of {octets}"),
                Body::Absent => format!("{what} absent"),
            }));
        }
        words.join(", ")
    }

    /// Name and source, the server's bytes, what must be understood.
    const CORPUS: &[(&str, &[u8], &str)] = &[
        (
            "Dovecot: plain",
            b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent $Forwarded NonJunk) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 44827 MODSEQ (65402))\r\n",
            "uid 1, flags <$Forwarded \\Seen NonJunk>, size 44827, date 837596665",
        ),
        (
            "Cyrus: another order, EMAILID (RFC 8474)",
            b"* 2 FETCH (FLAGS () EMAILID (M0123456789abcdef) UID 7 RFC822.SIZE 5 MODSEQ (12111230047))\r\n",
            "uid 7, flags <>, size 5, id M0123456789abcdef",
        ),
        (
            "Gmail: labels as strings and atoms beside X-GM-MSGID (developers.google.com/gmail/imap/imap-extensions)",
            b"* 1 FETCH (X-GM-THRID 1278455344230334865 X-GM-MSGID 1278455344230334866 X-GM-LABELS (\"\\\\Inbox\" \"\\\\Sent\" Important \"Muy (Importante\") UID 3 FLAGS ($NotPhishing))\r\n",
            "uid 3, flags <$NotPhishing>, id 1278455344230334866",
        ),
        (
            "QQ: a blank before the end (jakartaee/mail-api#209)",
            b"* 11487 FETCH (UID 19436 )\r\n",
            "uid 19436",
        ),
        (
            "iCloud: a header field that is not there is an empty literal (dinhvh/libetpan#426)",
            b"* 7027 FETCH (UID 11153 MODSEQ (366744470000000) FLAGS (\\Seen) INTERNALDATE \"30-Jan-2018 22:39:15 +0000\" BODY[HEADER.FIELDS (Message-ID)] {0}\r\n)\r\n",
            "uid 11153, flags <\\Seen>, date 1517351955, header \"\"",
        ),
        (
            "mail.ru: NIL where a string must be, lists nobody asked for (kisli/vmime#159)",
            b"* 4 FETCH (BODYSTRUCTURE ((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"8bit\" 536 0 NIL NIL NIL NIL)(\"text\" \"html\" NIL NIL NIL \"8bit\" 7130 0) \"alternative\" (\"boundary\" NIL)) UID 5)\r\n",
            "uid 5",
        ),
        (
            "a literal inside an ENVELOPE nobody asked for (jstedfast/MailKit#991)",
            b"* 3001 FETCH (UID 3001 ENVELOPE (\"Thu\" \"x\" (NIL ({5}\r\n(\"a\r\n NIL \"b\" \"c\")) NIL) FLAGS (\\Seen))\r\n",
            "uid 3001, flags <\\Seen>",
        ),
        (
            "a body in quotes with escapes, UID behind it",
            b"* 1 FETCH (BODY[] \"a\\\"b\\\\\" UID 2)\r\n",
            "uid 2, body \"a\\\"b\\\\\"",
        ),
        ("a literal of a size that is none", b"* 1 FETCH (UID 2 BODY[] {-1})\r\n", "uid 2, body absent"),
        ("no body at all", b"* 1 FETCH (UID 2 BODY[] NIL)\r\n", "uid 2, body absent"),
        (
            "no date (the imap crate 3.0.0-alpha.15 panics)",
            b"* 1 FETCH (UID 2 INTERNALDATE NIL RFC822.SIZE 3)\r\n",
            "uid 2, size 3",
        ),
        ("a date that is none", b"* 1 FETCH (INTERNALDATE \"yesterday\" UID 2)\r\n", "uid 2"),
        ("a size below zero", b"* 1 FETCH (RFC822.SIZE -1 UID 2)\r\n", "uid 2"),
        ("flags that are none", b"* 1 FETCH (FLAGS NIL UID 2)\r\n", "uid 2, flags <>"),
        ("flags in quotes", b"* 1 FETCH (FLAGS (\"\\\\Seen\" Work) UID 2)\r\n", "uid 2, flags <\\Seen Work>"),
        (
            "keywords that IMAP does not allow (raw UTF-8, brackets)",
            b"* 1 FETCH (FLAGS (\\Seen \xc3\xa9t\xc3\xa9 a]b \\Bogus \\) UID 2)\r\n",
            "uid 2, flags <\\Seen>",
        ),
        ("blanks everywhere", b"*  1  FETCH  (  UID  2  FLAGS  (  \\Seen  )  )  \r\n", "uid 2, flags <\\Seen>"),
        ("lower case and a bare LF", b"* 1 fetch (uid 2 flags (\\seen))\n", "uid 2, flags <\\Seen>"),
        ("8-bit octets in an unknown item", b"* 1 FETCH (X-NOTE \"caf\xe9 (\" UID 2)\r\n", "uid 2"),
        ("cut short", b"* 1 FETCH (UID 2 FLAGS (\\Seen\r\n", "uid 2"),
        ("no parentheses", b"* 1 FETCH UID 2 FLAGS ()\r\n", "uid 2, flags <>"),
        ("UID 0 is none", b"* 1 FETCH (UID 0 FLAGS ())\r\n", "flags <>"),
        ("a number too large", b"* 1 FETCH (UID 4294967296 RFC822.SIZE 99999999999999999999)\r\n", ""),
        ("not a FETCH at all", b"* 1 FETCHED (UID 2)\r\n", "no FETCH"),
    ];

    #[test]
    fn the_corpus_is_understood() {
        for (name, bytes, want) in CORPUS {
            assert_eq!(understood(&Line::of(bytes)), *want, "{name}");
        }
    }

    #[test]
    fn the_corpus_in_one_stream_keeps_its_borders() {
        let stream: Vec<u8> = CORPUS.iter().flat_map(|(_, bytes, _)| bytes.iter().copied()).collect();
        let (mut framer, mut rest, mut lines) = (Framer::default(), stream.as_slice(), 0);
        while !rest.is_empty() {
            let fed = framer.feed(rest, &mut KeepSmall).unwrap();
            lines += usize::from(fed.complete);
            rest = &rest[fed.used..];
        }
        assert_eq!(lines, CORPUS.len());
    }

    #[test]
    fn words_in_brackets_that_are_no_code_do_no_harm() {
        for line in [
            // Outlook (ruby/net-imap#597), Gmail (mscdex/node-imap#593).
            "A1 OK [Error=\"Microsoft.Exchange.Data.Storage.WrongServerException:Cross Server access\" Service=Imap4] AUTHENTICATE completed.",
            "A1 OK Success [THROTTLED]",
            "A1 OK [",
            "A1 OK []",
            "A1 OK",
        ] {
            let line = Line::of(format!("{line}\r\n").as_bytes());
            assert!(matches!(Reply::of(&line), Reply::Tagged(b"A1", status) if status.is_ok()));
        }
    }

    #[test]
    fn throttling_is_heard_whatever_the_code() {
        assert!(is_throttled("NO [OVERQUOTA] Account exceeded command or bandwidth limits. abc"));
        assert!(is_throttled("BAD Request is throttled. Suggested Backoff Time: 89117 milliseconds"));
        assert!(!is_throttled("NO [OVERQUOTA] Quota exceeded (mailbox for user is full)"));
    }
}
