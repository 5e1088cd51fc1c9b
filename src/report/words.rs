//! Numbers, sizes, UID sets, counts and commands as they stand in a line; names made safe.

use super::event::{Counts, SideCounts};
use super::{Again, Event, Run};
use crate::error::{Error, ItemFailure, safe_line, safe_text};
use crate::mail::{MailboxName, UidSet};
use crate::reconcile::Side;
use crate::reconcile::guard::{Refusal, Rest};

/// How long a whole message of ours may be; a server's words in it are cut much earlier.
const MESSAGE: usize = 2000;

/// How much of a long list is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Its beginning, and how much more there is.
    Short,
    /// All of it.
    Full,
}

impl Detail {
    /// How many parts of a list of `len` are written out.
    pub fn shown(self, len: usize) -> usize {
        match self {
            // Five fit a line; "and 1 more" would be no shorter than the sixth.
            Detail::Short if len > 6 => 5,
            Detail::Short | Detail::Full => len,
        }
    }
}

/// A mailbox's name, safe for a terminal.
pub fn name(mailbox: &MailboxName) -> String {
    safe_line(mailbox.path())
}

/// A number with its thousands apart: `10,000`.
pub fn count(n: u64) -> String {
    indicatif::HumanCount(n).to_string()
}

/// A number and its noun: `1 mailbox`, `2 mailboxes`.
pub fn many(n: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { more })
}

/// Octets in decimal units, three digits or so: `999 B`, `1.2 kB`, `300 MB`.
pub fn size(octets: u64) -> String {
    if octets < 1000 {
        return format!("{octets} B");
    }
    let mut unit: u128 = 1;
    for prefix in ['k', 'M', 'G', 'T', 'P', 'E'] {
        unit *= 1000;
        let tenths = (u128::from(octets) * 10 + unit / 2) / unit;
        match tenths {
            0..1000 => return format!("{}.{} {prefix}B", tenths / 10, tenths % 10),
            1000..10_000 => return format!("{} {prefix}B", tenths / 10),
            _ => {}
        }
    }
    format!("{octets} B")
}

/// Milliseconds as seconds or minutes: `0.3 s`, `2 min 05 s`.
pub fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// Seconds in one unit, rounded down: `45 s`, `12 min`, `7 h`, `30 d`.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", count(seconds / 86_400)),
    }
}

/// A set of UIDs: `UID 1:3, 7, 9`, shortened when there are many ranges.
pub fn uids(set: &UidSet, detail: Detail) -> String {
    let ranges = set.ranges();
    let range = |&(a, b): &(_, _)| if a == b { format!("{a}") } else { format!("{a}:{b}") };
    let shown: Vec<String> = ranges.iter().take(detail.shown(ranges.len())).map(range).collect();
    let rest: u64 = ranges.iter().skip(shown.len()).map(|(a, b)| u64::from(b.get() - a.get()) + 1).sum();
    let more = if rest > 0 { format!(" and {} more", count(rest)) } else { String::new() };
    format!("UID {}{more}", shown.join(", "))
}

/// What was done, side by side: `3 new (12 kB), flags of 2 changed here; 1 sent (2.0 kB) on the server`; of a dry run
/// what a run would do: `bring 3 (12 kB), change flags of 2 here; send 1 (2.0 kB) on the server`. Empty for nothing.
pub fn counts(counts: &Counts, run: Run) -> String {
    let mut parts = Vec::new();
    if let Some(text) = side(&counts.local, "new", "bring", run) {
        parts.push(format!("{text} here"));
    }
    if let Some(text) = side(&counts.remote, "sent", "send", run) {
        parts.push(format!("{text} on the server"));
    }
    if counts.linked > 0 {
        parts.push(match run {
            Run::Real => format!("{} found the same on both sides", count(counts.linked)),
            Run::Dry => format!("record {} as the same on both sides", count(counts.linked)),
        });
    }
    parts.join("; ")
}

