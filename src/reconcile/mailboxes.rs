//! The decisions of one mailbox as a whole: on which sides it is, and what that means for what it holds.

use std::collections::BTreeMap;

use super::Input;
use super::alike::Dates;
use super::delta::{LocalSide, RemoteSide};
use super::draft::Draft;
use super::identity::Place;
use super::messages::{self, Binned, Decided, MissingFiles, Scene};
use super::plan::{Action, Side};
use super::view::{Deletions, Direction, LocalContent, LocalMailbox, TreeAge};
use crate::mail::{BaseMailbox, Content, FileId, Flags, Link, MailboxName, Presence, Standing, Uid};

/// Decides the mailbox `name`; `None` when nothing can be concluded about it now. Messages that come to Trash by themselves
/// are taken out of `binned` as deletions meet them.
pub(super) fn decide(input: &Input<'_>, name: &MailboxName, binned: &mut Binned) -> Option<Vec<Action>> {
    let base = input.base.get(name);
    let local = LocalSide::of(input.local, name, base);
    let remote = match input.remote_side(name) {
        // A server that lists nothing any more has lost its mind or our rights.
        RemoteSide::Absent if input.remote.mailboxes.is_empty() && input.base.values().any(is_known) => {
            RemoteSide::Unknown
        }
        remote => remote,
    };
    let (none, all_loaded) = (BTreeMap::new(), Standing::default());
    let Some(links) = links_of(base, &none) else { return Some(Vec::new()) };
    let standing = base.map_or(&all_loaded, |base| &base.standing);
    let known = base.is_some_and(is_known);
    let mut mailbox = Mailbox { input, binned, name, known, base, links, standing, local, remote };
    match (local, remote) {
        (LocalSide::Unknown, _) | (_, RemoteSide::Unknown) => None,
        (LocalSide::Absent, RemoteSide::Absent) => Some(vec![Action::ForgetMailbox]),
        // One that could not be looked into may be this one under another name.
        (LocalSide::Absent, _) if mailbox.known && input.has_dark_directories() => None,
        (_, RemoteSide::Absent) if mailbox.known && input.has_dark_mailboxes() => None,
        (_, RemoteSide::Observed(_)) if mailbox.started_anew() => {
            if !mailbox.all_read() {
                return None;
            }
            mailbox.links = &none;
            Some(mailbox.decide())
        }
        (LocalSide::Unchanged | LocalSide::Listed(_) | LocalSide::Absent, _) => Some(mailbox.decide()),
    }
}

/// Whether the mailbox waits until each of its files can be read: one that cannot may be any message that has a new UID.
pub(super) fn waits_for_files(input: &Input<'_>, name: &MailboxName) -> bool {
    let base = input.base.get(name);
    let LocalSide::Listed(listing) = LocalSide::of(input.local, name, base) else { return false };
    started_anew(base, input.remote_side(name)) && listing.files.values().any(|file| file.content.is_unreadable())
}

/// What comes to Trash, or is there, without a deletion on the server: a mail program deletes by moving files there.
pub(super) fn binned(input: &Input<'_>, trash: &MailboxName, actions: &[Action]) -> Binned {
    let mut binned = Binned::new();
    let Some(LocalMailbox::Listed(listing)) = input.local.mailboxes.get(trash) else { return binned };
    for action in actions {
        if let Action::Upload { file, .. } | Action::Link { file, .. } = action
            && let Some(LocalContent::Known { content, .. }) = listing.files.get(file).map(|f| &f.content)
        {
            *binned.entry(content.digest).or_default() += 1;
        }
    }
    // Cut off after such an upload: it has its link by now.
    let links = input.base.get(trash).and_then(|b| b.links.as_ref());
    let stands = |l: &&Link| l.presence == Presence::Both && listing.files.contains_key(&l.file);
    for link in links.into_iter().flat_map(BTreeMap::values).filter(stands) {
        *binned.entry(link.digest).or_default() += 1;
    }
    binned
}

