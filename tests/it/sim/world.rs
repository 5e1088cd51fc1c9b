//! Both sides as they really are, and what users did to them.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{
    AccountId, Content, Digest, FileId, Flags, Generation, Keyword, MailboxName, MessageIdHash, Origin, UnixSeconds,
};
use mailtide::reconcile::Side;

use super::log::Log;
use super::server::{Kind, Server};

pub const ACCOUNT: AccountId = AccountId(7);

/// What a message holds; equal numbers are equal bytes.
pub type Body = u32;

/// The tree and the server.
#[derive(Debug, Clone)]
pub struct World {
    pub tree: BTreeMap<MailboxName, Directory>,
    pub server: Server,
    pub history: History,
    /// What users did since it was last looked at.
    pub log: Log,
    /// How many keywords a directory can carry.
    pub letters: usize,
    pub layout: Layout,
    /// Whether a mailbox may get a second copy of what it holds: then copies are counted, and `history` tells nothing.
    pub crowded: bool,
    /// Whether every message has a Message-ID of its own.
    pub named: bool,
    /// Bodies that went over the wire, and where to.
    pub transfers: Vec<(Side, Body)>,
    /// Bodies that were read to be compared.
    pub reads: Vec<Body>,
    /// What was done, in words.
    pub story: Vec<String>,
    /// Whether plans are left out of it.
    pub silent: bool,
    /// How many runs changed something, as the tree's marker counts.
    pub generation: Generation,
    names: u32,
}

/// How mailboxes stand in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Below each other: a directory takes along what is in it.
    Nested,
    /// Beside each other.
    Flat,
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
    /// mtime.
    pub date: i64,
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
        World {
            tree: BTreeMap::new(),
            server: Server::new(kind),
            history: History::default(),
            log: Log::default(),
            generation: Generation(0),
            letters: 26,
            layout: Layout::Nested,
            crowded: false,
            named: false,
            transfers: Vec::new(),
            reads: Vec::new(),
            story: Vec::new(),
            silent: false,
            names: 0,
        }
    }

    pub fn fresh(&mut self) -> u32 {
        self.names += 1;
        self.names
    }

    pub fn content(&self, body: Body) -> Content {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&body.to_be_bytes());
        let message_id = match body {
            _ if self.server.kind.headers_only || self.named => Some(body),
            // Missing, or shared by two.
            _ if body.is_multiple_of(5) => None,
            _ => Some(body / 2),
        };
        let message_id = message_id.map(|n| MessageIdHash(n.into()));
        Content { digest: Digest(digest), wire_size: 100 + u64::from(body % 3), message_id }
    }

    /// Whose digest this is.
    pub fn body_of(digest: Digest) -> Body {
        let [a, b, c, d, ..] = digest.0;
        Body::from_be_bytes([a, b, c, d])
    }

    pub fn size_and_date(&self, message: &super::server::Message) -> (Option<u64>, Option<UnixSeconds>) {
        (Some(self.content(message.body).wire_size), Some(UnixSeconds(message.date)))
    }

    /// When a message arrived; several do at once.
    pub fn date_of(body: Body) -> i64 {
        1000 + i64::from(body / 4)
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

    /// Renames a directory; in the nested layout, what is below it comes along. Nothing is replaced.
    pub fn rename_directory(&mut self, from: &MailboxName, to: &MailboxName) -> bool {
        match self.layout {
            Layout::Nested => super::rename::with_below(&mut self.tree, from, to),
            Layout::Flat if self.tree.contains_key(to) => false,
            Layout::Flat => self.tree.remove(from).map(|d| self.tree.insert(to.clone(), d)).is_some(),
        }
    }

    /// What was done so far, for a failure to tell.
    pub fn story(&self) -> String {
        self.story.join("\n")
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
