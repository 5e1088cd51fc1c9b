//! The channels of one account: which mailboxes take part, and under which names.

use super::super::draft::{Draft, Key, Value, Weight};
use super::super::source::Surroundings;
use super::super::tree;
use super::parse::{Kind, Section};
use super::policy::Server;
use super::{patterns, store};
use crate::config::Renames;
use crate::mail::MailboxName;

/// A channel between a server and a tree.
pub(super) struct Channel<'a> {
    pub(super) section: &'a Section,
    pub(super) server: Server,
    /// The mailbox on the server, or what stands before the names there.
    remote: String,
    /// The mailbox in the tree, or what stands before the names there.
    local: String,
    patterns: Vec<String>,
}

/// Channels that have both stores in common.
pub(super) struct Joined<'a> {
    pub(super) imap: &'a Section,
    pub(super) store: &'a Section,
    pub(super) channels: Vec<Channel<'a>>,
}

impl<'a> Channel<'a> {
    /// Reads a channel and finds its stores.
    ///
    /// # Errors
    /// Why it is none that Mailtide could take.
    pub(super) fn read(
        section: &'a Section,
        all: &'a [Section],
    ) -> Result<(&'a Section, &'a Section, Channel<'a>), String> {
        let side = |keys: &[&str]| -> Result<(&'a Section, String), String> {
            let line = section.last(keys).ok_or("it names only one side.")?;
            let (name, mailbox) =
                line.word().trim_start_matches(':').split_once(':').ok_or("a side of it is no `:STORE:`.")?;
            let store = all.iter().find(|s| matches!(s.kind, Kind::Imap | Kind::Maildir) && s.name == name);
            Ok((store.ok_or_else(|| format!("there is no store `{name}`."))?, mailbox.to_owned()))
        };
        let (far, near) = (side(&["far", "master"])?, side(&["near", "slave"])?);
        let (server, imap, store) = match (far.0.kind, near.0.kind) {
            (Kind::Imap, Kind::Maildir) => (Server::Far, far, near),
            (Kind::Maildir, Kind::Imap) => (Server::Near, near, far),
            (Kind::Imap, _) => return Err("both sides are servers; Mailtide keeps a Maildir tree.".into()),
            _ => return Err("neither side is a server.".into()),
        };
        let lines = section.settings.iter().filter(|line| matches!(line.key().as_str(), "pattern" | "patterns"));
        let patterns = lines.flat_map(|line| line.words.clone()).collect();
        Ok((imap.0, store.0, Channel { section, server, remote: imap.1, local: store.1, patterns }))
    }

    fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// The directory that its mailboxes are in, as part of names in the tree; `None` for INBOX alone.
    fn directory(&self) -> Option<Vec<&str>> {
        let mut parts: Vec<&str> = self.local.split('/').filter(|part| !part.is_empty()).collect();
        if !self.has_patterns() {
            let last = parts.pop()?;
            if parts.is_empty() && last.eq_ignore_ascii_case("INBOX") {
                return None;
            }
        }
        Some(parts)
    }
}

impl Joined<'_> {
    /// Puts the tree and the mailboxes into `draft`; `shared`: other accounts have mail in the same store.
    pub(super) fn describe(&self, draft: &mut Draft, shared: bool, around: &Surroundings) {
        let prefix = self.prefix(shared);
        let place = store::Place::of(self.store, &prefix, around);
        self.leftovers(draft);
        if self.inbox_alone(draft, &place) {
            return;
        }
        place.describe(draft, self.store);
        let remote_path = self.imap.word("path").unwrap_or_default();
        // A channel with exclusions would leave out what another one takes in: those first.
        let mut channels: Vec<_> = self.channels.iter().collect();
        channels.sort_by_key(|channel| !channel.patterns.iter().any(|p| p.starts_with('!')));
        let excluding = channels.iter().filter(|c| c.patterns.iter().any(|p| p.starts_with('!'))).count();
        if excluding > 1 {
            let text =
                "Several channels leave mailboxes out, each of its own; here the last pattern that matches decides.";
            draft.note(Key::Mailboxes, Weight::Differs, text);
        }
        for channel in channels {
            let remote = format!("{remote_path}{}", channel.remote);
            let local = channel.local.strip_prefix(prefix.as_str()).unwrap_or(&channel.local).trim_start_matches('/');
            if channel.has_patterns() {
                several(draft, channel, &remote, local)
            } else {
                pair(draft, channel, &remote, local, &place)
            }
        }
        if let Some(Value::List(globs)) = draft.get(Key::Mailboxes)
            && globs.is_empty()
        {
            draft.lost(Key::Mailboxes, &self.first().setting, "selects no mailbox: its patterns only leave out.");
            draft.set(Key::Mailboxes, Value::List(vec!["INBOX".into()]));
        }
        place.inbox(draft, around);
        place.names(draft, around);
    }

    fn first(&self) -> super::parse::Line {
        let channel = self.channels.first();
        let line = channel.and_then(|channel| channel.section.last(&["pattern", "patterns", "far", "master"]));
        line.cloned().unwrap_or_else(|| super::parse::Line {
            setting: super::super::draft::Setting { line: 0, key: "Channel".into(), value: String::new() },
            words: Vec::new(),
        })
    }

    /// The part of names in the tree that becomes part of the tree's place, `a/b` or nothing.
    fn prefix(&self, shared: bool) -> String {
        let directories: Vec<_> = self.channels.iter().filter_map(Channel::directory).collect();
        let below = |channel: &Channel<'_>| {
            channel.has_patterns() && channel.remote.is_empty() && !channel.local.trim_matches('/').is_empty()
        };
        let (true, Some(first)) = (shared || self.channels.iter().any(below), directories.first()) else {
            return String::new();
        };
        let same = |n: usize| directories.iter().all(|d| d.get(n) == first.get(n));
        let length = (0..first.len()).take_while(|n| same(*n)).count();
        first.iter().take(length).copied().collect::<Vec<_>>().join("/")
    }

    /// One channel for INBOX and nothing else: its directory is a Maildir++ tree as it is.
    fn inbox_alone(&self, draft: &mut Draft, place: &store::Place) -> bool {
        let [channel] = self.channels.as_slice() else { return false };
        let path = self.imap.word("path").unwrap_or_default();
        let remote = patterns::mailbox(&format!("{path}{}", channel.remote));
        let only_inbox = match channel.patterns.as_slice() {
            [] => remote.is_some_and(|name| name.is_inbox()),
            [one] => one.eq_ignore_ascii_case("INBOX") && channel.remote.is_empty() && channel.local.is_empty(),
            _ => false,
        };
        let Some(local) = patterns::mailbox(&channel.local).filter(|_| only_inbox) else { return false };
        let Some(root) = place.directory(&local) else { return false };
        draft.set(Key::Maildir, root);
        draft.set(Key::Layout, "maildir++");
        draft.set(Key::Mailboxes, Value::List(vec!["INBOX".into()]));
        let text = "In this layout the directory itself is INBOX, which is all that the channel has.";
        draft.note(Key::Layout, Weight::Explains, text);
        store::leftovers(draft, self.store);
        true
    }

    fn leftovers(&self, draft: &mut Draft) {
        for line in self.channels.iter().flat_map(|channel| &channel.section.settings) {
            let setting = &line.setting;
            match line.key().as_str() {
                "far" | "near" | "master" | "slave" | "pattern" | "patterns" => {}
                "sync" | "create" | "remove" | "expunge" => {}
                "copyarrivaldate" => draft.moot(setting, "is what Mailtide does always: arrival dates are kept."),
                "syncstate" => draft.moot(setting, "is about mbsync's own state; Mailtide keeps one of its own."),
                "maxmessages" | "expireunread" => {
                    draft.lost(Key::Mailboxes, setting, "has no counterpart: Mailtide takes all messages.");
                }
                "maxsize" => {
                    draft.lost(Key::Mailboxes, setting, "has no counterpart: Mailtide takes messages of every size.")
                }
                _ => draft.lost(None, setting, "is unknown and was passed over."),
            }
        }
    }
}