/// The links; `None` when they exist and were not read.
fn links_of<'a>(base: Option<&'a BaseMailbox>, none: &'a BTreeMap<Uid, Link>) -> Option<&'a BTreeMap<Uid, Link>> {
    match base {
        Some(BaseMailbox { links: Some(links), .. }) => Some(links),
        Some(BaseMailbox { links: None, link_count: 1.., .. }) => None,
        Some(BaseMailbox { links: None, .. }) | None => Some(none),
    }
}

/// Whether both sides ever agreed on anything in it.
fn is_known(base: &BaseMailbox) -> bool {
    base.remote.is_some() || base.local.is_some() || base.messages() > 0
}

/// Whether the server has given all messages of a known mailbox new UIDs.
fn started_anew(base: Option<&BaseMailbox>, remote: RemoteSide<'_>) -> bool {
    let agreed = base.and_then(|b| b.remote.as_ref()).map(|c| c.uid_validity);
    agreed.is_some_and(|agreed| remote.uid_validity().is_some_and(|now| now != agreed))
}

struct Mailbox<'a, 'b> {
    input: &'a Input<'a>,
    binned: &'b mut Binned,
    name: &'a MailboxName,
    known: bool,
    base: Option<&'a BaseMailbox>,
    links: &'a BTreeMap<Uid, Link>,
    standing: &'a Standing,
    local: LocalSide<'a>,
    remote: RemoteSide<'a>,
}

