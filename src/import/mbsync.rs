//! mbsync's `.mbsyncrc`: channels between the same two stores become one account.
//!
//! A channel of its own for Trash, as Gmail needs it there, becomes a rename; a store that several accounts share becomes
//! a tree an account. State is not needed: mail that is in the tree already is recognised by its content.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `parse` | lines and sections |
//! | `channel` | the channels of one account: which mailboxes, under which names |
//! | `store` | the tree: root, layout, where INBOX is |
//! | `server` | `IMAPAccount`, `IMAPStore` |
//! | `policy` | `Sync`, `Expunge`, `Create`, `Remove` |
//! | `patterns` | `Patterns` |

mod channel;
mod parse;
mod patterns;
mod policy;
mod server;
mod store;

use self::channel::{Channel, Joined};
use self::parse::{Kind, Line, Section};
use super::draft::{Draft, Key, Note, Protocol, Weight};
use super::source::{File, Surroundings};
use super::{Found, Tool};

/// Reads the configuration.
pub(super) fn read(file: &File, around: &Surroundings) -> Found {
    let sections = parse::sections(&file.text);
    let mut found = Found::new(Tool::Mbsync);
    let none = Section { kind: Kind::Global, name: String::new(), settings: Vec::new() };
    let global = sections.first().unwrap_or(&none);
    let joined = joined(&sections, &mut found);
    let mut names = Vec::new();
    for (n, joined_) in joined.iter().enumerate() {
        let shared = joined.iter().enumerate().any(|(m, other)| m != n && other.store.name == joined_.store.name);
        let draft = account(joined_, &sections, global, shared, file, around);
        names.push((draft.name.clone(), joined_.channels.iter().map(|c| c.section.name.clone()).collect::<Vec<_>>()));
        found.accounts.push(draft);
    }
    for group in sections.iter().filter(|section| section.kind == Kind::Group) {
        let channels = channels(group);
        let accounts: Vec<_> = names
            .iter()
            .filter(|(_, of)| of.iter().any(|c| channels.contains(c)))
            .map(|(name, _)| name.as_str())
            .collect();
        let text = format!("`mbsync {}` is `mailtide sync {}` now.", group.name, accounts.join(" "));
        found.notes.push(Note { at: None, weight: Weight::Explains, text });
    }
    for line in &global.settings {
        globally(&mut found, line);
    }
    found
}

/// Channels of the same stores together, in the file's order.
fn joined<'a>(sections: &'a [Section], found: &mut Found) -> Vec<Joined<'a>> {
    let mut joined: Vec<Joined<'a>> = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    for section in sections.iter().filter(|section| section.kind == Kind::Channel) {
        match Channel::read(section, sections) {
            Ok((imap, store, channel)) => {
                used.extend([imap.name.as_str(), store.name.as_str()]);
                match joined.iter_mut().find(|j| j.imap.name == imap.name && j.store.name == store.name) {
                    Some(known) => known.channels.push(channel),
                    None => joined.push(Joined { imap, store, channels: vec![channel] }),
                }
            }
            Err(why) => {
                let text = format!("The channel `{}` could not be taken over: {why}", section.name);
                found.notes.push(Note { at: None, weight: Weight::Differs, text });
            }
        }
    }
    for store in sections.iter().filter(|s| matches!(s.kind, Kind::Imap | Kind::Maildir)) {
        if !used.contains(&store.name.as_str()) {
            let text = format!("The store `{}` is in no channel that was taken over.", store.name);
            found.notes.push(Note { at: None, weight: Weight::Moot, text });
        }
    }
    joined
}

/// The channels that a group names, without the mailboxes behind them.
fn channels(group: &Section) -> Vec<String> {
    let words = group.settings.iter().flat_map(|line| &line.words);
    words.map(|word| word.split(':').next().unwrap_or_default().to_owned()).collect()
}