/// A channel with patterns: the names below `remote` are those below `local`.
fn several(draft: &mut Draft, channel: &Channel<'_>, remote: &str, local: &str) {
    let (remote, local) = (remote.trim_matches('/'), local.trim_matches('/'));
    let below = if remote == local {
        local
    } else if remote.is_empty() || local.is_empty() {
        let text = format!(
            "The channel `{}` has the mailboxes of {} on the server as those of {} in the tree.",
            channel.section.name,
            if remote.is_empty() { "the top" } else { remote },
            if local.is_empty() { "the top" } else { local },
        );
        draft.hold(&text);
        remote
    } else {
        rename(draft, remote, local);
        local
    };
    let prefix = if below.is_empty() { String::new() } else { format!("{below}/") };
    let globs = patterns::globs(&channel.patterns, &prefix);
    draft.add(Key::Mailboxes, globs.globs);
    for remark in globs.remarks {
        draft.note(Key::Mailboxes, Weight::Differs, remark);
    }
}

/// A channel of one mailbox.
fn pair(draft: &mut Draft, channel: &Channel<'_>, remote: &str, local: &str, place: &store::Place) {
    let names = (patterns::mailbox(remote), patterns::mailbox(local));
    let (Some(on_server), Some(here)) = names else {
        let text = format!("The channel `{}` names no mailbox that could be one here.", channel.section.name);
        return draft.note(Key::Mailboxes, Weight::Differs, text);
    };
    match (on_server.is_inbox(), here.is_inbox()) {
        (true, true) => draft.add(Key::Mailboxes, ["INBOX".into()]),
        (false, false) => {
            if on_server != here {
                rename(draft, on_server.path(), here.path());
            }
            draft.add(Key::Mailboxes, [here.path().to_owned()]);
        }
        (true, false) => {
            let (from, to) = (place.directory(&here), place.directory(&MailboxName::inbox()));
            let mut text = format!(
                "The server's INBOX is `{here}` in the tree; Mailtide keeps it as INBOX. Before the first run:"
            );
            if let (Some(from), Some(to)) = (from, to) {
                text = format!("{text}\n    mv -n {} {}", tree::place(&from, ""), tree::place(&to, ""));
            }
            draft.note(Key::Maildir, Weight::Differs, text);
            draft.add(Key::Mailboxes, ["INBOX".into()]);
        }
        (false, true) => {
            let text = format!(
                "`{on_server}` is INBOX in the tree, which Mailtide cannot do; it gets a directory of its own name."
            );
            draft.note(Key::Mailboxes, Weight::Differs, text);
            draft.add(Key::Mailboxes, [on_server.path().to_owned()]);
        }
    }
}

/// Ties two names; where no rename can, the server stays unchanged.
fn rename(draft: &mut Draft, server: &str, local: &str) {
    let mut pairs = match draft.get(Key::Rename) {
        Some(Value::Pairs(pairs)) => pairs.clone(),
        _ => Vec::new(),
    };
    pairs.push((server.to_owned(), local.to_owned()));
    let names = pairs.iter().filter_map(|(s, l)| Some((MailboxName::parse(s)?, MailboxName::parse(l)?)));
    match Renames::new(names) {
        Ok(_) => draft.set(Key::Rename, Value::Pairs(pairs)),
        Err(why) => draft.hold(&format!("{server} on the server is {local} in the tree. {}.", why.what())),
    }
}