impl<'a> Mailbox<'a, '_> {
    fn decide(&mut self) -> Vec<Action> {
        match (self.local, self.remote) {
            (LocalSide::Absent, _) => self.missing_locally(),
            (_, RemoteSide::Absent) => self.missing_remotely(),
            _ => self.messages(self.missing_files()).draft.finish(),
        }
    }

    fn missing_files(&self) -> MissingFiles {
        match self.age() {
            TreeAge::AsLeft if self.base.is_some_and(BaseMailbox::is_being_restored) => MissingFiles::Restored,
            TreeAge::AsLeft if self.was_left_out() => MissingFiles::Restored,
            TreeAge::AsLeft => MissingFiles::Deleted,
            TreeAge::Older => MissingFiles::Restored,
        }
    }

    fn age(&self) -> TreeAge {
        match self.base.is_some_and(BaseMailbox::is_older) {
            true => TreeAge::Older,
            false => self.input.local.age_of(self.name),
        }
    }

    fn was_left_out(&self) -> bool {
        self.base.is_some_and(BaseMailbox::was_left_out)
    }

    fn direction(&self) -> Direction {
        self.input.policy.direction
    }

    /// Whether a deletion on one side removes the other side's copy.
    fn repeats_deletions(&self) -> bool {
        matches!(self.input.policy.deletions, Deletions::Expunge | Deletions::Trash)
    }

    fn messages(&mut self, missing_files: MissingFiles) -> Decided<'a> {
        // What a name says of a UID that was given out again is about another message.
        let believed = !self.base.is_some_and(BaseMailbox::was_put_back);
        let place = self.input.ids.get(self.name).zip(self.remote.uid_validity()).filter(|_| believed);
        let account = self.input.account;
        // Intents of another generation tell nothing: their UIDNEXT means nothing.
        let intents = if self.started_anew() { None } else { self.input.intents.get(self.name) };
        let scene = Scene {
            name: self.name,
            place: place.map(|(id, uid_validity)| Place { account, mailbox: *id, uid_validity }),
            links: self.links,
            standing: self.standing,
            local: self.local,
            remote: self.remote,
            intents: intents.map_or(&[], Vec::as_slice),
            policy: self.input.policy,
            trash: self.input.remote.trash.as_ref(),
            missing_files,
            was_left_out: self.was_left_out(),
            age: self.age(),
            outside: &self.input.local.outside,
            dates: Dates::of(self.base, self.remote.uid_validity()),
        };
        let mut decided = messages::decide(&scene, self.binned);
        if self.started_anew() {
            decided.draft.single.push(Action::ResetMailbox);
        }
        decided
    }

    fn started_anew(&self) -> bool {
        started_anew(self.base, self.remote)
    }

    /// Whether every file was read, as matching without links needs it.
    fn all_read(&self) -> bool {
        match self.local {
            LocalSide::Absent => true,
            LocalSide::Listed(listing) => {
                listing.files.values().all(|f| matches!(f.content, LocalContent::Known { .. }))
            }
            LocalSide::Unchanged | LocalSide::Unknown => false,
        }
    }

    fn missing_locally(&mut self) -> Vec<Action> {
        let direction = self.direction();
        let comes_back = self.missing_files() == MissingFiles::Restored;
        let restored = self.known && (self.name.is_inbox() || direction == Direction::Pull || comes_back);
        if direction == Direction::Push && (restored || !self.known) {
            return Vec::new();
        }
        let missing = if restored { MissingFiles::Restored } else { MissingFiles::Deleted };
        let Decided { mut draft, messages, .. } = self.messages(missing);
        if restored || !self.known || !draft.downloads.is_empty() {
            draft.single.push(Action::CreateMailbox { side: Side::Local });
        } else if self.input.remote.trash.as_ref() != Some(self.name)
            && self.is_emptied(messages, draft.removals(Side::Remote), self.remote.is_complete())
        {
            draft.single.push(Action::RemoveMailbox { side: Side::Remote });
        }
        draft.finish()
    }

    fn missing_remotely(&mut self) -> Vec<Action> {
        if self.input.names.left.contains(self.name) {
            // What the server has under this name is another mailbox: the next plan's, once the UIDs of this one are gone.
            let mut draft = self.messages(MissingFiles::Deleted).draft;
            draft.uploads.clear();
            return draft.finish();
        }
        if self.name.is_inbox() {
            return Vec::new();
        }
        match (self.known, self.direction()) {
            (_, Direction::Pull) if !self.known || self.was_left_out() => return Vec::new(),
            (false, _) | (true, Direction::Push) => return self.made_again(),
            (true, Direction::Both) if self.was_left_out() => return self.made_again(),
            (true, Direction::Both | Direction::Pull) => {}
        }
        let Decided { mut draft, files, .. } = self.messages(MissingFiles::Deleted);
        let removals = draft.removals(Side::Local);
        if !draft.uploads.is_empty() {
            if !self.repeats_deletions() || removals == 0 {
                return self.made_again();
            }
            // The UIDs of these deletions would clash with those of the mailbox made anew.
            draft.uploads.clear();
        } else if self.is_emptied(files, removals, self.local.is_complete()) {
            draft.single.push(Action::RemoveMailbox { side: Side::Local });
        }
        draft.finish()
    }

    /// Whether nothing stays on the side that still has the mailbox. One way, mail may stand there that was never
    /// linked: a view that cannot show it is believed once, with the deletions.
    fn is_emptied(&self, there: u64, removals: u64, is_complete: bool) -> bool {
        let believed = is_complete || removals > 0 || self.direction() == Direction::Both;
        self.repeats_deletions() && there == removals && believed
    }

    /// Makes the mailbox on the server and fills it with every file there is.
    fn made_again(&self) -> Vec<Action> {
        let mut draft = Draft::default();
        draft.single.push(Action::CreateMailbox { side: Side::Remote });
        if self.known {
            draft.single.push(Action::ResetMailbox);
        }
        let with_file = || self.links.values().filter(|l| l.presence != Presence::RemoteOnly);
        let mut add = |file: &'a FileId, flags: &Flags, octets: u64| {
            draft.uploads.insert(file, (self.input.policy.keywords.seen(flags).into_owned(), octets));
        };
        match self.local {
            LocalSide::Listed(listing) => {
                let sizes: BTreeMap<&FileId, u64> = with_file().map(|l| (&l.file, l.size)).collect();
                for (id, file) in &listing.files {
                    let size = match file.content {
                        LocalContent::Known { content: Content { wire_size, .. }, .. } => Some(wire_size),
                        LocalContent::Unread => sizes.get(id).copied(),
                        LocalContent::Unreadable(_) => None,
                    };
                    size.into_iter().for_each(|octets| add(id, &file.flags, octets));
                }
            }
            LocalSide::Unchanged => with_file().for_each(|l| add(&l.file, &l.flags, l.size)),
            LocalSide::Absent | LocalSide::Unknown => {}
        }
        draft.finish()
    }
}
