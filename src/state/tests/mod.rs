//! Tests of the state as a whole; the links they are made of.
//!
//! `facts`: every fact, against a model. `files`: what stands on disk, and what to say when it is not a sound state.
//! `crash`: kill -9, and a log that ends anywhere.

mod crash;
mod facts;
mod files;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::State;
use crate::mail::{
    AccountId, BaseMailbox, Content, Digest, Fact, FileId, Flags, Intent, Link, LocalCheckpoint, MailboxId,
    MailboxName, MessageIdHash, ModSeq, PermanentFlags, Presence, RemoteCheckpoint, Uid, UidSet, UidValidity,
    UnixSeconds,
};

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

fn name(id: MailboxId) -> MailboxName {
    MailboxName::from_segments(["Post", &format!("Übrig {id}")]).unwrap()
}

fn known(id: MailboxId) -> Fact {
    Fact::MailboxKnown { id, name: name(id) }
}

fn flags(names: &[&str]) -> Flags {
    let mut flags = Flags::none();
    names.iter().for_each(|name| flags.insert_imap(name));
    flags
}

/// A link with nothing special.
fn plain(n: u32) -> Link {
    Link {
        uid: uid(n),
        file: FileId::new(format!("file-{n}")),
        presence: Presence::Both,
        flags: Flags::none(),
        size: 1000,
        digest: Digest([n as u8; 32]),
        message_id: None,
        internal_date: UnixSeconds(1_700_000_000),
        email_id: None,
    }
}

/// A link with everything that is hard to keep.
fn hard(n: u32) -> Link {
    Link {
        uid: uid(n),
        file: FileId::new(OsStr::from_bytes(b"\xff\x00\xfe,S=1\n")),
        presence: Presence::RemoteOnly,
        flags: flags(&["\\Seen", "$Forwarded", "Work", "$Label1"]),
        size: u64::MAX,
        digest: Digest([0xff; 32]),
        message_id: Some(MessageIdHash(u64::MAX)),
        internal_date: UnixSeconds(-1),
        email_id: Some("M6d99ac3275bb4e".into()),
    }
}

fn checkpoint() -> RemoteCheckpoint {
    RemoteCheckpoint {
        uid_validity: UidValidity(u32::MAX),
        uid_next: Some(Uid::MAX),
        highest_modseq: Some(ModSeq(u64::MAX)),
        messages: u32::MAX,
        permanent: PermanentFlags { named: flags(&["\\Seen", "Work"]), any_keyword: true },
        object_id: Some("F2212ea87-6097-4256-9d51-71338625".into()),
    }
}

const DIRECTORIES: LocalCheckpoint = LocalCheckpoint { new_time: -1, cur_time: i64::MAX, inode: u64::MAX };

fn intent(mailbox: MailboxId) -> Intent {
    let content = Content { digest: Digest([3; 32]), wire_size: 9, message_id: Some(MessageIdHash(4)) };
    Intent {
        mailbox,
        file: FileId::new("to-send"),
        content,
        uid_next: Some(uid(12)),
        flags: flags(&["\\Seen", "Work"]),
    }
}

/// What a state holds, links and intents included; or what it should hold, by the plainest means.
#[derive(Debug, Clone, PartialEq, Default)]
struct Model {
    mailboxes: BTreeMap<MailboxId, (MailboxName, BaseMailbox)>,
    intents: BTreeMap<(MailboxId, FileId), Intent>,
    arriving: BTreeMap<MailboxId, UidSet>,
}

impl Model {
    fn of(state: &State) -> Model {
        let mut model = Model { arriving: state.arriving().unwrap(), ..Model::default() };
        for (name, mut mailbox) in state.base(&|_| true).unwrap() {
            let links = state.links(mailbox.id).unwrap();
            let with_a_copy = links.values().filter(|l| l.presence != Presence::LocalOnly).map(|l| l.uid);
            assert_eq!(state.known_uids(mailbox.id).unwrap(), with_a_copy.collect());
            for intent in state.intents(mailbox.id).unwrap() {
                model.intents.insert((mailbox.id, intent.file.clone()), intent);
            }
            mailbox.links = Some(links);
            model.mailboxes.insert(mailbox.id, (name, mailbox));
        }
        model
    }

    /// All facts or, when one is refused, none.
    fn record(&mut self, facts: &[Fact]) -> bool {
        let mut after = self.clone();
        let accepted = facts.iter().all(|fact| after.apply(fact).is_some());
        if accepted {
            *self = after;
        }
        accepted
    }

    fn apply(&mut self, fact: &Fact) -> Option<()> {
        let fresh = |id| BaseMailbox { links: Some(BTreeMap::new()), ..BaseMailbox::new(id) };
        match fact.clone() {
            Fact::MailboxKnown { id, name } => {
                self.mailboxes.entry(id).or_insert_with(|| (name, fresh(id)));
            }
            Fact::MailboxRenamed(id, name) => self.mailboxes.get_mut(&id)?.0 = name,
            Fact::MailboxForgotten(id) => {
                self.mailboxes.remove(&id);
                self.arriving.remove(&id);
                self.intents.retain(|(mailbox, _), _| *mailbox != id);
            }
            Fact::MailboxReset(id) => {
                if let Some((_, mailbox)) = self.mailboxes.get_mut(&id) {
                    *mailbox = fresh(id);
                }
                self.arriving.remove(&id);
                self.intents.retain(|(mailbox, _), _| *mailbox != id);
            }
            Fact::Linked(id, link) => {
                self.links(id)?.insert(link.uid, link);
            }
            Fact::Renamed(id, uid, file) => self.change(id, uid, |link| link.file = file),
            Fact::FlagsAgreed(id, uid, flags) => self.change(id, uid, |link| link.flags = flags),
            Fact::PresenceChanged(id, uid, presence, flags) => {
                self.change(id, uid, |link| (link.presence, link.flags) = (presence, flags));
            }
            Fact::Unlinked(id, uids) => {
                if let Some(links) = self.links(id) {
                    links.retain(|uid, _| !uids.contains(*uid));
                }
            }
            Fact::RemoteChecked(id, checkpoint) => self.mailboxes.get_mut(&id)?.1.remote = Some(checkpoint),
            Fact::LocalChecked(id, checkpoint) => self.mailboxes.get_mut(&id)?.1.local = Some(checkpoint),
            Fact::Intended(intent) => {
                self.mailboxes.get(&intent.mailbox)?;
                self.intents.insert((intent.mailbox, intent.file.clone()), intent);
            }
            Fact::Settled(id, file) => {
                self.intents.remove(&(id, file));
            }
            Fact::Arriving(_, uids) if uids.is_empty() => {}
            Fact::Arriving(id, uids) => self.arriving.entry(id).or_default().insert_all(&uids),
            Fact::Arrived(id) => _ = self.arriving.remove(&id),
        }
        for (_, mailbox) in self.mailboxes.values_mut() {
            mailbox.link_count = mailbox.links.as_ref().map_or(0, |links| links.len() as u64);
        }
        Some(())
    }

    fn links(&mut self, id: MailboxId) -> Option<&mut BTreeMap<Uid, Link>> {
        self.mailboxes.get_mut(&id)?.1.links.as_mut()
    }

    fn change(&mut self, id: MailboxId, uid: Uid, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.links(id).and_then(|links| links.get_mut(&uid)) {
            change(link);
        }
    }
}
