//! `Patterns` as Mailtide's patterns: the last match decides in both, but `%` stops at a `/` there and `*` never does.

use crate::mail::{MailboxName, utf7};

/// Patterns, and what could not be said with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Globs {
    pub(super) globs: Vec<String>,
    pub(super) remarks: Vec<String>,
}

/// Turns a channel's patterns into globs of mailboxes below `prefix`, which is empty or ends with `/`.
pub(super) fn globs(patterns: &[String], prefix: &str) -> Globs {
    let mut out = Globs::default();
    // What is left out before anything is taken in was never in.
    let begins = patterns.iter().position(|p| !p.starts_with('!')).unwrap_or(patterns.len());
    for (n, pattern) in patterns.iter().skip(begins).enumerate() {
        let (sign, body) = pattern.strip_prefix('!').map_or(("", pattern.as_str()), |body| ("!", body));
        for body in spellings(body) {
            let body = format!("{prefix}{body}");
            out.globs.push(format!("{sign}{}", body.replace('%', "*")));
            match sign {
                "" => out.globs.extend(deeper(&body).map(|glob| format!("!{glob}"))),
                _ if body.contains('%') => {
                    out.remarks
                        .push(format!("`{pattern}` leaves out what is deeper too; `%` stops at a `/` in mbsync."));
                }
                _ => {}
            }
            if sign.is_empty() && n > 0 && body.contains('%') {
                out.remarks
                    .push(format!("`{pattern}` comes after other patterns: look at whether it leaves out too much."));
            }
        }
    }
    out.globs.dedup();
    out
}

/// The globs of what is deeper than each `%` reaches.
fn deeper(body: &str) -> impl Iterator<Item = String> + '_ {
    body.match_indices('%').map(|(at, _)| {
        let (before, after) = body.split_at(at);
        format!("{}*/{}", before.replace('%', "*"), after.replace('%', "*"))
    })
}

/// A pattern as it is written, and with its modified UTF-7 read: a mailbox may be known by either name.
fn spellings(body: &str) -> Vec<String> {
    let read =
        body.split('/').map(|part| utf7::decode(part).unwrap_or_else(|| part.to_owned())).collect::<Vec<_>>().join("/");
    if read == body { vec![read] } else { vec![body.to_owned(), read] }
}

/// A mailbox's name as mbsync writes it; nothing is INBOX.
pub(super) fn mailbox(text: &str) -> Option<MailboxName> {
    let text = text.trim_matches('/');
    if text.is_empty() {
        return Some(MailboxName::inbox());
    }
    MailboxName::from_segments(text.split('/').map(|part| utf7::decode(part).unwrap_or_else(|| part.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MailboxFilter;

    #[test]
    fn patterns_select_the_same_mailboxes() {
        for (patterns, prefix, expected) in [
            (&["*"][..], "", &["*"][..]),
            (&["*", "!Trash", "![Gmail]*"], "", &["*", "!Trash", "![Gmail]*"]),
            (&["%"], "", &["*", "!*/*"]),
            (&["Lists/%"], "Old/", &["Old/Lists/*", "!Old/Lists/*/*"]),
            (&["!Spam", "INBOX"], "", &["INBOX"]),
            (&["!Spam"], "", &[]),
            (&["Entw&APw-rfe"], "", &["Entw&APw-rfe", "Entwürfe"]),
        ] {
            let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
            let found = globs(&patterns, prefix);
            assert_eq!(found.globs, expected);
            assert!(found.remarks.is_empty());
        }
        let selected = |name| {
            let globs = globs(&["%".into(), "!Spam".into()], "").globs;
            MailboxFilter::default().narrowed(&globs).unwrap().selects(&MailboxName::parse(name).unwrap())
        };
        assert!(selected("Work") && !selected("Work/2024") && !selected("Spam"));
        assert!(!globs(&["*".into(), "!a%".into()], "").remarks.is_empty());
        assert!(!globs(&["a/*".into(), "%".into()], "").remarks.is_empty());
    }
}
