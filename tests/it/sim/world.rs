//! Both sides as they really are, and what users did to them.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{
    AccountId, Content, Digest, FileId, Flags, Keyword, MailboxId, MailboxName, MessageIdHash, Origin, PermanentFlags,
    Uid, UidValidity,
};

pub const ACCOUNT: AccountId = AccountId(7);

/// What a message holds; equal numbers are equal bytes.
pub type Body = u32;

/// The tree and the server.
#[derive(Debug, Clone)]
pub struct World {
    pub tree: BTreeMap<MailboxName, Directory>,
    pub server: Server,
    pub history: History,
    /// How many keywords a directory can carry.
    pub letters: usize,
    names: u32,
}

#[derive(Debug, Clone, Default)]
pub struct Directory {
    pub files: BTreeMap<FileId, File>,
    /// Stands for the mtimes: rises with every change.
    pub mtime: i64,
    pub inode: u64,
    pub keywords: BTreeSet<Keyword>,
}

#[derive(Debug, Clone)]
pub struct File {
    pub body: Body,
    pub flags: Flags,
    pub origin: Option<Origin>,
}

#[derive(Debug, Clone)]
pub struct Server {
    pub mailboxes: BTreeMap<MailboxName, Mailbox>,
    pub kind: Kind,
    validities: u32,
}

/// What the server can.
#[derive(Debug, Clone)]
pub struct Kind {
    /// CONDSTORE: a listing may tell changes only.
    pub modseq: bool,
    /// UIDPLUS: APPEND tells the UID, EXPUNGE can be told UIDs.
    pub uidplus: bool,
    pub permanent: PermanentFlags,
    pub trash: Option<MailboxName>,
    /// Bodies are not read to compare them; all Message-IDs are unique then.
    pub headers_only: bool,
}

#[derive(Debug, Clone)]
pub struct Mailbox {
    pub uid_validity: UidValidity,
    pub uid_next: Uid,
    pub modseq: u64,
    pub messages: BTreeMap<Uid, Message>,
    pub vanished: BTreeMap<Uid, u64>,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub body: Body,
    pub flags: Flags,
    pub modseq: u64,
}

/// What users did, as far as it decides how things must end.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Every message that ever was in a mailbox.
    pub delivered: BTreeSet<(MailboxName, Body)>,
    /// Those that a user deleted.
    pub deleted: BTreeSet<(MailboxName, Body)>,
    /// Those that came a second time: moved away and back.
    pub returned: BTreeSet<(MailboxName, Body)>,
    /// Those for which more than one end is right.
    pub open: BTreeSet<(MailboxName, Body)>,
    /// Mailboxes that got new UIDs since the last run: deletions in them may be undone.
    pub shaken: BTreeSet<MailboxName>,
}

/// What a mailbox holds, whatever it is called: bodies with their flags, sorted.
pub type Picture = BTreeMap<MailboxName, Vec<(Body, Flags)>>;

impl World {
    pub fn new(kind: Kind) -> World {
        let server = Server { mailboxes: BTreeMap::new(), kind, validities: 100 };
        World { tree: BTreeMap::new(), server, history: History::default(), letters: 26, names: 0 }
    }

    pub fn fresh(&mut self) -> u32 {
        self.names += 1;
        self.names
    }