/// `arrived` and `arrive` say how messages come to this side.
fn side(counts: &SideCounts, arrived: &str, arrive: &str, run: Run) -> Option<String> {
    let SideCounts { new, moved, flags, deleted, mailboxes_created, mailboxes_renamed, mailboxes_removed, octets } =
        *counts;
    let mailboxes = |n| many(n, "mailbox", "mailboxes");
    let (made, removed) = (mailboxes(mailboxes_created), mailboxes(mailboxes_removed));
    let (renamed, from_elsewhere) = (mailboxes(mailboxes_renamed), count(moved));
    let (flags_of, gone, size) = (count(flags), count(deleted), size(octets));
    let parts = match run {
        Run::Real => [
            (mailboxes_renamed, format!("{renamed} renamed")),
            (mailboxes_created, format!("{made} made")),
            (new, format!("{} {arrived} ({size})", count(new))),
            (moved, format!("{from_elsewhere} moved or copied")),
            (flags, format!("flags of {flags_of} changed")),
            (deleted, format!("{gone} deleted")),
            (mailboxes_removed, format!("{removed} removed")),
        ],
        Run::Dry => [
            (mailboxes_renamed, format!("rename {renamed}")),
            (mailboxes_created, format!("make {made}")),
            (new, format!("{arrive} {} ({size})", count(new))),
            (moved, format!("move or copy {from_elsewhere}")),
            (flags, format!("change flags of {flags_of}")),
            (deleted, format!("delete {gone}")),
            (mailboxes_removed, format!("remove {removed}")),
        ],
    };
    let parts: Vec<String> = parts.into_iter().filter(|(n, _)| *n > 0).map(|(_, text)| text).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// An event that needs a person, as lines for standard error: the trouble first, then what to do. Empty for others.
pub fn trouble(account: &str, event: &Event<'_>, again: &Again) -> Vec<String> {
    match event {
        Event::Failed(failure) => failed(account, failure),
        Event::Refused(refusal) => refused(account, refusal, again),
        Event::Planned { refusals, .. } | Event::MaildropPlanned { refusals, .. } => {
            refusals.iter().flat_map(|r| refused(account, r, again)).collect()
        }
        Event::Aborted(error) => aborted(Some(account), error),
        _ => Vec::new(),
    }
}

fn failed(account: &str, failure: &ItemFailure) -> Vec<String> {
    let text = safe_text(&failure.to_string(), MESSAGE);
    with_hint(format!("{}: {text}", safe_line(account)), failure.hint.as_deref())
}

/// A refusal and the command that allows what it refused.
pub fn refused(account: &str, refusal: &Refusal, again: &Again) -> Vec<String> {
    let text = safe_text(&refusal.to_string(), MESSAGE);
    let anew = match (refusal.rest, refusal.side) {
        (Rest::Waits, Side::Remote) => {
            "\nTo have the mail here again instead, remove the account's state (`mailtide check` names its file), and sync."
        }
        (Rest::Waits, Side::Local) | (Rest::Done, _) => "",
    };
    let hint = format!("If that is what you want: {}{anew}", allow(account, refusal, again));
    with_hint(format!("{}: Refused: {text}", safe_line(account)), Some(&hint))
}

/// An error of `account`, or of the program as a whole.
pub fn aborted(account: Option<&str>, error: &Error) -> Vec<String> {
    let text = safe_text(&error.to_string(), MESSAGE);
    let account = account.unwrap_or("mailtide");
    // The place may begin with the account already.
    let named = error.place().is_some_and(|p| p == account || p.starts_with(&format!("{account}: ")));
    let line = if named { text } else { format!("{}: {text}", safe_line(account)) };
    with_hint(line, error.hint_text())
}

fn with_hint(line: String, hint: Option<&str>) -> Vec<String> {
    // A hint may show an example of several lines.
    let hint = hint.into_iter().flat_map(str::lines).enumerate();
    let hint = hint.map(|(n, h)| format!("  {} {}", if n == 0 { "hint:" } else { "     " }, safe_text(h, MESSAGE)));
    std::iter::once(line).chain(hint).collect()
}

/// The command that allows the deletions of `refusal`, ready to be typed.
pub fn allow(account: &str, refusal: &Refusal, again: &Again) -> String {
    // A name that cannot be typed as it is shown can only be allowed together with all others.
    let named = refusal.mailbox.as_ref().map(MailboxName::path).filter(|path| !path.contains(crate::error::is_hidden));
    command(again, account, &["--allow-deletions", named.unwrap_or("all")])
}

/// The command that runs this account again, with `more` words behind it, quoted for a shell.
pub fn command(again: &Again, account: &str, more: &[&str]) -> String {
    let mut words = vec!["mailtide".to_owned(), "sync".to_owned()];
    match again {
        Again::Account { config } => {
            words.push(quoted(account));
            if let Some(path) = config {
                words.extend(["--config".to_owned(), quoted(&path.to_string_lossy())]);
            }
        }
        Again::Url { words: typed } => words.extend(typed.iter().map(|w| quoted(w))),
    }
    words.extend(more.iter().map(|w| quoted(w)));
    safe_text(&words.join(" "), MESSAGE)
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use crate::error::Kind;

    #[test]
    fn sizes_have_three_digits_or_so() {
        for (octets, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1250, "1.3 kB"),
            (99_949, "99.9 kB"),
            (99_950, "100 kB"),
            (999_949, "999 kB"),
            (999_950, "1.0 MB"),
            (300_000_000, "300 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(octets), text, "{octets}");
        }
    }

    #[test]
    fn times_are_short() {
        let ages = [0, 59, 60, 3599, 3600, 86_399, 86_400, 1_300_000_000].map(age);
        assert_eq!(ages, ["0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "15,046 d"]);
        assert_eq!([time(0), time(349), time(59_999), time(125_000)], ["0.0 s", "0.3 s", "59.9 s", "2 min 05 s"]);
    }

    #[test]
    fn many_ranges_are_shortened_and_counted() {
        let set = UidSet::parse("1:3,5,7,9,11,13,20:29").unwrap();
        assert_eq!(uids(&set, Detail::Short), "UID 1:3, 5, 7, 9, 11 and 11 more");
        assert_eq!(uids(&set, Detail::Full), "UID 1:3, 5, 7, 9, 11, 13, 20:29");
        assert_eq!(uids(&UidSet::parse("7").unwrap(), Detail::Short), "UID 7");
    }

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let mailbox = MailboxName::parse("it's [Gmail]/All Mail").unwrap();
        let refusal = Refusal {
            side: Side::Remote,
            mailbox: Some(mailbox),
            deletions: 20,
            of: 30,
            rest: Rest::Done,
            spared: BTreeSet::new(),
        };
        let again = Again::Account { config: Some("/tmp/my config".into()) };
        assert_eq!(
            allow("work", &refusal, &again),
            r"mailtide sync work --config '/tmp/my config' --allow-deletions 'it'\''s [Gmail]/All Mail'"
        );
        let again = Again::Url { words: ["imaps://me@host:993", "--maildir", "m"].map(str::to_owned).to_vec() };
        assert_eq!(
            allow("x", &Refusal { mailbox: None, ..refusal.clone() }, &again),
            "mailtide sync imaps://me@host:993 --maildir m --allow-deletions all"
        );
        let odd = MailboxName::parse("a\u{1b}b").unwrap();
        let odd = allow("work", &Refusal { mailbox: Some(odd), ..refusal }, &Again::default());
        assert_eq!(odd, "mailtide sync work --allow-deletions all");
    }

    #[test]
    fn an_account_is_named_once() {
        let error = || Error::new(Kind::Auth, "The server refused the login").hint("Check the password.");
        assert_eq!(
            aborted(Some("work"), &error().at("work")),
            ["work: The server refused the login", "  hint: Check the password."]
        );
        assert_eq!(
            aborted(Some("work"), &error().at("workshop")).concat(),
            "work: workshop: The server refused the login  hint: Check the password."
        );
        assert_eq!(aborted(None, &Error::new(Kind::Usage, "No"))[0], "mailtide: No");
    }

    #[test]
    fn counts_read_like_a_sentence() {
        let local = SideCounts { new: 3, octets: 12_345, flags: 2, mailboxes_created: 1, ..SideCounts::default() };
        let remote = SideCounts { new: 1, octets: 20, deleted: 1200, mailboxes_removed: 2, ..SideCounts::default() };
        let all = Counts { local, remote, linked: 4, failed: 0 };
        assert_eq!(
            counts(&all, Run::Real),
            "1 mailbox made, 3 new (12.3 kB), flags of 2 changed here; \
             1 sent (20 B), 1,200 deleted, 2 mailboxes removed on the server; 4 found the same on both sides"
        );
        assert_eq!(
            counts(&all, Run::Dry),
            "make 1 mailbox, bring 3 (12.3 kB), change flags of 2 here; \
             send 1 (20 B), delete 1,200, remove 2 mailboxes on the server; record 4 as the same on both sides"
        );
        assert_eq!(counts(&Counts::default(), Run::Dry), "");
    }
}