fn account(
    joined: &Joined<'_>,
    sections: &[Section],
    global: &Section,
    shared: bool,
    file: &File,
    around: &Surroundings,
) -> Draft {
    let account = joined.imap.word("account");
    let account = sections.iter().find(|s| s.kind == Kind::Account && Some(s.name.as_str()) == account);
    let own: Vec<&str> = joined.channels.iter().map(|c| c.section.name.as_str()).collect();
    let mut groups = sections.iter().filter(|section| section.kind == Kind::Group);
    let group = groups.find(|group| {
        let named = channels(group);
        named.len() == own.len() && own.iter().all(|name| named.iter().any(|n| n == name))
    });
    let name = match (own.as_slice(), group, account) {
        ([one], ..) => one,
        (_, Some(group), _) => group.name.as_str(),
        (_, None, Some(account)) => account.name.as_str(),
        (_, None, None) => joined.imap.name.as_str(),
    };
    let from = format!(
        "mbsync: {} {}, {}",
        if own.len() == 1 { "channel" } else { "channels" },
        own.join(", "),
        file.path.display()
    );
    let mut draft = Draft::new(name, Protocol::Imap, from);
    let policies: Vec<_> =
        joined.channels.iter().map(|c| policy::read(&mut draft, c.section, global, c.server)).collect();
    if let Some(strictest) = policies.iter().copied().reduce(policy::Policy::strictest) {
        if policies.iter().any(|policy| *policy != strictest) {
            let text = "The channels of this account do not agree; what the strictest of them allows stands here.";
            draft.note(Key::Direction, Weight::Differs, text);
        }
        draft.set(Key::Direction, strictest.direction);
        draft.set(Key::Deletions, strictest.deletions);
    }
    trash(&mut draft, joined);
    server::into(&mut draft, account, joined.imap, around);
    joined.describe(&mut draft, shared, around);
    draft
}

/// `Trash` of the server's store: deleted messages go there; Mailtide knows none in the tree.
fn trash(draft: &mut Draft, joined: &Joined<'_>) {
    if let Some(line) = joined.store.last(&["trash"]) {
        draft.lost(Key::Trash, &line.setting, "has no counterpart: a trash is on the server.");
    }
    let expunges = draft.text(Key::Deletions) == Some("expunge");
    match joined.imap.last(&["trash"]) {
        Some(line) if expunges && draft.text(Key::Direction) != Some("pull") => {
            let name = patterns::mailbox(&format!("{}{}", joined.imap.word("path").unwrap_or_default(), line.word()));
            draft.set(Key::Deletions, "trash");
            draft.set(Key::Trash, name.map_or_else(|| line.word().to_owned(), |name| name.path().to_owned()));
        }
        Some(line) => {
            draft.lost(Key::Trash, &line.setting, "was not in use, since nothing was expunged on the server.")
        }
        None => {}
    }
    if expunges {
        let text = "`Expunge` also removed messages that were only marked as deleted (`T`); to Mailtide the mark is a \
                    flag, and a deletion is a file that is gone.";
        draft.note(Key::Deletions, Weight::Differs, text);
    }
}

fn globally(found: &mut Found, line: &Line) {
    let why = match line.key().as_str() {
        "sync" | "create" | "remove" | "expunge" => return,
        "copyarrivaldate" => (Weight::Moot, "is what Mailtide does always: arrival dates are kept."),
        "syncstate" | "fielddelimiter" => (Weight::Moot, "is about mbsync's own state; Mailtide keeps one of its own."),
        "fsync" => (Weight::Moot, "is not asked: mail is on disk before it is recorded."),
        "bufferlimit" => (Weight::Moot, "is not needed: memory does not grow with messages."),
        "maxmessages" | "expireunread" => (Weight::Differs, "has no counterpart: Mailtide takes all messages."),
        "includecmd" => (Weight::Differs, "was not run; what it prints is not taken over."),
        _ => (Weight::Differs, "stands outside of any section, is unknown and was passed over."),
    };
    let text = format!("{} {}", line.setting.shown(), why.1);
    found.notes.push(Note { at: None, weight: why.0, text });
}

#[cfg(test)]
mod tests;