    pub fn content(&self, body: Body) -> Content {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&body.to_be_bytes());
        let message_id = match body {
            _ if self.server.kind.headers_only => Some(body),
            // Missing, or shared by two.
            _ if body.is_multiple_of(5) => None,
            _ => Some(body / 2),
        };
        let message_id = message_id.map(|n| MessageIdHash(n.into()));
        Content { digest: Digest(digest), wire_size: 100 + u64::from(body % 3), message_id }
    }

    /// Makes a directory; one that is there stays.
    pub fn make_directory(&mut self, name: &MailboxName) {
        if !self.tree.contains_key(name) {
            let inode = self.fresh().into();
            self.tree.insert(name.clone(), Directory { inode, mtime: 1, ..Directory::default() });
        }
    }

    /// Puts a file into a directory; keywords without a letter stay outside.
    pub fn put_file(&mut self, name: &MailboxName, id: FileId, file: File) -> Flags {
        let letters = self.letters;
        let directory = self.tree.get_mut(name).expect("the directory is there");
        let flags = directory.fitting(&file.flags, letters);
        let before = directory.files.insert(id.clone(), File { flags: flags.clone(), ..file });
        assert!(before.is_none(), "{name}: {id} would be overwritten");
        directory.mtime += 1;
        flags
    }

    /// Whether every copy of a message is marked deleted.
    pub fn is_marked(&self, name: &MailboxName, body: Body) -> bool {
        let files = self.tree.get(name).into_iter().flat_map(|d| d.files.values()).map(|f| (f.body, &f.flags));
        let messages = self.server.mailboxes.get(name).into_iter().flat_map(|m| m.messages.values());
        let all = files.chain(messages.map(|m| (m.body, &m.flags)));
        all.filter(|(b, _)| *b == body).all(|(_, flags)| flags.is_trashed())
    }

    /// Both sides, as a person sees them.
    pub fn pictures(&self) -> (Picture, Picture) {
        let sorted = |mut all: Vec<(Body, Flags)>| {
            all.sort();
            all
        };
        let tree = self
            .tree
            .iter()
            .map(|(name, d)| (name.clone(), sorted(d.files.values().map(|f| (f.body, f.flags.clone())).collect())));
        let server =
            self.server.mailboxes.iter().map(|(name, m)| {
                (name.clone(), sorted(m.messages.values().map(|m| (m.body, m.flags.clone())).collect()))
            });
        (tree.collect(), server.collect())
    }
}

impl Directory {
    fn fitting(&mut self, flags: &Flags, letters: usize) -> Flags {
        let mut flags = flags.clone();
        flags.keywords.retain(|k| {
            let fits = self.keywords.contains(k) || self.keywords.len() < letters;
            if fits {
                self.keywords.insert(k.clone());
            }
            fits
        });
        flags
    }

    /// Changes a file's flags as far as letters allow; `None` when it is not there.
    pub fn set_flags(&mut self, id: &FileId, to: &Flags, letters: usize) -> Option<Flags> {
        let to = self.fitting(to, letters);
        self.files.get_mut(id)?.flags = to.clone();
        self.mtime += 1;
        Some(to)
    }

    pub fn remove(&mut self, id: &FileId) -> Option<File> {
        let file = self.files.remove(id);
        self.mtime += i64::from(file.is_some());
        file
    }
}

impl Server {
    /// Makes a mailbox; one that is there stays.
    pub fn make(&mut self, name: &MailboxName) {
        if !self.mailboxes.contains_key(name) {
            self.validities += 1;
            let uid_validity = UidValidity(self.validities);
            let (messages, vanished) = Default::default();
            let new = Mailbox { uid_validity, uid_next: Uid::MIN, modseq: 1, messages, vanished };
            self.mailboxes.insert(name.clone(), new);
        }
    }

    /// Gives all messages of a mailbox new UIDs, in another order, under a new UIDVALIDITY.
    pub fn renumber(&mut self, name: &MailboxName) {
        let Some(old) = self.mailboxes.remove(name) else { return };
        self.make(name);
        for message in old.messages.into_values().rev() {
            self.append(name, message.body, &message.flags);
        }
    }

    /// Appends a message with the flags that can be kept.
    pub fn append(&mut self, name: &MailboxName, body: Body, flags: &Flags) -> Option<Uid> {
        let flags = self.kind.permanent.storable(flags);
        let mailbox = self.mailboxes.get_mut(name)?;
        mailbox.modseq += 1;
        let (uid, modseq) = (mailbox.uid_next, mailbox.modseq);
        mailbox.uid_next = uid.next().expect("UIDs suffice");
        mailbox.messages.insert(uid, Message { body, flags, modseq });
        Some(uid)
    }
}

impl Mailbox {
    /// Changes flags; a message that is not there is no error (RFC 3501 §6.4.8).
    pub fn set_flags(&mut self, uid: Uid, to: &Flags) {
        if let Some(message) = self.messages.get_mut(&uid) {
            self.modseq += 1;
            message.flags = to.clone();
            message.modseq = self.modseq;
        }
    }

    pub fn remove(&mut self, uid: Uid) -> Option<Message> {
        let message = self.messages.remove(&uid)?;
        self.modseq += 1;
        self.vanished.insert(uid, self.modseq);
        Some(message)
    }
}

pub fn id_of(name: &MailboxName) -> MailboxId {
    MailboxId::of_path(name.path())
}
